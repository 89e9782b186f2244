/** What the page says in words: its summary, its warning, and what to do when there is nothing to see. */
import type { Published, View } from "./graph";

export function summary(graph: Published, view: View, drawn: View): string {
  const hidden = graph.edges.length - view.edges.length;
  return [
    `${count(view.nodes.length, "node")}, ${count(view.edges.length, "connection")}`,
    hidden > 0 ? `${hidden} more not shown` : "",
    drawn.edges.length < view.edges.length ? `the busiest ${drawn.edges.length} are drawn, all are listed` : "",
  ]
    .filter(Boolean)
    .join("; ");
}

export function warning(graph: Published): string | null {
  const { stale, updated, unresolved, unresolved_addresses } = graph.source;
  if (stale !== null) {
    const since = updated === null ? "There is no graph yet" : `This graph is of ${new Date(updated).toLocaleTimeString()}`;
    return `${since}. ${stale}`;
  }
  if (unresolved === 0) return null;
  const more = unresolved > unresolved_addresses.length ? ", …" : "";
  return `Not drawn: connections of addresses in the cluster that nobody holds any more (${unresolved_addresses.join(", ")}${more}).`;
}

export interface Advice {
  text: string;
  command?: string;
  /** Whether showing every group would help. */
  showAll?: boolean;
}

export function advice(graph: Published, view: View): Advice | null {
  if (view.edges.length > 0) return null;
  if (graph.edges.length > 0) {
    return { text: `All ${count(graph.edges.length, "connection")} are between groups that are not shown.`, showAll: true };
  }
  if (graph.source.stale !== null) return { text: "Nothing to draw yet: the line above says why." };
  if (graph.source.pairs > 0) {
    return { text: "Connections are counted, but none touches this cluster yet. Make some:", command: "cargo xtask traffic" };
  }
  return {
    text: "Prometheus knows no connection yet. Are the probes running, and is there traffic?",
    command: "cargo xtask check 5; cargo xtask traffic",
  };
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}
