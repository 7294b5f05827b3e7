/** What can be taken away: code, the command, the link, the pictures, the rows with what is predicted. */

import { ask } from "../api.js";
import { byId } from "../elements.js";
import { copies, save, saves, savesPicture } from "../taking.js";

/** Connect the buttons that copy and save. */
export function mountTaking(page, frame) {
  page.on("descent", ({ python, command }) => {
    byId("python").textContent = python;
    byId("command").textContent = command;
  });
  copies(byId("copy-python"), () => page.descent?.python);
  copies(byId("copy-command"), () => page.descent?.command);
  copies(byId("copy-link"), () => {
    page.store.flush();
    return location.href;
  });
  const note = byId("take-note");
  savesPicture(frame, "fit", { svg: byId("export-svg"), png: byId("export-png"), note });
  saves(byId("export-csv"), note, async () => {
    const told = await ask("fit_export", page.request());
    if (told) save(told.name, new Blob([told.text], { type: "text/csv" }));
  });
}
