/** The data, the network, how it steps; and the button that trains. */

import { ask } from "../api.js";
import { byId, make, showTrouble, typed, typedWhole, written } from "../elements.js";
import { mountField } from "../field.js";
import { mountMenu } from "../menu.js";
import { mountSlice } from "../slice.js";
import { stateOf } from "./state.js";

const LISTS = { activation: "activations", initialisation: "initialisations", normalisation: "normalisations", method: "methods" };
const WHOLE = { steps: 1, seed: 0 };

/** Connect the controls. */
export function mountControls(page) {
  mountField(page, "hidden", { read: (text) => (/^\s*\d+([\s,;]+\d+)*\s*$/.test(text) ? text.trim().split(/[\s,;]+/).join(",") : undefined) });
  mountField(page, "rate", { read: (text) => (text.trim() === "" ? null : typed(text) ?? undefined) });
  mountField(page, "dropout", { read: (text) => typed(text) ?? undefined });
  mountField(page, "batch", { read: (text) => (["", "all"].includes(text.trim()) ? 0 : typedWhole(text, 1)), write: (value) => (value ? written(value) : "all") });
  for (const [name, least] of Object.entries(WHOLE)) mountField(page, name, { read: (text) => typedWhole(text, least) });
  for (const name of Object.keys(LISTS)) {
    byId(name).addEventListener("change", (event) => page.set({ [name]: event.target.value }, { push: true }));
  }
  byId("skip").addEventListener("change", (event) => page.set({ skip: event.target.checked ? 1 : 0 }, { push: true }));
  byId("target").addEventListener("change", (event) => page.set({ target: event.target.value, trained: 1, step: null }, { push: true, train: true }));
  const showSlice = mountSlice({
    names: () => (page.run?.head.kind === "plane" ? page.run.head.features : []),
    over: () => page.run?.head.over ?? [],
    choose: (over) => page.set({ over, trained: 1 }, { train: true }),
  });
  page.on("head", () => showSlice());
  byId("more-clear").addEventListener("click", () => page.set({ more: null }, { push: true }));
  byId("setup").addEventListener("submit", (event) => {
    event.preventDefault();
    if (page.isTraining) page.stop();
    else page.set({ trained: 1, step: null }, { train: true, fit: true });
  });
  page.on("training", (now) => {
    byId("train").textContent = now ? "Stop" : page.state.trained ? "Train again" : "Train";
    byId("train").classList.toggle("main", !now);
  });
  page.on("state", () => show(page));
  page.on("trouble", (verb, error) => verb === "train" && showTrouble(byId("train-note"), error));
  page.on("table", (table) => showTable(page, table));
  page.on("trouble", (verb, error) => verb === "table" && showTrouble(byId("drop-note"), error));
  show(page);
}

/** Fill the lists, and give back the data that ship. */
export async function mountChoices(page) {
  const told = (await ask("network_choices", {})) ?? { samples: [] };
  for (const [name, list] of Object.entries(LISTS)) {
    const all = told[list]?.includes(page.state[name]) ? told[list] : [page.state[name], ...(told[list] ?? [])];
    byId(name).replaceChildren(...all.map((value) => make("option", { value, text: value })));
  }
  show(page);
  return told.samples;
}

/** Fill the menu of networks to begin with. */
export async function mountPresets(page) {
  const close = mountMenu(byId("presets"));
  const { presets } = (await ask("network_presets", {})) ?? { presets: [] };
  byId("presets-list").replaceChildren(...presets.map(({ title, what, settings }) => {
    const button = make("button", { type: "button" }, make("span", { class: "example-title", text: title }), make("span", { class: "small", text: what }));
    button.addEventListener("click", () => {
      close();
      page.set({ table: null, name: null, target: null, over: null, example: 0, ...stateOf(settings) }, { push: true, train: true, fit: true });
    });
    return make("li", {}, button);
  }));
}

function show(page) {
  const { state } = page;
  for (const name of Object.keys(LISTS)) {
    const select = byId(name);
    if (![...select.options].some(({ value }) => value === state[name])) select.append(make("option", { value: state[name], text: state[name] }));
    select.value = state[name];
  }
  byId("skip").checked = state.skip === 1;
  byId("more").hidden = !state.more;
  byId("more-text").textContent = state.more ?? "";
  byId("target-field").hidden = !state.table;
  byId("data-name").textContent = state.table ? state.name : state.sample;
  if (!page.isTraining) byId("train").textContent = state.trained ? "Train again" : "Train";
  byId("stage").classList.toggle("stale", !state.trained && Boolean(page.run));
  byId("changed").hidden = Boolean(state.trained) || !page.run;
}

function showTable(page, table) {
  showTrouble(byId("drop-note"), null);
  byId("data-rows").textContent = table ? `${table.rows} rows, ${table.headings.length} columns` : "";
  if (!table) return;
  byId("target").replaceChildren(...table.headings.map((name) => make("option", { value: name, text: name })));
  byId("target").value = table.target;
}
