/** The surface beside the picture: the same ground, the same path and the same dot, turned by dragging. */

/** @import { Descent } from "./flow.js" */
/** @import { Grid } from "../types.d.ts" */

import { byId } from "../elements.js";
import { coloursOf, floorOf } from "../land.js";
import { mountBeside } from "../surface.js";

/** Connect the surface and its buttons. @param {Descent} page */
export function mountSurface(page) {
  const { surface, frame } = mountBeside(page, show);
  const layOut = () => frame((page.reading?.variables.length ?? 2) > 1);
  page.on("reading", layOut);
  page.on("grid", show);
  page.on("descent", follow);
  page.on("row", follow);
  page.on("state", (changed) => {
    if (changed.has("surface")) layOut();
    if (changed.has("theme")) show();
  });
  layOut();

  function show() {
    const { grid, reading } = page;
    if (byId("surface").hidden || !grid?.heights || !reading || grid.over.length < 2) return;
    const [across, up] = grid.over;
    const colours = coloursOf(grid);
    surface.show({
      over: grid.over, name: reading.name, box: [grid.box[across], grid.box[up]], heights: grid.heights,
      levels: grid.lines.map(({ level }) => level), colour: (_, height) => colours(height), ...floorOf(grid, colours),
    });
    follow();
  }

  function follow() {
    const { descent, grid } = page;
    if (byId("surface").hidden || !descent || !grid || grid.over.length < 2 || !grid.over.every((name) => descent.path[name])) return;
    const [across, up] = grid.over.map((name) => descent.path[name]);
    surface.follow({ across, up }, page.row);
    surface.canvas.setAttribute("aria-label", describe(grid));
  }

  /** @param {Grid} grid */
  function describe(grid) {
    return `Surface of ${page.reading?.read_as} over ${grid.over.join(" and ")}, with the path of the descent on it.`;
  }
}
