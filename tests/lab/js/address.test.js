/** The address holds the state of a page, and only what differs from the usual. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromAddress, names, natural, number, numbers, oneOf, point, text, texts, toAddress, word } from "../../../src/downslope/lab/static/js/address.js";

const SCHEMA = {
  f: { usual: "", reader: text, always: true },
  at: { usual: null, reader: point },
  rate: { usual: null, reader: number },
  steps: { usual: 100, reader: natural },
  over: { usual: null, reader: names },
  theme: { usual: null, reader: oneOf("light", "dark") },
};
const STATE = { f: "x² + 2y²", at: { x: 4, y: -3.5 }, rate: 0.1, steps: 20, over: ["x", "y"], theme: "dark" };

test("a state comes back from its own address", () => {
  assert.deepEqual(fromAddress(toAddress(STATE, SCHEMA), SCHEMA), STATE);
});

test("what is as usual is left out, unless it is always written", () => {
  assert.equal(toAddress({ f: "", at: null, rate: null, steps: 100, over: null, theme: null }, SCHEMA), "?f=");
});

test("commas, equal signs, slashes and spaces stay readable", () => {
  const query = toAddress({ ...STATE, f: "x / 2", rate: null, steps: 100, over: null, theme: null }, SCHEMA);
  assert.equal(query, "?f=x+/+2&at=x=4,y=-3.5");
});

test("characters with a meaning of their own are encoded", () => {
  const query = toAddress({ ...STATE, f: "a&b#c+d%" }, SCHEMA);
  assert.equal(new URLSearchParams(query).get("f"), "a&b#c+d%");
});

test("what makes no sense is as usual", () => {
  const state = fromAddress("?f=x&at=x=&rate=fast&steps=-1&over=,&theme=pink", SCHEMA);
  assert.deepEqual(state, { f: "x", at: null, rate: null, steps: 100, over: null, theme: null });
});

test("an address that says nothing, or a theme alone, is the first state", () => {
  assert.equal(fromAddress("", SCHEMA, { f: "first" }).f, "first");
  assert.deepEqual(fromAddress("?theme=dark", SCHEMA, { f: "first", theme: "dark" }).f, "first");
  assert.equal(fromAddress("?steps=5", SCHEMA, { f: "first" }).f, "");
});

test("numbers are finite and written as numbers", () => {
  assert.equal(number(" 2.5e-3 "), 0.0025);
  for (const entry of ["", " ", "Infinity", "NaN", "1 2", "x"]) assert.equal(number(entry), null, entry);
});

test("whole numbers have digits only, nine at most", () => {
  assert.equal(natural("007"), 7);
  for (const entry of ["-1", "1.5", "1e3", "1234567890", ""]) assert.equal(natural(entry), null, entry);
});

test("so many numbers, each of them finite", () => {
  assert.deepEqual(numbers("1,2", [2, 4]), [1, 2]);
  assert.equal(numbers("1,2,3", [2, 4]), null);
  assert.equal(numbers("1,2,x", [2, 4]), null);
});

test("at most eight names, none of them empty", () => {
  assert.deepEqual(names(" a, b,,c "), ["a", "b", "c"]);
  assert.equal(names("a,b,c,d,e,f,g,h,i,j").length, 8);
  assert.equal(names(" , "), null);
});

test("a point has a finite number for each name", () => {
  assert.deepEqual(point("x=1, y=-2"), { x: 1, y: -2 });
  for (const entry of ["x", "x=1,y", "x=1,y=z"]) assert.equal(point(entry), null, entry);
});

test("words are known or none", () => {
  assert.equal(oneOf("light", "dark")("dark"), "dark");
  assert.equal(oneOf("light", "dark")("Dark"), null);
  assert.equal(word(""), null);
});

test("texts by name, or nothing at all", () => {
  assert.deepEqual(texts("separator=tab, names=3"), { separator: "tab", names: "3" });
  assert.equal(texts("separator"), null);
  assert.equal(texts("=tab"), null);
});
