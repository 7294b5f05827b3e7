/** The predictions of the network: regions of a plane, a curve, or predicted against true. */

/** @import { Learning } from "./flow.js" */
/** @import { Point, Scale, TrainingHead, TrainingMoment, TrainingPicture, TrainingRun, Value } from "../types.d.ts" */

import { byId, draw, written } from "../elements.js";
import { context2d } from "../exporting.js";
import { Frame, dots, pixelOf, planeScales, roomy, round, through } from "../frame.js";

const MARGIN = { top: 44, right: 12, bottom: 38, left: 56 };
const SHADE = [0.1, 0.5]; // of a class's colour, where it is guessed and where it is certain
const NEAR = 14; // pixels from a point within which a click selects it
const LANES = 8;
const TOOLS = 16; // pixels between the key and the buttons
const ROOM = 0.06; // of the range of the numbers, around them

/** Put the picture on the page, and keep it in step. @param {Learning} page */
export function mountPicture(page) {
  const frame = new Frame(byId("picture"), { margin: MARGIN, title: "What the network makes of the data", resized: () => reshape() });
  const regions = frame.layer("regions");
  const points = frame.layer("points");
  const front = frame.layer("front");
  const key = draw("g", {});
  frame.above.append(key);
  /** @type {[Scale, Scale] | null} */
  let scales = null;

  page.ratios = shapesOf(frame);
  page.on("head", () => redraw());
  page.on("row", () => show());
  page.on("state", (changed) => {
    if (changed.has("theme")) show();
    if (changed.has("example")) mark();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
  frame.svg.addEventListener("click", (event) => choose(d3.pointer(event, frame.svg)));

  function reshape() {
    page.ratios = shapesOf(frame);
    redraw();
  }

  function redraw() {
    const head = page.run?.head;
    if (!head || !frame.width) return;
    regions.replaceChildren();
    points.replaceChildren();
    front.replaceChildren();
    scales = null;
    byId("picture").dataset.kind = head.kind;
    if (head.kind === "plane" || head.kind === "line") redrawPlane(head);
    else frame.shape(null);
    const tools = byId("surface-show").hidden ? 0 : byId("surface-show").offsetWidth + TOOLS;
    key.replaceChildren(keyOf(head, frame.along[1] - tools));
    show();
  }

  /** @param {TrainingHead} head */
  function redrawPlane(head) {
    scales = head.kind === "plane"
      ? planeScales(head.box, frame, head.has_equal_units ?? false, head.least)
      : [d3.scaleLinear(head.box[0], frame.along), d3.scaleLinear(roomy(head.y, ROOM), frame.up)];
    frame.setAxes(...scales, { xName: head.over[0], yName: head.over[1] ?? head.target, names: head.over });
    const pixels = pixelsOf(scales, head.x, head.y);
    const classes = head.kind === "plane" ? d3.range(head.classes.length) : [0];
    points.replaceChildren(...classes.map((label) => {
      const mine = pixels.filter((_, row) => head.kind === "line" || head.class[row] === label);
      return draw("path", { class: `data-dots lane-${label % LANES}`, d: dots(mine), "stroke-width": 7 });
    }), draw("path", { class: "held-dots", d: dots(pixels.filter((_, row) => head.held[row])), "stroke-width": 3 }));
  }

  function show() {
    const { moment, run } = page;
    if (!run || !moment || !frame.width) return;
    const { picture } = moment;
    if (picture.cells && scales) regions.replaceChildren(regionsOf(picture.cells, run.head, scales));
    else if (picture.curve && scales) {
      front.replaceChildren(draw("path", { class: "curve", d: through(pixelsOf(scales, picture.curve.x, picture.curve.y)) }));
    } else if (picture.predicted) showAgreement(picture, run.head);
    else if (picture.confusion) showConfusion(picture.confusion, run.head);
    frame.desc.textContent = describe(run, moment);
    mark();
  }

  /**
   * @param {TrainingPicture} picture
   * @param {TrainingHead} head
   */
  function showAgreement({ true: measured = [], predicted = [] }, { held, target }) {
    const box = roomy([...measured, ...predicted], ROOM);
    const [x, y] = [d3.scaleLinear(box, frame.along), d3.scaleLinear(box, frame.up)];
    scales = [x, y];
    frame.setAxes(x, y, { xName: `${target}, predicted`, yName: target, names: [target] });
    front.replaceChildren(draw("path", { class: "curve", d: through(pixelsOf(scales, box, box)) }));
    const pixels = pixelsOf(scales, predicted, measured);
    points.replaceChildren(draw("path", { class: "data-dots lane-0", d: dots(pixels), "stroke-width": 5 }),
      draw("path", { class: "held-dots", d: dots(pixels.filter((_, row) => held[row])), "stroke-width": 2.2 }));
  }

  /**
   * @param {number[][]} counts
   * @param {TrainingHead} head
   */
  function showConfusion(counts, { classes }) {
    const across = d3.scaleBand(d3.range(classes.length), frame.along).padding(0.04);
    const down = d3.scaleBand(d3.range(classes.length), [frame.up[1], frame.up[0]]).padding(0.04);
    const texts = classes.map(short);
    frame.setAxes(across, down, { xName: "taken for", yName: "true", xTexts: texts, yTexts: texts });
    front.replaceChildren(...counts.flatMap((row, truth) => row.map((count, taken) => {
      const [left, top] = [across(taken) ?? 0, down(truth) ?? 0];
      const cell = draw("rect", {
        class: `cell ${truth === taken ? "right" : "wrong"}`, x: left, y: top, width: across.bandwidth(), height: down.bandwidth(),
        "fill-opacity": count ? 0.15 + (0.6 * count) / Math.max(...row) : 0,
      });
      const text = draw("text", { class: "count-text", x: left + across.bandwidth() / 2, y: top + down.bandwidth() / 2, dy: "0.35em", "text-anchor": "middle", text: count || "" });
      return draw("g", {}, cell, text);
    })));
  }

  function mark() {
    const head = page.run?.head;
    frame.above.querySelector(".chosen")?.remove();
    if (head?.kind !== "plane" || head.no_graph || !scales) return;
    const index = head.rows.indexOf(page.state.example);
    if (index < 0) return;
    frame.above.append(draw("circle", { class: "chosen", cx: round(scales[0](head.x[index])), cy: round(scales[1](head.y[index])), r: 8 }));
  }

  /** Select the example nearest to a point. @param {Point} point */
  function choose([across, up]) {
    const head = page.run?.head;
    if (head?.kind !== "plane" || !scales) return;
    const away = pixelsOf(scales, head.x, head.y).map(([left, height]) => Math.hypot(left - across, height - up));
    const nearest = d3.minIndex(away);
    if (away[nearest] < NEAR) page.set({ example: head.rows[nearest] });
  }

  return frame;
}

/**
 * Return the shapes of the picture without the surface beside it and with it, so that the predictions fill both: none while it
 * has no size.
 *
 * @param {Frame} frame
 * @returns {number[]}
 */
function shapesOf(frame) {
  if (frame.ratio === null) return [];
  const views = byId("views");
  const isBoth = views.classList.contains("both");
  const { width, height } = frame;
  views.classList.toggle("both", !isBoth);
  const other = frame.svg.getBoundingClientRect();
  views.classList.toggle("both", isBoth);
  return [frame.ratio, frame.ratioIn(other.width || width, other.height || height)];
}

/**
 * Return columns of values as points in pixels.
 *
 * @param {[Scale, Scale]} scales
 * @param {Value[]} across
 * @param {Value[]} up
 */
function pixelsOf([x, y], across, up) {
  return across.map((value, row) => /** @type {Point} */ ([pixelOf(x, value), pixelOf(y, up[row])]));
}

/**
 * Return the regions of the classes as an image, in the colours of the theme.
 *
 * @param {number[]} cells
 * @param {TrainingHead} head
 * @param {[Scale, Scale]} scales
 */
function regionsOf(cells, { classes, box }, [x, y]) {
  const side = Math.round(Math.sqrt(cells.length));
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const pen = context2d(canvas);
  const image = pen.createImageData(side, side);
  const style = getComputedStyle(document.documentElement);
  const colours = d3.range(classes.length).map((index) => d3.rgb(style.getPropertyValue(`--lane-${index % LANES}`).trim()));
  const least = 1 / classes.length;
  cells.forEach((cell, index) => {
    const colour = colours[Math.floor(cell / 1000)];
    const sure = Math.max(0, ((cell % 1000) / 999 - least) / (1 - least));
    const [column, row] = [index % side, side - 1 - Math.floor(index / side)]; // an image begins above
    image.data.set([colour.r, colour.g, colour.b, 255 * (SHADE[0] + (SHADE[1] - SHADE[0]) * sure)], 4 * (row * side + column));
  });
  pen.putImageData(image, 0, 0);
  const [[left, right], [bottom, top]] = [box[0].map((end) => x(end)), box[1].map((end) => y(end))];
  return draw("image", { href: canvas.toDataURL(), x: left, y: top, width: right - left, height: bottom - top, preserveAspectRatio: "none" });
}

/**
 * Return the key of the marks, as a line that ends at a pixel.
 *
 * @param {TrainingHead} head
 * @param {number} right
 */
function keyOf({ kind, classes, held }, right) {
  const line = draw("text", { class: "key", x: right, y: 14, "text-anchor": "end" });
  if (kind === "confusion") {
    line.append(draw("tspan", { text: held.some(Boolean) ? "examples held back" : "examples" }));
    return line;
  }
  const names = kind === "plane" ? classes.slice(0, LANES) : ["data"];
  names.forEach((name, index) => line.append(draw("tspan", { class: `lane-mark lane-${index}`, dx: 12, text: "●" }), draw("tspan", { dx: 4, text: short(name) })));
  if (held.some(Boolean)) line.append(draw("tspan", { class: "held-mark", dx: 12, text: "◎" }), draw("tspan", { dx: 4, text: "held back" }));
  return line;
}

/**
 * @param {TrainingRun} run
 * @param {TrainingMoment} moment
 */
function describe(run, moment) {
  const scores = Object.entries(moment.metrics).map(([name, value]) => `${name.replace(/_/g, " ")} ${value === null ? "not finite" : written(value.toPrecision(3))}`);
  return `${run.head.read_as}. After ${moment.step} steps: ${scores.join(", ")}.`;
}

/** @param {string} name */
function short(name) {
  return name.length > 14 ? `${name.slice(0, 13)}…` : name;
}
