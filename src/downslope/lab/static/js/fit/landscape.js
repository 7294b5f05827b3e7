/** The loss over one or two parameters, with the way down on it. */

import { byId, showTrouble } from "../elements.js";
import { Frame } from "../frame.js";
import { drawLand } from "../land.js";
import { mountSlice } from "../slice.js";
import { Way } from "../way.js";

const MARGIN = { top: 24, right: 12, bottom: 38, left: 62 };

/** Put it on the page. */
export function mountLandscape(page) {
  const frame = new Frame(byId("landscape"), { margin: MARGIN, title: "The loss over the parameters", resized: () => redraw() });
  const land = frame.layer("land");
  const way = new Way(frame);
  const showSlice = mountSlice({ names: () => page.descent?.free ?? [], over: () => page.over, choose: (over) => page.set({ over }) });
  let scales = null;

  page.on("descent", ({ free }) => {
    byId("landscape-section").hidden = free.length === 0;
    showSlice();
  });
  page.on("ground", () => redraw());
  page.on("row", () => select());
  page.on("trouble", (verb, error) => verb === "ground" && showTrouble(byId("landscape-note"), error));

  function redraw() {
    const { ground, descent } = page;
    if (!ground || !descent || !frame.width || !ground.over.every((name) => name in descent.path)) return;
    const [across, up] = ground.over;
    scales = [d3.scaleLinear(ground.box[across], frame.along), d3.scaleLinear(up === undefined ? ground.f_range : ground.box[up], frame.up)];
    frame.setAxes(...scales, { xName: across, yName: up ?? "mean square", names: ground.over });
    drawLand(land, ground, ...scales);
    way.show(descent, ground.over, ...scales);
    frame.desc.textContent = `The loss over ${ground.over.join(" and ")}, from ${descent.first_text} to ${descent.value_text}.`;
    select();
  }

  function select() {
    const { ground, descent, row } = page;
    if (!scales || !ground.over.every((name) => name in descent.path) || way.points.length !== descent.steps.length) return;
    way.select(descent, ground.over, ...scales, row);
  }

  return frame;
}
