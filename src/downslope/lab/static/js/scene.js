/** What lies in the box of a surface, in one view: floor, axes, cells and path, painted onto a canvas. */

/** @import { Relief } from "./mesh.js" */
/** @import { Heights, Range, Value } from "./types.d.ts" */

import { written } from "./elements.js";
import { context2d } from "./exporting.js";
import { imageOf, sloping } from "./mesh.js";

const TALL = [0.4, 0.85]; // of the surface, at least and at most, the wider side of the floor being 1
const LIFT = 0.3; // of the surface above the floor
const ROOM = [40, 26]; // pixels around the drawing, at the sides and above and below, for the numbers on the axes
const PIECES = 6; // of a step of the path, which follows the ground
const MANY = 200; // steps of a path from which on each is so short that it needs no pieces

/**
 * What a surface shows.
 *
 * @typedef {object} Ground
 * @property {string[]} over the names along both axes
 * @property {string} name of the height
 * @property {[Range, Range]} box
 * @property {Heights} heights
 * @property {number[]} levels of the lines of equal height
 * @property {(share: number, height: number, kind: number) => string} colour of a height, given also as a share of all heights
 * @property {number[]} [kinds] of the corners of the mesh, which have colours of their own
 * @property {{ colour: string, path: Path2D }[]} floor areas, in shares of the box from its lower left corner
 * @property {Path2D} [lines] on the floor, in the same shares
 */

/** @typedef {{ across: Value[], up: Value[] }} Line a path, in units of the axes */
/** @typedef {{ across: number, up: number, colour: string }} Dot a point of the floor, in units of the axes */

/** @typedef {{ pen: CanvasRenderingContext2D, scene: Scene, sharp: number, ink: (name: string) => string }} Paint */

/** Where points of the box lie on the canvas, in one view. */
export class Scene {
  /**
   * @param {[around: number, above: number]} view
   * @param {[Range, Range]} box
   * @param {{ width: number, height: number }} size
   */
  constructor([around, above], [[left, right], [low, high]], { width, height }) {
    const [azimuth, elevation] = [(around * Math.PI) / 180, (above * Math.PI) / 180];
    const spans = [right - left, high - low];
    const most = Math.max(...spans);
    // A floor as narrow as a plank shows nothing: units differ then, as in the flat picture.
    const [a, b] = Math.min(...spans) * 5 >= most ? spans.map((span) => span / most) : [1, 1];
    const [sin, cos] = [Math.sin(azimuth), Math.cos(azimuth)];
    const [tilt, rise] = [Math.sin(elevation), Math.cos(elevation)];
    const [free, clear] = [width - 2 * ROOM[0], height - 2 * ROOM[1]];
    const reach = Math.hypot(a, b);
    const scale = Math.max(1, Math.min(free / reach, clear / (reach * tilt + (TALL[0] + LIFT) * rise)));
    // A tall frame has room for higher hills.
    const tall = Math.min(TALL[1], Math.max(TALL[0], (clear / scale - reach * tilt) / Math.max(rise, 0.1) - LIFT));
    /** The height of the floor, as a share of all heights. */
    this.floor = -LIFT / tall;
    /** Toward the eye, along both axes. */
    this.toEye = [cos, sin];
    this.x = [-sin * a * scale, cos * b * scale];
    this.y = [tilt * cos * a * scale, tilt * sin * b * scale];
    this.z = -rise * tall * scale;
    this.origin = [width / 2 - (this.x[0] + this.x[1]) / 2, height / 2 - (this.y[0] + this.y[1]) / 2 - (this.z * (1 + this.floor)) / 2];
  }

  /**
   * Return the pixels of a point.
   *
   * @param {number} across share of the box
   * @param {number} up share of the box
   * @param {number} height share of all heights
   * @returns {[number, number]}
   */
  at(across, up, height) {
    return [this.origin[0] + across * this.x[0] + up * this.x[1], this.origin[1] + across * this.y[0] + up * this.y[1] + height * this.z];
  }
}

/** @param {Paint} paint @param {Ground} ground */
export function drawFloor({ pen, scene, sharp, ink }, { floor, lines }) {
  const [left, top] = scene.at(0, 0, scene.floor);
  pen.save();
  pen.setTransform(sharp * scene.x[0], sharp * scene.y[0], sharp * scene.x[1], sharp * scene.y[1], sharp * left, sharp * top);
  for (const { colour, path } of floor) {
    pen.fillStyle = colour;
    pen.fill(path, "evenodd");
  }
  pen.restore();
  if (lines) {
    const laid = new Path2D();
    laid.addPath(lines, new DOMMatrix([scene.x[0], scene.y[0], scene.x[1], scene.y[1], left, top]));
    pen.strokeStyle = ink("level");
    pen.lineWidth = 0.9;
    pen.globalAlpha = 0.5;
    pen.stroke(laid);
    pen.globalAlpha = 1;
  }
  outline({ pen, scene }, scene.floor);
  pen.strokeStyle = ink("line");
  pen.lineWidth = 1;
  pen.stroke();
}

/** @param {Paint} paint @param {Dot[]} dots @param {Ground} ground */
export function drawDots({ pen, scene }, dots, { box: [[left, right], [low, high]] }) {
  for (const { across, up, colour } of dots) {
    const [x, y] = scene.at((across - left) / (right - left), (up - low) / (high - low), scene.floor);
    pen.beginPath();
    pen.arc(x, y, 2.2, 0, 2 * Math.PI);
    pen.fillStyle = colour;
    pen.fill();
  }
}

/** @param {Paint} paint @param {Line} line @param {number} row @param {Ground} ground */
export function drawOnFloor(paint, line, row, ground) {
  drawPath(paint, line, row, ground, () => 0, true);
}

/** Begin the path around the box at a height. @param {{ pen: CanvasRenderingContext2D, scene: Scene }} paint @param {number} height */
function outline({ pen, scene }, height) {
  pen.beginPath();
  for (const [across, up] of [[0, 0], [1, 0], [1, 1], [0, 1]]) pen.lineTo(...scene.at(across, up, height));
  pen.closePath();
}

/**
 * Paint the surface, with `fine` pixels of its image for one of the canvas along each side.
 *
 * @param {Paint} paint
 * @param {Relief} mesh
 * @param {HTMLCanvasElement} sheet a canvas of its own, to be painted over the others
 * @param {{ width: number, height: number, fine: number }} size of the canvas, and pixels of the image for one of it
 */
export function drawMesh({ pen, scene }, mesh, sheet, { width, height, fine }) {
  const [wide, tall] = [Math.round(width * fine), Math.round(height * fine)];
  if (sheet.width !== wide || sheet.height !== tall) Object.assign(sheet, { width: wide, height: tall });
  context2d(sheet).putImageData(imageOf(mesh, scene, { width: wide, height: tall }, fine), 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(sheet, 0, 0, width, height);
}

/**
 * Draw a path: all of it thin, up to a row thick.
 *
 * @param {Paint} paint
 * @param {Line} line
 * @param {number} row
 * @param {Ground} ground
 * @param {(across: number, up: number) => number} heightAt
 * @param {boolean} isFloor
 */
function drawPath({ pen, scene, ink }, line, row, ground, heightAt, isFloor) {
  const points = inBox(line, ground.box);
  if (!points.length) return;
  const walked = points.findLastIndex((each) => each.row <= row);
  for (const [until, width, alpha] of [[points.length - 1, 1.4, 0.6], [walked, isFloor ? 1.6 : 2.6, isFloor ? 0.6 : 1]]) {
    pen.beginPath();
    for (const { point, isFirst } of points.slice(0, until + 1)) {
      const at = scene.at(...point, isFloor ? scene.floor : heightAt(...point));
      if (isFirst) pen.moveTo(...at);
      else pen.lineTo(...at);
    }
    pen.strokeStyle = ink("warm");
    pen.lineWidth = width;
    pen.globalAlpha = alpha;
    pen.stroke();
  }
  pen.globalAlpha = 1;
}

/**
 * Draw the path on the surface, the dot of the selected row and the plumb line below it.
 *
 * @param {Paint} paint
 * @param {Line} line
 * @param {number} row
 * @param {Ground} ground
 */
export function drawOnSurface(paint, line, row, ground) {
  const { pen, scene, ink } = paint;
  const heightAt = sloping(ground.heights);
  drawPath(paint, line, row, ground, heightAt, false);
  /** @param {number} at */
  const spot = (at) => toShares(line, at, ground.box);
  const [start, end, here] = [spot(0), spot(line.across.length - 1), spot(row)];
  /** @type {(point: [number, number] | null, radius: number, fill: string, edge: string, width: number) => void} */
  const dot = (point, radius, fill, edge, width) => {
    if (!point) return;
    pen.beginPath();
    pen.arc(...scene.at(...point, heightAt(...point)), radius, 0, 2 * Math.PI);
    pen.fillStyle = ink(fill);
    pen.strokeStyle = ink(edge);
    pen.lineWidth = width;
    pen.fill();
    pen.stroke();
  };
  if (here) {
    pen.beginPath();
    pen.moveTo(...scene.at(...here, scene.floor));
    pen.lineTo(...scene.at(...here, heightAt(...here)));
    pen.setLineDash([3, 4]);
    pen.strokeStyle = ink("ink");
    pen.lineWidth = 1;
    pen.stroke();
    pen.setLineDash([]);
  }
  dot(end, 3.5, "card", "warm", 2);
  dot(start, 5, "card", "warm", 2.4);
  dot(here, 5.5, "warm", "card", 2);
}

/** @param {Paint} paint @param {Ground} ground */
export function drawAxes({ pen, scene, ink }, { over, name, box, heights }) {
  const near = scene.toEye.map((component) => (component >= 0 ? 1 : 0));
  const [edgeUp, edgeAcross] = [near[1], near[0]];
  pen.fillStyle = ink("soft");
  pen.strokeStyle = ink("edge");
  pen.lineWidth = 1;
  /** @type {(at: [number, number], from: [number, number], text: string, isName: boolean) => void} */
  const label = (at, from, text, isName) => {
    const away = Math.hypot(at[0] - from[0], at[1] - from[1]) || 1;
    const [right, down] = [(at[0] - from[0]) / away, (at[1] - from[1]) / away];
    const out = isName ? 36 : 13;
    pen.textAlign = Math.abs(right) < 0.3 ? "center" : right > 0 ? "left" : "right";
    pen.textBaseline = "middle";
    pen.fillText(text, at[0] + right * out, at[1] + down * out);
    if (isName) return;
    pen.beginPath();
    pen.moveTo(...at);
    pen.lineTo(at[0] + right * 4, at[1] + down * 4);
    pen.stroke();
  };
  const middle = scene.at(0.5, 0.5, scene.floor);
  /** @type {(share: number) => [number, number]} */
  const alongAcross = (share) => scene.at(share, edgeUp, scene.floor);
  /** @type {(share: number) => [number, number]} */
  const alongUp = (share) => scene.at(edgeAcross, share, scene.floor);
  for (const [axis, along] of /** @type {const} */ ([[0, alongAcross], [1, alongUp]])) {
    const [low, high] = box[axis];
    const scale = d3.scaleLinear([low, high], [0, 1]);
    const away = outward(along(0.5), middle);
    const length = Math.hypot(along(1)[0] - along(0)[0], along(1)[1] - along(0)[1]);
    if (length > 60) {
      const format = scale.tickFormat(length / 70);
      for (const value of scale.ticks(Math.max(2, length / 70))) {
        const at = along(scale(value));
        label(at, [at[0] - away[0], at[1] - away[1]], written(format(value)), false);
      }
    }
    const at = along(0.5);
    pen.fillStyle = ink("ink");
    pen.font = pen.font.replace(/^(italic )?12px/, "italic 14px");
    label(at, [at[0] - away[0], at[1] - away[1]], over[axis], true);
    pen.font = pen.font.replace(/^italic 14px/, "12px");
    pen.fillStyle = ink("soft");
  }
  // The height stands on the corner farthest to the left, which the surface never hides.
  if (Math.abs(scene.z) < 40) return;
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([across, up]) => ({ across, up, left: scene.at(across, up, 0)[0] }));
  const { across, up } = corners.reduce((best, corner) => (corner.left < best.left ? corner : best));
  pen.beginPath();
  pen.moveTo(...scene.at(across, up, 0));
  pen.lineTo(...scene.at(across, up, 1));
  pen.stroke();
  const scale = d3.scaleLinear([heights.low, heights.high], [0, 1]);
  const wanted = Math.max(2, Math.abs(scene.z) / 44);
  const format = scale.tickFormat(wanted);
  for (const value of scale.ticks(wanted)) {
    const at = scene.at(across, up, scale(value));
    label(at, [at[0] + 1, at[1]], written(format(value)), false);
  }
  const top = scene.at(across, up, 1);
  pen.fillStyle = ink("ink");
  pen.textAlign = "right";
  pen.font = pen.font.replace(/^12px/, "italic 14px");
  pen.fillText(name, Math.max(top[0] + 8, 2 + pen.measureText(name).width), top[1] - 14);
}

/** Return the unit vector from one point to another. @param {[number, number]} to @param {[number, number]} from */
function outward(to, from) {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  return [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
}

/** @param {Line} line @param {number} row @param {[Range, Range]} box @returns {[number, number] | null} */
function toShares({ across, up }, row, [[left, right], [low, high]]) {
  const [x, y] = [across[row], up[row]];
  if (x === null || y === null || x === undefined || y === undefined) return null;
  const shares = /** @type {[number, number]} */ ([(x - left) / (right - left), (y - low) / (high - low)]);
  return shares.every((share) => share >= 0 && share <= 1) ? shares : null;
}

/**
 * Return the points of a path that lie in the box, with points between them; the first of each piece within is marked.
 *
 * @param {Line} line
 * @param {[Range, Range]} box
 */
export function inBox(line, box) {
  /** @type {{ point: [number, number], row: number, isFirst: boolean }[]} */
  const points = [];
  const pieces = line.across.length > MANY ? 1 : PIECES;
  for (let row = 0; row < line.across.length; row += 1) {
    const point = toShares(line, row, box);
    if (!point) continue;
    const before = points.at(-1);
    if (!before || before.row !== row - 1) {
      points.push({ point, row, isFirst: true });
      continue;
    }
    const [[x, y], [across, up]] = [before.point, point];
    for (let piece = 1; piece < pieces; piece += 1) {
      const share = piece / pieces;
      points.push({ point: [x + (across - x) * share, y + (up - y) * share], row: row - 1 + share, isFirst: false });
    }
    points.push({ point, row, isFirst: false });
  }
  return points;
}
