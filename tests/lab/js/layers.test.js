/** The ranges and the texts of the layers' charts. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { activationRange, gradientRange, pieces, shareText } from "../../../src/downslope/lab/static/js/layers.js";

const near = (values, expected) => values.forEach((value, index) => assert.ok(Math.abs(value - expected[index]) < 1e-12, `${values}`));

test("gradients of all moments are in the range, which is of whole decades", () => {
  near(gradientRange([{ layers: { gradient_norm: [1e-3, 0] } }, { layers: { gradient_norm: [0.5, null] } }]), [1e-4, 1]);
});

test("a gradient that vanishes beside the largest does not stretch the range", () => {
  near(gradientRange([{ layers: { gradient_norm: [1e-300, 1] } }]), [1e-21, 10]);
});

test("without gradients there is a range all the same", () => {
  near(gradientRange([{ layers: null }]), [0.01, 10]);
});

test("a layer whose gradient is not known breaks the line", () => {
  assert.deepEqual(pieces([[0, 1], [1, 2], [2, NaN], [3, 1], [4, 5], [5, NaN], [6, 0]]), [[[0, 1], [1, 2]], [[3, 1], [4, 5]]]);
});

test("means and deviations of all moments are in the range", () => {
  const moments = [
    { layers: { activation_mean: [0, 1], activation_deviation: [1, 1] } },
    { layers: { activation_mean: [null, 3], activation_deviation: [null, 1] } },
    { layers: null },
  ];
  near(activationRange(moments), [-1 - 0.12 * 5, 4 + 0.24 * 5]);
});

test("dead units come before saturated ones, and few of either are not told", () => {
  assert.equal(shareText(0.25, 0.5), "25 % dead");
  assert.equal(shareText(0, 0.5), "50 % flat");
  assert.equal(shareText(0, 0.001), "");
  assert.equal(shareText(null, null), "");
});
