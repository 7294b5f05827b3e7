/** The data, the network, the method, and the button that trains. */

/** @import { Learning } from "./flow.js" */
/** @import { NetworkSettings, TablePreview } from "../types.d.ts" */

import { listOf } from "../api.js";
import { byId, make, showTrouble, typed, typedWhole, written } from "../elements.js";
import { mountField } from "../field.js";
import { mountMenu } from "../menu.js";
import { mountSlice } from "../slice.js";
import { showTableTrouble, sizeOf } from "../upload.js";
import { SETTINGS, stateOf } from "./state.js";

/** The lists of choices: the key in the state, and the key in the lab's reply. */
const LISTS = /** @type {const} */ ([
  ["activation", "activations"], ["initialisation", "initialisations"], ["normalisation", "normalisations"], ["method", "methods"],
]);
const WHOLE = { steps: 1, seed: 0 };

/** Connect the controls. @param {Learning} page */
export function mountControls(page) {
  mountField(page, "hidden", { read: (text) => (/^\s*\d+([\s,;]+\d+)*\s*$/.test(text) ? text.trim().split(/[\s,;]+/).join(",") : undefined) });
  mountField(page, "rate", { read: (text) => (text.trim() === "" ? null : typed(text) ?? undefined) });
  mountField(page, "dropout", { read: (text) => typed(text) ?? undefined });
  mountField(page, "class_weights", { read: (text) => readWeights(text), write: (value) => value ?? "" });
  page.on("head", ({ classes }) => (byId("class-weights-field").hidden = !classes.length && !page.state.class_weights));
  mountField(page, "batch", { read: (text) => (["", "all"].includes(text.trim()) ? 0 : typedWhole(text, 1)), write: (value) => (value ? written(value) : "all") });
  for (const [name, least] of Object.entries(WHOLE)) mountField(page, name, { read: (text) => typedWhole(text, least) });
  for (const [name] of LISTS) {
    const select = byId(name, HTMLSelectElement);
    select.addEventListener("change", () => page.set({ [name]: select.value }, { push: true }));
  }
  const skip = byId("skip", HTMLInputElement);
  skip.addEventListener("change", () => page.set({ skip: skip.checked ? 1 : 0 }, { push: true }));
  const target = byId("target", HTMLSelectElement);
  target.addEventListener("change", () => page.set({ target: target.value, trained: 1, step: null }, { push: true, train: true }));
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
    else page.set({ trained: 1, step: null, earlier: null }, { train: true, fit: true });
  });
  const onward = byId("go-on", HTMLButtonElement);
  onward.addEventListener("click", () => page.resume());
  // Only the rate may differ from that of the weights: with other layers they would mean nothing.
  let trained = "";
  const settings = () => JSON.stringify(SETTINGS.filter((key) => key !== "rate" && key !== "steps").map((key) => page.state[key]));
  const showOnward = () => (onward.hidden = page.isTraining || !page.run?.end || settings() !== trained);
  page.on("head", () => (trained = settings()));
  for (const event of /** @type {const} */ (["training", "state", "end"])) page.on(event, showOnward);
  const devices = byId("devices", HTMLSelectElement);
  devices.addEventListener("change", () => page.set({ devices: devices.value === "1" ? null : devices.value }, { push: true }));
  page.on("head", ({ devices: most }) => {
    byId("devices-field").hidden = most < 2 && !page.state.devices;
    const counts = Array.from({ length: most }, (_, index) => String(index + 1));
    const texts = [...counts.map((count) => [count, count]), ["all", `all ${most}`]];
    devices.replaceChildren(...texts.map(([value, text]) => make("option", { value, text })));
    devices.value = page.state.devices ?? "1";
  });
  page.on("training", (now) => {
    byId("train").textContent = now ? "Stop" : page.state.trained ? "Train again" : "Train";
    byId("train").classList.toggle("main", !now);
  });
  page.on("state", () => show(page));
  page.on("trouble", (verb, error) => {
    if (verb !== "train") return;
    const isGone = error?.kind === "TableGoneError";
    if (isGone) showTableTrouble(page.state, error);
    showTrouble(byId("train-note"), isGone ? null : error, () => page.train());
    if (error && !page.run) byId("verdict-sentence").textContent = "";
  });
  page.on("table", (table) => showTable(table));
  page.on("trouble", (verb, error) => verb === "table" && showTableTrouble(page.state, error));
  show(page);
}

/**
 * Fill the lists, and return the names of the data that ship.
 *
 * @param {Learning} page
 * @returns {Promise<string[]>}
 */
export async function mountChoices(page) {
  /** @type {Record<string, string[]>} */
  const choices = (await listOf("network_choices")) ?? { samples: [], class_weights: [] };
  for (const [name, key] of LISTS) {
    const known = choices[key] ?? [];
    const all = known.includes(page.state[name]) ? known : [page.state[name], ...known];
    byId(name).replaceChildren(...all.map((value) => make("option", { value, text: value })));
  }
  byId("class-weights-list").replaceChildren(...choices.class_weights.map((value) => make("option", { value })));
  show(page);
  return choices.samples;
}

/**
 * Return weights of classes as they were typed: a word, or numbers of 0 or more, each behind its label or in order; null for none.
 *
 * @param {string} text
 */
export function readWeights(text) {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const weights = trimmed.split(/[,;]/).map((part) => part.slice(part.lastIndexOf("=") + 1).trim());
  const fine = /^[a-z]+$/.test(trimmed) || weights.every((weight) => weight !== "" && Number(weight) >= 0);
  return fine ? trimmed.replace(/\s*[,;]\s*/g, ",") : undefined;
}

/** Fill the menu of example networks. @param {Learning} page */
export async function mountPresets(page) {
  const close = mountMenu(byId("presets", HTMLDetailsElement));
  /** @type {{ presets: { title: string, what: string, settings: NetworkSettings }[] }} */
  const { presets } = (await listOf("network_presets")) ?? { presets: [] };
  byId("presets-list").replaceChildren(...presets.map(({ title, what, settings }) => {
    const button = make("button", { type: "button" }, make("span", { class: "example-title", text: title }), make("span", { class: "small", text: what }));
    button.addEventListener("click", () => {
      close();
      page.set({ table: null, name: null, target: null, over: null, example: 0, ...stateOf(settings) }, { push: true, train: true, fit: true });
    });
    return make("li", {}, button);
  }));
}

/** @param {Learning} page */
function show(page) {
  const { state } = page;
  for (const [name] of LISTS) {
    const select = byId(name, HTMLSelectElement);
    if (![...select.options].some(({ value }) => value === state[name])) select.append(make("option", { value: state[name], text: state[name] }));
    select.value = state[name];
  }
  byId("skip", HTMLInputElement).checked = state.skip === 1;
  byId("more").hidden = !state.more;
  byId("more-text").textContent = state.more ?? "";
  byId("target-field").hidden = !state.table;
  byId("data-name").textContent = state.table ? state.name : "";
  if (!page.isTraining) byId("train").textContent = state.trained ? "Train again" : "Train";
  byId("changed").hidden = Boolean(state.trained) || !page.run;
}

/** @param {TablePreview & { target: string } | null} table */
function showTable(table) {
  showTrouble(byId("drop-note"), null);
  byId("data-rows").textContent = table ? sizeOf(table) : "";
  if (!table) return;
  const select = byId("target", HTMLSelectElement);
  select.replaceChildren(...table.headings.map((name) => make("option", { value: name, text: name })));
  select.value = table.target;
}
