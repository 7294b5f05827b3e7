/** Data, curve and bands, with what is left over beneath; both move with the step that is selected. */

import { byId, draw, setMaths } from "../elements.js";
import { Frame, dots, roomy, round, through } from "../frame.js";

const MARGIN = { top: 44, right: 12, bottom: 38, left: 62 };
const LOW_MARGIN = { top: 22, right: 12, bottom: 22, left: 62 };
const SLACK = 0.05; // of a range, left free on either side
const EDGE = 7; // pixels left free on either side, for the dots
const NARROW = 420; // pixels below which the key has room for less
const MANY = 50; // points from which on dots are drawn smaller

/** Put both pictures on the page, and keep them in step. */
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
  let [x, y] = [null, null];

  page.on("descent", () => redraw());
  page.on("row", () => select());
  page.on("wrong", () => stale(true));
  page.on("busy", (busy) => stale(busy));
  page.on("trouble", (verb, error) => verb === "fit" && stale(Boolean(error)));

  function stale(is) {
    byId("stage").classList.toggle("stale", is);
    byId("stage").setAttribute("aria-busy", String(is));
  }

  function redraw() {
    const { descent } = page;
    if (!descent || !frame.width || !low.width) return;
    const { data: given, curve: lines } = descent;
    const across = lines ? lines.x : given.x.flat();
    const up = [...given.y, ...(lines ? [...lines.moments.at(-1), ...lines.bands.flatMap(({ low: one, high }) => [...one, ...high])] : [])];
    x = d3.scaleLinear(lines ? d3.extent(across) : roomy([...given.x.at(-1), ...given.y], SLACK), inset(frame.along));
    y = d3.scaleLinear(roomy(up, SLACK), frame.up);
    frame.setAxes(x, y, { xName: given.along, yName: given.up, names: [given.along, given.up] });
    const size = given.y.length > MANY ? 5 : 8;
    for (const layer of [data, left]) layer.setAttribute("stroke-width", size);
    bands.replaceChildren(...(lines?.bands ?? []).map((band, place) =>
      draw("path", { class: `fit-band band-${place}`, d: area(lines.x.map(x), band.low.map(y), band.high.map(y)) })));
    key.replaceChildren(keyOf(descent, frame.along[1]));
    frame.title.textContent = `Data and curve: ${descent.read_as}`;
    frame.desc.textContent = `${descent.equations.at(-1)}, from ${given.rows} rows. ${descent.verdict.sentence}`;
    select();
  }

  function select() {
    const { descent, row } = page;
    if (!descent || !x) return;
    const { data: given, curve: lines, residuals } = descent;
    const across = given.x[lines ? 0 : row];
    const far = (value) => Math.max(-9e4, Math.min(9e4, value));
    data.setAttribute("d", dots(given.y.map((value, place) => [at(x, across[place]), at(y, value)])));
    curve.setAttribute("d", lines
      ? pieces(lines.moments[row].map((value, place) => [x(lines.x[place]), value === null ? NaN : far(y(value))]))
      : through(y.domain().map((value) => [x(value), y(value)])));
    bands.classList.toggle("ahead", row !== descent.steps.length - 1);
    const most = niceMost(residuals[row]);
    const down = d3.scaleLinear([-most, most], low.up);
    const along = d3.scaleLinear(x.domain(), inset(low.along));
    low.setAxes(along, down, { yName: "residual" });
    const points = residuals[row].map((value, place) => [at(along, across[place]), at(down, value)]);
    left.setAttribute("d", dots(points));
    const zero = round(down(0));
    nothing.setAttribute("d", `M${low.along[0]},${zero}H${low.along[1]}`);
    stems.setAttribute("d", points.filter((point) => point.every(Number.isFinite)).map(([place, end]) => `M${round(place)},${zero}V${round(end)}`).join(""));
    low.desc.textContent = `What is measured less what is predicted, at most ${most} either way.`;
    setMaths(byId("equation"), descent.equations[row], page.reading?.variables ?? []);
  }

  return frame;
}

/** Return what the marks mean, as one line that ends at a pixel. */
function keyOf({ curve }, right) {
  const line = draw("text", { class: "key", x: right, y: 14, "text-anchor": "end" });
  const marks = [
    ["●", "data-mark", "data"], ["━", "fit-mark", curve ? "fit" : "measured = predicted"],
    ...(curve?.bands ?? []).map(({ what }, place) => ["■", `band-mark band-${place}`, right < NARROW ? what.split(",")[0] : what]),
  ];
  for (const [mark, name, text] of marks) {
    line.append(draw("tspan", { class: name, dx: 12, text: mark }), draw("tspan", { dx: 4, text }));
  }
  return line;
}

/** Return the path around what lies between two lines. */
function area(across, low, high) {
  const there = across.map((_, place) => place).filter((place) => Number.isFinite(low[place]) && Number.isFinite(high[place]));
  const around = [...there.map((place) => [across[place], low[place]]), ...there.toReversed().map((place) => [across[place], high[place]])];
  return around.length ? `${through(around)}Z` : "";
}

function at(scale, value) {
  return value === null ? NaN : scale(value);
}

function inset([left, right]) {
  return [left + EDGE, right - EDGE];
}

/** Return the round number above what is left over, so that the axis moves in few jumps. */
function niceMost(values) {
  const most = d3.max(values, (value) => Math.abs(value ?? 0)) || 1;
  return d3.scaleLinear([0, (1 + SLACK) * most], [0, 1]).nice(4).domain()[1];
}

/** Return a path that goes on after what is missing. */
function pieces(points) {
  const parts = [[]];
  for (const point of points) {
    if (Number.isFinite(point[1])) parts.at(-1).push(point);
    else if (parts.at(-1).length) parts.push([]);
  }
  return parts.map(through).join("");
}
