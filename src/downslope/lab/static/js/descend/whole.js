/** The page "Descend": everything put together. */

/** @import { Store } from "../address.js" */
/** @import { State } from "./state.js" */

import { ask } from "../api.js";
import { byId } from "../elements.js";
import { mountSaving } from "../saving.js";
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
  mountFiles(page);
  begin(page);
  return page;
}

/** Connect the buttons that save the walk as a moving picture, and the page as a file. @param {Descent} page */
function mountFiles(page) {
  const state = byId("saving-state");
  for (const kind of ["gif", "apng"]) {
    const request = () => page.request({ kind, box: page.grid?.box ?? null });
    mountSaving(byId(`save-${kind}`, HTMLButtonElement), { verb: "animation", state, request, say: () => "The walk is being drawn …" });
  }
  const rate = () => page.state.rate ?? page.descent?.rate ?? null;
  mountSaving(byId("save-page", HTMLButtonElement), { verb: "page", state, request: () => page.request({ page: "descend", rate: rate() }), say: (doing) => `Recording: ${doing} …` });
}

/** Request the first picture, and then what can wait. @param {Descent} page */
async function begin(page) {
  await read(page);
  mountExamples(page);
  mountRace(page, await mountMethods(page));
}
