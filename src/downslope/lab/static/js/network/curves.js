/** Loss and score by step, on the training rows and on those held back; both charts are also sliders. */

/** @import { Learning } from "./flow.js" */
/** @import { Point, Scale } from "../types.d.ts" */

import { byId, draw, written } from "../elements.js";
import { Frame, isLogarithmic, pixelOf, round, scaleFor, through } from "../frame.js";
import { scrubsAlong } from "../playback.js";

const MARGIN = { top: 42, right: 14, bottom: 36, left: 54 };
const SETS = /** @type {const} */ (["training", "validation"]);
/** @type {Record<string, string>} */
const WORDS = { loss: "loss", accuracy: "accuracy", r2: "R²" };

/** Connect both charts. @param {Learning} page */
export function mountCurves(page) {
  mountCurve(page, byId("losses"), () => "loss");
  mountCurve(page, byId("scores"), () => page.run?.head.metric ?? "loss");
}

/**
 * @param {Learning} page
 * @param {Element} container
 * @param {() => string} metricOf
 */
function mountCurve(page, container, metricOf) {
  const frame = new Frame(container, { margin: MARGIN, title: "By step", resized: () => show() });
  const lines = SETS.map((set) => frame.layer(`curve-line of-${set}`, "path"));
  const mark = frame.layer("loss-mark");
  const key = draw("text", { class: "key", y: 14, "text-anchor": "end" },
    draw("tspan", { class: "of-training", text: "━" }), draw("tspan", { dx: 4, text: "trained on" }),
    draw("tspan", { class: "of-validation", dx: 12, text: "━" }), draw("tspan", { dx: 4, text: "held back" }));
  frame.above.append(key);
  /** @type {Scale | null} */
  let x = null;

  page.on("head", () => show());
  page.on("row", () => show());
  scrubsAlong(page, frame, () => x);

  function show() {
    const { run, moment } = page;
    if (!run || !moment || !frame.width) return;
    const metric = metricOf();
    const columns = SETS.map((set) => run.moments.map(({ metrics }) => metrics[`${set}_${metric}`] ?? null));
    const along = d3.scaleLinear([0, run.head.of], frame.along);
    const up = metric.endsWith("accuracy") ? d3.scaleLinear([0, 1.02], frame.up) : scaleFor(columns.flat(), frame.up);
    x = along;
    key.setAttribute("x", String(frame.along[1]));
    const name = WORDS[metric] ?? metric.replaceAll("_", " ");
    frame.setAxes(along, up, { xName: "step", yName: isLogarithmic(up) ? `${name}, log scale` : name });
    for (const [index, line] of lines.entries()) {
      const points = run.moments.map(({ step }, row) => /** @type {Point} */ ([along(step), pixelOf(up, columns[index][row])]));
      line.setAttribute("d", through(points.filter((point) => Number.isFinite(point[1]))));
    }
    const across = round(along(moment.step));
    const changes = Object.keys(page.state.earlier ?? {}).map((step) => round(along(Number(step))));
    mark.replaceChildren(draw("line", { x1: across, x2: across, y1: frame.up[0], y2: frame.up[1] }),
      ...changes.map((at) => draw("line", { class: "rate-change", x1: at, x2: at, y1: frame.up[0], y2: frame.up[1] })));
    frame.desc.textContent = SETS.map((set, index) => `${set} ${name} ${written(columns[index].at(-1)?.toPrecision(3) ?? "not known")}`).join(", ");
  }
}
