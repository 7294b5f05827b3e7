/** The page "Descend": everything put together. */

import { onLost } from "./api.js";
import { mountControls, mountMethods } from "./controls.js";
import { mountDerivation } from "./derivation.js";
import { byId } from "./elements.js";
import { Page, connect, read } from "./flow.js";
import { mountExamples, mountFormula } from "./formula.js";
import { mountLoss } from "./loss.js";
import { mountPicture } from "./picture.js";
import { mountRace } from "./race.js";
import { mountRate } from "./rate.js";
import { Store } from "./state.js";
import { mountSurface } from "./surface.js";
import { mountTable } from "./table.js";
import { mountTaking } from "./taking.js";
import { mountGreeting, mountTheme } from "./theme.js";
import { mountVerdict } from "./verdict.js";
import { mountWalk } from "./walk.js";

const AGAIN = 2000; // milliseconds between two tries to reach a lab that was lost

const page = new Page(new Store());
connect(page);
mountTheme(page);
mountGreeting();
mountFormula(page);
mountControls(page);
const { frame } = mountPicture(page);
mountRate(page);
mountVerdict(page);
mountWalk(page);
mountTable(page);
mountLoss(page);
mountDerivation(page);
mountSurface(page);
mountTaking(page, frame);
keepTrying();
begin();

/** Ask for the first picture, and only then for what can wait. */
async function begin() {
  await read(page);
  mountExamples(page).catch(() => {});
  const methods = await mountMethods(page).catch(() => []);
  mountRace(page, methods);
}

/** Tell when the lab is lost, and go on when it is there again. */
function keepTrying() {
  let trying = 0;
  onLost((lost) => {
    byId("lost").hidden = !lost;
    byId("lost").textContent = lost ? "The lab does not answer. Is “downslope lab” still running? This page goes on as soon as it is." : "";
    clearInterval(trying);
    if (lost) trying = setInterval(() => read(page), AGAIN);
  });
}
