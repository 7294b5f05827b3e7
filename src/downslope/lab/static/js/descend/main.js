/** The page "Descend": everything put together. */

import { mountControls, mountMethods } from "./controls.js";
import { mountDerivation } from "./derivation.js";
import { mountShell } from "../shell.js";
import { showVerdict } from "../verdict.js";
import { Descent, connect, read } from "./flow.js";
import { mountExamples, mountFormula } from "./formula.js";
import { mountLoss } from "./loss.js";
import { mountPicture } from "./picture.js";
import { mountRace } from "./race.js";
import { mountRate } from "./rate.js";
import { newStore } from "./state.js";
import { mountSurface } from "./surface.js";
import { mountTable } from "./table.js";
import { mountTaking } from "./take.js";
import { mountWalk } from "./walk.js";

const page = new Descent(newStore());
connect(page);
mountShell(page, () => read(page));
mountFormula(page);
mountControls(page);
const { frame } = mountPicture(page);
mountRate(page);
page.on("descent", showVerdict);
mountWalk(page);
mountTable(page);
mountLoss(page);
mountDerivation(page);
mountSurface(page);
mountTaking(page, frame);
begin();

/** Ask for the first picture, and only then for what can wait. */
async function begin() {
  await read(page);
  mountExamples(page).catch(() => {});
  const methods = await mountMethods(page).catch(() => []);
  mountRace(page, methods);
}
