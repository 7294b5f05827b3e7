/** The colours of the lines of a run's charts. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { lanesOf } from "../../../src/downslope/lab/static/js/runs/chart.js";

test("rows trained on and held back have a colour of their own, also alone", () => {
  assert.deepEqual(lanesOf(["training", "validation"]), [0, 1]);
  assert.deepEqual(lanesOf(["validation"]), [1]);
});

test("runs beside each other have the colours in order", () => {
  assert.deepEqual(lanesOf(["validation", "valley", "training"]), [0, 1, 2]);
});
