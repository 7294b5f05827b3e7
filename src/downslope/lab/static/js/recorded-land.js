/** The part of a recorded objective that a picture shows: cut out in the page, since pictures have every shape. */

/** @import { Heights, Range } from "./types.d.ts" */
/** @typedef {import("./types.d.ts").Grid} Land */
/** @typedef {Record<string, Range>} Box */

const ALIKE = 5; // the ratio of two ranges up to which a unit is as long along both, as the lab has it

/**
 * Return the objective in a box, filled to the shape of the picture and cut off where nothing was recorded.
 *
 * @param {Land[]} lands the smallest first
 * @param {{ ratio?: number | null, equal?: boolean | null }} request
 * @param {Box} box
 * @returns {Land}
 */
export function landIn(lands, { ratio, equal }, box) {
  const whole = lands[lands.length - 1];
  const wanted = within(filled(within(box, whole), whole.over, ratio ?? null, equal ?? null), whole);
  const land = lands.find((smaller) => whole.over.every((name) => covers(smaller.box[name], wanted[name]))) ?? whole;
  return cut(land, wanted);
}

/**
 * @param {Range} outer
 * @param {Range} inner
 */
function covers([low, high], [from, to]) {
  const slack = 1e-9 * (high - low);
  return low <= from + slack && to <= high + slack;
}

/**
 * Return a box moved and cut so that it lies in a land.
 *
 * @param {Box} box
 * @param {Land} land
 * @returns {Box}
 */
function within(box, land) {
  return Object.fromEntries(land.over.map((name) => {
    const [least, most] = land.box[name];
    const [low, high] = box?.[name] ?? land.box[name];
    const [from, to] = [Math.max(least, Math.min(low, most)), Math.min(most, Math.max(high, least))];
    return [name, to - from > 1e-6 * (most - least) ? [from, to] : [least, most]];
  }));
}

/**
 * Return a box of two variables widened to the shape of the picture, so that a unit is as long along both.
 *
 * @param {Box} box
 * @param {string[]} over
 * @param {number | null} ratio
 * @param {boolean | null} equal
 * @returns {Box}
 */
function filled(box, over, ratio, equal) {
  const [across, up] = over.map((name) => box[name][1] - box[name][0]);
  if (up === undefined || !ratio || !(equal ?? Math.max(across, up) <= ALIKE * Math.min(across, up))) return box;
  const height = Math.max(across / ratio, up);
  return Object.fromEntries(over.map((name, axis) => {
    const [low, high] = box[name];
    const slack = ((axis ? height : height * ratio) - (high - low)) / 2;
    return [name, [low - slack, high + slack]];
  }));
}

/**
 * Return a land in a smaller box.
 *
 * @param {Land} land
 * @param {Box} box
 * @returns {Land}
 */
function cut(land, box) {
  if (land.over.length === 1) return cutCurve(land, box);
  const maps = land.over.map((name) => {
    const [[low, high], [from, to]] = [land.box[name], box[name]];
    const [scale, shift] = [(high - low) / (to - from), ((low - from) / (to - from)) * land.cells];
    return (/** @type {number} */ cell) => cell * scale + shift;
  });
  /** @param {number[]} points */
  const moved = (points) => points.map((cell, index) => maps[index % 2](cell));
  return {
    ...land, box,
    heights: land.heights && meshOf(land.heights, land.over.map((name) => [land.box[name], box[name]])),
    bands: land.bands.map((band) => ({
      ...band, polygons: band.polygons.map((rings) => rings.map((ring) => ringWithin(moved(ring), land.cells)).filter((ring) => ring.length)),
    })),
    lines: land.lines.map(({ level, lines }) => ({ level, lines: lines.flatMap((line) => linesWithin(moved(line), land.cells)) })),
  };
}

/** The edges of a square from 0 to `most`, as functions that are negative beyond them. @type {((x: number, y: number, most: number) => number)[]} */
const EDGES = [(x) => x, (x, y, most) => most - x, (_, y) => y, (_, y, most) => most - y];

/**
 * Return the part of a closed line that lies in a square, closed along its edges.
 *
 * @param {number[]} ring its last point is its first
 * @param {number} most
 */
function ringWithin(ring, most) {
  let points = ring.slice(0, -2);
  for (const beyond of EDGES) {
    /** @type {number[]} */
    const kept = [];
    for (let index = 0; index < points.length; index += 2) {
      const before = (index + points.length - 2) % points.length;
      const [from, to] = [before, index].map((at) => beyond(points[at], points[at + 1], most));
      if (from < 0 !== to < 0) kept.push(...pointOn(points, before, index, from / (from - to)));
      if (to >= 0) kept.push(points[index], points[index + 1]);
    }
    points = kept;
  }
  return points.length ? [...points, points[0], points[1]] : [];
}

/**
 * Return the parts of a line that lie in a square.
 *
 * @param {number[]} line
 * @param {number} most
 */
function linesWithin(line, most) {
  /** @type {number[][]} */
  const parts = [];
  let isOpen = false;
  for (let index = 2; index < line.length; index += 2) {
    let [enter, leave] = [0, 1];
    for (const beyond of EDGES) {
      const [from, to] = [index - 2, index].map((at) => beyond(line[at], line[at + 1], most));
      if (from < 0 && to < 0) leave = -1;
      else if (from < 0) enter = Math.max(enter, from / (from - to));
      else if (to < 0) leave = Math.min(leave, from / (from - to));
    }
    if (enter >= leave) {
      isOpen = false;
      continue;
    }
    if (!isOpen || enter > 0) parts.push(pointOn(line, index - 2, index, enter));
    parts[parts.length - 1].push(...pointOn(line, index - 2, index, leave));
    isOpen = leave === 1;
  }
  return parts;
}

/**
 * Return the point of a line at a share of the way from one of its points to another.
 *
 * @param {number[]} line
 * @param {number} from
 * @param {number} to
 * @param {number} share
 */
function pointOn(line, from, to, share) {
  return [0, 1].map((axis) => (share === 1 ? line[to + axis] : line[from + axis] + (line[to + axis] - line[from + axis]) * share));
}

/**
 * Return the heights of a surface in a smaller box: between the recorded corners, on lines from one to the next.
 *
 * @param {Heights} heights
 * @param {[whole: Range, part: Range][]} axes
 * @returns {Heights}
 */
function meshOf(heights, axes) {
  const { side, values, steps, low, high } = heights;
  const places = axes.map(([[least, most], [from, to]]) => Array.from({ length: side }, (_, index) => {
    const at = ((from + ((to - from) * index) / (side - 1) - least) / (most - least)) * (side - 1);
    const first = Math.min(side - 2, Math.max(0, Math.floor(at)));
    return { first, share: Math.min(1, Math.max(0, at - first)) };
  }));
  const inside = places[1].flatMap((up) => places[0].map((across) => {
    const corner = up.first * side + across.first;
    const [a, b, c, d] = [corner, corner + 1, corner + side, corner + side + 1].map((index) => values[index]);
    const below = a + (b - a) * across.share, above = c + (d - c) * across.share;
    return Math.min(a, b, c, d) < 0 ? -1 : below + (above - below) * up.share;
  }));
  const there = inside.filter((value) => value >= 0);
  const [least, most] = [Math.min(...there), Math.max(...there)];
  if (!(most > least)) return heights;
  const scale = (high - low) / steps;
  return {
    side, steps, low: low + least * scale, high: low + most * scale,
    values: inside.map((value) => (value < 0 ? -1 : Math.round(((value - least) / (most - least)) * steps))),
  };
}

/**
 * @param {Land} land
 * @param {Box} box
 * @returns {Land}
 */
function cutCurve(land, box) {
  const [name] = land.over;
  const [[from, to], [low, high]] = [box[name], land.box[name]];
  if (from === low && to === high) return land;
  const heights = land.curve.f.filter((value, index) => value !== null && between(land.curve[name][index], from, to));
  const ends = /** @type {Range} */ ([Math.min(.../** @type {number[]} */ (heights)), Math.max(.../** @type {number[]} */ (heights))]);
  return { ...land, box, f_range: ends[0] < ends[1] ? ends : land.f_range };
}

/**
 * @param {number | null} value
 * @param {number} from
 * @param {number} to
 */
function between(value, from, to) {
  return value !== null && from <= value && value <= to;
}
