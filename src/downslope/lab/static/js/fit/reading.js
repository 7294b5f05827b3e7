/** How a dropped file was read, in one line, and fields that say it otherwise. */

/** @import { Fitting } from "./flow.js" */

import { byId, make, showValid, typedWhole } from "../elements.js";

const SEPARATORS = { comma: "commas", semicolon: "semicolons", tab: "tabs", bar: "bars |", blanks: "blanks" };
const DECIMALS = { point: "a point: 1.5", comma: "a comma: 1,5" };

/** Connect the line and the fields. @param {Fitting} page */
export function mountReading(page) {
  const [separator, decimal, sheet] = ["separator", "decimal", "sheet"].map((name) => choice(page, name));
  const names = field(page, "names", (text) => (/^(none|no|0)$/i.test(text.trim()) ? "none" : whole(text, 1)));
  const skip = field(page, "skip", (text) => whole(text, 0));
  const reset = byId("read-reset", HTMLButtonElement);
  reset.addEventListener("click", () => page.set({ reading: null, step: null }, { push: true }));

  const show = () => {
    const { table, reading } = page.state;
    const read = table && page.data?.name === page.state.name ? page.data.read : null;
    byId("how-read").hidden = !table || (read !== null && !read.format);
    byId("read-line").textContent = read?.line ?? "";
    separator(reading, automatic(SEPARATORS, read?.separator), SEPARATORS);
    decimal(reading, automatic(DECIMALS, read?.decimal), DECIMALS);
    // By number: a sheet's name may hold what separates entries in the address.
    sheet(reading, automatic({}, read?.sheet), Object.fromEntries((read?.sheets ?? []).map((name, index) => [index + 1, name])));
    byId("read-separator-field").hidden = read?.format === "sheet";
    byId("read-sheet-field").hidden = (read?.sheets.length ?? 0) < 2;
    names(reading, read ? `automatic: ${read.names ?? "none"}` : "automatic");
    skip(reading, "none");
    reset.disabled = !reading;
  };
  page.on("data", show);
  page.on("state", show);
  page.on("trouble", (verb, error) => {
    if (verb !== "columns") return;
    show();
    if (error?.kind === "TableGoneError") byId("how-read").hidden = true; // there is nothing to read otherwise
  });
  show();
}

/**
 * Return a reading with another value of a choice, null where nothing is said any more.
 *
 * @param {Fitting} page
 * @param {string} name
 * @param {string} value "" to leave the choice to the file
 */
function changed(page, name, value) {
  const { [name]: _, ...others } = page.state.reading ?? {};
  const reading = value === "" ? others : { ...others, [name]: value };
  return { reading: Object.keys(reading).length ? reading : null, step: null };
}

/**
 * Connect a list, and return the function that shows a reading in it.
 *
 * @param {Fitting} page
 * @param {string} name
 */
function choice(page, name) {
  const select = byId(`read-${name}`, HTMLSelectElement);
  select.addEventListener("change", () => page.set(changed(page, name, select.value), { push: true }));
  return (/** @type {Record<string, string> | null} */ reading, /** @type {string} */ usual, /** @type {Record<string, string>} */ texts) => {
    const options = [["", usual], ...Object.entries(texts)];
    select.replaceChildren(...options.map(([value, text]) => make("option", { value, text })));
    select.value = reading?.[name] ?? "";
  };
}

/**
 * Connect a field, and return the function that shows a reading in it.
 *
 * @param {Fitting} page
 * @param {string} name
 * @param {(text: string) => string | undefined} read
 */
function field(page, name, read) {
  const input = byId(`read-${name}`, HTMLInputElement);
  input.addEventListener("input", () => {
    const value = input.value.trim() === "" ? "" : read(input.value);
    showValid(input, value !== undefined);
    if (value !== undefined) page.set(changed(page, name, value), { typing: true });
  });
  return (/** @type {Record<string, string> | null} */ reading, /** @type {string} */ usual) => {
    input.placeholder = usual;
    if (document.activeElement !== input) input.value = reading?.[name] ?? "";
  };
}

/**
 * @param {string} text
 * @param {number} least
 */
function whole(text, least) {
  const value = typedWhole(text, least);
  return value === undefined ? undefined : String(value);
}

/**
 * @param {Record<string, string>} texts
 * @param {string | null | undefined} value
 */
function automatic(texts, value) {
  return value ? `automatic: ${texts[value] ?? value}` : "automatic";
}
