/** The value by step, small; it is also a slider. */

import { byId, draw } from "./elements.js";
import { Frame, dots, round, scaleFor, through } from "./frame.js";
import { scrubsAlong } from "./walk.js";

const MARGIN = { top: 26, right: 14, bottom: 36, left: 54 };

/** Connect the curve of the values; `nameOf` says what they are called. */
export function mountLoss(page, nameOf) {
  const frame = new Frame(byId("loss"), { margin: MARGIN, title: "The value by step", resized: () => show() });
  const line = frame.layer("loss-line", "path");
  const spots = frame.layer("loss-dots", "path");
  const mark = frame.layer("loss-mark");
  let [x, y] = [null, null];

  page.on("descent", () => show());
  page.on("row", () => select());
  scrubsAlong(page, frame, () => x);

  function show() {
    const { descent } = page;
    if (!descent || !frame.width) return;
    x = d3.scaleLinear([0, Math.max(1, descent.steps.at(-1))], frame.along);
    y = scaleFor(descent.values, frame.up);
    const name = nameOf();
    frame.setAxes(x, y, { xName: "step", yName: y.base ? `${name}, log scale` : name, names: [name] });
    const points = descent.steps.map((step, row) => [x(step), place(descent.values[row])]);
    line.setAttribute("d", through(points));
    spots.setAttribute("d", points.length <= 60 ? dots(points) : "");
    frame.desc.textContent = `From ${descent.first_text} to ${descent.value_text} in ${descent.steps_taken} steps.`;
    select();
  }

  function select() {
    const { descent, row } = page;
    if (!descent || !x) return;
    const [bottom, top] = frame.up;
    const across = round(x(descent.steps[row]));
    const up = place(descent.values[row]);
    mark.replaceChildren(draw("line", { x1: across, x2: across, y1: bottom, y2: top }),
      ...(Number.isFinite(up) ? [draw("circle", { cx: across, cy: round(up), r: 4.5 })] : []));
  }

  function place(value) {
    return value === null || (y.base && value <= 0) ? NaN : y(value);
  }
}
