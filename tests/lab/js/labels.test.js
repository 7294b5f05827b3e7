/** Labels that give way, and the place where one covers least. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { newLayer } from "./page.js";
import { crosses, disc, freest, hideCovered, meet, roomOf } from "../../../src/downslope/lab/static/js/labels.js";

test("a text takes room around its point, the more letters the wider", () => {
  const [short, long] = ["5", "12345"].map((text) => roomOf(text, [100, 50]));
  assert.equal((short[0] + short[2]) / 2, 100);
  assert.ok(long[2] - long[0] > short[2] - short[0] && long[3] - long[1] === short[3] - short[1]);
});

test("rooms meet where they overlap, lines cross what they go through", () => {
  assert.ok(meet([0, 0, 10, 10], [9, 9, 20, 20]) && !meet([0, 0, 10, 10], [10, 0, 20, 10]));
  assert.ok(crosses([[-50, 5], [50, 5]], [0, 0, 10, 10]) && crosses([[5, -900], [5, 900]], [0, 0, 10, 10]));
  assert.ok(!crosses([[-50, -50], [50, -50]], [0, 0, 10, 10]) && !crosses([[0, 20], [20, 0]], [0, 0, 8, 8]));
  assert.ok(crosses([[5, 5], [5, 5]], [0, 0, 10, 10]));
});

test("labels that marks cover are hidden, and shown again once the marks are elsewhere", () => {
  const labels = [[20, 20], [80, 20]].map((at) => ({ element: newLayer(), room: roomOf("15", at) }));
  const hidden = () => labels.map(({ element }) => "hidden" in element.attributes);
  hideCovered(labels, { lines: [[[20, 0], [20, 40]]] });
  assert.deepEqual(hidden(), [true, false]);
  hideCovered(labels, { rooms: [disc([84, 20], 12)] });
  assert.deepEqual(hidden(), [false, true]);
  hideCovered(labels, {});
  assert.deepEqual(hidden(), [false, false]);
});

test("a text stands where it covers no label, no line, and nothing outside; else on a line rather than on a label", () => {
  const places = [[50, 50], [50, 90], [300, 50]];
  const plot = [0, 0, 320, 100];
  assert.deepEqual(freest(places, "−∇f", { within: plot }), [50, 50]);
  assert.deepEqual(freest(places, "−∇f", { rooms: [roomOf("15", [55, 52])], within: plot }), [50, 90]);
  assert.deepEqual(freest(places, "−∇f", { lines: [[[0, 50], [100, 50]]], within: [0, 0, 320, 95] }), [300, 50]);
  assert.deepEqual(freest(places.slice(0, 2), "−∇f", { lines: [[[0, 50], [100, 50]]], rooms: [roomOf("15", [50, 90])] }), [50, 50]);
});
