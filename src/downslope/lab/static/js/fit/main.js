/** The page "Fit": everything put together. */

import { ask, listOf } from "../api.js";
import { mountUpload, showSamples } from "../upload.js";
import { mountFormula } from "../formula.js";
import { mountLoss } from "../loss.js";
import { mountShell } from "../shell.js";
import { mountTable } from "../table.js";
import { mountExports } from "../exporting.js";
import { showVerdict } from "../verdict.js";
import { mountPlayback } from "../playback.js";
import { mountChoices, mountControls } from "./controls.js";
import { mountData } from "./data.js";
import { Fitting, connect, look } from "./flow.js";
import { mountLandscape } from "./landscape.js";
import { mountParameters } from "./parameters.js";
import { mountPicture } from "./picture.js";
import { mountReading } from "./reading.js";
import { newStore } from "./state.js";

const page = new Fitting(newStore());
connect(page);
mountShell(page, () => look(page));
mountUpload(page);
mountData(page);
mountReading(page);
mountFormula(page);
mountControls(page);
const frame = mountPicture(page);
page.on("descent", () => page.descent && showVerdict(page.descent));
mountPlayback(page);
mountTable(page);
mountLoss(page, () => "mean square");
mountParameters(page);
mountLandscape(page);
mountExports(page, { event: "descent", written: () => page.descent, frame, name: "fit", csv: () => ask("fit_export", page.request()) });
begin();

/** Fill the lists, and request the first picture. */
function begin() {
  listOf("samples").then((reply) => reply && showSamples(page, reply.samples));
  mountChoices(page);
  look(page);
}
