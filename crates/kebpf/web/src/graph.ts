/** The graph as the API tells it, and what of it a person wants to see: pure functions, no page. */

export interface Node {
  id: string;
  namespace: string;
  name: string;
  kind: string;
  workloads: string[];
}

export interface Edge {
  source: string;
  target: string;
  connections: number;
  per_second: number;
}

export interface Published {
  nodes: Node[];
  edges: Edge[];
  source: {
    updated: string | null;
    stale: string | null;
    pairs: number;
    unresolved: number;
    unresolved_addresses: string[];
  };
}

/** What is shown and hidden together: a namespace, or one of the two that are none. */
export type Group = string;

export const CLUSTER: Group = "nodes and API server";
export const OUTSIDE: Group = "outside";

export interface View {
  nodes: Node[];
  /** Busiest first. */
  edges: Edge[];
}

/** Namespaces of what runs a cluster and watches it, seldom of interest to who runs something in it. */
const SYSTEM = /^(kube-.*|.*-system|local-path-storage|prometheus|monitoring)$/;

export function groupOf(node: Node): Group {
  if (node.kind === "node" || node.id === "service/default/kubernetes") return CLUSTER;
  return node.kind === "external" ? OUTSIDE : node.namespace;
}

/** Namespaces by name, system namespaces after the others, then the two groups that are none. */
export function groupsOf(graph: Published): Group[] {
  const rank = (group: Group) => (group === OUTSIDE ? 2 : group === CLUSTER ? 3 : isSystem(group) ? 1 : 0);
  const groups = [...new Set(graph.nodes.map(groupOf))];
  return groups.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

export function isSystem(group: Group): boolean {
  return group === CLUSTER || SYSTEM.test(group);
}

/** The edges between shown groups, and the nodes that they join. */
export function view(graph: Published, isShown: (group: Group) => boolean): View {
  const shown = new Map(graph.nodes.filter((node) => isShown(groupOf(node))).map((node) => [node.id, node]));
  const edges = graph.edges.filter((edge) => shown.has(edge.source) && shown.has(edge.target));
  edges.sort(byTraffic);
  return { edges, nodes: nodesOf(edges, [...shown.values()]) };
}

/** The busiest part of a view that is too large to draw. */
export function busiest(view: View, limit: number): View {
  const edges = view.edges.slice(0, limit);
  return { edges, nodes: nodesOf(edges, view.nodes) };
}

function nodesOf(edges: Edge[], nodes: Node[]): Node[] {
  const ends = new Set(edges.flatMap((edge) => [edge.source, edge.target]));
  return nodes.filter((node) => ends.has(node.id));
}

function byTraffic(a: Edge, b: Edge): number {
  return b.per_second - a.per_second || b.connections - a.connections || edgeId(a).localeCompare(edgeId(b));
}

export function edgeId(edge: Edge): string {
  return `${edge.source} → ${edge.target}`;
}

export function rate(edge: Edge): string {
  return edge.per_second >= 10 ? edge.per_second.toFixed(0) : String(Number(edge.per_second.toFixed(2)));
}
