/** The path of a descent in pixels, and the marks of a step. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { newFrame, scales } from "./page.js";
import { Way, pixelsOf } from "../../../src/downslope/lab/static/js/way.js";

const PATH = {
  path: { x: [4, 2, 1], y: [3, 1, null] },
  values: [4, 1, 0.25],
  gradients: { x: [2, 1, 0], y: [0, 2, 0] },
  name: "g",
};
const CURVE = { path: { x: [4, 2, 1] }, values: [4, 1, null], tangents: { slope: [2, 1, null] } };

test("over two variables points are their coordinates, and NaN where one is missing", () => {
  assert.deepEqual(pixelsOf(PATH, ["x", "y"], ...scales()), [[400, 100], [200, 300], [100, NaN]]);
});

test("over one variable the height is the value", () => {
  assert.deepEqual(pixelsOf(CURVE, ["x"], ...scales()), [[400, 0], [200, 300], [100, NaN]]);
});

test("the line ends where a coordinate is missing, and the last point that can be drawn has the dot", () => {
  const frame = newFrame();
  const way = new Way(frame);
  way.show(PATH, ["x", "y"], ...scales());
  assert.equal(way.line.attributes.d, "M400,100L200,300");
  assert.deepEqual([way.end.attributes.cx, way.end.attributes.cy], ["200", "300"]);
});

test("the path walked reaches the selected row", () => {
  const way = new Way(newFrame());
  way.show(PATH, ["x", "y"], ...scales());
  way.select(PATH, ["x", "y"], ...scales(), 0);
  assert.equal(way.walked.attributes.d, "M400,100");
});

test("the arrow points against the gradient, the steepest one longest", () => {
  const frame = newFrame();
  const way = new Way(frame);
  way.show(PATH, ["x", "y"], ...scales());
  way.select(PATH, ["x", "y"], ...scales(), 0); // a gradient to the right: the arrow goes left
  const [arrow] = frame.layers.mark.ofClass("mark-arrow");
  const [, tip] = arrow.attributes.d.match(/L(-?[\d.]+),100$/);
  assert.ok(Number(tip) < 400 && Number(tip) >= 400 - 64);
  assert.equal(frame.layers.mark.ofClass("mark-name")[0].children[0].textContent, "g");
});

test("where the gradient is zero, or the point cannot be drawn, there is no arrow", () => {
  const frame = newFrame();
  const way = new Way(frame);
  const flat = { ...PATH, gradients: { x: [0, 0, 0], y: [0, 0, 0] } };
  way.show(flat, ["x", "y"], ...scales());
  way.select(flat, ["x", "y"], ...scales(), 0);
  assert.equal(frame.layers.mark.ofClass("mark-arrow").length, 0);
  way.select(flat, ["x", "y"], ...scales(), 2);
  assert.equal(frame.layers.mark.children.length, 0);
});

test("over one variable a step has its tangent and the plumb lines to the next", () => {
  const frame = newFrame();
  const way = new Way(frame);
  way.show(CURVE, ["x"], ...scales());
  way.select(CURVE, ["x"], ...scales(), 0);
  const [line] = frame.layers.mark.ofClass("mark-tangent");
  const { x1, y1, x2, y2 } = line.attributes;
  assert.ok(Math.abs((y2 - y1) / (x2 - x1) + 2) < 1e-3); // a slope of 2, with y downwards
  assert.equal(frame.layers.mark.ofClass("mark-drop").length, 2);
});
