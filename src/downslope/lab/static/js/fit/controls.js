/** How to fit: the start of each parameter, which are held, the loss, the method. */

/** @import { Fitting } from "./flow.js" */
/** @import { MethodChoice } from "../types.d.ts" */

import { listOf } from "../api.js";
import { byId, make, showTrouble, showValid, typed, typedWhole, written } from "../elements.js";
import { mountField } from "../field.js";

/** Connect the controls. @param {Fitting} page */
export function mountControls(page) {
  const search = byId("search");
  mountStart(page);
  const also = { step: null };
  mountField(page, "rate", { read: (text) => (text.trim() === "" ? null : typed(text) ?? undefined), also });
  mountField(page, "steps", { read: (text) => typedWhole(text, 1), also });
  search.addEventListener("click", () => page.set({ start: null, hold: null, step: null }, { push: true }));
}

/** Connect one line for each parameter: its start, and whether it is held there. @param {Fitting} page */
function mountStart(page) {
  const container = byId("start-fields");
  let shown = "";

  const show = () => {
    if (!page.reading) return;
    const { parameters } = page.reading;
    if (parameters.join("\n") !== shown) {
      shown = parameters.join("\n");
      container.replaceChildren(...parameters.map((name) => lineFor(page, name)));
    }
    const { start, hold } = page.state;
    for (const line of container.querySelectorAll("div")) {
      const { name = "" } = line.dataset;
      const [field, box] = line.querySelectorAll("input");
      if (document.activeElement !== field) field.value = start?.[name] === undefined ? "" : written(start[name]);
      box.checked = hold?.includes(name) ?? false;
      box.disabled = start?.[name] === undefined && page.descent?.ends[name] === undefined;
    }
    const started = parameters.filter((name) => start?.[name] !== undefined).length;
    byId("search", HTMLButtonElement).disabled = started === 0;
    byId("start-lead").textContent = started === 0 ? "A start is searched for."
      : started < parameters.length && parameters.some((name) => start?.[name] !== undefined && !hold?.includes(name))
        ? "The others are searched for." : "";
  };
  page.on("reading", show);
  page.on("descent", show);
  page.on("state", show);
  page.on("trouble", (verb, error) => verb === "fit" && showTrouble(byId("start-note"), error));
}

/**
 * @param {Fitting} page
 * @param {string} name
 */
function lineFor(page, name) {
  const field = make("input", { type: "text", inputmode: "decimal", autocomplete: "off", placeholder: "searched", "aria-label": `Start of ${name}` });
  const box = make("input", { type: "checkbox", "aria-label": `Hold ${name}` });
  field.addEventListener("input", () => {
    const value = typed(field.value);
    const fine = value !== null || field.value.trim() === "";
    showValid(field, fine);
    if (!fine) return;
    const { [name]: _, ...others } = page.state.start ?? {};
    const start = value === null ? others : { ...page.state.start, [name]: value };
    const hold = value === null ? without(page.state.hold, name) : page.state.hold;
    page.set({ start: Object.keys(start).length ? start : null, hold, step: null }, { typing: true });
  });
  box.addEventListener("change", () => {
    const hold = box.checked ? [...(page.state.hold ?? []), name] : without(page.state.hold, name);
    const value = page.state.start?.[name] ?? page.descent?.ends[name];
    if (value !== undefined) page.set({ hold, start: { ...page.state.start, [name]: value }, step: null }, { push: true });
  });
  return make("div", { class: "parameter", "data-name": name },
    make("i", { text: name }), field, make("label", { class: "check" }, box, "hold"));
}

/**
 * @param {string[] | null} names
 * @param {string} name
 */
function without(names, name) {
  const left = (names ?? []).filter((other) => other !== name);
  return left.length ? left : null;
}

/** Fill the lists of losses and methods. @param {Fitting} page */
export async function mountChoices(page) {
  /** @type {{ losses: string[], methods: MethodChoice[] }} */
  const { losses, methods } = (await listOf("fit_choices")) ?? { losses: [page.state.loss], methods: [{ name: page.state.method, takes_rate: false }] };
  const [loss, method] = ["loss-choice", "method"].map((id) => byId(id, HTMLSelectElement));
  fill(loss, losses);
  fill(method, methods.map(({ name }) => name));
  const show = () => {
    choose(loss, page.state.loss);
    choose(method, page.state.method);
    byId("descending").hidden = page.state.method === methods[0].name;
    byId("rate", HTMLInputElement).disabled = !methods.find(({ name }) => name === page.state.method)?.takes_rate;
  };
  loss.addEventListener("change", () => page.set({ loss: loss.value, step: null }, { push: true }));
  method.addEventListener("change", () => page.set({ method: method.value, rate: null, step: null }, { push: true }));
  page.on("state", show);
  show();
}

/**
 * Choose an entry of a list; one that is none of them, as a link may name, is added so that it is seen.
 *
 * @param {HTMLSelectElement} select
 * @param {string} name
 */
function choose(select, name) {
  if (![...select.options].some(({ value }) => value === name)) select.append(make("option", { value: name, text: name }));
  select.value = name;
}

/**
 * @param {HTMLSelectElement} select
 * @param {string[]} names
 */
function fill(select, names) {
  select.replaceChildren(...names.map((name) => make("option", { value: name, text: name })));
}
