/** The graph as a picture: cytoscape draws it, dagre places callers left of whom they call. */
import cytoscape, { type Core, type ElementDefinition, type StylesheetStyle } from "cytoscape";
import dagre from "cytoscape-dagre";

import { edgeId, rate, type Node, type View } from "./graph";

cytoscape.use(dagre);

const SHAPES: Record<string, string> = { service: "round-rectangle", node: "rectangle", external: "diamond" };

const PADDING = 40;

export class Drawing {
  private readonly cy: Core;
  private placed = "";

  constructor(
    private readonly canvas: HTMLElement,
    onSelect: (id: string | null) => void,
  ) {
    this.cy = cytoscape({ container: canvas, style: styles(), minZoom: 0.15, maxZoom: 1.5, boxSelectionEnabled: false });
    this.cy.on("select", "node", (event) => onSelect(event.target.id()));
    this.cy.on("unselect", "node", () => onSelect(null));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.cy.style(styles()));
    new ResizeObserver(() => this.cy.resize().fit(undefined, PADDING)).observe(canvas);
  }

  /** Only a node or an edge that came or went moves anything: numbers change in place. */
  show(view: View): void {
    const wanted = new Map(elements(view).map((element) => [element.data.id as string, element]));
    this.cy.batch(() => {
      this.cy.elements().forEach((element) => void (wanted.has(element.id()) || element.remove()));
      for (const [id, element] of wanted) {
        const present = this.cy.getElementById(id);
        if (present.nonempty()) present.data(element.data);
        else this.cy.add(element);
      }
    });
    this.canvas.setAttribute("aria-label", `${view.nodes.length} nodes, ${view.edges.length} connections, listed beside`);
    const shape = [...wanted.keys()].sort().join("\n");
    if (shape !== this.placed) this.place();
    this.placed = shape;
  }

  private place(): void {
    // Whatever still moves to its last place would go on doing so.
    this.cy.stop(true).nodes().stop(true);
    this.cy.resize();
    const animate = this.placed !== "" && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const options: dagre.DagreLayoutOptions = {
      name: "dagre",
      rankDir: "LR",
      nodeSep: 40,
      rankSep: 130,
      padding: PADDING,
      animate,
      animationDuration: 300,
    };
    this.cy.layout(options).run();
  }
}

function elements(view: View): ElementDefinition[] {
  const busiest = Math.max(1, ...view.edges.map((edge) => edge.connections));
  const nodes = view.nodes.map((node) => ({
    data: { id: node.id, label: label(node), color: color(node.kind), shape: SHAPES[node.kind] ?? "ellipse" },
  }));
  const edges = view.edges.map((edge) => ({
    data: {
      id: edgeId(edge),
      source: edge.source,
      target: edge.target,
      label: `${edge.connections} · ${rate(edge)}/s`,
      width: 1.5 + 3.5 * (Math.log1p(edge.connections) / Math.log1p(busiest)),
    },
  }));
  return [...nodes, ...edges];
}

function label(node: Node): string {
  return node.namespace === "" ? node.name : `${node.name}\n${node.namespace}`;
}

function color(kind: string): string {
  return ["service", "node", "external"].includes(kind) ? kind : "workload";
}

/** cytoscape paints on a canvas, where CSS variables do not reach: they are resolved by an element that is there. */
function styles(): StylesheetStyle[] {
  const probe = document.body.appendChild(document.createElement("i"));
  const css = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const text = { color: css("text"), "font-size": 13, "font-family": "system-ui, sans-serif" };
  const kinds = ["service", "workload", "node", "external"].map((kind) => ({
    selector: `node[color = "${kind}"]`,
    style: { "background-color": css(kind) },
  }));
  const styles: StylesheetStyle[] = [
    {
      selector: "node",
      style: {
        ...text,
        shape: "data(shape)" as "ellipse",
        width: 42,
        height: 42,
        label: "data(label)",
        "text-wrap": "wrap",
        "text-valign": "bottom",
        "text-margin-y": 5,
      },
    },
    ...kinds,
    {
      selector: "edge",
      style: {
        ...text,
        "font-size": 11,
        width: "data(width)",
        label: "data(label)",
        "curve-style": "bezier",
        "line-color": css("edge"),
        "target-arrow-color": css("edge"),
        "target-arrow-shape": "triangle",
        "text-background-color": css("ground"),
        "text-background-opacity": 0.85,
        "text-background-padding": "2px",
      },
    },
    { selector: "node:selected", style: { "border-width": 4, "border-color": css("text") } },
  ];
  probe.remove();
  return styles;
}
