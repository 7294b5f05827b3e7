/** The ground as it is drawn: a curve with its gaps, or bands, lines and their labels. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { newLayer, scales } from "./page.js";
import { closeTo, drawLand, heightOn } from "../../../src/downslope/lab/static/js/land.js";

const CURVE = { over: ["x"], box: { x: [0, 4] }, curve: { x: [0, 1, 2, 3, 4], f: [0, 1, null, 3, 4] }, f_range: [0, 4] };
const square = (low, high) => [low, low, high, low, high, high, low, high, low, low];
const PLANE = {
  over: ["x", "y"],
  box: { x: [0, 4], y: [0, 4] },
  bands: [{ level: 0, shade: 0.25, polygons: [[square(10, 20)]] }],
  lines: [{ level: 1.23456, lines: [square(10, 30)] }, { level: 1e-7, lines: [square(10, 30)] }],
  cells: 40,
};

test("the curve has a gap where it has no value", () => {
  const layer = newLayer();
  drawLand(layer, CURVE, ...scales());
  assert.equal(layer.ofClass("curve")[0].attributes.d, "M0,400L100,300M300,100L400,0");
});

test("between two points of the curve the height lies on the line between them", () => {
  assert.equal(heightOn(CURVE, ...scales(), 50), 350);
  assert.equal(heightOn(CURVE, ...scales(), 350), 50);
});

test("beyond the curve the height is that of its end, in a gap the bottom", () => {
  assert.equal(heightOn(CURVE, ...scales(), -100), 400);
  assert.equal(heightOn(CURVE, ...scales(), 900), 0);
  assert.equal(heightOn(CURVE, ...scales(), 150), 400);
});

test("bands are shaded as the lab says", () => {
  const layer = newLayer();
  drawLand(layer, PLANE, ...scales());
  const [band] = layer.ofClass("band");
  assert.equal(band.attributes["style --shade"], "25.0%");
  assert.equal(band.attributes.d, "M100,300L200,300L200,200L100,200Z");
});

test("labels are three figures, and never one over another", () => {
  const layer = newLayer();
  drawLand(layer, PLANE, ...scales());
  const labels = layer.ofClass("height");
  assert.deepEqual(labels.map(({ textContent }) => textContent), ["1.23", "10⁻⁷"]);
  const [a, b] = labels.map(({ attributes }) => [Number(attributes.x), Number(attributes.y)]);
  assert.ok(Math.hypot(a[0] - b[0], a[1] - b[1]) >= 64);
});

test("labels keep off the path", () => {
  const layer = newLayer();
  const along = Array.from({ length: 80 }, (_, index) => [100 + 3 * index, 100]);
  drawLand(layer, PLANE, ...scales(), { clear: along });
  for (const { attributes } of layer.ofClass("height")) assert.ok(Math.abs(Number(attributes.y) - 100) >= 20 || Number(attributes.x) < 80);
  const isClose = closeTo([[50, 50]]);
  assert.ok(isClose([50, 69]) && isClose([31, 50]));
  assert.ok(!isClose([50, 120]) && !closeTo([])([0, 0]));
});

test("without labels there are none", () => {
  const layer = newLayer();
  drawLand(layer, PLANE, ...scales(), { labels: false });
  assert.equal(layer.ofClass("height").length, 0);
  assert.equal(layer.ofClass("level").length, 2);
});
