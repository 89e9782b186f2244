/** The server's events: the whole graph at once, then at each change. */
import type { Published } from "./graph";

const AGAIN_MS = 10_000;

/** A browser reconnects by itself, but not after an answer such as 503: too many pages are open. */
export function follow(onGraph: (graph: Published) => void, onLost: () => void): void {
  const events = new EventSource("/api/events");
  events.addEventListener("graph", (event: MessageEvent<string>) => onGraph(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    onLost();
    if (events.readyState === EventSource.CLOSED) setTimeout(() => follow(onGraph, onLost), AGAIN_MS);
  });
}
