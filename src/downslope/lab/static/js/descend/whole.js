/** The page "Descend": everything put together. */

/** @import { Store } from "../address.js" */
/** @import { State } from "./state.js" */

import { ask } from "../api.js";
import { mountFormula } from "../formula.js";
import { mountLoss } from "../loss.js";
import { mountShell } from "../shell.js";
import { mountTable } from "../table.js";
import { mountExports } from "../exporting.js";
import { showVerdict } from "../verdict.js";
import { mountPlayback } from "../playback.js";
import { mountArithmetic } from "./arithmetic.js";
import { mountControls, mountMethods } from "./controls.js";
import { mountDerivation } from "./derivation.js";
import { mountExamples } from "./examples.js";
import { Descent, connect, read } from "./flow.js";
import { mountPicture } from "./picture.js";
import { mountRace } from "./race.js";
import { mountRate } from "./rate.js";
import { mountSurface } from "./surface.js";

/**
 * Put the page together over a state, and request the first picture.
 *
 * @param {Store<State>} store
 */
export function mountDescend(store) {
  const page = new Descent(store);
  connect(page);
  mountShell(page, () => read(page));
  mountFormula(page);
  mountControls(page);
  const { frame } = mountPicture(page);
  mountRate(page);
  page.on("descent", () => page.descent && showVerdict(page.descent));
  mountPlayback(page);
  mountArithmetic(page);
  mountTable(page);
  mountLoss(page, () => page.reading?.name ?? "value");
  mountDerivation(page);
  mountSurface(page);
  mountExports(page, { event: "descent", written: () => page.descent, frame, name: "descent", csv: () => ask("export", page.request({ format: "csv" })) });
  begin(page);
  return page;
}

/** Request the first picture, and then what can wait. @param {Descent} page */
async function begin(page) {
  await read(page);
  mountExamples(page);
  mountRace(page, await mountMethods(page));
}
