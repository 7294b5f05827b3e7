/** The path of a descent: its line, its dots, and the marks of the selected step. */

/** @import { Frame } from "./frame.js" */
/** @import { Label, Stroke } from "./labels.js" */
/** @import { PathReply, Point, Scale } from "./types.d.ts" */

import { draw } from "./elements.js";
import { dots, isNear, round, through } from "./frame.js";
import { disc, freest, hideCovered, roomOf } from "./labels.js";

const ARROW = [20, 64]; // pixels of the shortest and the longest arrow
const TANGENT = 110; // pixels of half a tangent
const HEAD = 8;
const ASIDE = [19, 15], AHEAD = 20; // pixels from an arrow to its label: to either side of it, and ahead of its tip
const NAMED = 13; // pixels: the size of the label
const RING = 12, DOT = 8; // pixels around the start, and around the other marks
const CLOSE = [14, 40]; // pixels between two points of an outline, and how many lie between two steps at most

/**
 * Return the points of a path in pixels; over one variable their height is the value.
 *
 * @param {PathReply} way
 * @param {string[]} over
 * @param {Scale} x
 * @param {Scale} y
 * @returns {Point[]}
 */
export function pixelsOf(way, over, x, y) {
  const [across, up] = over;
  const heights = up === undefined ? way.values : way.path[up];
  return way.path[across].map((value, row) => [value === null ? NaN : x(value), heights[row] === null ? NaN : y(heights[row])]);
}

/** The layers of a path in a plot. */
export class Way {
  /** @type {Point[]} */
  points = [];
  steepest = 1;

  /** Points close together along the line, which labels keep off. @returns {Point[]} */
  get outline() {
    const shown = this.points.filter((point) => isNear(point));
    const between = shown.slice(1).flatMap(([x, y], index) => {
      const [fromX, fromY] = shown[index];
      const pieces = Math.min(CLOSE[1], Math.ceil(Math.hypot(x - fromX, y - fromY) / CLOSE[0]));
      return Array.from({ length: Math.max(0, pieces - 1) }, (_, piece) => /** @type {Point} */ ([
        fromX + ((x - fromX) * (piece + 1)) / pieces, fromY + ((y - fromY) * (piece + 1)) / pieces,
      ]));
    });
    return [...shown, ...between];
  }

  /** @param {Frame} frame */
  constructor(frame) {
    this.layer = frame.layer("way");
    this.line = draw("path", { class: "way-line", id: "way" });
    this.walked = draw("path", { class: "way-walked" });
    this.dots = draw("path", { class: "way-dots" });
    this.end = draw("circle", { class: "way-end", r: 4.5 });
    this.layer.append(this.line, this.walked, this.dots, this.end);
    this.mark = frame.layer("mark");
  }

  /**
   * Draw a path.
   *
   * @param {PathReply} descent
   * @param {string[]} over
   * @param {Scale} x
   * @param {Scale} y
   */
  show(descent, over, x, y) {
    this.points = pixelsOf(descent, over, x, y);
    this.steepest = steepest(descent, over, x, y);
    this.line.setAttribute("d", through(this.points));
    this.dots.setAttribute("d", dots(this.points));
    this.dots.setAttribute("stroke-width", String(this.points.length <= 60 ? 6 : this.points.length <= 200 ? 4.5 : 3.2));
    const end = this.points.findLast((point) => point.every(Number.isFinite));
    this.end.toggleAttribute("hidden", !end || !isNear(end));
    if (end && isNear(end)) moveTo(this.end, end);
  }

  /**
   * Mark a row: the path up to it, its dot, and the tangent or the arrow. Labels of heights that these would cover are hidden.
   *
   * @param {PathReply} descent
   * @param {string[]} over
   * @param {Scale} x
   * @param {Scale} y
   * @param {number} row
   * @param {Label[]} [labels] of the heights
   */
  select(descent, over, x, y, row, labels = []) {
    this.walked.setAttribute("d", through(this.points.slice(0, row + 1)));
    const at = this.points[row];
    if (!at || !isNear(at) || !at.every(Number.isFinite)) {
      this.mark.replaceChildren();
      hideCovered(labels, {});
      return;
    }
    const sign = over.length === 1 ? tangent(descent, row, at, x, y) : this.#arrow(descent, over, row, at, x, y, labels);
    const drop = over.length === 1 ? drops(this.points, row, y) : [];
    const dot = draw("circle", { class: "mark-dot", r: 6 });
    moveTo(dot, at);
    this.mark.replaceChildren(...drop, ...sign, dot);
  }

  /** Return the side of a direction on which the path does not lie: 1 to the right of it on the screen, or −1. @param {number} row @param {number} cos @param {number} sin */
  #bends(row, cos, sin) {
    const [from, to] = [this.points[row], this.points[row + 2] ?? this.points[row + 1]];
    const turn = to ? (to[0] - from[0]) * -sin + (to[1] - from[1]) * cos : 0;
    return turn > 0 ? -1 : 1;
  }

  /**
   * @param {PathReply} descent
   * @param {string[]} over
   * @param {number} row
   * @param {Point} at
   * @param {Scale} x
   * @param {Scale} y
   * @param {Label[]} labels
   */
  #arrow(descent, over, row, at, x, y, labels) {
    const [right, down] = downhill(descent, over, row, x, y);
    const size = Math.hypot(right, down);
    if (!(size > 0) || !Number.isFinite(size)) return [];
    const length = ARROW[0] + (ARROW[1] - ARROW[0]) * Math.sqrt(Math.min(1, size / this.steepest));
    const [cos, sin] = [right / size, down / size];
    const tip = /** @type {Point} */ ([at[0] + cos * length, at[1] + sin * length]);
    const name = descent.name ?? "f";
    const text = `−∇${name}`;
    const named = this.#placeOf(text, row, at, tip, [cos, sin], { x, y, labels });
    hideCovered(labels, { lines: [[at, tip]], rooms: [roomOf(text, named, NAMED), disc(at, DOT)] });
    const label = draw("text", { class: "mark-name", x: round(named[0]), y: round(named[1]), dy: "0.35em", "text-anchor": "middle", text: "−∇" });
    label.append(draw("tspan", { class: "italic", text: name }));
    return [
      draw("path", { class: "mark-arrow", d: `M${round(at[0])},${round(at[1])}L${round(tip[0] - cos * 4)},${round(tip[1] - sin * 4)}` }),
      draw("path", { class: "mark-head", d: head(tip, cos, sin) }),
      label,
    ];
  }

  /**
   * Return where the label of an arrow covers least: beside its tip on the side where the path does not lie, on the other side, beside
   * its middle, or ahead of it.
   *
   * @param {string} text
   * @param {number} row
   * @param {Point} at
   * @param {Point} tip
   * @param {[cos: number, sin: number]} direction
   * @param {{ x: Scale, y: Scale, labels: Label[] }} picture
   */
  #placeOf(text, row, at, tip, [cos, sin], { x, y, labels }) {
    const side = this.#bends(row, cos, sin);
    /** @type {(from: Point, way: number) => Point} */
    const beside = ([across, up], way) => [across - way * sin * ASIDE[0], up + way * cos * ASIDE[1]];
    /** @type {Point} */
    const middle = [(at[0] + tip[0]) / 2, (at[1] + tip[1]) / 2];
    /** @type {Point} */
    const ahead = [tip[0] + cos * AHEAD, tip[1] + sin * AHEAD];
    const places = [beside(tip, side), beside(tip, -side), beside(middle, side), beside(middle, -side), ahead];
    const [left, right] = x.range();
    const [bottom, top] = y.range();
    const reach = Math.hypot(tip[0] - at[0], tip[1] - at[1]) + 3 * AHEAD;
    const near = this.points.map((point) => Math.hypot(point[0] - at[0], point[1] - at[1]) < reach);
    const steps = this.points.slice(1).flatMap((point, index) => (near[index] || near[index + 1] ? [/** @type {Stroke} */ ([this.points[index], point])] : []));
    const start = this.points[0];
    return freest(places, text, {
      size: NAMED, within: [left, top, right, bottom], lines: [[at, tip], ...steps.filter((line) => line.every((end) => isNear(end)))],
      rooms: [...labels.map(({ room }) => room), disc(at, DOT), disc(start, RING)],
    });
  }
}

/**
 * Return the direction against the gradient, in pixels to the right and downwards per unit of the gradient.
 *
 * @param {PathReply} descent
 * @param {string[]} over
 * @param {number} row
 * @param {Scale} x
 * @param {Scale} y
 * @returns {[right: number, down: number]}
 */
function downhill(descent, over, row, x, y) {
  const [across, up] = over.map((name) => descent.gradients?.[name]?.[row] ?? NaN);
  return [-across * (x(1) - x(0)), -up * (y(1) - y(0))];
}

/**
 * Return the length of the longest gradient in pixels.
 *
 * @param {PathReply} descent
 * @param {string[]} over
 * @param {Scale} x
 * @param {Scale} y
 */
function steepest(descent, over, x, y) {
  if (over.length === 1) return 1;
  return d3.max(descent.values.keys(), (row) => Math.hypot(...downhill(descent, over, row, x, y))) || 1;
}

/**
 * Return the tangent at a step.
 *
 * @param {PathReply} descent
 * @param {number} row
 * @param {Point} at
 * @param {Scale} x
 * @param {Scale} y
 */
function tangent(descent, row, at, x, y) {
  const slope = descent.tangents?.slope[row];
  if (slope === null || slope === undefined) return [];
  const [right, down] = [x(1) - x(0), slope * (y(1) - y(0))];
  const share = TANGENT / Math.hypot(right, down);
  const [dx, dy] = [right * share, down * share];
  return [draw("line", { class: "mark-tangent", x1: round(at[0] - dx), y1: round(at[1] - dy), x2: round(at[0] + dx), y2: round(at[1] + dy) })];
}

/**
 * Return the plumb lines under a step and the next one, and the move between them along the axis.
 *
 * @param {Point[]} points
 * @param {number} row
 * @param {Scale} y
 */
function drops(points, row, y) {
  const bottom = y.range()[0];
  /** @param {Point} point */
  const plumb = (point) => draw("line", { class: "mark-drop", x1: round(point[0]), x2: round(point[0]), y1: round(point[1]), y2: bottom });
  const [from, to] = [points[row], points[row + 1]];
  if (!to || !isNear(to)) return [plumb(from)];
  const way = Math.sign(to[0] - from[0]);
  const move = Math.abs(to[0] - from[0]) > 2 * HEAD
    ? [draw("path", { class: "mark-arrow", d: `M${round(from[0])},${bottom - 5}H${round(to[0] - way * 4)}` }),
       draw("path", { class: "mark-head", d: head([to[0], bottom - 5], way, 0) })]
    : [];
  return [plumb(from), plumb(to), ...move];
}

/**
 * Return the path of an arrow's head.
 *
 * @param {Point} tip
 * @param {number} cos
 * @param {number} sin
 */
function head([x, y], cos, sin) {
  const back = [x - cos * HEAD, y - sin * HEAD];
  const half = HEAD * 0.46;
  return `M${round(x)},${round(y)}L${round(back[0] - sin * half)},${round(back[1] + cos * half)}L${round(back[0] + sin * half)},${round(back[1] - cos * half)}Z`;
}

/**
 * @param {SVGCircleElement} circle
 * @param {Point} point
 */
function moveTo(circle, [x, y]) {
  circle.setAttribute("cx", String(round(x)));
  circle.setAttribute("cy", String(round(y)));
}
