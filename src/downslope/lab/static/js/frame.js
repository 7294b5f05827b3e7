/** The frame of a picture: its size, its scales, its axes, and a clipped plot within. */

/** @typedef {string | number} Label */
/** @import { BandScale, Point, Range, Scale, Value } from "./types.d.ts" */

import { draw, powerOfTen, setMaths, written } from "./elements.js";

const WIDE = 30; // from this ratio of values on, a logarithmic scale shows more
const LETTER = 7; // pixels of a letter, about
const [SMALL, LARGE] = [1e-3, 1e6]; // between which the largest number along an axis is written out
const FAR = 1e5; // pixels beyond which a coordinate is not handed to the browser

let frames = 0;

/** An SVG with axes. `resized` is called whenever its size changes, after which its scales must be set anew. */
export class Frame {
  width = 0;
  height = 0;
  /** Pixels at either side, and above and below, by which the plot is narrower than there is room. @type {[number, number]} */
  #spare = [0, 0];

  /**
   * @param {Element} container
   * @param {{ margin: Record<"top" | "right" | "bottom" | "left", number>, title: string, resized: () => void }} options
   */
  constructor(container, { margin, title, resized }) {
    const id = `frame-${++frames}`;
    this.margin = margin;
    this.title = draw("title", { id: `${id}-title`, text: title });
    this.desc = draw("desc", { id: `${id}-desc` });
    this.svg = draw("svg", { class: "frame", role: "group", "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-desc` });
    this.area = draw("rect", { class: "area" });
    this.clip = draw("rect");
    this.axes = draw("g", { class: "axes", "aria-hidden": "true" });
    this.plot = draw("g", { "clip-path": `url(#${id}-clip)` });
    this.above = draw("g", {});
    this.svg.append(
      this.title, this.desc, draw("defs", {}, draw("clipPath", { id: `${id}-clip` }, this.clip)),
      this.area, this.plot, this.axes, this.above,
    );
    container.append(this.svg);
    new ResizeObserver(() => this.#measure(resized)).observe(this.svg);
    this.#measure(null);
  }

  /**
   * Return a new layer of the plot.
   *
   * @template {keyof SVGElementTagNameMap} [Tag="g"]
   * @param {string} name
   * @param {Tag} [tag]
   * @returns {SVGElementTagNameMap[Tag]}
   */
  layer(name, tag) {
    const layer = draw(tag ?? /** @type {Tag} */ ("g"), { class: name });
    this.plot.append(layer);
    return layer;
  }

  /** The pixels along the horizontal axis, from left to right. @returns {Range} */
  get along() {
    const { left, right } = this.margin;
    return [left + this.#spare[0], Math.max(left + 10, this.width - right) - this.#spare[0]];
  }

  /** The pixels along the vertical axis, from below upwards. @returns {Range} */
  get up() {
    const { top, bottom } = this.margin;
    return [Math.max(top + 10, this.height - bottom) - this.#spare[1], top + this.#spare[1]];
  }

  /** The width over the height of the room for the plot, or null while there is none. */
  get ratio() {
    return this.width ? this.ratioIn(this.width, this.height) : null;
  }

  /** Return what the ratio is in a frame of another size. @param {number} width @param {number} height */
  ratioIn(width, height) {
    const [wide, high] = this.#room(width, height);
    return wide / high;
  }

  /** Return the pixels that the plot may be wide and high. @param {number} width @param {number} height @returns {[number, number]} */
  #room(width, height) {
    const { left, right, top, bottom } = this.margin;
    return [Math.max(10, width - left - right), Math.max(10, height - top - bottom)];
  }

  /** Give the plot this width over its height, in the middle of its room; null to fill the room. @param {number | null} ratio */
  shape(ratio) {
    const [wide, high] = this.#room(this.width, this.height);
    const least = ratio ?? wide / high;
    this.#spare = [Math.max(0, wide - high * least) / 2, Math.max(0, high - wide / least) / 2];
    this.#setArea();
  }

  /**
   * Draw the axes of these scales, whose ranges are `along` and `up`; `xTexts` and `yTexts` name the bands of band scales.
   *
   * @param {Scale | BandScale} x
   * @param {Scale | BandScale} y
   * @param {{ xName?: string, yName?: string, names?: string[], xTexts?: Label[], yTexts?: Label[] }} options
   */
  setAxes(x, y, { xName = "", yName = "", names = [], xTexts = [], yTexts = [] } = {}) {
    const [left, right] = this.along;
    const [bottom, top] = this.up;
    const marks = [];
    for (const { at, text } of ticks(x, (right - left) / 78, xTexts)) {
      marks.push(draw("line", { x1: at, x2: at, y1: bottom, y2: bottom + 4 }));
      const inside = Math.min(at, this.width - (String(text).length * LETTER) / 2); // of the picture
      marks.push(draw("text", { x: inside, y: bottom + 17, "text-anchor": "middle", text }));
    }
    for (const { at, text } of ticks(y, (bottom - top) / 56, yTexts)) {
      marks.push(draw("line", { x1: left - 4, x2: left, y1: at, y2: at }));
      marks.push(draw("text", { x: left - 8, y: at, dy: "0.35em", "text-anchor": "end", text }));
    }
    marks.push(axisName(xName, names, { x: right, y: bottom + 31, "text-anchor": "end" }));
    const isLong = yName.length * LETTER > 2 * left; // and would begin outside of the picture
    marks.push(axisName(yName, names, { x: isLong ? 2 : left, y: top - 8, "text-anchor": isLong ? "start" : "middle" }));
    this.axes.replaceChildren(...marks);
  }

  /** @param {(() => void) | null} resized */
  #measure(resized) {
    const { width, height } = this.svg.getBoundingClientRect();
    if (width === 0 || (width === this.width && height === this.height)) return;
    Object.assign(this, { width, height });
    this.svg.setAttribute("viewBox", `0 0 ${round(width)} ${round(height)}`);
    this.shape(null);
    resized?.();
  }

  /** Place the area of the plot, and what cuts it off. */
  #setArea() {
    const [left, right] = this.along;
    const [bottom, top] = this.up;
    for (const box of [this.area, this.clip]) {
      for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) {
        box.setAttribute(name, String(round(value)));
      }
    }
  }
}

/**
 * Return the scale that shows values best.
 *
 * @param {Value[]} values
 * @param {Range} range
 * @returns {Scale}
 */
export function scaleFor(values, range) {
  const finite = values.filter((value) => value !== null);
  const [low, high] = extent(finite) ?? [0, 1];
  if (low > 0 && high / low > WIDE) return d3.scaleLog([low, high], range).nice();
  const slack = high > low ? 0.04 * (high - low) : Math.abs(high) || 1;
  return d3.scaleLinear([low - slack, high + slack], range);
}

/**
 * Return the range of values, with a share of it left free on either side.
 *
 * @param {Value[]} values
 * @param {number} share
 * @returns {Range}
 */
export function roomy(values, share) {
  const [low, high] = extent(values.filter((value) => value !== null)) ?? [NaN, NaN];
  const slack = share * (high - low || Math.abs(high) || 1);
  return [low - slack, high + slack];
}

/** Return the range of a length with the middle of another range. @param {Range} range @param {number} length @returns {Range} */
export function around([low, high], length) {
  const slack = (length - (high - low)) / 2;
  return [low - slack, high + slack];
}

/**
 * Return the scales of a plane. Where units are equal, so much of the box is shown as fills the frame and has all of `least` in it;
 * in a frame of quite another shape than the box the plot gets narrower or lower, since beyond the box nothing is known.
 *
 * @param {[Range, Range]} box
 * @param {Pick<Frame, "ratio" | "along" | "up" | "shape">} frame
 * @param {boolean} hasEqualUnits
 * @param {[Range, Range]} [least] what is shown in any case
 * @returns {[d3.ScaleLinear<number, number>, d3.ScaleLinear<number, number>]}
 */
export function planeScales(box, frame, hasEqualUnits, least = box) {
  const { ratio } = frame;
  let shown = box;
  if (hasEqualUnits && ratio) {
    const [[wide, high], [wanted, raised]] = [box, least].map((ranges) => ranges.map(([low, top]) => top - low));
    const height = Math.max(wanted / ratio, raised);
    const spans = [Math.min(wide, height * ratio), Math.min(high, height)];
    shown = /** @type {[Range, Range]} */ (box.map((range, axis) => around(range, spans[axis])));
    frame.shape(spans[0] / spans[1]);
  } else frame.shape(null);
  return [d3.scaleLinear(shown[0], frame.along), d3.scaleLinear(shown[1], frame.up)];
}

/** Return the least and the largest of numbers, or null without any. @param {number[]} values */
export function extent(values) {
  const [low, high] = d3.extent(values);
  return low === undefined ? null : /** @type {Range} */ ([low, high]);
}

/** Whether a scale is logarithmic, so that it has no height for 0. @param {Scale} scale */
export function isLogarithmic(scale) {
  return "base" in scale;
}

/**
 * Return the pixel of a value, NaN for one that the scale lacks.
 *
 * @param {Scale} scale
 * @param {Value} value
 */
export function pixelOf(scale, value) {
  return value === null || (isLogarithmic(scale) && value <= 0) ? NaN : scale(value);
}

/** Return a path through points in pixels; it ends where a coordinate is missing, and far outside. @param {Point[]} points */
export function through(points) {
  let path = "";
  /** @type {Point | null} */
  let last = null;
  for (const point of points) {
    if (!Number.isFinite(point[0]) || !Number.isFinite(point[1])) break;
    const shown = within(point, last);
    path += `${last ? "L" : "M"}${round(shown[0])},${round(shown[1])}`;
    if (shown !== point) break;
    last = point;
  }
  return path;
}

/** Return a path that draws a dot at each point, for a stroke with round ends. @param {Point[]} points */
export function dots(points) {
  return points.filter(isNear).map(([x, y]) => `M${round(x)},${round(y)}h0`).join("");
}

/** Whether a point in pixels can be drawn. @param {Point} point */
export function isNear([x, y]) {
  return Math.abs(x) < FAR && Math.abs(y) < FAR;
}

/** Round pixels to what can be seen. @param {number} pixels */
export function round(pixels) {
  return Math.round(pixels * 100) / 100;
}

/**
 * Return the point, or one in its direction that can still be drawn.
 *
 * @param {Point} point
 * @param {Point | null} from
 * @returns {Point}
 */
function within(point, from) {
  const reach = Math.max(Math.abs(point[0]), Math.abs(point[1]));
  if (reach < FAR) return point;
  if (!from) return /** @type {Point} */ (point.map((value) => Math.sign(value) * Math.min(Math.abs(value), FAR)));
  const share = FAR / Math.max(Math.abs(point[0] - from[0]), Math.abs(point[1] - from[1]));
  return [from[0] + (point[0] - from[0]) * share, from[1] + (point[1] - from[1]) * share];
}

/**
 * Return the numbers along an axis, about so many, in pixels and as text.
 *
 * @param {Scale | BandScale} scale
 * @param {number} count
 * @param {Label[]} [texts] of the bands of a band scale
 * @returns {{ at: number, text: Label }[]}
 */
export function ticks(scale, count, texts = []) {
  if ("bandwidth" in scale) return scale.domain().map((band) => ({ at: (scale(band) ?? 0) + scale.bandwidth() / 2, text: texts[band] }));
  const wanted = Math.max(2, Math.floor(count));
  // Two numbers are the least that tell a scale; round ones are sparse in a narrow frame.
  const least = d3.range(wanted, wanted + 4).find((some) => scale.ticks(some).length > 1);
  const values = least === undefined ? [] : scale.ticks(least);
  const format = isLogarithmic(scale) ? power : inFigures(values, scale.tickFormat(least));
  return values.map((value) => ({ at: scale(value), text: format(value) })).filter((tick) => tick.text);
}

/**
 * Return how the numbers along an axis are written: with a power of ten where all of them are very small or very large.
 *
 * @param {number[]} values
 * @param {(value: number) => string} usual
 * @returns {(value: number) => string}
 */
export function inFigures(values, usual) {
  const largest = Math.max(...values.map(Math.abs));
  if (!largest || (largest >= SMALL && largest < LARGE)) return (value) => written(usual(value));
  const exponent = Math.floor(Math.log10(largest));
  const factor = d3.format(".6~r");
  return (value) => (value === 0 ? "0" : written(`${factor(value / 10 ** exponent)}e${exponent}`));
}

/** Return a power of ten as text, and nothing for what lies between two. @param {number} value */
function power(value) {
  const exponent = Math.round(Math.log10(value));
  if (Math.abs(value / 10 ** exponent - 1) > 1e-6) return "";
  if (Math.abs(exponent) <= 3) return written(d3.format(".1~r")(value));
  return powerOfTen(exponent);
}

/**
 * @param {string} name
 * @param {string[]} names
 * @param {Record<string, string | number>} attributes
 */
function axisName(name, names, attributes) {
  const text = draw("text", { class: "axis-name", ...attributes });
  const html = setMaths(document.createElement("span"), name, names);
  for (const part of html.childNodes) {
    text.append(draw("tspan", { class: part.nodeName === "I" ? "italic" : null, text: part.textContent }));
  }
  return text;
}
