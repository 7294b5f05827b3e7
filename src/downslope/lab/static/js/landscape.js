/** A ground with the way down on it, that is only looked at. */

import { Frame } from "./frame.js";
import { drawLand } from "./land.js";
import { Way } from "./way.js";

const MARGIN = { top: 24, right: 12, bottom: 38, left: 62 };

/** The picture; `again` is called when its size has changed. */
export class Landscape {
  #scales = null;
  #over = null;

  constructor(place, title, again) {
    this.frame = new Frame(place, { margin: MARGIN, title, resized: again });
    this.land = this.frame.layer("land");
    this.way = new Way(this.frame);
  }

  /** Draw a ground and a way; `valueName` is what its height is called where it is a curve. */
  show(ground, way, valueName) {
    if (!this.frame.width) return;
    const [across, up] = ground.over;
    this.#over = ground.over;
    this.#scales = [d3.scaleLinear(ground.box[across], this.frame.along), d3.scaleLinear(up === undefined ? ground.f_range : ground.box[up], this.frame.up)];
    this.frame.setAxes(...this.#scales, { xName: across, yName: up ?? valueName, names: ground.over });
    drawLand(this.land, ground, ...this.#scales);
    this.way.show(way, ground.over, ...this.#scales);
  }

  /** Mark a row of the way that is shown. */
  select(way, row) {
    if (this.#scales) this.way.select(way, this.#over, ...this.#scales, row);
  }
}
