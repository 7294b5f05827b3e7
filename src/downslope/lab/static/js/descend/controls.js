/** The start, the variables shown, the method and the number of steps. */

import { ask } from "../api.js";
import { byId, make, showTrouble, showValid, typed, typedWhole, written } from "../elements.js";
import { mountSlice } from "../slice.js";

const NUDGE = 1 / 50; // of the box, for an arrow key in a field

/** Connect the controls. */
export function mountControls(page) {
  mountStart(page);
  mountOver(page);
  mountSteps(page);
  page.on("trouble", (verb, error) => {
    if (verb === "descend") showTrouble(byId("start-note"), error?.kind === "PointError" ? error : null);
  });
}

/** One field for each variable. */
function mountStart(page) {
  const place = byId("start-fields");
  let fields = new Map();

  page.on("reading", ({ variables }) => {
    if (variables.join() === [...fields.keys()].join()) return;
    fields = new Map(variables.map((name) => [name, fieldFor(page, name)]));
    place.replaceChildren(...variables.map((name) =>
      make("label", { class: "coordinate" }, make("i", { text: name }), " = ", fields.get(name))));
  });
  page.on("start", () => {
    for (const [name, field] of fields) {
      if (document.activeElement !== field || field.dataset.nudged) field.value = written(page.start[name] ?? "");
      delete field.dataset.nudged;
      showValid(field, true);
    }
  });
}

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
    const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const [low, high] = page.ground?.box[name] ?? [0, 10];
    field.dataset.nudged = "yes";
    const moved = page.start[name] + way * NUDGE * (event.shiftKey ? 5 : 1) * (high - low);
    page.set({ at: { ...page.start, [name]: Number(moved.toPrecision(6)) } });
  });
  return field;
}

/** With more than two variables: which two the picture shows. */
function mountOver(page) {
  const show = mountSlice({
    names: () => page.reading?.variables ?? [],
    over: () => page.state.over ?? page.reading.variables.slice(0, 2),
    choose: (over) => page.set({ over, view: null }),
  });
  page.on("reading", show);
  page.on("state", (changed) => changed.has("over") && page.reading && show());
}

function mountSteps(page) {
  const field = byId("steps");
  const show = () => document.activeElement !== field && (field.value = page.state.steps);
  field.addEventListener("input", () => {
    const steps = typedWhole(field.value, 1);
    showValid(field, steps !== undefined);
    if (steps !== undefined) page.set({ steps });
  });
  field.addEventListener("keydown", (event) => {
    const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const by = event.shiftKey ? 10 : 1;
    field.value = Math.max(1, page.state.steps + way * by);
    page.set({ steps: Number(field.value) });
  });
  field.addEventListener("blur", () => {
    field.value = page.state.steps;
    showValid(field, true);
  });
  page.on("state", show);
  show();
}

/** Fill the list of methods, and give it back for the race. */
export async function mountMethods(page) {
  const select = byId("method");
  const show = (names) => {
    const all = names.includes(page.state.method) ? names : [page.state.method, ...names];
    if (all.length !== select.length) select.replaceChildren(...all.map((name) => make("option", { value: name, text: name })));
    select.value = page.state.method;
  };
  let names = [];
  show(names);
  select.addEventListener("change", () => page.set({ method: select.value, rate: null, step: 0 }, { push: true }));
  page.on("state", () => show(names));
  const { methods } = (await ask("methods", {})) ?? { methods: [] };
  names = methods.map((method) => method.name);
  show(names);
  return methods;
}
