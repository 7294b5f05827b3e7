/** Charts of curves by step. */

import { draw, make } from "../elements.js";
import { Frame, scaleFor, through } from "../frame.js";

const MARGIN = { top: 44, right: 14, bottom: 36, left: 60 };
const NAME = 16; // letters of a name in the key

/** Charts in a place, one for each title; those that stay are only redrawn. */
export class Charts {
  #charts = new Map();

  constructor(place) {
    this.place = place;
  }

  /** Draw charts, each of them a title and its lines. */
  show(charts) {
    for (const [title, { figure }] of this.#charts) {
      if (charts.some((chart) => chart.title === title)) continue;
      figure.remove();
      this.#charts.delete(title);
    }
    for (const chart of charts) {
      if (!this.#charts.has(chart.title)) this.#charts.set(chart.title, new Chart(this.place, chart.title));
      const made = this.#charts.get(chart.title);
      this.place.append(made.figure);
      made.show(chart);
    }
  }

  /** The frame of the first chart. */
  get first() {
    return this.#charts.values().next().value?.frame;
  }
}

class Chart {
  #shown = null;

  constructor(place, title) {
    this.figure = make("figure", { class: "chart" });
    place.append(this.figure);
    this.frame = new Frame(this.figure, { margin: MARGIN, title, resized: () => this.#redraw() });
    this.lines = this.frame.layer("run-lines");
    this.key = draw("text", { class: "key", y: 14, "text-anchor": "end" });
    this.frame.above.append(this.key);
  }

  show(chart) {
    this.#shown = chart;
    this.#redraw();
  }

  #redraw() {
    const { frame } = this;
    if (!this.#shown || !frame.width) return;
    const { title, lines } = this.#shown;
    const x = d3.scaleLinear([0, Math.max(1, d3.max(lines, (line) => line.x.at(-1)))], frame.along);
    const y = scaleFor(lines.flatMap((line) => line.y), frame.up);
    frame.setAxes(x, y, { xName: "step", yName: y.base ? `${title}, log scale` : title });
    const at = (value) => (value === null || (y.base && value <= 0) ? NaN : y(value));
    this.lines.replaceChildren(...lines.map((line, place) => draw("path", {
      class: `lane-line lane-${place}`, d: through(line.x.map((step, row) => [x(step), at(line.y[row])]).filter((point) => Number.isFinite(point[1]))),
    })));
    this.key.setAttribute("x", frame.along[1]);
    this.key.replaceChildren(...(lines.length > 1 ? lines : []).flatMap(({ name }, place) => [
      draw("tspan", { class: `lane-mark lane-${place}`, dx: 12, text: place < 4 ? "━" : "╍" }), draw("tspan", { dx: 4, text: name.length > NAME ? `…${name.slice(1 - NAME)}` : name }),
    ]));
    frame.desc.textContent = lines.map(({ name, y: values }) => `${name}: ${values.at(-1) ?? "not finite"} at the end`).join(", ");
  }
}
