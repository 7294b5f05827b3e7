/** A run: its state, its curves, its layers, its landscape, its plan. */

/** @import { Looking } from "./flow.js" */
/** @import { Chart } from "../types.d.ts" */

import { byId, make, showTrouble, written } from "../elements.js";
import { Landscape } from "../landscape.js";
import { mountLayers } from "../layers.js";
import { mountExports } from "../exporting.js";
import { showVerdict } from "../verdict.js";
import { Charts } from "./chart.js";

/** Connect the parts that show the run. @param {Looking} page */
export function mountRun(page) {
  const charts = new Charts(byId("charts"));
  const landscape = new Landscape(byId("landscape"), "The path of the descent", () => showLandscape());
  mountLayers(page);

  page.on("shown", (run) => {
    byId("run-name").textContent = run.name;
    byId("run-what").textContent = run.what;
    byId("run-state").textContent = run.state;
    byId("run-state").className = `run-state ${run.state.replace(" ", "-")}`;
    byId("run-step").textContent = run.last === null ? "no step yet" : `${run.last} steps, changed ${run.changed}`;
    byId("verdict").hidden = !run.verdict;
    if (run.verdict) showVerdict({ verdict: run.verdict, outcome: run.outcome });
    charts.show(run.charts);
    byId("layers-section").hidden = !run.layers;
    byId("landscape-section").hidden = !run.landscape;
    showLandscape();
    byId("plan").replaceChildren(...run.plan.map(([label, text]) => make("tr", {}, make("th", { scope: "row", text: label }), make("td", { text: written(text) }))));
    document.title = `${run.name} · downslope`;
  });
  page.on("trouble", (verb, error) => verb === "run" && showTrouble(byId("run-note"), error));
  mountExports(page, {
    event: "shown",
    written: () => page.shown,
    get frame() { return charts.first; },
    name: "run",
    csv: () => ({ name: "run.csv", text: csvOf(page.shown?.charts ?? []) }),
    settle: () => page.set({ run: page.chosen }),
  });

  function showLandscape() {
    const path = page.shown?.landscape;
    if (path) landscape.show(path.grid, path, "value");
  }
}

/** Return the curves as they are drawn, a row for each point. @param {Chart[]} charts */
function csvOf(charts) {
  /** @param {string} text */
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const rows = charts.flatMap(({ title, lines }) => lines.flatMap(({ name, x, y }) => x.map((step, row) => [quoted(title), quoted(name), step, y[row] ?? ""].join(","))));
  return ["chart,line,step,value", ...rows, ""].join("\n");
}
