/** Scales and paths. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { dots, inFigures, isLogarithmic, pixelOf, planeScales, roomy, scaleFor, through, ticks } from "../../../src/downslope/lab/static/js/frame.js";

test("values over more than a factor of thirty get a logarithmic scale, others and those from zero a linear one", () => {
  assert.ok(isLogarithmic(scaleFor([1, 31], [0, 100])));
  assert.ok(!isLogarithmic(scaleFor([1, 29], [0, 100])));
  assert.ok(!isLogarithmic(scaleFor([0, 1000], [0, 100])));
});

test("a scale for no values, or for equal ones, is not empty", () => {
  for (const values of [[], [null], [3, 3], [0, 0]]) {
    const [low, high] = scaleFor(values, [0, 100]).domain();
    assert.ok(high > low, `${values}`);
  }
});

test("what a scale lacks is no pixel", () => {
  const log = globalThis.d3.scaleLog([1, 100], [0, 100]);
  assert.equal(pixelOf(log, 10), 50);
  for (const value of [null, 0, -1]) assert.ok(Number.isNaN(pixelOf(log, value)));
});

test("room is left on either side, for equal values as well", () => {
  assert.deepEqual(roomy([0, null, 10], 0.1), [-1, 11]);
  assert.deepEqual(roomy([4, 4], 0.5), [2, 6]);
});

test("a path ends before a missing point, and where it leaves what can be drawn", () => {
  assert.equal(through([[0, 0], [1, 2], [NaN, 3], [4, 4]]), "M0,0L1,2");
  assert.equal(through([[0, 0], [1e9, 0], [5, 5]]), "M0,0L100000,0");
  assert.equal(through([]), "");
});

test("numbers along an axis have one power of ten where all are tiny or huge", () => {
  assert.deepEqual([0, 2e-7, 4e-7].map(inFigures([0, 2e-7, 4e-7], String)), ["0", "2 × 10⁻⁷", "4 × 10⁻⁷"]);
  assert.deepEqual([-1e7, 5e6].map(inFigures([-1e7, 5e6], String)), ["−10⁷", "0.5 × 10⁷"]);
  assert.deepEqual([-1, 0.5].map(inFigures([-1, 0.5], String)), ["−1", "0.5"]);
});

test("in a narrow frame two numbers are written to the digit that tells them apart", () => {
  for (const end of [0.62, 0.81, 0.95, 1.3, 8.1, 81]) {
    for (const { at, text } of ticks(globalThis.d3.scaleLinear([-end, end], [-end, end]), 2)) {
      assert.ok(Math.abs(Number(String(text).replace("−", "-")) - at) < 1e-9, `${text} at ${at}`);
    }
  }
});

/** A frame whose plot fills its room, or has another shape in the middle of it. */
function frameOf(width, height) {
  const frame = { ratio: width / height, along: [0, width], up: [height, 0] };
  frame.shape = (ratio) => {
    const [wide, high] = ratio === null ? [width, height] : [Math.min(width, height * ratio), Math.min(height, width / ratio)];
    frame.along = [(width - wide) / 2, (width + wide) / 2];
    frame.up = [(height + high) / 2, (height - high) / 2];
  };
  return frame;
}

test("in a frame of any shape a unit is as long along both axes, all of the box is seen, and nothing beyond it", () => {
  for (const [width, height] of [[800, 300], [200, 500]]) {
    const frame = frameOf(width, height);
    const [x, y] = planeScales([[0, 4], [-1, 2]], frame, true);
    assert.ok(Math.abs((x(1) - x(0)) / (y(0) - y(1)) - 1) < 1e-9);
    assert.deepEqual([x.domain(), y.domain()], [[0, 4], [-1, 2]]);
    for (const [scale, ends] of [[x, [0, 4]], [y, [-1, 2]]]) assert.ok(ends.every((end) => scale(end) >= -1e-9 && scale(end) <= Math.max(...scale.range()) + 1e-9));
    assert.deepEqual(planeScales([[0, 4], [-1, 2]], frame, false)[0].domain(), [0, 4]);
  }
});

test("of a box that is larger than its data so much is shown as fills the frame", () => {
  const [box, least] = [[[-3, 3], [-2, 2]], [[-1, 1], [-1, 1]]];
  for (const [width, height, shown] of [[600, 400, [[-1.5, 1.5], [-1, 1]]], [300, 500, [[-1, 1], [-5 / 3, 5 / 3]]]]) {
    const frame = frameOf(width, height);
    const scales = planeScales(box, frame, true, least);
    scales.forEach((scale, axis) => scale.domain().forEach((end, side) => assert.ok(Math.abs(end - shown[axis][side]) < 1e-9)));
    assert.deepEqual([frame.along, frame.up], [[0, width], [height, 0]]);
  }
  const flat = frameOf(1000, 100);
  const [x, y] = planeScales(box, flat, true, least);
  assert.deepEqual([x.domain(), y.domain()], [[-3, 3], [-1, 1]]);
  assert.deepEqual(flat.along, [350, 650]);
});

test("dots far outside are left out", () => {
  assert.equal(dots([[1, 2], [1e9, 0]]), "M1,2h0");
});
