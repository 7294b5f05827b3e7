/** The loss over one or two parameters, with the path on it. */

/** @import { Fitting } from "./flow.js" */
/** @import { FitReply } from "../types.d.ts" */

import { byId, showTrouble } from "../elements.js";
import { Landscape } from "../landscape.js";
import { mountSlice } from "../slice.js";

/** Put it on the page. @param {Fitting} page */
export function mountLandscape(page) {
  const landscape = new Landscape(byId("landscape"), "The loss over the parameters", () => redraw());
  const showSlice = mountSlice({ names: () => page.descent?.free ?? [], over: () => page.over, choose: (over) => page.set({ over }) });
  /** The path that is drawn. @type {FitReply | null} */
  let shown = null;

  page.on("descent", () => {
    byId("landscape-section").hidden = page.descent?.free.length === 0;
    byId("landscape").classList.add("stale"); // until the ground of this fit is there
    showSlice();
  });
  page.on("grid", () => redraw());
  page.on("row", () => select());
  page.on("trouble", (verb, error) => verb === "grid" && showTrouble(byId("landscape-note"), error));

  function redraw() {
    const { grid, descent } = page;
    if (!grid || !descent || !grid.over.every((name) => name in descent.path)) return;
    landscape.show(grid, descent, "mean square");
    byId("landscape").classList.remove("stale");
    landscape.frame.desc.textContent = `The loss over ${grid.over.join(" and ")}, from ${descent.first_text} to ${descent.value_text}.`;
    shown = descent;
    select();
  }

  function select() {
    if (shown && shown === page.descent) landscape.select(shown, page.row);
  }
}
