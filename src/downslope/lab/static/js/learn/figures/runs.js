/** Runs beside each other: a descent with its path, a training with the gradient of each layer, and what a diagnosis says. */

/** @import { Finding, Grid, PathReply, Range } from "../../types.d.ts" */
/** @import { Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { around, round } from "../../frame.js";
import { drawLand } from "../../land.js";
import { Way } from "../../way.js";
import { plotIn } from "./parts.js";

/** @type {Record<string, string>} */
const MARKS = { good: "✓", note: "•", problem: "!" };
const MARGIN = { top: 26, right: 12, bottom: 38, left: 46 };
const DECADES = 0.35; // of a decade left free above and below the gradients
const DOT = 6;
const ALIKE = 5; // the ratio of two ranges up to which a unit is as long along both

/**
 * @typedef {PathReply & { end: Record<string, number>, value: number, findings: Finding[] }} Run
 * @typedef {{ layers: string[], steps: number[], gradients: (number | null)[][], metrics: Record<string, number[]>, findings: Finding[] }} Training
 */

/** Return a finding as a paragraph. @param {Finding | undefined} finding @param {string} says @param {Tools["message"]} message */
export function findingOf(finding, says, message) {
  const { text, lang } = message(finding?.sentence ?? "");
  const severity = finding?.severity ?? "note";
  return make("p", { class: "finding", "data-severity": severity },
    make("span", { class: "verdict-mark", "aria-hidden": "true", text: MARKS[severity] ?? MARKS.note }),
    make("span", {}, make("span", { class: "unseen", text: `${says} ` }), make("span", { lang, text })));
}

/**
 * Put a panel into a host: a heading, a plot, and room for what is said of it.
 *
 * @param {HTMLElement} host
 * @param {{ heading: string, redraw: () => void }} options
 */
export function panelIn(host, { heading, redraw }) {
  const panel = make("section", { class: "panel" });
  const head = make("h3", { class: "panel-head", text: heading });
  panel.append(head);
  host.append(panel);
  const plot = plotIn(panel, { title: heading, className: "even", margin: MARGIN, redraw });
  const result = make("p", { class: "panel-result maths" });
  const findings = make("div", { class: "figure-finding" });
  panel.append(result, findings);
  return { panel, head, plot, result, findings };
}

/** @typedef {ReturnType<typeof panelIn>} Panel */

/** The layers of a descent in a panel. @param {Panel} panel */
export function descentIn({ plot }) {
  const land = plot.frame.layer("land");
  const way = new Way(plot.frame);
  let named = "";

  /** @param {Grid} grid @param {Range} x @param {Range} y */
  function open(grid, x, y) {
    const [across, up] = grid.over;
    plot.show({ x, y, xName: across, yName: up ?? `${named}(${across})`, names: [...grid.over, named] });
  }

  return {
    /** @param {Grid} grid @param {string} name */
    show(grid, name) {
      const [across, up] = grid.over;
      named = name;
      open(grid, grid.box[across], up === undefined ? grid.f_range : grid.box[up]);
    },
    /**
     * Show less of one axis, where both are alike, so that a unit is as long along both; tells whether that changed anything. All is
     * shown where less would cut a path off.
     *
     * @param {Grid} grid
     * @param {Run[]} runs
     */
    reshape(grid, runs) {
      const [across, up] = grid.over;
      if (up === undefined) return false;
      const [[left, right], [low, high]] = [grid.box[across], grid.box[up]];
      const { ratio } = plot.frame;
      const own = (right - left) / (high - low);
      if (!ratio || own > ALIKE || own < 1 / ALIKE) return false;
      const less = [around([left, right], Math.min(right - left, (high - low) * ratio)), around([low, high], Math.min(high - low, (right - left) / ratio))];
      const isCut = runs.some(({ path }) => [across, up].some((name, axis) => path[name].some((value) => value !== null && (value < less[axis][0] || value > less[axis][1]))));
      const [x, y] = isCut ? [grid.box[across], grid.box[up]] : less;
      const shown = [...plot.x.domain(), ...plot.y.domain()];
      if ([...x, ...y].every((end, index) => Math.abs(end - Number(shown[index])) < 1e-9 * (right - left))) return false;
      open(grid, x, y);
      return true;
    },
    /** @param {Grid} grid @param {Run} run @param {number} row */
    draw(grid, run, row) {
      const path = { path: run.path, values: run.values }; // without gradients: at the end of a run their arrows say nothing
      drawLand(land, grid, plot.x, plot.y, { labels: false });
      way.show(path, grid.over, plot.x, plot.y);
      way.select(path, grid.over, plot.x, plot.y, Math.min(row, run.values.length - 1));
    },
  };
}

/** The layers of a training in a panel: a dot for the gradient of each layer. @param {Panel} panel @param {Tools} tools */
export function trainingIn({ plot }, { word }) {
  const marks = plot.frame.layer("gradients");
  /** @type {Range} */
  let ends = [1e-6, 1];
  return {
    /** @param {Range} range of all gradients that are compared @param {number} depth */
    show([low, high], depth) {
      ends = [10 ** Math.floor(Math.log10(low) - DECADES), 10 ** Math.ceil(Math.log10(high) + DECADES)];
      plot.show({ x: [0.5, depth + 0.5], y: [0, 1] });
    },
    /** @param {Training} training @param {number} row */
    draw({ gradients }, row) {
      const y = d3.scaleLog(ends, plot.frame.up).clamp(true);
      const [left, right] = plot.frame.along;
      const [low, high] = ends.map(Math.log10);
      plot.frame.setAxes(plot.x, y, { xName: word("layer"), yName: word("gradient") });
      const rungs = d3.range(Math.ceil(low), high + 1).map((power) => round(y(10 ** power)));
      const now = gradients[Math.min(row, gradients.length - 1)];
      const points = now.map((value, layer) => [round(plot.x(layer + 1)), round(y(value || ends[0]))]);
      marks.replaceChildren(...rungs.map((at) => draw("line", { class: "rung", x1: left, x2: right, y1: at, y2: at })),
        draw("path", { class: "gradient-line", d: points.map(([x, up], index) => `${index ? "L" : "M"}${x},${up}`).join("") }),
        ...points.map(([x, up], layer) => draw("circle", { class: now[layer] ? "gradient-dot" : "gradient-dot none", cx: x, cy: up, r: DOT })));
    },
  };
}
