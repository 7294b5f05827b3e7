/** The large picture: the objective, the path on it, and the ring that is dragged to start elsewhere. */

/** @import { Descent } from "./flow.js" */
/** @import { View } from "./dragging.js" */
/** @import { DescentReply, Grid, Point, Range, Scale, Trouble } from "../types.d.ts" */

import { byId, draw, make, setMaths, showTrouble, written } from "../elements.js";
import { Frame, round } from "../frame.js";
import { drawLand, heightOn, relabel } from "../land.js";
import { mountDragging } from "./dragging.js";
import { Way } from "../way.js";

const MARGIN = { top: 24, right: 10, bottom: 38, left: 52 };
const ZOOM = 1.5;
const SAME_SHAPE = 0.01; // of the ratio of width to height

/** Put the picture on the page, and keep it in step. @param {Descent} page */
export function mountPicture(page) {
  const frame = new Frame(byId("picture"), { margin: MARGIN, title: "The path of the descent", resized: () => reshape() });
  const land = frame.layer("land");
  const way = new Way(frame);
  const ring = draw("g", { class: "ring", tabindex: "0", role: "application", "aria-roledescription": "movable point" },
    draw("circle", { class: "ring-reach", r: 22 }), draw("circle", { class: "ring-focus", r: 15 }), draw("circle", { class: "ring-line", r: 8.5 }));
  frame.above.append(ring);
  /** @type {Scale | null} */
  let x = null;
  /** @type {Scale | null} */
  let y = null;
  /** Of the heights. @type {import("../labels.js").Label[]} */
  let labels = [];

  /** @type {View} */
  const view = {
    frame, ring, land,
    get over() { return page.grid?.over ?? []; },
    get scales() { return x && y && { x, y }; },
    get box() { return page.grid?.box; },
  };
  page.ratio = frame.ratio;
  mountDragging(page, view);
  connectTools(page, frame);

  page.on("grid", () => redraw());
  page.on("descent", () => showWay());
  page.on("row", () => mark());
  page.on("start", () => placeRing());
  page.on("trouble", (verb, error) => {
    if (verb !== "grid" && (verb !== "descend" || isShownElsewhere(error))) return;
    showTrouble(byId("picture-note"), error);
  });

  /** Draw in the new size, and where its shape is another, request the box that fills it. */
  function reshape() {
    const before = page.ratio;
    page.ratio = frame.ratio;
    redraw();
    const isOther = before === null || page.ratio === null || Math.abs(page.ratio / before - 1) > SAME_SHAPE;
    if (isOther && page.grid?.over.length === 2) page.set({}, { fit: true });
  }

  function redraw() {
    const { grid } = page;
    if (!grid || !page.reading || !frame.width) return;
    const [across, up] = grid.over;
    const [toX, toY] = [d3.scaleLinear(grid.box[across], frame.along), d3.scaleLinear(up === undefined ? grid.f_range : grid.box[up], frame.up)];
    [x, y] = [toX, toY];
    const { variables, name } = page.reading;
    frame.setAxes(toX, toY, { xName: across, yName: up ?? `${name}(${across})`, names: [...variables, name] });
    drawLand(land, grid, toX, toY, { labels: false });
    showScale(page, grid, toX, toY);
    showWay();
    mark();
  }

  function showWay() {
    const { descent, grid } = page;
    placeRing();
    if (!descent || !grid || !x || !y || !agree(descent, grid)) return;
    way.show(descent, grid.over, x, y);
    labels = relabel(land, grid, x, y, way.outline);
    byId("fit").classList.toggle("wanted", way.points.some((point) => leaves(point)));
    describe(descent);
  }

  function mark() {
    const { descent, grid } = page;
    if (!descent || !grid || !x || !y || !agree(descent, grid)) return;
    way.select(descent, grid.over, x, y, page.row, labels);
  }

  function placeRing() {
    const { grid, start } = page;
    if (!grid || !x || !y || !grid.over.every((name) => name in start)) return;
    const [across, up] = grid.over;
    const left = x(start[across]);
    const height = up === undefined ? heightOn(grid, x, y, left) : y(start[up]);
    const outside = leaves([left, height]);
    const clamped = [clamp(left, frame.along), clamp(height, frame.up)].map(round);
    ring.setAttribute("transform", `translate(${clamped.join()})`);
    ring.classList.toggle("outside", outside);
    const where = grid.over.map((name) => `${name} = ${written(start[name])}`).join(", ");
    ring.setAttribute("aria-label", `Start at ${where}. The arrow keys move it, with Shift farther.`);
  }

  /** Whether a point lies outside of the frame. @param {Point} point */
  function leaves([across, up]) {
    const slack = 0.5;
    const [left, right] = frame.along;
    const [bottom, top] = frame.up;
    return across < left - slack || across > right + slack || up > bottom + slack || up < top - slack;
  }

  /** @param {DescentReply} descent */
  function describe(descent) {
    const end = Object.entries(descent.end).map(([name, value]) => `${name} = ${written(value ?? "not finite")}`).join(", ");
    frame.title.textContent = `The path of the descent on ${descent.read_as}`;
    frame.desc.textContent = written(`${descent.steps_taken} steps, to ${end}, where the value is ${descent.value_text}. ${descent.verdict.sentence}`);
  }

  return view;
}

/**
 * Say where a unit is longer along one axis than along the other, and offer to change it.
 *
 * @param {Descent} page
 * @param {Grid} grid
 * @param {Scale} x
 * @param {Scale} y
 */
function showScale(page, { over }, x, y) {
  const note = byId("scale-note");
  const longer = over.length === 2 ? Math.abs((y(1) - y(0)) / (x(1) - x(0))) : 1;
  const isEqual = Math.abs(longer - 1) <= SAME_SHAPE;
  note.hidden = over.length < 2 || (isEqual && page.state.scale === null);
  if (note.hidden) return;
  const [long, short] = longer > 1 ? [over[1], over[0]] : [over[0], over[1]];
  const times = Number(Math.max(longer, 1 / longer).toPrecision(2));
  const text = isEqual ? "Units are equally long along both axes. " : `One unit of ${long} is drawn ${written(times)} times as long as one of ${short}, so angles are not true. `;
  const button = make("button", { type: "button", text: isEqual ? "Fill the picture" : "Draw them equally long" });
  button.addEventListener("click", () => page.set({ scale: isEqual ? null : "equal", view: null }, { fit: true }));
  note.replaceChildren(setMaths(make("span"), text, over), button);
}

/**
 * Connect the buttons and the wheel that change the box.
 *
 * @param {Descent} page
 * @param {Frame} frame
 */
function connectTools(page, frame) {
  /**
   * @param {number} factor
   * @param {Point} [around] as shares of the frame
   */
  const zoom = (factor, around) => {
    const { grid } = page;
    if (!grid) return;
    const box = grid.over.flatMap((name, axis) => {
      const [low, high] = grid.box[name];
      const fixed = low + (high - low) * (around?.[axis] ?? 0.5);
      return [low, high].map((edge) => Number((fixed + (edge - fixed) * factor).toPrecision(5)));
    });
    page.set({ view: box });
  };
  byId("zoom-in").addEventListener("click", () => zoom(1 / ZOOM));
  byId("zoom-out").addEventListener("click", () => zoom(ZOOM));
  byId("fit").addEventListener("click", () => page.set({ view: null }, { fit: true }));
  frame.svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const [across, up] = d3.pointer(event, frame.svg);
    const [left, right] = frame.along;
    const [bottom, top] = frame.up;
    zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, [(across - left) / (right - left), (bottom - up) / (bottom - top)]);
  }, { passive: false });
}

/**
 * Whether a path and a grid are over the same variables.
 *
 * @param {DescentReply} descent
 * @param {Grid} grid
 */
function agree(descent, grid) {
  return grid.over.every((name) => descent.path[name]);
}

/** Whether an error of a descent is shown beside its cause instead. @param {Trouble | null} error */
function isShownElsewhere(error) {
  return error?.kind === "PointError" || error?.kind === "SettingError";
}

/**
 * @param {number} value
 * @param {Range} range
 */
function clamp(value, range) {
  return Math.min(Math.max(value, Math.min(...range)), Math.max(...range));
}
