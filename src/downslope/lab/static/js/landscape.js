/** A grid with a path on it, without controls. */

/** @import { Grid, PathReply, Scale } from "./types.d.ts" */

import { Frame, planeScales } from "./frame.js";
import { drawLand } from "./land.js";
import { Way } from "./way.js";

const MARGIN = { top: 24, right: 12, bottom: 38, left: 62 };

/** The picture; `again` is called when its size has changed. */
export class Landscape {
  /** @type {[Scale, Scale] | null} */
  #scales = null;
  /** @type {string[]} */
  #over = [];
  /** Of the heights. @type {import("./labels.js").Label[]} */
  #labels = [];

  /**
   * @param {Element} container
   * @param {string} title
   * @param {() => void} again
   */
  constructor(container, title, again) {
    this.frame = new Frame(container, { margin: MARGIN, title, resized: again });
    this.land = this.frame.layer("land");
    this.way = new Way(this.frame);
  }

  /**
   * Draw a grid and a path; `valueName` names the height of a curve.
   *
   * @param {Grid} grid
   * @param {PathReply} way
   * @param {string} valueName
   */
  show(grid, way, valueName) {
    if (!this.frame.width) return;
    const [across, up] = grid.over;
    this.#over = grid.over;
    this.#scales = up === undefined
      ? [d3.scaleLinear(grid.box[across], this.frame.along), d3.scaleLinear(grid.f_range, this.frame.up)]
      : planeScales([grid.box[across], grid.box[up]], this.frame, grid.has_equal_units ?? false);
    this.frame.setAxes(...this.#scales, { xName: across, yName: up ?? valueName, names: grid.over });
    this.way.show(way, grid.over, ...this.#scales);
    this.#labels = drawLand(this.land, grid, ...this.#scales, { clear: this.way.outline });
  }

  /**
   * Mark a row of the path.
   *
   * @param {PathReply} way
   * @param {number} row
   */
  select(way, row) {
    if (this.#scales) this.way.select(way, this.#over, ...this.#scales, row, this.#labels);
  }
}
