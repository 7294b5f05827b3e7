/** Cuts through a surface: along either axis through a point, on the surface and on its floor, with the slope of each. */

/** @import { Ground, Paint, Scene } from "./scene.js" */

import { sloping } from "./mesh.js";

const POINTS = 96; // of a cut
const MARCH = 40; // points between one on the surface and the eye at which it is looked whether the ground is higher
const NEAR = 0.006; // of all heights: how much higher ground has to be to hide something
const TANGENT = 0.2; // of the box: half of a tangent
const INKS = ["accent", "good"]; // of the cut along the first axis, and along the second

/**
 * @typedef {object} Cuts
 * @property {[across: number, up: number]} at the point, in units of the axes
 * @property {[across: number | null, up: number | null]} slopes the height for a unit of each axis, null where there is none
 */

/** @typedef {[across: number, up: number, height: number]} Spot in shares of the box and of all heights */

/**
 * Return the function that tells whether the ground between a point and the eye is higher.
 *
 * @param {Pick<Scene, "x" | "y" | "z" | "toEye">} scene
 * @param {(across: number, up: number) => number} heightAt
 * @returns {(spot: Spot) => boolean}
 */
export function hiding({ x, y, z, toEye }, heightAt) {
  // The direction that moves no pixel: toward the eye, or away from it.
  const sign = toEye[0] * x[1] - toEye[1] * x[0] >= 0 ? 1 : -1;
  const [right, ahead] = [sign * x[1], -sign * x[0]];
  const size = Math.max(Math.abs(right), Math.abs(ahead)) || 1;
  const rise = Math.abs(z) > 1 ? -(right * y[0] + ahead * y[1]) / z : Infinity;
  return ([across, up, height]) => {
    if (!Number.isFinite(rise)) return false;
    for (let step = 1; step <= MARCH; step += 1) {
      const way = step / MARCH / size;
      const [u, v, w] = [across + right * way, up + ahead * way, height + rise * way];
      if (u < 0 || u > 1 || v < 0 || v > 1 || w > 1) return false;
      if (heightAt(u, v) > w + NEAR) return true;
    }
    return false;
  };
}

/** Draw the cuts on the floor, before the surface is drawn over it. @param {Paint} paint @param {Cuts} cuts @param {Ground} ground */
export function drawCutsOnFloor({ pen, scene, ink }, { at }, { box }) {
  const point = sharesOf(at, box);
  pen.lineWidth = 1.6;
  pen.setLineDash([6, 4]);
  [0, 1].forEach((axis) => {
    pen.beginPath();
    pen.moveTo(...scene.at(...along(point, axis, 0), scene.floor));
    pen.lineTo(...scene.at(...along(point, axis, 1), scene.floor));
    pen.strokeStyle = ink(INKS[axis]);
    pen.stroke();
  });
  pen.setLineDash([]);
}

/** Draw the cuts on the surface, pale where it hides them, and the tangents at the point. @param {Paint} paint @param {Cuts} cuts @param {Ground} ground */
export function drawCutsOnSurface({ pen, scene, ink }, { at, slopes }, { box, heights }) {
  const point = sharesOf(at, box);
  const heightAt = sloping(heights);
  const isHidden = hiding(scene, heightAt);
  [0, 1].forEach((axis) => {
    const spots = d3.range(POINTS + 1).map((index) => {
      const [across, up] = along(point, axis, index / POINTS);
      return /** @type {Spot} */ ([across, up, heightAt(across, up)]);
    });
    const hidden = spots.map((spot) => isHidden(spot));
    for (const isPale of [true, false]) {
      pen.beginPath();
      spots.forEach((spot, index) => {
        if (index && hidden[index] === isPale) {
          pen.moveTo(...scene.at(...spots[index - 1]));
          pen.lineTo(...scene.at(...spot));
        }
      });
      pen.strokeStyle = ink(INKS[axis]);
      pen.lineWidth = isPale ? 1.2 : 2.8;
      pen.globalAlpha = isPale ? 0.5 : 1;
      pen.stroke();
    }
  });
  pen.globalAlpha = 1;
  const height = heightAt(...point);
  const here = scene.at(...point, height);
  const rise = heights.high - heights.low || 1;
  slopes.forEach((slope, axis) => {
    if (slope === null) return;
    const [low, high] = box[axis];
    const up = (slope * (high - low)) / rise; // of all heights, over the whole axis
    const half = TANGENT / Math.max(1, Math.abs(up));
    pen.beginPath();
    for (const way of [-half, half]) pen.lineTo(...scene.at(...along(point, axis, point[axis] + way), height + up * way));
    pen.strokeStyle = ink("warm");
    pen.lineWidth = 2.4;
    pen.stroke();
  });
  pen.beginPath();
  pen.moveTo(...scene.at(...point, scene.floor));
  pen.lineTo(...here);
  pen.setLineDash([3, 4]);
  pen.strokeStyle = ink("ink");
  pen.lineWidth = 1;
  pen.stroke();
  pen.setLineDash([]);
  pen.beginPath();
  pen.arc(...here, 5.5, 0, 2 * Math.PI);
  pen.fillStyle = ink("warm");
  pen.strokeStyle = ink("card");
  pen.lineWidth = 2;
  pen.fill();
  pen.stroke();
}

/** Return a point of a cut. @param {[number, number]} point @param {number} axis @param {number} share @returns {[number, number]} */
function along(point, axis, share) {
  return axis === 0 ? [share, point[1]] : [point[0], share];
}

/** @param {[number, number]} at @param {Ground["box"]} box @returns {[number, number]} */
function sharesOf(at, box) {
  const [across, up] = box.map(([low, high], axis) => Math.min(1, Math.max(0, (at[axis] - low) / (high - low))));
  return [across, up];
}
