/** Numbers as people type and read them, and formulas in type. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { newLayer } from "./page.js";
import { setMaths, typed, typedWhole, written } from "../../../src/downslope/lab/static/js/elements.js";

test("numbers are read as people type them", () => {
  assert.equal(typed("−2,5"), -2.5);
  assert.equal(typed(" 1 000 "), 1000);
  assert.equal(typed("1e-3"), 0.001);
  for (const entry of ["", "1,2,3", "x", "Infinity"]) assert.equal(typed(entry), null, entry);
});

test("whole numbers are not below the least", () => {
  assert.equal(typedWhole("3", 1), 3);
  for (const entry of ["0", "2.5", ""]) assert.equal(typedWhole(entry, 1), undefined, entry);
});

test("a minus sign is a minus sign", () => {
  assert.equal(written(-1e-7), "−1e−7");
});

test("letters and products of names are italic, words are not", () => {
  const italics = (text, names) => setMaths(newLayer(), text, names).children.filter(({ tag }) => tag === "i").map(({ textContent }) => textContent);
  assert.deepEqual(italics("2xy + sin x", ["x", "y"]), ["xy", "x"]);
  assert.deepEqual(italics("room + e", ["room"]), ["room", "e"]);
});
