/** One run: how it stands, its curves, its layers, the ground it went over, what it was asked for. */

import { byId, make, showTrouble } from "../elements.js";
import { Frame } from "../frame.js";
import { drawLand } from "../land.js";
import { mountLayers } from "../layers.js";
import { copies, save, saves, savesPicture } from "../taking.js";
import { showVerdict } from "../verdict.js";
import { Way } from "../way.js";
import { Charts } from "./chart.js";

const MARGIN = { top: 24, right: 12, bottom: 38, left: 56 };

/** Connect what shows the run. */
export function mountRun(page) {
  const charts = new Charts(byId("charts"));
  const frame = new Frame(byId("landscape"), { margin: MARGIN, title: "The way down", resized: () => showLandscape() });
  const land = frame.layer("land");
  const way = new Way(frame);
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
    byId("python").textContent = run.python;
    byId("command").textContent = run.command;
    document.title = `${run.name} · downslope`;
  });
  page.on("trouble", (verb, error) => verb === "run" && showTrouble(byId("run-note"), error));
  mountTaking();

  function showLandscape() {
    const landscape = page.shown?.landscape;
    if (!landscape || !frame.width) return;
    const { ground, path, values } = landscape;
    const [across, up] = ground.over;
    const scales = [d3.scaleLinear(ground.box[across], frame.along), d3.scaleLinear(up === undefined ? ground.f_range : ground.box[up], frame.up)];
    frame.setAxes(...scales, { xName: across, yName: up ?? "value", names: ground.over });
    drawLand(land, ground, ...scales);
    way.show({ path, values }, ground.over, ...scales);
  }

  function mountTaking() {
    const note = byId("take-note");
    copies(byId("copy-python"), () => page.shown?.python);
    copies(byId("copy-command"), () => page.shown?.command);
    copies(byId("copy-link"), () => {
      page.set({ run: page.chosen });
      page.store.flush();
      return location.href;
    });
    const picture = { get svg() { return charts.first.svg; }, get width() { return charts.first.width; }, get height() { return charts.first.height; } };
    savesPicture(picture, "run", { svg: byId("export-svg"), png: byId("export-png"), note });
    saves(byId("export-csv"), note, async () => save("run.csv", new Blob([csvOf(page.shown.charts)], { type: "text/csv" })));
  }
}

/** Return the curves as they are drawn, one row for each point. */
function csvOf(charts) {
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const rows = charts.flatMap(({ title, lines }) => lines.flatMap(({ name, x, y }) => x.map((step, row) => [quoted(title), quoted(name), step, y[row] ?? ""].join(","))));
  return ["chart,line,step,value", ...rows, ""].join("\n");
}
