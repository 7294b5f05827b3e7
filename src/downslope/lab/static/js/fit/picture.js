/** Data, curve and bands, and the residuals beneath; both move with the selected step. */

/** @import { Fitting } from "./flow.js" */
/** @import { FitReply, Point, Range, Scale, Value } from "../types.d.ts" */

import { byId, draw, setMaths } from "../elements.js";
import { Frame, dots, pixelOf, roomy, round, through } from "../frame.js";

const MARGIN = { top: 44, right: 12, bottom: 38, left: 62 };
const LOW_MARGIN = { top: 22, right: 12, bottom: 22, left: 62 };
const SLACK = 0.05; // of a range, left free on either side
const EDGE = 7; // pixels left free on either side, for the dots
const NARROW = 420; // pixels below which the key has room for less
const MANY = 50; // points from which on dots are drawn smaller

/** Put both pictures on the page, and keep them in step. @param {Fitting} page */
export function mountPicture(page) {
  const frame = new Frame(byId("picture"), { margin: MARGIN, title: "Data and curve", resized: () => redraw() });
  const low = new Frame(byId("residuals"), { margin: LOW_MARGIN, title: "Residuals", resized: () => redraw() });
  const bands = frame.layer("bands");
  const data = frame.layer("data-dots", "path");
  const curve = frame.layer("curve", "path");
  curve.id = "curve";
  const nothing = low.layer("zero", "path");
  const stems = low.layer("stems", "path");
  const left = low.layer("data-dots", "path");
  left.id = "left-over";
  const key = draw("g", {});
  frame.above.append(key);
  /** @type {Scale | null} */
  let x = null;
  /** @type {Scale | null} */
  let y = null;

  page.on("descent", () => redraw());
  page.on("row", () => select());
  page.on("busy", (busy) => byId("stage").setAttribute("aria-busy", String(busy)));
  page.on("data", () => page.isAhead && redraw());

  /** Draw the rows of a table that has no fit yet. */
  function showData() {
    const { data: table } = page;
    if (!table) return;
    const { points, x: across, y: upward } = table;
    const [toX, toY] = [d3.scaleLinear(roomy(points.x, SLACK), inset(frame.along)), d3.scaleLinear(roomy(points.y, SLACK), frame.up)];
    frame.setAxes(toX, toY, { xName: across, yName: upward, names: [across, upward] });
    data.setAttribute("stroke-width", String(points.y.length > MANY ? 5 : 8));
    data.setAttribute("d", dots(points.x.map((value, row) => [pixelOf(toX, value), pixelOf(toY, points.y[row])])));
    for (const layer of [curve, stems, left, nothing]) layer.setAttribute("d", "");
    bands.replaceChildren();
    key.replaceChildren();
    low.axes.replaceChildren();
    frame.title.textContent = `${table.name}: ${upward} over ${across}`;
    frame.desc.textContent = `${points.y.length} rows; the fit is on its way.`;
  }

  function redraw() {
    const { descent } = page;
    if (!frame.width || !low.width) return;
    if (page.isAhead) {
      [x, y] = [null, null];
      showData();
      return;
    }
    if (!descent) return;
    const { data: points, curve: lines } = descent;
    const fitted = lines ? [...(lines.moments.at(-1) ?? []), ...lines.bands.flatMap((band) => [...band.low, ...band.high])] : [];
    const along = lines ? roomy(lines.x, 0) : roomy([...(points.x.at(-1) ?? []), ...points.y], SLACK);
    const [toX, toY] = [d3.scaleLinear(along, inset(frame.along)), d3.scaleLinear(roomy([...points.y, ...fitted], SLACK), frame.up)];
    [x, y] = [toX, toY];
    frame.setAxes(toX, toY, { xName: points.along, yName: points.up, names: [points.along, points.up] });
    const size = points.y.length > MANY ? 5 : 8;
    for (const layer of [data, left]) layer.setAttribute("stroke-width", String(size));
    /** @param {Value[]} heights */
    const toPixels = (heights) => heights.map((value) => pixelOf(toY, value));
    bands.replaceChildren(...(lines?.bands ?? []).map((band, index) =>
      draw("path", { class: `fit-band band-${index}`, d: area(lines?.x.map((value) => toX(value)) ?? [], toPixels(band.low), toPixels(band.high)) })));
    key.replaceChildren(keyOf(descent, frame.along[1]));
    frame.title.textContent = `Data and curve: ${descent.read_as}`;
    frame.desc.textContent = `${descent.equations.at(-1)}, from ${points.rows} rows. ${descent.verdict.sentence}`;
    select();
  }

  function select() {
    const { descent, row } = page;
    if (!descent || !x || !y) return;
    const [toX, toY] = [x, y];
    const { data: measured, curve: lines, residuals } = descent;
    const across = measured.x[lines ? 0 : row];
    /** @param {number} pixels */
    const near = (pixels) => Math.max(-9e4, Math.min(9e4, pixels));
    data.setAttribute("d", dots(measured.y.map((value, index) => [pixelOf(toX, across[index]), pixelOf(toY, value)])));
    curve.setAttribute("d", lines
      ? pieces(lines.moments[row].map((value, index) => [toX(lines.x[index]), near(pixelOf(toY, value))]))
      : through(toY.domain().map((value) => [toX(value), toY(value)])));
    bands.classList.toggle("ahead", row !== descent.steps.length - 1);
    const most = niceMost(residuals[row]);
    const down = d3.scaleLinear([-most, most], low.up);
    const along = d3.scaleLinear(toX.domain(), inset(low.along));
    low.setAxes(along, down, { yName: "residual" });
    const points = residuals[row].map((value, index) => /** @type {Point} */ ([pixelOf(along, across[index]), pixelOf(down, value)]));
    left.setAttribute("d", dots(points));
    const zero = round(down(0));
    nothing.setAttribute("d", `M${low.along[0]},${zero}H${low.along[1]}`);
    stems.setAttribute("d", points.filter((point) => point.every(Number.isFinite)).map(([pixel, end]) => `M${round(pixel)},${zero}V${round(end)}`).join(""));
    low.desc.textContent = `Measured minus predicted, at most ${most} either way.`;
    setMaths(byId("equation"), descent.equations[row], page.reading?.variables ?? []);
  }

  return frame;
}

/**
 * Return the key of the marks, as a line that ends at a pixel.
 *
 * @param {FitReply} reply
 * @param {number} right
 */
function keyOf({ curve }, right) {
  const line = draw("text", { class: "key", x: right, y: 14, "text-anchor": "end" });
  const marks = [
    ["●", "data-mark", "data"], ["━", "fit-mark", curve ? "fit" : "measured = predicted"],
    ...(curve?.bands ?? []).map(({ what }, index) => ["■", `band-mark band-${index}`, right < NARROW ? what.split(",")[0] : what]),
  ];
  for (const [mark, name, text] of marks) {
    line.append(draw("tspan", { class: name, dx: 12, text: mark }), draw("tspan", { dx: 4, text }));
  }
  return line;
}

/**
 * Return the path around the area between two lines.
 *
 * @param {number[]} across
 * @param {number[]} low
 * @param {number[]} high
 */
function area(across, low, high) {
  const finite = d3.range(across.length).filter((index) => Number.isFinite(low[index]) && Number.isFinite(high[index]));
  /** @type {(heights: number[]) => (index: number) => Point} */
  const along = (heights) => (index) => [across[index], heights[index]];
  const around = [...finite.map(along(low)), ...finite.toReversed().map(along(high))];
  return around.length ? `${through(around)}Z` : "";
}

/**
 * @param {Range} range
 * @returns {Range}
 */
function inset([left, right]) {
  return [left + EDGE, right - EDGE];
}

/** Return the round number above the residuals, so that the axis moves in few jumps. @param {Value[]} values */
function niceMost(values) {
  const most = d3.max(values, (value) => Math.abs(value ?? 0)) || 1;
  return d3.scaleLinear([0, (1 + SLACK) * most], [0, 1]).nice(4).domain()[1];
}

/** Return a path that goes on after a gap. @param {Point[]} points */
function pieces(points) {
  /** @type {Point[][]} */
  const parts = [[]];
  for (const point of points) {
    const part = parts[parts.length - 1];
    if (Number.isFinite(point[1])) part.push(point);
    else if (part.length) parts.push([]);
  }
  return parts.map(through).join("");
}
