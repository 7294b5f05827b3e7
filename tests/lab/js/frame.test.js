/** Scales and paths. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { dots, isLogarithmic, pixelOf, roomy, scaleFor, through } from "../../../src/downslope/lab/static/js/frame.js";

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

test("dots far outside are left out", () => {
  assert.equal(dots([[1, 2], [1e9, 0]]), "M1,2h0");
});
