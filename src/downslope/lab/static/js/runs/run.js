/** One run: how it stands, its curves, its layers, the ground it went over, what it was asked for. */

import { byId, make, showTrouble } from "../elements.js";
import { Landscape } from "../landscape.js";
import { mountLayers } from "../layers.js";
import { mountTaking } from "../taking.js";
import { showVerdict } from "../verdict.js";
import { Charts } from "./chart.js";

/** Connect what shows the run. */
export function mountRun(page) {
  const charts = new Charts(byId("charts"));
  const landscape = new Landscape(byId("landscape"), "The way down", () => showLandscape());
  mountLayers(page);

  page.on("shown", (run) => {
    byId("run-name").textContent = run.name;
    byId("run-what").textContent = run.what;
    byId("run-state").textContent = run.state;
    byId("run-state").className = `run-state ${run.state.replace(" ", "-")}`;
    byId("run-step").textContent = run.last === null ? "no step yet" : `${run.last} steps, changed ${run.changed}`;
    byId("verdict").hidden = !run.verdict;
    if (run.verdict) showVerdict(run);
    charts.show(run.charts);
    byId("layers-section").hidden = !run.layers;
    byId("landscape-section").hidden = !run.landscape;
    showLandscape();
    byId("plan").replaceChildren(...run.plan.map(([label, text]) => make("tr", {}, make("th", { scope: "row", text: label }), make("td", { text }))));
    document.title = `${run.name} · downslope`;
  });
  page.on("trouble", (verb, error) => verb === "run" && showTrouble(byId("run-note"), error));
  mountTaking(page, {
    event: "shown",
    told: () => page.shown,
    frame: { get svg() { return charts.first.svg; }, get width() { return charts.first.width; }, get height() { return charts.first.height; } },
    name: "run",
    csv: () => ({ name: "run.csv", text: csvOf(page.shown.charts) }),
    settle: () => page.set({ run: page.chosen }),
  });

  function showLandscape() {
    const told = page.shown?.landscape;
    if (told) landscape.show(told.ground, told, "value");
  }
}

/** Return the curves as they are drawn, one row for each point. */
function csvOf(charts) {
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const rows = charts.flatMap(({ title, lines }) => lines.flatMap(({ name, x, y }) => x.map((step, row) => [quoted(title), quoted(name), step, y[row] ?? ""].join(","))));
  return ["chart,line,step,value", ...rows, ""].join("\n");
}
