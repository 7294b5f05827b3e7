/** A small chart of the value by step, which is also a slider. */

/** @import { Page } from "./page.js" */
/** @import { Scale, ValuesByStep } from "./types.d.ts" */

import { byId, draw, written } from "./elements.js";
import { Frame, dots, isLogarithmic, pixelOf, round, scaleFor, through } from "./frame.js";
import { scrubsAlong } from "./playback.js";

const MARGIN = { top: 26, right: 14, bottom: 36, left: 54 };

/**
 * Connect the curve of the values, named by `nameOf`.
 *
 * @param {Page<any, any, ValuesByStep>} page
 * @param {() => string} nameOf
 */
export function mountLoss(page, nameOf) {
  const frame = new Frame(byId("loss"), { margin: MARGIN, title: "The value by step", resized: () => show() });
  const line = frame.layer("loss-line", "path");
  const spots = frame.layer("loss-dots", "path");
  const mark = frame.layer("loss-mark");
  /** @type {Scale | null} */
  let x = null;
  /** @type {Scale | null} */
  let y = null;

  page.on("descent", () => show());
  page.on("row", () => select());
  scrubsAlong(page, frame, () => x);

  function show() {
    const { descent } = page;
    if (!descent || !frame.width) return;
    const along = d3.scaleLinear([0, Math.max(1, descent.steps[descent.steps.length - 1])], frame.along);
    const up = scaleFor(descent.values, frame.up);
    [x, y] = [along, up];
    const name = nameOf();
    frame.setAxes(along, up, { xName: "step", yName: isLogarithmic(up) ? `${name}, log scale` : name, names: [name] });
    const points = descent.steps.map((step, row) => /** @type {[number, number]} */ ([along(step), pixelOf(up, descent.values[row])]));
    line.setAttribute("d", through(points));
    spots.setAttribute("d", points.length <= 60 ? dots(points) : "");
    frame.desc.textContent = written(`From ${descent.first_text} to ${descent.value_text} in ${descent.steps_taken} steps.`);
    select();
  }

  function select() {
    const { descent, row } = page;
    if (!descent || !x || !y) return;
    const [bottom, top] = frame.up;
    const across = round(x(descent.steps[row]));
    const up = pixelOf(y, descent.values[row]);
    mark.replaceChildren(draw("line", { x1: across, x2: across, y1: bottom, y2: top }),
      ...(Number.isFinite(up) ? [draw("circle", { cx: across, cy: round(up), r: 4.5 })] : []));
  }
}
