/** Recorded replies: found by their request, cut out of a larger picture, and written as the lab writes them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { landIn } from "../../../src/downslope/lab/static/js/recorded-land.js";
import { numberOf, tableOf } from "../../../src/downslope/lab/static/js/recorded-table.js";
import { answerer } from "../../../src/downslope/lab/static/js/recorded.js";

const square = (low, high) => [low, low, high, low, high, high, low, high, low, low];
const PLANE = {
  over: ["x", "y"], box: { x: [-10, 10], y: [-10, 10] }, cells: 100,
  bands: [{ level: 0, shade: 0.5, polygons: [[square(50, 75)]] }], lines: [{ level: 1, lines: [square(50, 75)] }],
};
const CURVE = { over: ["x"], box: { x: [0, 4] }, curve: { x: [0, 1, 2, 3, 4], f: [0, 1, 4, null, 16] }, f_range: [-1, 17] };

test("a recorded request is known in whatever order its fields come, and without those that only choose the picture", () => {
  const request = { formula: "x²", start: { x: 1, y: 2 }, over: null };
  const answer = answerer({ entries: [["descend", request, { box: {} }]], ignored: { descend: ["ratio"] }, lands: [], about: {} });
  assert.deepEqual(answer("descend", { start: { y: 2, x: 1 }, formula: "x²", ratio: 1.5, rate: undefined }), { box: {} });
});

test("what was not recorded is refused", () => {
  const answer = answerer({ entries: [["read", { formula: "x²" }, {}]], ignored: {}, lands: [], about: {} });
  for (const [verb, request] of [["read", { formula: "x³" }], ["derive", { formula: "x²" }], ["read", {}], ["grid", {}]]) {
    assert.throws(() => answer(verb, request), { kind: "NotRecordedError" });
  }
});

test("a part of the recorded plane keeps every point where it is", () => {
  const land = landIn([PLANE], { ratio: null }, { x: [0, 5], y: [-5, 5] });
  assert.deepEqual(land.box, { x: [0, 5], y: [-5, 5] });
  assert.deepEqual(land.bands[0].polygons[0][0].slice(0, 6), [0, 50, 100, 50, 100, 100]);
  assert.deepEqual(land.lines[0].lines[0].slice(0, 2), [0, 50]);
});

test("what lies beyond a part is cut off: bands are closed along its edges, lines end there", () => {
  const { bands, lines } = landIn([PLANE], {}, { x: [2.5, 7.5], y: [-5, 2.5] });
  const cells = [...bands[0].polygons[0][0], ...lines[0].lines.flat()];
  assert.ok(cells.every((cell) => cell >= 0 && cell <= 100));
  const [ring] = bands[0].polygons[0];
  assert.deepEqual([Math.min(...ring), Math.max(...ring)], [0, 100]);
  assert.deepEqual(ring.slice(0, 2), ring.slice(-2));
  assert.deepEqual(lines[0].lines.map((line) => line.map(Math.round)), [[0, 67, 50, 67, 50, 100]]);
  const cross = { ...PLANE, bands: [], lines: [{ level: 0, lines: [[0, 50, 100, 50, 50, 0, 50, 100]] }] };
  assert.equal(landIn([cross], {}, { x: [-5, 5], y: [-5, 5] }).lines[0].lines.length, 2);
});

test("a part is widened to the shape of the picture, and never beyond what was recorded", () => {
  assert.deepEqual(landIn([PLANE], { ratio: 2 }, { x: [-4, 4], y: [-4, 4] }).box, { x: [-8, 8], y: [-4, 4] });
  assert.deepEqual(landIn([PLANE], { ratio: 4 }, { x: [-4, 4], y: [-4, 4] }).box, { x: [-10, 10], y: [-4, 4] });
  assert.deepEqual(landIn([PLANE], { ratio: 2, equal: false }, { x: [-4, 4], y: [-4, 4] }).box, { x: [-4, 4], y: [-4, 4] });
  assert.deepEqual(landIn([PLANE], { ratio: 1 }, { x: [-30, 5], y: [-4, 4] }).box.x, [-10, 5]);
});

test("a part of the recorded surface has the heights between the recorded ones", () => {
  const heights = { side: 5, steps: 40, low: 0, high: 20, values: d3.range(25).map((index) => 10 * (index % 5)) };
  const part = landIn([{ ...PLANE, heights }], {}, { x: [-5, 5], y: [0, 10] }).heights;
  assert.deepEqual(part, { side: 5, steps: 40, low: 5, high: 15, values: d3.range(25).map((index) => 10 * (index % 5)) });
  const gap = { ...heights, values: heights.values.map((value, index) => (index === 12 ? -1 : value)) };
  assert.deepEqual(landIn([{ ...PLANE, heights: gap }], {}, { x: [-10, 10], y: [-10, 10] }).heights.values.slice(0, 6), [0, 10, 20, 30, 40, 0]);
  assert.equal(landIn([{ ...PLANE, heights: gap }], {}, { x: [-10, 10], y: [-10, 10] }).heights.values[12], -1);
});

test("the smallest recorded plane that holds a part is taken", () => {
  const finer = { ...PLANE, box: { x: [-5, 5], y: [-5, 5] }, cells: 7 };
  assert.equal(landIn([finer, PLANE], {}, { x: [0, 1], y: [0, 1] }).cells, 7);
  assert.equal(landIn([finer, PLANE], {}, { x: [0, 9], y: [0, 1] }).cells, 100);
});

test("a part of the recorded curve has heights of its own", () => {
  assert.equal(landIn([CURVE], {}, { x: [0, 4] }), CURVE);
  assert.deepEqual(landIn([CURVE], {}, { x: [0.5, 3] }).f_range, [1, 4]);
});

test("numbers are written as every report has them", () => {
  const written = [[0, "0"], [4, "4"], [-1234567.8, "−1.23457e6"], [1.63e-9, "1.63e−9"], [0.0001, "0.0001"], [123456, "123456"], [0.1 + 0.2, "0.3"], [-0, "0"], [99999.96, "100000"], [999999.9, "1e6"], [123456.5, "123456"], [123457.5, "123458"], [-0.0001220703125, "−0.00012207"], [0.00001234, "1.234e−5"], [null, "–"]];
  for (const [value, text] of written) assert.equal(numberOf(value), text);
  assert.equal(numberOf(1.310719999, 5), "1.3107");
  assert.equal(numberOf(0.125, 2), "0.12");
  assert.equal(numberOf(0.375, 2), "0.38");
});

test("the table and the arithmetic follow from the path", () => {
  const descent = { steps: [0, 1], path: { x: [10, 8] }, gradients: { x: [20, -16] }, values: [100, 64], rate: 0.1 };
  const derived = { derived: "rate", headings: ["step", "x", "f", "f′", "α"], variables: ["x"] };
  const { cells, lines } = tableOf(derived, descent);
  assert.deepEqual(cells, [["0", "10", "100", "20", "0.1"], ["1", "8", "64", "−16", "0.1"]]);
  assert.deepEqual(lines, [["x = 10 − 0.1 × 20 = 8"], []]);
  assert.deepEqual(tableOf({ ...derived, derived: "length", headings: derived.headings.slice(0, 4) }, descent).lines[0], ["x = 10 − 2 = 8"]);
});
