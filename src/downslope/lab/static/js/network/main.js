/** The page "Network": everything put together. */

import { mountDropping, showSamples } from "../dropping.js";
import { byId, make } from "../elements.js";
import { mountLayers } from "../layers.js";
import { mountShell } from "../shell.js";
import { copies, save, saves, savesPicture } from "../taking.js";
import { showVerdict } from "../verdict.js";
import { mountWalk } from "../walk.js";
import { mountChoices, mountControls, mountPresets } from "./controls.js";
import { mountCurves } from "./curves.js";
import { Learning, connect, look } from "./flow.js";
import { mountGraph } from "./graph.js";
import { mountPicture } from "./picture.js";
import { mountRemedies } from "./remedies.js";
import { newStore } from "./state.js";

const WAITING = { ok: true, symptom: null, sentence: "Training: its steps are compiled first, which takes some seconds.", findings: [{ symptom: null, severity: "note", sentence: "", evidence: [] }] };

const page = new Learning(newStore());
connect(page);
mountShell(page, () => look(page));
mountDropping(page);
mountControls(page);
const frame = mountPicture(page);
mountWalk(page);
mountCurves(page);
mountLayers(page);
mountGraph(page);
mountRemedies(page);
page.on("row", () => showFindings());
page.on("head", ({ notes, read_as: readAs, parameters }) => {
  byId("read-as").textContent = `${readAs}, ${parameters} parameters`;
  byId("data-notes").replaceChildren(...notes.map((text) => make("p", { class: "small", text })));
});
page.on("training", (now) => {
  byId("stage").setAttribute("aria-busy", String(now));
  if (now) showVerdict({ verdict: WAITING, outcome: "The steps of each kind of network are compiled before the first one is taken." });
});
mountTaking();
begin();

/** Show what is found at the moment that is selected; at the last one what came of it all. */
function showFindings() {
  const { moment, run } = page;
  const isLast = moment === run?.moments.at(-1);
  if (isLast && run.end) showVerdict(run.end);
  else if (moment?.verdict) showVerdict({ verdict: moment.verdict, outcome: `After ${moment.step} of ${run.head.of} steps.` });
}

function mountTaking() {
  const note = byId("take-note");
  page.on("end", ({ python, command, metrics }) => {
    byId("python").textContent = python;
    byId("command").textContent = command ?? "The command line has no words for these choices; Python has.";
    byId("metrics").replaceChildren(...metrics.map(([name, value]) => make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: value }))));
    showFindings();
  });
  copies(byId("copy-python"), () => page.run?.end?.python);
  copies(byId("copy-command"), () => page.run?.end?.command);
  copies(byId("copy-link"), () => {
    page.store.flush();
    return location.href;
  });
  savesPicture(frame, "network", { svg: byId("export-svg"), png: byId("export-png"), note });
  saves(byId("export-csv"), note, async () => {
    if (page.run?.end) save("training.csv", new Blob([page.run.end.csv], { type: "text/csv" }));
  });
}

/** Train if the address says so, and ask for what can wait. */
async function begin() {
  if (page.state.trained) page.train();
  look(page);
  const samples = await mountChoices(page).catch(() => []);
  showSamples(page, samples);
  mountPresets(page).catch(() => {});
}
