/**
 * From a change to what has to be asked for.
 *
 *     formula ─▶ read ─▶ descend ─▶ ground (fitted around the way)
 *                            ├────▶ steps, which are read and not seen at once
 *                            └────▶ rates, once nothing has moved for a moment
 *     start, rate, method, steps ─▶ descend; the ground and its box stay
 *     the box, the variables shown ─▶ ground
 */

import { ask } from "../api.js";
import { Page } from "../page.js";

const TYPING = 90; // milliseconds after the last key
const SETTLED = 300; // milliseconds after the last move

/** What the page knows by now. It tells reading, wrong, descent, steps, ground, rates, row, start, trouble and state. */
export class Descent extends Page {
  ground = null;
  rates = null;

  /** Where the descent starts. */
  get start() {
    return this.state.at ?? this.reading?.start ?? {};
  }

  /** What every question about this descent holds. */
  request(more = {}) {
    const { f, rate, method, steps, over } = this.state;
    return { formula: f, start: this.start, rate, method, steps, over, ...more };
  }
}

/** Ask for what a change makes necessary, from now on. */
export function connect(page) {
  let typing = 0;
  let settling = 0;

  page.store.listen((changed, how) => {
    const has = (...keys) => keys.some((key) => changed.has(key));
    if (has("f")) {
      clearTimeout(typing);
      if (how.typing) typing = setTimeout(() => read(page, how), TYPING);
      else read(page, how);
    } else if (page.reading) {
      if (has("at", "rate", "method", "steps") && !how.fit) keepView(page);
      if (has("at")) page.tell("start");
      if (has("at", "rate", "method", "steps", "over")) descend(page, { fit: how.fit || has("over") });
      else if (how.fit || has("view")) lay(page);
      if (has("at", "method", "steps")) settle();
    }
    if (has("step")) page.tell("row");
    page.tell("state", changed, how);
  });
  page.on("reading", () => settle());

  function settle() {
    clearTimeout(settling);
    settling = setTimeout(() => findRates(page), SETTLED);
  }
}

/** Ask how the formula is read, and go on from there. */
export async function read(page, how = {}) {
  const formula = page.state.f;
  let reading;
  try {
    reading = await ask("read", { formula });
  } catch (error) {
    if (formula === page.state.f) page.tell("wrong", error);
    return;
  }
  if (!reading || formula !== page.state.f) return;
  page.reading = reading;
  page.set(fitting(page, how), { quiet: true });
  page.tell("reading", reading);
  page.tell("start");
  await descend(page, { fit: true });
}

/** Return what of the state does not suit a new formula, made to suit it. */
function fitting(page, how) {
  const { at, over } = page.state;
  const { variables } = page.reading;
  const patch = {};
  if (how.typing) Object.assign(patch, { view: null, step: 0 });
  const known = at && variables.length === Object.keys(at).length && variables.every((name) => name in at);
  if (!known) Object.assign(patch, { at: null, step: 0 }, at ? { view: null } : {}, how.typing ? { rate: null } : {});
  const wanted = Math.min(2, variables.length);
  if (over && !(over.length === wanted && over.every((name) => variables.includes(name)))) patch.over = null;
  return patch;
}

/** Ask for the way down; with `fit`, for the ground around it as well. */
async function descend(page, { fit }) {
  const request = page.request();
  let descent = null;
  try {
    descent = await ask("descend", request);
    if (!descent || request.formula !== page.state.f) return;
    page.descent = descent;
    page.tell("trouble", "descend", null);
    page.tell("descent", descent);
    page.tell("row");
    askSteps(page, request);
  } catch (error) {
    if (request.formula !== page.state.f) return;
    page.tell("trouble", "descend", error);
  }
  // With more variables than the picture has, the ground depends on where the others are.
  if (fit || !page.ground || (page.reading.variables.length > 2 && descent)) await lay(page);
}

/** Ask for the table of the steps and their arithmetic. */
async function askSteps(page, request) {
  const steps = await ask("steps", request).catch(() => null); // what is wrong with it, the descent says
  if (!steps || request.formula !== page.state.f) return;
  page.steps = steps;
  page.tell("steps", steps);
  page.tell("row");
}

/** Ask for the ground in the box of the state, or in one that fits the way. */
async function lay(page) {
  const { view, over, f } = page.state;
  const shown = over ?? page.reading.variables.slice(0, 2);
  const box = view?.length === 2 * shown.length ? toBox(view, shown) : boxOf(page.descent, shown);
  try {
    const request = { formula: f, start: page.start, box, over: shown };
    const ground = await ask("ground", request);
    if (!ground || f !== page.state.f) return;
    page.ground = ground;
    page.tell("trouble", "ground", null);
    page.tell("ground", ground);
    if (page.descent) page.tell("row");
  } catch (error) {
    if (f === page.state.f) page.tell("trouble", "ground", error);
  }
}

/** Ask which rates are stable and which is best. */
async function findRates(page) {
  const { f, method, steps } = page.state;
  try {
    const rates = await ask("rates", { formula: f, start: page.start, method, steps });
    if (!rates || f !== page.state.f) return;
    page.rates = rates;
    page.tell("rates", rates);
  } catch (error) {
    if (f === page.state.f) page.tell("trouble", "rates", error);
  }
}

/** Write the box that is shown into the address, since it no longer follows from the rest. */
function keepView(page) {
  if (page.state.view || !page.ground) return;
  page.set({ view: page.ground.over.flatMap((name) => page.ground.box[name]) }, { quiet: true });
}

function toBox(view, shown) {
  return Object.fromEntries(shown.map((name, place) => [name, view.slice(2 * place, 2 * place + 2)]));
}

/** Return the box that suits the way, or null without one. */
function boxOf(descent, shown) {
  return descent && shown.every((name) => name in descent.box) ? descent.box : null;
}
