/** The surface: its heights between the corners, where it lies in a view, and its image. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { imageOf, relief, sloping } from "../../../src/downslope/lab/static/js/mesh.js";
import { Scene, inBox } from "../../../src/downslope/lab/static/js/scene.js";

globalThis.ImageData = class {
  constructor(data, width, height) {
    Object.assign(this, { data, width, height });
  }
};
const BOX = [[-2, 2], [0, 3]];
const SIZE = { width: 300, height: 240 };
/** Heights of a function on a mesh. */
const meshOf = (height, side = 21) => ({
  low: 0, high: 1, steps: 1000, side,
  values: Array.from({ length: side * side }, (_, index) => Math.round(1000 * height((index % side) / (side - 1), Math.floor(index / side) / (side - 1)))),
});
const groundOf = (heights) => ({ heights, levels: [0.25, 0.5, 0.75], colour: () => "#8899aa" });
const filled = ({ data }) => data.filter((_, index) => index % 4 === 3 && data[index] === 255).length;

test("between the corners a height is that of the plane through them", () => {
  const height = sloping(meshOf((across, up) => 0.3 * across + 0.5 * up));
  for (const [across, up] of [[0, 0], [0.123, 0.456], [1, 1], [0.5, 0.999]]) assert.ok(Math.abs(height(across, up) - 0.3 * across - 0.5 * up) < 1e-3);
});

test("from above the surface lies as the flat picture does", () => {
  const scene = new Scene([-90, 90], BOX, SIZE);
  const [left, right] = [scene.at(0, 0.5, 0), scene.at(1, 0.5, 0)];
  const [low, high] = [scene.at(0.5, 0, 0.7), scene.at(0.5, 1, 0)];
  assert.ok(right[0] > left[0] && Math.abs(right[1] - left[1]) < 1e-9);
  assert.ok(high[1] < low[1] && Math.abs(high[0] - low[0]) < 1e-9);
  assert.ok(Math.abs((right[0] - left[0]) / (low[1] - high[1]) - 4 / 3) < 1e-9, "a unit is as long along both");
});

test("in every view all of the box is on the canvas, and higher is farther up", () => {
  for (let around = -180; around < 180; around += 24) {
    for (const above of [0, 20, 55, 90]) {
      const scene = new Scene([around, above], BOX, SIZE);
      for (const height of [scene.floor, 0, 1]) {
        for (const [across, up] of [[0, 0], [1, 0], [1, 1], [0, 1]]) {
          const [x, y] = scene.at(across, up, height);
          assert.ok(x > 0 && x < SIZE.width && y > 0 && y < SIZE.height, `${around} ${above}`);
        }
      }
      assert.ok(scene.at(0, 0, 1)[1] <= scene.at(0, 0, 0)[1] + 1e-9);
    }
  }
});

test("the image covers what the corners span, and leaves open what has no height", () => {
  const scene = new Scene([-90, 90], BOX, SIZE);
  const whole = imageOf(relief(groundOf(meshOf((across) => 0.5 * across)), "#203040"), scene, SIZE, 1);
  const spans = (scene.at(1, 0, 0)[0] - scene.at(0, 0, 0)[0]) * (scene.at(0, 0, 0)[1] - scene.at(0, 1, 0)[1]);
  assert.ok(Math.abs(filled(whole) / spans - 1) < 0.03);
  const half = meshOf((across) => 0.5 * across);
  half.values = half.values.map((value, index) => (index % 21 < 10 ? -1 : value));
  assert.ok(Math.abs(filled(imageOf(relief(groundOf(half), "#203040"), scene, SIZE, 1)) / spans - 0.5) < 0.05);
  const lid = imageOf(relief(groundOf(meshOf(() => 1.001)), "#203040"), scene, SIZE, 1);
  assert.equal(filled(lid), 0);
  const top = imageOf(relief(groundOf(meshOf(() => 1)), "#203040"), scene, SIZE, 1); // as high as can be, and not cut off
  assert.ok(Math.abs(filled(top) / spans - 1) < 0.03);
});

test("the lines of an image lie where its heights cross the levels", () => {
  const scene = new Scene([-90, 90], BOX, SIZE);
  const { data } = imageOf(relief(groundOf(meshOf((across) => across)), "#000000"), scene, SIZE, 1);
  const row = Math.round(scene.at(0, 0.5, 0)[1]);
  const tones = Array.from({ length: SIZE.width }, (_, column) => data[4 * (row * SIZE.width + column)]);
  const dark = tones.flatMap((tone, column) => (tone > 0 && tone < Math.max(tones[column - 1], tones[column + 1]) - 20 ? [column] : []));
  const expected = [0.25, 0.5, 0.75].map((share) => scene.at(share, 0, 0)[0]);
  assert.equal(dark.length, 3);
  dark.forEach((column, index) => assert.ok(Math.abs(column - expected[index]) < 2));
});

test("a path follows the ground between two steps, and has a gap where it leaves the box", () => {
  const points = inBox({ across: [-2, 0, 9, 1, 2], up: [0, 1, 1, 2, 3] }, BOX);
  assert.deepEqual(points.filter(({ isFirst }) => isFirst).map(({ row }) => row), [0, 3]);
  assert.ok(points.filter(({ row }) => row > 0 && row < 1).length >= 4);
  assert.ok(points.every(({ point }) => point.every((share) => share >= 0 && share <= 1)));
});
