/** The part of a recorded objective that a picture shows: cut out in the page, since pictures have every shape. */

/** @import { Range } from "./types.d.ts" */
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
    bands: land.bands.map((band) => ({ ...band, polygons: band.polygons.map((rings) => rings.map(moved)) })),
    lines: land.lines.map(({ level, lines }) => ({ level, lines: lines.map(moved) })),
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
