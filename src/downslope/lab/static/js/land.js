/** An objective as a picture: bands and lines of equal height over two variables, or the curve over one. */

/** @import { Label } from "./labels.js" */
/** @import { Grid, Point, Scale } from "./types.d.ts" */

import { draw, written } from "./elements.js";
import { through } from "./frame.js";
import { roomOf } from "./labels.js";

const LABEL_GAP = 64; // pixels between two labels of heights
const LABEL_EDGE = 22; // and from them to the frame
const LABEL_CLEAR = 20; // and from them to the path
const DIGITS = 3; // of a height

/**
 * Draw an objective into a layer; gives the labels of its heights.
 *
 * @param {Element} layer
 * @param {Grid} grid
 * @param {Scale} x
 * @param {Scale} y
 * @param {{ labels?: boolean, clear?: Point[] }} [options] whether heights are written, and the pixels that they keep off
 * @returns {Label[]}
 */
export function drawLand(layer, grid, x, y, { labels = true, clear = [] } = {}) {
  if (grid.over.length === 1) {
    drawCurve(layer, grid, x, y);
    return [];
  }
  const toPixels = pixelsOf(grid, x, y);
  const bands = grid.bands.map((band) => {
    const shape = draw("path", { class: "band", d: band.polygons.flat().map((ring) => outline(toPixels(ring), true)).join("") });
    shape.style.setProperty("--shade", `${(100 * band.shade).toFixed(1)}%`);
    return shape;
  });
  const lines = grid.lines.map(({ level, lines: pieces }) => ({ level, pieces: pieces.map(toPixels) }));
  const levels = lines.map(({ pieces }) => draw("path", { class: "level", d: pieces.map((piece) => outline(piece, false)).join("") }));
  const named = labels ? heights(lines, x, y, clear) : [];
  layer.replaceChildren(...bands, ...levels, ...named.map(({ element }) => element));
  return named;
}

/** Return the function from a height to the colour of its band. @param {Grid} grid @returns {(height: number) => string} */
export function coloursOf({ bands }) {
  const style = getComputedStyle(document.documentElement);
  const [low, high] = ["--land-low", "--land-high"].map((name) => style.getPropertyValue(name).trim());
  const mixed = bands.map(({ shade }) => d3.interpolateRgb(low, high)(shade));
  const floors = bands.map(({ level }) => level);
  return (value) => mixed[Math.max(0, d3.bisectRight(floors, value) - 1)] ?? low;
}

/**
 * Return what lies on the floor of a surface, in shares of the box: the bands as areas, each with its colour, and the lines.
 *
 * @param {Grid} grid
 * @param {(height: number) => string} colours
 */
export function floorOf({ bands, lines, cells }, colours) {
  /** @type {(path: Path2D, points: number[]) => void} */
  const trace = (path, points) => {
    for (let index = 0; index < points.length; index += 2) {
      if (index) path.lineTo(points[index] / cells, points[index + 1] / cells);
      else path.moveTo(points[index] / cells, points[index + 1] / cells);
    }
  };
  const drawn = new Path2D();
  for (const line of lines.flatMap(({ lines: pieces }) => pieces)) trace(drawn, line);
  const floor = bands.map(({ level, polygons }) => {
    const path = new Path2D();
    for (const ring of polygons.flat()) {
      trace(path, ring);
      path.closePath();
    }
    return { colour: colours(level), path };
  });
  return { floor, lines: drawn };
}

/**
 * Return the function from points in cells of the grid to pixels, both as across, up, across, up, ….
 *
 * @param {Grid} grid
 * @param {Scale} x
 * @param {Scale} y
 * @returns {(cells: number[]) => number[]}
 */
function pixelsOf(grid, x, y) {
  const [[left, right], [bottom, top]] = [x, y].map((scale, index) => grid.box[grid.over[index]].map((end) => scale(end)));
  const [across, up] = [(right - left) / grid.cells, (top - bottom) / grid.cells];
  return (cells) => cells.map((cell, index) => (index % 2 ? bottom + cell * up : left + cell * across));
}

/** Return the path through pixels, to a tenth of one. @param {number[]} pixels @param {boolean} isRing */
function outline(pixels, isRing) {
  let path = "";
  const end = isRing ? pixels.length - 2 : pixels.length; // the last point of a ring is its first
  for (let index = 0; index < end; index += 2) {
    path += `${index ? "L" : "M"}${Math.round(10 * pixels[index]) / 10},${Math.round(10 * pixels[index + 1]) / 10}`;
  }
  return isRing ? `${path}Z` : path;
}

/**
 * Return the pixel height of the drawn curve above a pixel of the axis.
 *
 * @param {Grid} grid
 * @param {Scale} x
 * @param {Scale} y
 * @param {number} across
 */
export function heightOn(grid, x, y, across) {
  const along = alongOf(grid);
  const index = d3.bisectLeft(along, x.invert(across));
  const [before, after] = [Math.max(0, index - 1), Math.min(along.length - 1, index)];
  const [low, high] = [grid.curve.f[before], grid.curve.f[after]];
  if (low === null || high === null) return y.range()[0];
  const share = before === after ? 0 : (across - x(along[before])) / (x(along[after]) - x(along[before]));
  return y(low) + (y(high) - y(low)) * Math.min(1, Math.max(0, share));
}

/**
 * @param {Element} layer
 * @param {Grid} grid
 * @param {Scale} x
 * @param {Scale} y
 */
function drawCurve(layer, grid, x, y) {
  const along = alongOf(grid);
  /** @type {Point[][]} */
  const pieces = [[]];
  grid.curve.f.forEach((value, index) => {
    if (value === null) pieces.push([]);
    else pieces[pieces.length - 1].push([x(along[index]), y(value)]);
  });
  const zero = y(0);
  const [bottom, top] = y.range();
  const axis = zero < bottom && zero > top ? [draw("line", { class: "zero", x1: x.range()[0], x2: x.range()[1], y1: zero, y2: zero })] : [];
  layer.replaceChildren(...axis, draw("path", { class: "curve", d: pieces.map(unbroken).join("") }));
}

/** Return the abscissae of a curve, which are finite. @param {Grid} grid */
function alongOf(grid) {
  return /** @type {number[]} */ (grid.curve[grid.over[0]]);
}

/** Return the path of one piece of the curve; what is far outside bends it, but cannot be seen. @param {Point[]} points */
function unbroken(points) {
  return through(points.map(([across, up]) => [across, Math.max(-9e4, Math.min(9e4, up))]));
}

/**
 * Write the heights of the lines anew, off a path that has moved; gives their labels.
 *
 * @param {Element} layer
 * @param {Grid} grid
 * @param {Scale} x
 * @param {Scale} y
 * @param {Point[]} clear the pixels to keep off
 * @returns {Label[]}
 */
export function relabel(layer, grid, x, y, clear) {
  if (grid.over.length === 1) return [];
  const toPixels = pixelsOf(grid, x, y);
  for (const label of [...layer.querySelectorAll(".height")]) label.remove();
  const labels = heights(grid.lines.map(({ level, lines }) => ({ level, pieces: lines.map(toPixels) })), x, y, clear);
  layer.append(...labels.map(({ element }) => element));
  return labels;
}

/**
 * Return labels for the lines, where there is room for them.
 *
 * @param {{ level: number, pieces: number[][] }[]} lines in pixels
 * @param {Scale} x
 * @param {Scale} y
 * @param {Point[]} clear the pixels to keep off
 * @returns {Label[]}
 */
function heights(lines, x, y, clear) {
  const [left, right] = x.range();
  const [bottom, top] = y.range();
  const isTaken = closeTo(clear);
  /** @type {Point[]} */
  const taken = [];
  const labels = [];
  for (const { level, pieces } of lines) {
    /** @type {{ at: Point, merit: number } | null} */
    let best = null;
    for (const at of pieces.flatMap(inPairs)) {
      if (at[0] < left + LABEL_EDGE || at[0] > right - LABEL_EDGE || at[1] < top + LABEL_EDGE || at[1] > bottom - LABEL_EDGE) continue;
      if (taken.some((other) => Math.hypot(other[0] - at[0], other[1] - at[1]) < LABEL_GAP)) continue;
      if (isTaken(at)) continue;
      // Along the right lower diagonal they read as one scale.
      const merit = at[0] / (right - left) + at[1] / (bottom - top) - 2 * Math.abs(at[0] / (right - left) - at[1] / (bottom - top));
      if (!best || merit > best.merit) best = { at, merit };
    }
    if (!best) continue;
    taken.push(best.at);
    const text = inFigures(level);
    const element = draw("text", { class: "height", x: best.at[0].toFixed(1), y: best.at[1].toFixed(1), dy: "0.32em", "text-anchor": "middle", text });
    labels.push({ element, room: roomOf(text, best.at) });
  }
  return labels;
}

/** Return the function that tells whether a point is close to one of these; by squares, since a path has hundreds. @param {Point[]} points */
export function closeTo(points) {
  /** @param {number} across @param {number} up */
  const square = (across, up) => 4096 * Math.floor(up / LABEL_CLEAR) + Math.floor(across / LABEL_CLEAR);
  const squares = new Set(points.map(([across, up]) => square(across, up)));
  const around = [-LABEL_CLEAR, 0, LABEL_CLEAR];
  /** @param {Point} at */
  return ([across, up]) => squares.size > 0 && around.some((right) => around.some((down) => squares.has(square(across + right, up + down))));
}

/** Return pixels two by two. @param {number[]} pixels @returns {Point[]} */
function inPairs(pixels) {
  return Array.from({ length: pixels.length / 2 }, (_, index) => [pixels[2 * index], pixels[2 * index + 1]]);
}

/** Return a height as text, with the decimal mark of the page. @param {number} level */
function inFigures(level) {
  const size = Math.abs(level);
  return written(d3.format(size !== 0 && (size < 1e-3 || size >= 1e5) ? `.${DIGITS - 1}~e` : `.${DIGITS}~r`)(level));
}
