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

test("numbers are written as in a book, in whatever form they came", () => {
  for (const [from, to] of [[-1e-7, "−10⁻⁷"], ["1.63e-09", "1.63 × 10⁻⁹"], ["8.30767e−22", "8.30767 × 10⁻²²"], ["−1.25e+11", "−1.25 × 10¹¹"], ["-2.5", "−2.5"]]) {
    assert.equal(written(from), to);
  }
  assert.equal(written("the gradient is 3e−9, at most 4.1e12 more"), "the gradient is 3 × 10⁻⁹, at most 4.1 × 10¹² more");
  for (const text of ["layer1e3", "2ex", "e^2", "e5", "model-1e5b"]) assert.equal(written(text), text.replace("-", "−"));
});

test("what is written can be typed again", () => {
  for (const value of [1e-7, -1e-7, 1.63e-9, -2.5e21, 1e300, 12.5]) assert.equal(typed(written(value)), value, written(value));
  for (const entry of ["3·10⁻⁴", "3 x 10^-4".replace("x", "×"), "3*10^-4"]) assert.equal(typed(entry), 3e-4, entry);
});

test("letters and products of names are italic, words are not", () => {
  const italics = (text, names) => setMaths(newLayer(), text, names).children.filter(({ tag }) => tag === "i").map(({ textContent }) => textContent);
  assert.deepEqual(italics("2xy + sin x", ["x", "y"]), ["xy", "x"]);
  assert.deepEqual(italics("room + e", ["room"]), ["room", "e"]);
});
