/** The page "Fit": everything put together. */

import { ask } from "../api.js";
import { mountDropping, showSamples } from "../dropping.js";
import { mountFormula } from "../formula.js";
import { mountLoss } from "../loss.js";
import { mountShell } from "../shell.js";
import { mountTable } from "../table.js";
import { mountTaking } from "../taking.js";
import { showVerdict } from "../verdict.js";
import { mountWalk } from "../walk.js";
import { mountChoices, mountControls } from "./controls.js";
import { mountData } from "./data.js";
import { Fitting, connect, look } from "./flow.js";
import { mountLandscape } from "./landscape.js";
import { mountParameters } from "./parameters.js";
import { mountPicture } from "./picture.js";
import { newStore } from "./state.js";

const page = new Fitting(newStore());
connect(page);
mountShell(page, () => look(page));
mountDropping(page);
mountData(page);
mountFormula(page);
mountControls(page);
const frame = mountPicture(page);
page.on("descent", showVerdict);
mountWalk(page);
mountTable(page);
mountLoss(page, () => "mean square");
mountParameters(page);
mountLandscape(page);
mountTaking(page, { event: "descent", told: () => page.descent, frame, name: "fit", csv: () => ask("fit_export", page.request()) });
begin();

/** Ask for the first picture, and only then for what can wait. */
async function begin() {
  await look(page);
  ask("samples", {}).then((told) => told && showSamples(page, told.samples)).catch(() => {});
  mountChoices(page).catch(() => {});
}
