/** Loss and score by step, on the rows trained on and on those held back; both charts are also sliders. */

import { byId, draw } from "../elements.js";
import { Frame, round, scaleFor, through } from "../frame.js";
import { scrubsAlong } from "../walk.js";

const MARGIN = { top: 42, right: 14, bottom: 36, left: 54 };
const SETS = ["training", "validation"];
const WORDS = { loss: "loss", accuracy: "accuracy", r2: "R²" };

/** Connect both charts. */
export function mountCurves(page) {
  mountCurve(page, byId("losses"), () => "loss");
  mountCurve(page, byId("scores"), () => page.run.head.metric);
}

function mountCurve(page, place, metricOf) {
  const frame = new Frame(place, { margin: MARGIN, title: "By step", resized: () => show() });
  const lines = Object.fromEntries(SETS.map((set) => [set, frame.layer(`curve-line of-${set}`, "path")]));
  const mark = frame.layer("loss-mark");
  const key = draw("text", { class: "key", y: 14, "text-anchor": "end" },
    draw("tspan", { class: "of-training", text: "━" }), draw("tspan", { dx: 4, text: "trained on" }),
    draw("tspan", { class: "of-validation", dx: 12, text: "━" }), draw("tspan", { dx: 4, text: "held back" }));
  frame.above.append(key);
  let [x, y] = [null, null];

  page.on("head", () => show());
  page.on("row", () => show());
  scrubsAlong(page, frame, () => x);

  function show() {
    const { run, moment } = page;
    if (!run?.moments.length || !frame.width) return;
    const metric = metricOf();
    const columns = Object.fromEntries(SETS.map((set) => [set, run.moments.map(({ metrics }) => metrics[`${set}_${metric}`] ?? null)]));
    x = d3.scaleLinear([0, run.head.of], frame.along);
    const all = Object.values(columns).flat();
    y = metric === "accuracy" ? d3.scaleLinear([0, 1.02], frame.up) : scaleFor(all, frame.up);
    key.setAttribute("x", frame.along[1]);
    const name = WORDS[metric] ?? metric;
    frame.setAxes(x, y, { xName: "step", yName: y.base ? `${name}, log scale` : name });
    for (const set of SETS) {
      const points = run.moments.map(({ step }, row) => [x(step), at(columns[set][row])]);
      lines[set].setAttribute("d", through(points.filter((point) => Number.isFinite(point[1]))));
    }
    const across = round(x(moment.step));
    mark.replaceChildren(draw("line", { x1: across, x2: across, y1: frame.up[0], y2: frame.up[1] }));
    frame.desc.textContent = SETS.map((set) => `${set} ${name} ${columns[set].at(-1)?.toPrecision(3) ?? "not known"}`).join(", ");
  }

  function at(value) {
    return value === null || (y.base && value <= 0) ? NaN : y(value);
  }
}
