/** Giving the lab a table: a file dropped anywhere on the page or chosen, or one of those that ship. */

import { upload } from "./api.js";
import { byId, make, showTrouble } from "./elements.js";

/** Connect the place for files; the table goes into the state as `table` with its `name`, or as `sample`. */
export function mountDropping(page) {
  const chooser = byId("file");
  const zone = byId("drop");
  let within = 0;

  byId("choose").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    take(page, chooser.files[0]);
    chooser.value = "";
  });
  const mark = (entered) => {
    within = entered;
    zone.classList.toggle("wanted", within > 0);
  };
  addEventListener("dragenter", () => mark(within + 1));
  addEventListener("dragleave", () => mark(Math.max(0, within - 1)));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(0);
    take(page, event.dataTransfer.files[0]);
  });
  page.on("state", () => showChosen(page));
}

/** List the tables that ship. */
export function showSamples(page, samples) {
  byId("samples").replaceChildren(...samples.map((sample) => {
    const button = make("button", { type: "button", text: sample, "data-sample": sample });
    button.addEventListener("click", () => page.set({ sample, table: null, name: null }, { push: true }));
    return button;
  }));
  showChosen(page);
}

/** What a question says about the table. */
export function tableOf({ table, sample }) {
  return table ? { table } : { sample };
}

async function take(page, file) {
  if (!file) return;
  showTrouble(byId("drop-note"), null);
  byId("drop").classList.add("busy");
  try {
    const { table } = await upload(file);
    page.set({ table, name: file.name, sample: null }, { push: true });
  } catch (error) {
    showTrouble(byId("drop-note"), error);
  }
  byId("drop").classList.remove("busy");
}

function showChosen({ state }) {
  for (const button of byId("samples").children) {
    button.setAttribute("aria-pressed", String(!state.table && button.dataset.sample === state.sample));
  }
}
