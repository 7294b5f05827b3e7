/** Cuts through a surface: which of their points the surface hides. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { hiding } from "../../../src/downslope/lab/static/js/cuts.js";
import { Scene } from "../../../src/downslope/lab/static/js/scene.js";

const BOX = [[-1, 1], [-1, 1]];
const ridge = (across, up) => Math.max(0, 1 - 6 * Math.hypot(across - 0.5, up - 0.5));

test("a hill hides what lies behind it from every side, and nothing before it", () => {
  for (let around = -180; around < 180; around += 30) {
    const scene = new Scene([around, 12], BOX, { width: 600, height: 400 });
    const isHidden = hiding(scene, ridge);
    const [right, ahead] = scene.toEye;
    const spot = (way) => [0.5 + 0.25 * way * right, 0.5 + 0.25 * way * ahead];
    const [near, far] = [spot(1), spot(-1)];
    assert.ok(!isHidden([...near, ridge(...near)]), `before it, seen from ${around}°`);
    assert.ok(isHidden([...far, ridge(...far)]), `behind it, seen from ${around}°`);
  }
});

test("from above nothing is hidden, nor on a plane", () => {
  for (const view of [[20, 90], [-60, 30]]) {
    const isHidden = hiding(new Scene(view, BOX, { width: 600, height: 400 }), view[1] === 90 ? ridge : () => 0.5);
    for (const spot of [[0.2, 0.2], [0.5, 0.8], [0.9, 0.1]]) assert.ok(!isHidden([...spot, view[1] === 90 ? ridge(...spot) : 0.5]));
  }
});
