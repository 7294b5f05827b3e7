/** Labels in a picture: the room that they take, a place where one covers nothing, and those that other marks cover. */

/** @import { Point } from "./types.d.ts" */

const FONT = 13.5; // pixels: of the largest heights, which are those of the teachers' view
const LETTER = 0.6; // of the size of a font: the width of a letter, about
const TALL = 1.2; // and the height of a line
const HALO = 2; // pixels around a label in which nothing else may lie
const PIECE = 4; // pixels between two points of a line that are looked at
/** How bad it is to cover a label, to lie outside of the plot, or on a line. */
const COST = { room: 10, outside: 20, line: 3 };

/** @typedef {[left: number, top: number, right: number, bottom: number]} Room in pixels */
/** @typedef {{ element: Element, room: Room }} Label */
/** @typedef {[from: Point, to: Point]} Stroke */
/** @typedef {{ lines?: Stroke[], rooms?: Room[] }} Marks what lies in a picture besides labels */

/**
 * Return the room of a text that stands around a point.
 *
 * @param {string} text
 * @param {Point} at
 * @param {number} [size] of its font, in pixels
 * @returns {Room}
 */
export function roomOf(text, [x, y], size = FONT) {
  const [wide, high] = [text.length * size * LETTER, size * TALL].map((extent) => extent / 2 + HALO);
  return [x - wide, y - high, x + wide, y + high];
}

/** Return the room of a disc. @param {Point} at @param {number} radius @returns {Room} */
export function disc([x, y], radius) {
  return [x - radius, y - radius, x + radius, y + radius];
}

/**
 * Return the place where a text covers least; of equal ones the first.
 *
 * @param {Point[]} places
 * @param {string} text
 * @param {Marks & { size?: number, within?: Room }} around
 * @returns {Point}
 */
export function freest(places, text, { lines = [], rooms = [], size = 13, within }) {
  /** @param {Point} spot */
  const cost = (spot) => {
    const room = roomOf(text, spot, size);
    const isOut = within && (room[0] < within[0] || room[1] < within[1] || room[2] > within[2] || room[3] > within[3]);
    return (isOut ? COST.outside : 0) + COST.room * rooms.filter((other) => meet(room, other)).length + COST.line * lines.filter((line) => crosses(line, room)).length;
  };
  return places[Math.max(0, d3.minIndex(places, cost))];
}

/** Hide the labels that marks cover, and show the others. @param {Label[]} labels @param {Marks} marks */
export function hideCovered(labels, { lines = [], rooms = [] }) {
  for (const { element, room } of labels) {
    element.toggleAttribute("hidden", rooms.some((other) => meet(room, other)) || lines.some((line) => crosses(line, room)));
  }
}

/** Whether two rooms overlap. @param {Room} room @param {Room} other */
export function meet(room, other) {
  return room[0] < other[2] && other[0] < room[2] && room[1] < other[3] && other[1] < room[3];
}

/** Whether a line goes through a room. @param {Stroke} line @param {Room} room */
export function crosses([[fromX, fromY], [toX, toY]], [left, top, right, bottom]) {
  if (Math.max(fromX, toX) < left || Math.min(fromX, toX) > right || Math.max(fromY, toY) < top || Math.min(fromY, toY) > bottom) return false;
  const pieces = Math.min(1000, Math.ceil(Math.hypot(toX - fromX, toY - fromY) / PIECE)) || 1;
  return d3.range(pieces + 1).some((piece) => {
    const [x, y] = [fromX + ((toX - fromX) * piece) / pieces, fromY + ((toY - fromY) * piece) / pieces];
    return x >= left && x <= right && y >= top && y <= bottom;
  });
}
