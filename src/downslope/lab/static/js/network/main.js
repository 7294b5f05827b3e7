/** The page "Network": everything put together. */

import { mountUpload, showSamples } from "../upload.js";
import { byId, make, written } from "../elements.js";
import { mountLayers } from "../layers.js";
import { mountShell } from "../shell.js";
import { mountExports } from "../exporting.js";
import { showVerdict } from "../verdict.js";
import { mountPlayback } from "../playback.js";
import { mountChoices, mountControls, mountPresets } from "./controls.js";
import { mountCurves } from "./curves.js";
import { Learning, connect, look } from "./flow.js";
import { mountGraph } from "./graph.js";
import { mountPicture } from "./picture.js";
import { mountRemedies } from "./remedies.js";
import { mountSurface } from "./surface.js";
import { newStore } from "./state.js";

/** @type {import("../types.d.ts").Verdict} */
const WAITING = { ok: true, symptom: null, sentence: "Training: its steps are compiled first, which takes some seconds.", findings: [{ symptom: null, severity: "note", sentence: "", evidence: [] }] };

const page = new Learning(newStore());
connect(page);
mountShell(page, () => {
  look(page);
  if (page.isUnanswered) page.train();
});
mountUpload(page);
mountControls(page);
mountSurface(page); // before the picture, whose shape it decides
const frame = mountPicture(page);
mountPlayback(page);
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
  if (now && !page.run?.moments.length) showVerdict({ verdict: WAITING, outcome: "The steps of each kind of network are compiled before the first one is taken." });
});
page.on("end", ({ metrics }) => {
  byId("metrics").replaceChildren(...metrics.map(([name, value]) => make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: written(value) }))));
  showFindings();
});
mountExports(page, {
  event: "end", written: () => page.run?.end, frame, name: "network",
  csv: () => page.run?.end && { name: "training.csv", text: page.run.end.csv },
});
begin();

/** Show the verdict at the selected moment; at the last one the verdict of the whole training. */
function showFindings() {
  const { moment, run } = page;
  const isLast = moment === run?.moments.at(-1);
  if (isLast && run?.end) showVerdict(run.end);
  else if (run && moment?.verdict) showVerdict({ verdict: moment.verdict, outcome: `After ${moment.step} of ${run.head.of} steps.` });
}

/** Fill the lists, and train if the address says so. */
async function begin() {
  mountPresets(page);
  if (page.state.trained) page.train();
  look(page);
  showSamples(page, await mountChoices(page));
}
