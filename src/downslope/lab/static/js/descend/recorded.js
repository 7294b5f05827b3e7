/** The page "Descend" in a file of its own, over what was recorded: rates on the slider, starts on a lattice, and their steps. */

/** @import { State } from "./state.js" */
/** @import { Descent } from "./flow.js" */
/**
 * @typedef {object} Recorded
 * @property {Partial<State>} first the state that the page was recorded in
 * @property {Record<string, number>[]} starts
 * @property {number[]} rates at the first start
 * @property {number[]} few rates at all other starts
 * @property {Record<string, number>} spans of the variables, by which starts are near each other
 */

import { byId } from "../elements.js";
import { answerFromRecording } from "../recorded.js";
import { newStore } from "./state.js";
import { mountDescend } from "./whole.js";

const FIXED = { race: null, sweep: /** @type {0} */ (0), example: null };
const FIELDS = ["formula", "steps", "rate-field"];
/** @type {Record<string, [axis: number, way: number]>} */
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1] };
const ASIDE = 4; // times as far a start seems that lies beside the direction of an arrow key

const { first, starts, rates, few, spans } = /** @type {Recorded} */ (answerFromRecording().about);
begin(mountDescend(newStore(first, allowed)));

/** @param {Descent} page */
function begin(page) {
  fix(page);
  mountKeys(page);
}

/** Return the nearest recorded state. @param {State} state @returns {State} */
function allowed(state) {
  const at = state.at ? nearestStart(state.at) : starts[0];
  return { ...state, ...first, ...FIXED, at, rate: nearestRate(state.rate ?? first.rate ?? null, ratesAt(at)), step: state.step, view: state.view, surface: state.surface };
}

/** @param {Record<string, number>} at */
function ratesAt(at) {
  return at === starts[0] ? rates : few;
}

/** @param {Record<string, number>} at */
function nearestStart(at) {
  const names = Object.keys(spans);
  return d3.least(starts, (start) => Math.hypot(...names.map((name) => (start[name] - (at[name] ?? starts[0][name])) / spans[name]))) ?? starts[0];
}

/**
 * @param {number | null} rate
 * @param {number[]} all
 */
function nearestRate(rate, all) {
  return rate === null || !(rate > 0) ? all[0] ?? null : d3.least(all, (known) => Math.abs(Math.log(known / rate))) ?? null;
}

/** Let nothing be typed or chosen that was not recorded. @param {Descent} page */
function fix(page) {
  byId("welcome").hidden = true; // it speaks of formulas and examples
  for (const id of FIELDS) hold(byId(id, HTMLInputElement));
  byId("method", HTMLSelectElement).disabled = true;
  page.on("start", () => {
    for (const field of byId("start-fields").querySelectorAll("input")) hold(field);
  });
}

/** @param {HTMLInputElement} field */
function hold(field) {
  field.readOnly = true;
  field.setAttribute("aria-describedby", "recorded");
}

/** Let arrow keys go from one recorded rate, or start, to the next. @param {Descent} page */
function mountKeys(page) {
  addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    const { target } = event;
    if (!arrow || !(target instanceof Element)) return;
    const isRing = target.classList.contains("ring");
    if (!isRing && target.id !== "rate-slider") return;
    event.preventDefault();
    event.stopPropagation();
    if (isRing) page.set({ at: nextStart(page.start, ...arrow) });
    else page.set({ rate: nextRate(page.state.rate ?? 0, ratesAt(nearestStart(page.start)), arrow[1]) });
  }, { capture: true });
}

/**
 * @param {number} rate
 * @param {number[]} all
 * @param {number} way
 */
function nextRate(rate, all, way) {
  const beyond = all.filter((known) => (known - rate) * way > 0);
  return (way > 0 ? d3.min(beyond) : d3.max(beyond)) ?? rate;
}

/**
 * @param {Record<string, number>} at
 * @param {number} axis
 * @param {number} way
 */
function nextStart(at, axis, way) {
  const names = Object.keys(spans);
  const along = names[axis];
  if (along === undefined) return at;
  /** @param {Record<string, number>} start */
  const distance = (start) => Math.hypot(...names.map((name) => ((start[name] - at[name]) / spans[name]) * (name === along ? 1 : ASIDE)));
  return d3.least(starts.filter((start) => (start[along] - at[along]) * way > 1e-9 * spans[along]), distance) ?? at;
}
