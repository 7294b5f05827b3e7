/** Choosing a table: a file dropped on the page or chosen, or a table that ships. */

/** @import { Page } from "./page.js" */
/** @import { TablePreview, Trouble } from "./types.d.ts" */

import { upload } from "./api.js";
import { byId, make, showTrouble } from "./elements.js";

/** Connect the drop zone; the table goes into the state as `table` with its `name`, or as `sample`. @param {Page<any>} page */
export function mountUpload(page) {
  const chooser = byId("file", HTMLInputElement);
  const zone = byId("drop");
  let within = 0;

  byId("choose").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    take(page, chooser.files?.[0]);
    chooser.value = "";
  });
  /** @param {number} entered */
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
    take(page, event.dataTransfer?.files[0]);
  });
  page.on("state", () => showChosen(page));
}

/**
 * List the tables that ship.
 *
 * @param {Page<any>} page
 * @param {string[]} samples
 */
export function showSamples(page, samples) {
  byId("samples").replaceChildren(...samples.map((sample) => {
    const button = make("button", { type: "button", text: sample, "data-sample": sample });
    button.addEventListener("click", () => page.set({ sample, table: null, name: null }, { push: true }));
    return button;
  }));
  showChosen(page);
}

/** Return the table's part of a request. @param {{ table: string | null, sample: string | null, reading?: Record<string, string> | null }} state */
export function tableOf({ table, sample, reading }) {
  if (!table) return { sample };
  return reading ? { table, reading } : { table };
}

/**
 * Show what is wrong with the table; a file that the lab lost, as a link to it may, is called by its name.
 *
 * @param {{ name: string | null }} state
 * @param {Trouble | null} error
 */
export function showTableTrouble({ name }, error) {
  const isGone = error?.kind === "TableGoneError";
  showTrouble(byId("drop-note"), isGone ? { ...error, message: `The lab does not have ${name ? `“${name}”` : "this file"} any more: it keeps files only while it runs.`, hint: "Open the file again, or choose another table." } : error);
}

/**
 * @param {Page<any>} page
 * @param {File | undefined} file
 */
async function take(page, file) {
  if (!file) return;
  showTrouble(byId("drop-note"), null);
  byId("drop").classList.add("busy");
  try {
    const { table } = await upload(file);
    page.set({ table, name: file.name, sample: null }, { push: true });
  } catch (error) {
    showTrouble(byId("drop-note"), /** @type {Trouble} */ (error));
  }
  byId("drop").classList.remove("busy");
}

/** Return how many rows and columns a table has, as a text. @param {TablePreview} table */
export function sizeOf({ rows, all_rows: all, headings }) {
  return `${all ? `a sample of ${rows} of ${all}` : rows} rows, ${headings.length} columns`;
}

/** @param {Page<any>} page */
function showChosen({ state }) {
  for (const button of byId("samples").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(!state.table && button.dataset.sample === state.sample));
  }
}
