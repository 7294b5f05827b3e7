/** A small network with its numbers on the edges: values forward, gradients back, then one step downhill. */

/** @import { Point } from "../../types.d.ts" */
/** @import { Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { round } from "../../frame.js";

const WIDE = { width: 720, height: 300, across: [70, 290, 500, 650], radius: 31 };
const NARROW = { width: 400, height: 330, across: [36, 158, 276, 362], radius: 27 };
const ENOUGH = 560; // pixels from which the wide drawing is taken
export const STAGES = ["inputs", "hidden", "output", "loss", "back_output", "back_hidden", "back_weights", "step"];
const LOSS = 3, BACK_OUTPUT = 4, BACK_HIDDEN = 5, BACK_WEIGHTS = 6, STEP = 7;

/**
 * A formula as the verb `backprop` replies.
 *
 * @typedef {{ nodes: { name: string, value: number, gradient: number }[], edges: { source: string, target: string, local: number }[],
 *   after: Record<string, number>, value_after: number }} Pass
 * @typedef {{ name: string, node: string, column: number, row: number }} Unit
 * @typedef {{ weight: string | null, from: string, to: string }} Edge an edge without a weight passes its value on
 */

/**
 * Put the network into a host.
 *
 * @param {HTMLElement} host
 * @param {{ units: Unit[], edges: Edge[] }} network where its units stand
 * @param {Pass} pass
 * @param {Tools} tools
 */
export function unitsIn(host, { units, edges }, { nodes, after, value_after: lossAfter }, { number, word }) {
  const svg = draw("svg", { class: "units learn-units", role: "img" });
  host.append(make("div", { class: "learn-graph" }, svg));
  const known = new Map(nodes.map((node) => [node.name, node]));
  /** @param {string} name */
  const node = (name) => known.get(name) ?? { name, value: NaN, gradient: NaN };
  const unitOf = new Map(units.map((each) => [each.name, each]));
  const last = units[units.length - 1];
  let stage = 0;
  const watcher = new ResizeObserver(() => paint());
  watcher.observe(host);

  function paint() {
    const room = host.clientWidth;
    if (!room) return;
    const shape = room < ENOUGH ? NARROW : WIDE;
    svg.setAttribute("viewBox", `0 0 ${shape.width} ${shape.height}`);
    const rows = d3.rollup(units, (column) => column.length, ({ column }) => column);
    /** @param {Unit} unit @returns {Point} */
    const at = ({ column, row }) => [shape.across[column], shape.height / 2 + (row - ((rows.get(column) ?? 1) - 1) / 2) * (shape.height / 2 - 4)];
    const lines = edges.map((edge) => lineOf(edge, at(unit(edge.from)), at(unit(edge.to)), shape.radius));
    const circles = units.map((each) => circleOf(each, at(each), shape.radius));
    svg.replaceChildren(...lines.map(([line]) => line), ...circles, ...lines.map(([, label]) => label));
    svg.setAttribute("aria-label", [word("network"), ...units.map((each) => `${each.name}: ${valueOf(each)}`), ...edges.filter(({ weight }) => weight).map((edge) => `${edge.weight}: ${onEdge(edge)}`)].join(", "));
  }

  /** @param {string} name */
  function unit(name) {
    const member = unitOf.get(name);
    if (!member) throw new Error(`The lesson has no unit ${name}.`);
    return member;
  }

  /** Whether the gradient has come back to a column. @param {number} column */
  const isBack = (column) => stage >= BACK_OUTPUT && stage < STEP && column >= (stage === BACK_OUTPUT ? 2 : 1);
  /** Whether a value has come forward to a column. @param {number} column */
  const isReached = (column) => column <= Math.min(stage, LOSS);
  /** Whether an edge shows its gradient, or has passed one back. @param {Edge} edge */
  const showsSlope = ({ from }) => stage < STEP && stage >= [BACK_WEIGHTS, BACK_HIDDEN, BACK_OUTPUT][unit(from).column];

  /** @param {Unit} each */
  function valueOf(each) {
    const { value, gradient } = node(each.node);
    if (stage === STEP && each === last) return `${number(value, 3)} → ${number(lossAfter, 3)}`;
    if (each === last) return isReached(each.column) ? number(value, 3) : "";
    return isBack(each.column) ? number(gradient, 3) : isReached(each.column) ? number(value, 3) : "";
  }

  /** @param {Edge} edge */
  function onEdge(edge) {
    if (edge.weight === null) return "";
    const { value, gradient } = node(edge.weight);
    if (stage === STEP) return `${number(value, 3)} → ${number(after[edge.weight], 3)}`;
    return showsSlope(edge) ? number(gradient, 3) : number(value, 3);
  }

  /** @param {Edge} edge @param {Point} from @param {Point} to @param {number} radius */
  function lineOf(edge, from, to, radius) {
    const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
    const [cos, sin] = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
    const hasSlope = showsSlope(edge);
    const lit = hasSlope ? "slope" : stage === STEP && edge.weight ? "stepped" : isReached(unit(edge.to).column) ? "lit" : "unlit";
    const line = draw("line", { class: `learn-edge ${lit}`, x1: round(from[0] + radius * cos), y1: round(from[1] + radius * sin), x2: round(to[0] - radius * cos), y2: round(to[1] - radius * sin) });
    const isCrossing = unit(edge.from).column === 0 && unit(edge.from).row !== unit(edge.to).row;
    const share = isCrossing ? 0.3 : 0.46;
    const label = draw("text", { class: `learn-edge-value ${lit}`, x: round(from[0] + (to[0] - from[0]) * share), y: round(from[1] + (to[1] - from[1]) * share), dy: "0.35em", "text-anchor": "middle", text: onEdge(edge) });
    return /** @type {const} */ ([line, label]);
  }

  /** @param {Unit} each @param {Point} at @param {number} radius */
  function circleOf(each, [x, y], radius) {
    const kind = each === last && stage >= LOSS ? "loss" : isBack(each.column) ? "slope" : isReached(each.column) ? "lit" : "unlit";
    const text = valueOf(each);
    const isWide = text.length > 7;
    return draw("g", { class: `learn-unit ${kind}` },
      draw("circle", { cx: x, cy: round(y), r: radius }),
      draw("text", { class: "learn-unit-name", x, y: round(y - radius - 7), "text-anchor": "middle", text: each.name }),
      draw("text", { class: "learn-unit-value", x: isWide ? x + radius - 4 : x, y: round(isWide ? y + radius + 20 : y), dy: "0.35em", "text-anchor": isWide ? "end" : "middle", text }));
  }

  return {
    /** @param {number} wanted */
    show(wanted) {
      stage = wanted;
      paint();
    },
    node,
    stop: () => watcher.disconnect(),
  };
}
