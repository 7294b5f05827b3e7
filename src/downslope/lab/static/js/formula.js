/** The formula: its field, how it was read, and what is wrong with it. */

/** @import { Page } from "./page.js" */
/** @import { Trouble } from "./types.d.ts" */

import { byId, make, setMaths, showValid } from "./elements.js";

/** Connect the field and the text below it. @param {Page<any>} page */
export function mountFormula(page) {
  const field = byId("formula", HTMLInputElement);
  let edited = false;

  field.addEventListener("input", () => {
    page.set({ f: field.value }, { typing: true, push: !edited });
    edited = true;
  });
  field.addEventListener("focus", () => (edited = false));
  field.addEventListener("keydown", (event) => event.key === "Enter" && (edited = false));

  page.on("reading", (reading) => {
    const names = [...reading.variables, reading.name];
    showValid(field, true);
    byId("wrong-place").hidden = true;
    byId("reading").classList.remove("wrong");
    setMaths(byId("read-as"), reading.read_as, names);
    byId("read-notes").replaceChildren(...reading.notes.map((note) => make("span", { text: note })));
    document.title = `${reading.read_as} · downslope`;
  });
  page.on("wrong", (error) => showWrong(field, page.state.f, error));
  page.on("state", (changed) => {
    if (changed.has("f") && field.value !== page.state.f) field.value = page.state.f;
  });
  field.value = page.state.f;
}

/**
 * Show an error, and its position in a copy of the text.
 *
 * @param {HTMLInputElement} field
 * @param {string} formula
 * @param {Trouble} error
 */
function showWrong(field, formula, error) {
  const { position = null, width = 1 } = error;
  const copy = byId("wrong-place");
  showValid(field, false);
  byId("reading").classList.add("wrong");
  copy.hidden = position === null;
  if (position !== null) {
    const letters = [...formula];
    const wrong = letters.slice(position, position + Math.max(1, width)).join("");
    copy.replaceChildren(
      letters.slice(0, position).join(""), make("mark", { text: wrong || "\u00a0" }), letters.slice(position + Math.max(1, width)).join(""),
    );
  }
  byId("read-as").replaceChildren(error.message);
  byId("read-notes").replaceChildren(...(error.hint ? [error.hint] : []));
}
