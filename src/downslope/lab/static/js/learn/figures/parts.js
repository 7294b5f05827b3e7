/** What figures are built of: plots, curves, points that are moved, and labelled sliders over listed positions. */

/** @import { Label, Marks } from "../../labels.js" */
/** @import { Grid, Point, Range, Scale, Value } from "../../types.d.ts" */

import { draw, make } from "../../elements.js";
import { Frame, round, through } from "../../frame.js";
import { hideCovered } from "../../labels.js";
import { drawLand } from "../../land.js";

const TALLEST = 0.52; // of the window's height: a map
const TEACHING = 1.02; // times as tall in the teachers' view
const HEAD = 11, NECK = 0.42; // pixels of an arrow's head, and its half width as a share of that
const FAR = 9e4; // pixels beyond which a curve is bent, where it cannot be seen
/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

/**
 * A plot: a frame with its scales. `show` draws it anew for the ranges, now and whenever its size changes.
 *
 * @typedef {object} Plot
 * @property {Frame} frame
 * @property {Scale} x
 * @property {Scale} y
 * @property {HTMLElement} box
 * @property {(ranges: { x: Range, y: Range, xTicks?: number[], xName?: string, yName?: string, names?: string[] }) => void} show
 */

/**
 * Put a plot into a host; `redraw` is called after its scales were set.
 *
 * @param {HTMLElement} host
 * @param {{ title: string, className?: string, margin?: Record<"top" | "right" | "bottom" | "left", number>, redraw: () => void }} options
 * @returns {Plot}
 */
export function plotIn(host, { title, className = "", margin = { top: 24, right: 18, bottom: 38, left: 52 }, redraw }) {
  const box = make("div", { class: `plot ${className}` });
  host.append(box);
  const frame = new Frame(box, { margin, title, resized: () => set() });
  /** @type {Parameters<Plot["show"]>[0] | null} */
  let shown = null;
  const plot = { frame, box, x: d3.scaleLinear(), y: d3.scaleLinear(), show };

  /** @param {Parameters<Plot["show"]>[0]} ranges */
  function show(ranges) {
    shown = ranges;
    set();
  }

  function set() {
    if (!shown || !frame.width) return;
    const { x, y, xTicks, ...axes } = shown;
    plot.x = d3.scaleLinear(x, frame.along);
    if (xTicks) plot.x.ticks = () => xTicks;
    plot.y = d3.scaleLinear(y, frame.up);
    frame.setAxes(plot.x, plot.y, axes);
    redraw();
  }

  return plot;
}

/**
 * Put a map into a host: lines of equal height over two variables, in a plot of the shape of its box, so that a unit is as long along
 * both where `isEqual`. `showGrid` draws a grid; `redraw` is called after it was drawn; `clear` hides the heights that marks cover.
 *
 * @param {HTMLElement} host
 * @param {{ title: string, tallest?: number, taught?: number, redraw: () => void }} options `tallest` and `taught` are the height as a share of the
 *   window's, as a rule and in the teachers' view
 */
export function mapIn(host, { title, tallest = TALLEST, taught = TEACHING * tallest, redraw }) {
  const margin = { top: 24, right: 14, bottom: 38, left: 46 };
  const holder = make("div", { class: "map" });
  host.append(holder);
  const plot = plotIn(holder, { title, className: "shaped", margin, redraw: () => drawAll() });
  const land = plot.frame.layer("land");
  /** @type {Grid | null} */
  let grid = null;
  /** Of the heights. @type {Label[]} */
  let labels = [];
  let ratio = 1;
  new ResizeObserver(() => shape()).observe(holder);

  /** Give the plot the shape of the box, as large as there is room. */
  function shape() {
    const { top, right, bottom, left } = margin;
    const share = document.documentElement.classList.contains("teaching") ? taught : tallest;
    const [along, up] = [holder.clientWidth - left - right, Math.max(share * innerHeight, 240) - top - bottom];
    if (along <= 0) return;
    const width = Math.min(along, up * ratio);
    plot.frame.svg.style.width = `${Math.floor(width + left + right)}px`;
    plot.frame.svg.style.height = `${Math.floor(width / ratio + top + bottom)}px`;
  }

  /** @param {Grid} shown @param {string[]} names @param {{ isEqual: boolean }} options */
  function show(shown, names, { isEqual }) {
    grid = shown;
    const [x, y] = grid.over.map((name) => /** @type {Grid} */ (grid).box[name]);
    ratio = isEqual ? (x[1] - x[0]) / (y[1] - y[0]) : 1.15;
    shape();
    plot.show({ x, y, xName: grid.over[0], yName: grid.over[1], names });
  }

  function drawAll() {
    if (!grid) return;
    labels = drawLand(land, grid, plot.x, plot.y);
    redraw();
  }

  /** Let the heights give way to marks. @param {Marks} marks */
  const clear = (marks) => hideCovered(labels, marks);
  return Object.assign(plot, { showGrid: show, clear });
}

/**
 * Return an arrow between two points in pixels.
 *
 * @param {string} className
 * @param {Point} from
 * @param {Point} to
 */
export function arrowOf(className, [left, low], [right, high]) {
  const [across, up] = [right - left, high - low];
  const length = Math.hypot(across, up);
  if (!(length > 1)) return draw("g", { class: className });
  const [cos, sin] = [across / length, up / length];
  const head = Math.min(HEAD, length);
  const [neckX, neckY] = [right - cos * head, high - sin * head];
  const half = head * NECK;
  return draw("g", { class: className },
    draw("path", { class: "arrow-line", d: `M${round(left)},${round(low)}L${round(neckX)},${round(neckY)}` }),
    draw("path", { class: "arrow-head", d: `M${round(right)},${round(high)}L${round(neckX - sin * half)},${round(neckY + cos * half)}L${round(neckX + sin * half)},${round(neckY - cos * half)}Z` }));
}

/**
 * Return the path of a curve in pixels, broken where a value is missing.
 *
 * @param {Value[]} across
 * @param {Value[]} up
 * @param {Plot} plot
 */
export function curveOf(across, up, { x, y }) {
  /** @type {Point[][]} */
  const pieces = [[]];
  across.forEach((value, index) => {
    const height = up[index];
    if (value === null || height === null) pieces.push([]);
    else pieces[pieces.length - 1].push([x(value), Math.max(-FAR, Math.min(FAR, y(height)))]);
  });
  return pieces.map(through).join("");
}

/**
 * Return the line through a point with a slope, from end to end of the axis.
 *
 * @param {string} className
 * @param {Plot} plot
 * @param {number} at
 * @param {number} value
 * @param {number} slope
 */
export function lineOf(className, { x, y }, at, value, slope) {
  const [low, high] = /** @type {Range} */ (x.domain());
  /** @param {number} end */
  const height = (end) => Math.max(-FAR, Math.min(FAR, y(value + slope * (end - at))));
  return draw("line", { class: className, x1: round(x(low)), y1: round(height(low)), x2: round(x(high)), y2: round(height(high)) });
}

/** Return the line at height 0, where the plot shows it. @param {Plot} plot */
export function zeroOf({ x, y }) {
  const [bottom, top] = y.range();
  const at = y(0);
  return at < bottom && at > top ? [draw("line", { class: "zero", x1: x.range()[0], x2: x.range()[1], y1: round(at), y2: round(at) })] : [];
}

/**
 * Return a label in a plot, kept within its sides.
 *
 * @param {Plot} plot
 * @param {string} text
 * @param {Point} at
 * @param {{ className?: string, anchor?: "start" | "middle" | "end" }} [options]
 */
export function labelOf({ frame }, text, [x, y], { className = "", anchor = "middle" } = {}) {
  const [left, right] = frame.along;
  const [bottom, top] = frame.up;
  const half = text.length * 3.6; // pixels, about
  const inside = anchor === "middle" ? Math.min(Math.max(x, left + half + 4), right - half - 4) : x;
  return draw("text", {
    class: `mark-name ${className}`, x: round(inside), y: round(Math.min(Math.max(y, top + 14), bottom - 6)), "text-anchor": anchor, text,
  });
}

/**
 * Put a point into a plot that is dragged or moved by the arrow keys. `drag` gets pixels, `nudge` a number of steps to the right
 * and upwards, five with Shift. `put` moves it and names it for a screen reader.
 *
 * @param {Plot} plot
 * @param {{ isFlat?: boolean, clicks?: boolean, drag: (point: Point) => void, nudge: (right: number, up: number) => void }} options `clicks`
 *   says whether a click on the plot moves it there
 */
export function handleIn({ frame }, { isFlat = false, clicks = true, drag, nudge }) {
  const role = isFlat ? { role: "slider", "aria-valuenow": 0 } : { role: "application", "aria-roledescription": "movable point" };
  const handle = draw("g", { class: "ring", tabindex: "0", hidden: "", ...role },
    draw("circle", { class: "ring-reach", r: 22 }), draw("circle", { class: "ring-focus", r: 15 }), draw("circle", { class: "ring-line", r: 8.5 }));
  frame.above.append(handle);
  let isDragged = false;
  handle.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    isDragged = true;
    handle.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    handle.classList.add("dragged");
    event.preventDefault();
  });
  handle.addEventListener("pointermove", (event) => isDragged && drag(d3.pointer(event, frame.svg)));
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    handle.addEventListener(name, () => {
      isDragged = false;
      handle.classList.remove("dragged");
    });
  }
  handle.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const far = event.shiftKey ? 5 : 1;
    nudge(arrow[0] * far, arrow[1] * far);
  });
  if (clicks) {
    frame.svg.addEventListener("click", (event) => {
      if (!(event.target instanceof Element) || !event.target.closest(".ring")) drag(d3.pointer(event, frame.svg));
    });
  }

  /**
   * @param {Point} at in pixels
   * @param {string} label
   * @param {number} value
   */
  function put(at, label, value = 0) {
    const isShown = at.every(Number.isFinite);
    handle.toggleAttribute("hidden", !isShown);
    if (isShown) handle.setAttribute("transform", `translate(${at.map(round).join()})`);
    handle.setAttribute("aria-label", label);
    if (isFlat) {
      handle.setAttribute("aria-valuenow", String(value));
      handle.setAttribute("aria-valuetext", label);
    }
  }

  return { element: handle, put };
}

/**
 * Put a labelled slider over listed positions into a host. `show(positions, index, text)` sets it.
 *
 * @param {HTMLElement} host
 * @param {{ label: string, choose: (index: number) => void }} options
 */
export function sliderIn(host, { label, choose }) {
  const range = make("input", { type: "range", min: 0, step: 1 });
  const text = make("output", {});
  const name = make("span", { text: label });
  host.append(make("label", { class: "figure-slider" }, name, range, text));
  range.addEventListener("input", () => choose(Number(range.value)));

  /**
   * @param {number} count
   * @param {number} index
   * @param {string} value
   */
  function show(count, index, value) {
    range.max = String(Math.max(0, count - 1));
    range.value = String(index);
    range.disabled = count < 2;
    range.setAttribute("aria-valuetext", value);
    text.textContent = value;
  }

  return { range, show, name };
}

/** Return the index of the position nearest to a value. @param {number[]} positions @param {number} value */
export function nearest(positions, value) {
  return Math.max(0, d3.minIndex(positions, (position) => Math.abs(position - value)));
}

/**
 * Return so many positions, evenly from end to end of a range, as short numbers, and one more in order.
 *
 * @param {Range} range
 * @param {number} count
 * @param {number} [more]
 */
export function evenly([low, high], count, more = low) {
  const digits = Math.max(0, 2 - Math.floor(Math.log10((high - low) / count)));
  const even = d3.range(count).map((index) => Number((low + ((high - low) * index) / (count - 1)).toFixed(Math.min(digits, 12))));
  return more === low ? even : [...new Set([...even, more])].sort((left, right) => left - right);
}
