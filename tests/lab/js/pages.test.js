/** The row that a page selects, its events, and the state of a network page as requests hold it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { Page } from "../../../src/downslope/lab/static/js/page.js";
import { stateOf } from "../../../src/downslope/lab/static/js/network/state.js";
import { tableOf } from "../../../src/downslope/lab/static/js/upload.js";

/** Return a page whose descent has rows at these steps. */
function pageAt(step, steps) {
  const page = new Page({ state: { step, theme: null }, set: (patch) => Object.assign(page.store.state, patch) });
  page.descent = steps && { steps, steps_taken: steps[steps.length - 1] };
  return page;
}

test("the row is that of the step, or of the last one before it", () => {
  assert.equal(pageAt(10, [0, 5, 10, 20]).row, 2);
  assert.equal(pageAt(12, [0, 5, 10, 20]).row, 2);
  assert.equal(pageAt(99, [0, 5, 10, 20]).row, 3);
  assert.equal(pageAt(0, [5, 10]).row, 0);
});

test("without a selected step it is the last row, without a descent the first", () => {
  assert.equal(pageAt(null, [0, 5, 10]).row, 2);
  assert.equal(pageAt(7, null).row, 0);
});

test("listeners are called in order with the values of their event, and no other", () => {
  const page = pageAt(null, null);
  const calls = [];
  page.on("trouble", (verb, error) => calls.push(["first", verb, error]));
  page.on("trouble", (verb) => calls.push(["second", verb]));
  page.on("row", () => calls.push(["row"]));
  page.emit("trouble", "descend", null);
  assert.deepEqual(calls, [["first", "descend", null], ["second", "descend"]]);
});

test("a page changes its state through the store", () => {
  const page = pageAt(3, [0, 5]);
  page.set({ step: 5 });
  assert.equal(page.state.step, 5);
});

test("an uploaded table goes before a sample", () => {
  assert.deepEqual(tableOf({ table: "abc", sample: "coffee.csv" }), { table: "abc" });
  assert.deepEqual(tableOf({ table: null, sample: "coffee.csv" }), { sample: "coffee.csv" });
});

test("settings of the lab become a state that trains", () => {
  const state = stateOf({ hidden: [8, 4], skip: true, batch: null, method: "adam", seed: 3 });
  assert.deepEqual(state, { hidden: "8,4", skip: 1, batch: 0, method: "adam", seed: 3, step: null, stage: 0, trained: 1, earlier: null });
});
