/** Moving the start: dragging the ring, clicking on the picture, arrow keys. */

/** @import { Descent } from "./flow.js" */
/** @import { Frame } from "../frame.js" */
/** @import { Point, Range, Scale } from "../types.d.ts" */

const STEP = 1 / 50; // of the box, for an arrow key
const STRIDE = 1 / 10; // with Shift

/** @type {Record<string, [axis: number, way: number]>} */
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1] };

/**
 * The picture in which the start is moved.
 *
 * @typedef {object} View
 * @property {Frame} frame
 * @property {SVGGElement} ring
 * @property {SVGGElement} land
 * @property {string[]} over
 * @property {{ x: Scale, y: Scale } | null} scales
 * @property {Record<string, Range> | undefined} box
 */

/**
 * Let the start be moved in a picture.
 *
 * @param {Descent} page
 * @param {View} view
 */
export function mountDragging(page, view) {
  const { ring, frame } = view;
  let dragging = false;
  let grip = [0, 0];

  ring.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !view.scales) return;
    dragging = true;
    ring.setPointerCapture(event.pointerId);
    ring.focus({ preventScroll: true });
    const matrix = ring.transform.baseVal.consolidate()?.matrix;
    const [across, up] = d3.pointer(event, frame.svg);
    grip = [across - (matrix?.e ?? 0), up - (matrix?.f ?? 0)];
    ring.classList.add("dragged");
    event.preventDefault();
  });
  ring.addEventListener("pointermove", (event) => {
    if (!dragging) return;
    const [across, up] = d3.pointer(event, frame.svg);
    moveTo(page, view, [across - grip[0], up - grip[1]]);
  });
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    ring.addEventListener(name, () => {
      dragging = false;
      ring.classList.remove("dragged");
    });
  }
  ring.addEventListener("keydown", (event) => byKey(page, view, event));
  view.land.addEventListener("click", (event) => moveTo(page, view, d3.pointer(event, frame.svg)));
  frame.area.addEventListener("click", (event) => moveTo(page, view, d3.pointer(event, frame.svg)));
}

/**
 * @param {Descent} page
 * @param {View} view
 * @param {Point} point
 */
function moveTo(page, view, [across, up]) {
  if (!view.scales || !view.box) return;
  const { x, y } = view.scales;
  const [first, second] = view.over;
  /** @type {Record<string, number>} */
  const moved = { [first]: snapped(x.invert(across), x, view.box[first]) };
  if (second !== undefined) moved[second] = snapped(y.invert(up), y, view.box[second]);
  page.set({ at: { ...page.start, ...moved } });
}

/**
 * @param {Descent} page
 * @param {View} view
 * @param {KeyboardEvent} event
 */
function byKey(page, view, event) {
  const arrow = ARROWS[event.key];
  if (!arrow || event.ctrlKey || event.metaKey || event.altKey || !view.scales || !view.box) return;
  const [axis, way] = arrow;
  const name = view.over[axis];
  if (name === undefined) return;
  event.preventDefault();
  const [low, high] = view.box[name];
  const by = way * (event.shiftKey ? STRIDE : STEP) * (high - low);
  page.set({ at: { ...page.start, [name]: snapped(page.start[name] + by, axis === 0 ? view.scales.x : view.scales.y) } });
}

/**
 * Return a value within the box, rounded to the resolution of a pixel.
 *
 * @param {number} value
 * @param {Scale} scale
 * @param {Range} [range]
 */
function snapped(value, scale, [low, high] = [-Infinity, Infinity]) {
  const [from, to] = scale.range();
  const pixel = Math.abs((scale.invert(to) - scale.invert(from)) / (to - from));
  const digits = Math.floor(Math.log10(pixel));
  const inside = Math.min(Math.max(value, low), high);
  return digits < 0 ? Number(inside.toFixed(Math.min(-digits, 20))) : Math.round(inside / 10 ** digits) * 10 ** digits;
}
