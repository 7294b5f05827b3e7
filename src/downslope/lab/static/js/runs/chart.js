/** Charts of curves by step. */

/** @import { Chart as Curves, Point } from "../types.d.ts" */

import { draw, make } from "../elements.js";
import { Frame, isLogarithmic, pixelOf, round, scaleFor, through } from "../frame.js";

const MARGIN = { top: 44, right: 14, bottom: 36, left: 60 };
const NAME = 16; // letters of a name in the key
const DOT = 3; // pixels, the radius of a point that is alone
const SETS = ["training", "validation"]; // each has its colour, also alone

/** Charts in a container, each under a title; those that stay are only redrawn. */
export class Charts {
  /** @type {Map<string, Chart>} */
  #charts = new Map();

  /** @param {HTMLElement} container */
  constructor(container) {
    this.container = container;
  }

  /** Draw charts, each of them a title and its lines, all up to the same step. @param {Curves[]} charts */
  show(charts) {
    const end = Math.max(1, d3.max(charts, ({ lines }) => d3.max(lines, ({ x }) => x[x.length - 1])) ?? 1);
    for (const [title, { figure }] of this.#charts) {
      if (charts.some((chart) => chart.title === title)) continue;
      figure.remove();
      this.#charts.delete(title);
    }
    for (const chart of charts) {
      const drawn = this.#charts.get(chart.title) ?? new Chart(this.container, chart.title);
      this.#charts.set(chart.title, drawn);
      this.container.append(drawn.figure);
      drawn.show(chart, end);
    }
  }

  /** The frame of the first chart. */
  get first() {
    return this.#charts.values().next().value?.frame;
  }
}

class Chart {
  /** @type {Curves | null} */
  #shown = null;
  #end = 1;

  /**
   * @param {HTMLElement} container
   * @param {string} title
   */
  constructor(container, title) {
    this.figure = make("figure", { class: "chart" });
    container.append(this.figure);
    this.frame = new Frame(this.figure, { margin: MARGIN, title, resized: () => this.#redraw() });
    this.lines = this.frame.layer("run-lines");
    this.key = draw("text", { class: "key", y: 14, "text-anchor": "end" });
    this.frame.above.append(this.key);
  }

  /**
   * Draw the lines.
   *
   * @param {Curves} chart
   * @param {number} end the last step of the axis
   */
  show(chart, end) {
    this.#shown = chart;
    this.#end = end;
    this.#redraw();
  }

  #redraw() {
    const { frame } = this;
    if (!this.#shown || !frame.width) return;
    const { title, lines } = this.#shown;
    const x = d3.scaleLinear([0, this.#end], frame.along);
    const y = scaleFor(lines.flatMap((line) => line.y), frame.up);
    frame.setAxes(x, y, { xName: "step", yName: isLogarithmic(y) ? `${title}, log scale` : title });
    const lanes = lanesOf(lines.map(({ name }) => name));
    this.lines.replaceChildren(...lines.map((line, index) => {
      const points = line.x.map((step, row) => /** @type {Point} */ ([x(step), pixelOf(y, line.y[row])])).filter((point) => Number.isFinite(point[1]));
      // A line through one point, such as the first evaluation, would not be seen.
      return points.length === 1
        ? draw("circle", { class: `lane-dot lane-${lanes[index]}`, cx: round(points[0][0]), cy: round(points[0][1]), r: DOT })
        : draw("path", { class: `lane-line lane-${lanes[index]}`, d: through(points) });
    }));
    this.key.setAttribute("x", String(frame.along[1]));
    this.key.replaceChildren(...(lines.length > 1 || lines[0]?.name !== title ? lines : []).flatMap(({ name }, index) => [
      draw("tspan", { class: `lane-mark lane-${lanes[index]}`, dx: 12, text: index < 4 ? "━" : "╍" }), draw("tspan", { dx: 4, text: name.length > NAME ? `…${name.slice(1 - NAME)}` : name }),
    ]));
    frame.desc.textContent = lines.map(({ name, y: values }) => `${name}: ${values.at(-1) ?? "not finite"} at the end`).join(", ");
  }
}

/** Return the number of each line's colour. @param {string[]} names */
export function lanesOf(names) {
  const areSets = names.every((name) => SETS.includes(name));
  return names.map((name, index) => (areSets ? SETS.indexOf(name) : index));
}
