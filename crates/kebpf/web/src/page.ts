/** The page: each graph that arrives is filtered, drawn and listed. */
import { Drawing } from "./drawing";
import { busiest, edgeId, groupOf, groupsOf, isSystem, rate, view } from "./graph";
import type { Edge, Group, Node, Published } from "./graph";
import { follow } from "./stream";
import { advice, summary, warning, type Advice } from "./texts";

/** More can't be told apart, and would hold up the browser. */
const EDGES_DRAWN = 300;
const EDGES_LISTED = 2000;

const element = (id: string) => document.getElementById(id) as HTMLElement;

/** What a person chose, by group; the others follow their default. */
const chosen = new Map<Group, boolean>(Object.entries(JSON.parse(localStorage.getItem("groups") ?? "{}")));
const drawing = new Drawing(element("canvas"), select);
let graph: Published | null = null;
let selected: string | null = null;

follow(
  (news) => {
    graph = news;
    render();
  },
  () => setState("reconnecting"),
);

function render(): void {
  if (graph === null) return;
  const shown = view(graph, isShown);
  const drawn = busiest(shown, EDGES_DRAWN);
  element("summary").textContent = summary(graph, shown, drawn);
  setState(graph.source.stale === null ? "live" : "stale");
  setBanner(warning(graph));
  setAdvice(advice(graph, shown));
  listGroups(groupsOf(graph));
  listEdges(shown.edges, new Map(graph.nodes.map((node) => [node.id, node])));
  drawing.show(drawn);
  select(drawn.nodes.some((node) => node.id === selected) ? selected : null);
}

function isShown(group: Group): boolean {
  return chosen.get(group) ?? !isSystem(group);
}

function choose(groups: Group[], isShown: boolean): void {
  groups.forEach((group) => chosen.set(group, isShown));
  localStorage.setItem("groups", JSON.stringify(Object.fromEntries(chosen)));
  render();
}

function select(id: string | null): void {
  selected = id;
  const node = graph?.nodes.find((node) => node.id === id);
  const behind = node?.workloads.length ? `: ${node.workloads.join(", ")}` : "";
  element("detail").textContent = node ? `${node.id}${behind}` : "";
  for (const row of element("rows").querySelectorAll("tr")) {
    row.setAttribute("aria-selected", String(id !== null && [row.dataset.source, row.dataset.target].includes(id)));
  }
}

function setState(state: "live" | "stale" | "reconnecting"): void {
  element("state").dataset.state = state;
  element("state").textContent = state;
}

function setBanner(text: string | null): void {
  const banner = element("banner");
  banner.hidden = text === null;
  if (banner.textContent !== text) banner.textContent = text ?? "";
}

function setAdvice(advice: Advice | null): void {
  const empty = element("empty");
  empty.hidden = advice === null;
  if (advice === null) return;
  const parts: HTMLElement[] = [make("p", advice.text)];
  if (advice.command) parts.push(make("code", advice.command));
  if (advice.showAll) {
    const button = make("button", "Show everything");
    button.addEventListener("click", () => graph && choose(groupsOf(graph), true));
    parts.push(button);
  }
  empty.replaceChildren(...parts);
}

/** Boxes stay while their groups do, so that none loses the keyboard's focus at an update. */
function listGroups(groups: Group[]): void {
  const fieldset = element("groups");
  const present = [...fieldset.querySelectorAll("input")];
  if (present.map((box) => box.name).join("\n") !== groups.join("\n")) {
    fieldset.replaceChildren(make("legend", "Show"), ...groups.map(checkbox));
  } else {
    present.forEach((box) => (box.checked = isShown(box.name)));
  }
}

function checkbox(group: Group): HTMLElement {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.name = group;
  box.checked = isShown(group);
  box.addEventListener("change", () => choose([group], box.checked));
  const label = document.createElement("label");
  label.append(box, ` ${group}`);
  return label;
}

function listEdges(edges: Edge[], nodes: Map<string, Node>): void {
  const rows = edges.slice(0, EDGES_LISTED).map((edge) => {
    const row = document.createElement("tr");
    row.dataset.source = edge.source;
    row.dataset.target = edge.target;
    row.title = edgeId(edge);
    row.append(cell(nodes.get(edge.source)), cell(nodes.get(edge.target)));
    row.append(number(String(edge.connections)), number(rate(edge)));
    return row;
  });
  element("rows").replaceChildren(...rows);
}

function cell(node: Node | undefined): HTMLElement {
  const cell = make("td", node?.name ?? "");
  if (node) cell.append(make("small", node.kind === "service" ? groupOf(node) : `${node.kind} ${node.namespace}`));
  return cell;
}

function number(text: string): HTMLElement {
  const cell = make("td", text);
  cell.className = "number";
  return cell;
}

function make(tag: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
