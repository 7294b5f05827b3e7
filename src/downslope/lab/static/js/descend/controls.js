/** The start, the variables shown, the method and the number of steps. */

/** @import { Descent } from "./flow.js" */
/** @import { MethodChoice } from "../types.d.ts" */

import { listOf } from "../api.js";
import { byId, make, showTrouble, showValid, typed, typedWhole, written } from "../elements.js";
import { mountSlice } from "../slice.js";

const NUDGE = 1 / 50; // of the box, for an arrow key in a field
/** @type {Record<string, number>} */
const BY_KEY = { ArrowUp: 1, ArrowDown: -1 };

/** Connect the controls. @param {Descent} page */
export function mountControls(page) {
  mountStart(page);
  mountOver(page);
  mountSteps(page);
  page.on("trouble", (verb, error) => {
    if (verb === "descend") showTrouble(byId("start-note"), error?.kind === "PointError" ? error : null);
  });
}

/** Connect one field for each variable. @param {Descent} page */
function mountStart(page) {
  const container = byId("start-fields");
  /** @type {Map<string, HTMLInputElement>} */
  let fields = new Map();

  page.on("reading", ({ variables }) => {
    if (variables.join() === [...fields.keys()].join()) return;
    fields = new Map(variables.map((name) => [name, fieldFor(page, name)]));
    container.replaceChildren(...[...fields].map(([name, field]) => make("label", { class: "coordinate" }, make("i", { text: name }), " = ", field)));
  });
  page.on("start", () => {
    for (const [name, field] of fields) {
      if (document.activeElement !== field || field.dataset.nudged) field.value = written(page.start[name] ?? "");
      delete field.dataset.nudged;
      showValid(field, true);
    }
  });
}

/**
 * @param {Descent} page
 * @param {string} name
 */
function fieldFor(page, name) {
  const field = make("input", { type: "text", inputmode: "decimal", autocomplete: "off", id: `start-${name}` });
  field.addEventListener("input", () => {
    const value = typed(field.value);
    showValid(field, value !== null);
    if (value !== null) page.set({ at: { ...page.start, [name]: value } });
  });
  field.addEventListener("blur", () => {
    field.value = written(page.start[name] ?? "");
    showValid(field, true);
  });
  field.addEventListener("keydown", (event) => {
    const way = BY_KEY[event.key];
    if (!way) return;
    event.preventDefault();
    const [low, high] = page.grid?.box[name] ?? [0, 10];
    field.dataset.nudged = "yes";
    const moved = page.start[name] + way * NUDGE * (event.shiftKey ? 5 : 1) * (high - low);
    page.set({ at: { ...page.start, [name]: Number(moved.toPrecision(6)) } });
  });
  return field;
}

/** Connect the choice of two variables for the picture, shown where there are more. @param {Descent} page */
function mountOver(page) {
  const show = mountSlice({
    names: () => page.reading?.variables ?? [],
    over: () => page.over,
    choose: (over) => page.set({ over, view: null }),
  });
  page.on("reading", show);
  page.on("state", (changed) => changed.has("over") && page.reading && show());
}

/** @param {Descent} page */
function mountSteps(page) {
  const field = byId("steps", HTMLInputElement);
  const show = () => document.activeElement !== field && (field.value = String(page.state.steps));
  field.addEventListener("input", () => {
    const steps = typedWhole(field.value, 1);
    showValid(field, steps !== undefined);
    if (steps !== undefined) page.set({ steps });
  });
  field.addEventListener("keydown", (event) => {
    const way = BY_KEY[event.key];
    if (!way) return;
    event.preventDefault();
    const by = event.shiftKey ? 10 : 1;
    field.value = String(Math.max(1, page.state.steps + way * by));
    page.set({ steps: Number(field.value) });
  });
  field.addEventListener("blur", () => {
    field.value = String(page.state.steps);
    showValid(field, true);
  });
  page.on("state", show);
  show();
}

/**
 * Fill the list of methods, and return it for the race.
 *
 * @param {Descent} page
 * @returns {Promise<MethodChoice[]>}
 */
export async function mountMethods(page) {
  const select = byId("method", HTMLSelectElement);
  /** @param {string[]} names */
  const show = (names) => {
    const all = names.includes(page.state.method) ? names : [page.state.method, ...names];
    if (all.length !== select.length) select.replaceChildren(...all.map((name) => make("option", { value: name, text: name })));
    select.value = page.state.method;
  };
  /** @type {string[]} */
  let known = [];
  show(known);
  select.addEventListener("change", () => page.set({ method: select.value, rate: null, step: 0 }, { push: true }));
  page.on("state", () => show(known));
  /** @type {{ methods: MethodChoice[] }} */
  const { methods } = (await listOf("methods")) ?? { methods: [] };
  known = methods.map((method) => method.name);
  show(known);
  return methods;
}
