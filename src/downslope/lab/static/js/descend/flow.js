/**
 * From a change to the requests that it makes necessary.
 *
 *     formula ─▶ read ─▶ descend, with the grid around the path
 *                            ├────▶ steps, which are read and not seen at once
 *                            └────▶ rates, once nothing has moved for a moment
 *     start, rate, method, steps ─▶ descend; the grid and its box stay
 *     the box, the variables shown ─▶ grid
 *
 * Each key is a request, since of each verb only one runs and only the newest waits.
 */

/** @import { State } from "./state.js" */
/** @import { Change, DescentReply, FormulaReading, Grid, Rates, Trouble } from "../types.d.ts" */

import { ask } from "../api.js";
import { Page } from "../page.js";

const WRONG = 250; // milliseconds after the last key: a formula is wrong most of the time while it is typed
const SETTLED = 300; // milliseconds after the last move

/**
 * The replies that the page shows. Events: reading, wrong, descent, steps, grid, rates, row, start, trouble, state.
 *
 * @extends {Page<State, FormulaReading, DescentReply>}
 */
export class Descent extends Page {
  /** @type {Grid | null} */
  grid = null;
  /** The formula that the grid shows. @type {string | null} */
  gridOf = null;
  /** @type {Rates | null} */
  rates = null;
  /** The width of the picture over its height, while it is known. @type {number | null} */
  ratio = null;

  /** The start of the descent. @returns {Record<string, number>} */
  get start() {
    return this.state.at ?? this.reading?.start ?? {};
  }

  /** The variables that the pictures show. */
  get over() {
    return this.state.over ?? this.reading?.variables.slice(0, 2) ?? [];
  }

  /** Return a request about this descent. @param {object} more */
  request(more = {}) {
    const { f, rate, method, steps, over } = this.state;
    return { formula: f, start: this.start, rate, method, steps, over, ...more };
  }

  /** What a request says of the ground that the picture needs. */
  get ground() {
    const { scale, surface } = this.state;
    return { ratio: this.ratio, equal: scale && scale === "equal", heights: surface !== null };
  }
}

/** Request what each change makes necessary, from now on. @param {Descent} page */
export function connect(page) {
  /** @type {number | undefined} */
  let settling;

  page.store.listen((changed, how) => {
    /** @param {...keyof State} keys */
    const has = (...keys) => keys.some((key) => changed.has(key));
    if (has("f", "at", "rate", "method", "steps")) page.emit("stale", has("f") ? "reading" : "answer");
    const lacksHeights = has("surface") && page.state.surface !== null && !page.grid?.heights;
    if (has("f")) read(page, how);
    else if (page.reading) {
      if (has("at", "rate", "method", "steps") && !how.fit) keepView(page);
      if (has("at")) page.emit("start");
      if (has("at", "rate", "method", "steps", "over")) descend(page, { fit: how.fit || has("over") });
      else if (how.fit || has("view", "scale") || lacksHeights) lay(page);
      if (has("at", "method", "steps")) settle();
    }
    if (has("step")) page.emit("row");
    page.emit("state", changed, how);
  });
  page.on("reading", () => settle());

  function settle() {
    clearTimeout(settling);
    settling = setTimeout(() => findRates(page), SETTLED);
  }
}

/**
 * Request how the formula is read, and go on from there.
 *
 * @param {Descent} page
 * @param {Change} how
 */
export async function read(page, how = {}) {
  const formula = page.state.f;
  const { at, over } = page.state;
  if (how.typing && !at && !over && (await readAndDescend(page, how))) return;
  let reading;
  try {
    reading = await ask("read", { formula });
  } catch (error) {
    if (how.typing) await new Promise((resolve) => setTimeout(resolve, WRONG));
    if (formula === page.state.f) page.emit("wrong", /** @type {Trouble} */ (error));
    return;
  }
  if (!reading || formula !== page.state.f) return;
  take(page, reading, how);
  await descend(page, { fit: true });
}

/**
 * Request reading, descent and grid of a new formula at once, from a start that suits it: one request is waited for instead of
 * two. Tells whether no other request is necessary; where one of the three fails, those that follow say which.
 *
 * @param {Descent} page
 * @param {Change} how
 */
async function readAndDescend(page, how) {
  const request = page.request({ start: null, rate: null, over: null, grid: true, box: null, ...page.ground });
  const descent = await ask("descend", request).catch(() => null);
  if (descent === null) return request.formula !== page.state.f;
  if (!descent?.reading || request.formula !== page.state.f) return true;
  take(page, descent.reading, how);
  await show(page, descent, { isGridStale: true, request: page.request() });
  return true;
}

/**
 * @param {Descent} page
 * @param {FormulaReading} reading
 * @param {Change} how
 */
function take(page, reading, how) {
  page.reading = reading;
  page.set(fitting(page, reading, how), { quiet: true });
  page.emit("reading", reading);
  page.emit("start");
  page.emit("stale", "answer");
}

/**
 * Return the changes that make the state suit a new formula.
 *
 * @param {Descent} page
 * @param {FormulaReading} reading
 * @param {Change} how
 */
function fitting(page, { variables }, how) {
  const { at, over } = page.state;
  /** @type {Partial<State>} */
  const patch = {};
  if (how.typing) Object.assign(patch, { view: null, step: 0 });
  const known = at && variables.length === Object.keys(at).length && variables.every((name) => name in at);
  if (!known) Object.assign(patch, { at: null, step: 0 }, at ? { view: null } : {}, how.typing ? { rate: null } : {});
  const wanted = Math.min(2, variables.length);
  if (over && !(over.length === wanted && over.every((name) => variables.includes(name)))) patch.over = null;
  return patch;
}

/**
 * Request the descent; with `fit`, and where the grid is of another formula, the grid around it as well.
 *
 * @param {Descent} page
 * @param {{ fit?: boolean }} options
 */
async function descend(page, { fit }) {
  // With more variables than the picture has, the grid depends on where the others are.
  const isGridStale = fit || page.gridOf !== page.state.f || (page.reading?.variables.length ?? 0) > 2;
  const request = page.request(isGridStale ? { grid: true, ...boxOf(page, null) } : {});
  try {
    const descent = await ask("descend", request);
    if (descent && request.formula === page.state.f) await show(page, descent, { isGridStale, request });
  } catch (error) {
    if (request.formula !== page.state.f) return;
    page.emit("trouble", "descend", /** @type {Trouble} */ (error));
    if (isGridStale) await lay(page);
  }
}

/**
 * Show a descent with its grid, and request the table of its steps.
 *
 * @param {Descent} page
 * @param {DescentReply} descent
 * @param {{ isGridStale: boolean, request: ReturnType<Descent["request"]> }} options
 */
async function show(page, descent, { isGridStale, request }) {
  page.descent = descent;
  page.emit("trouble", "descend", null);
  if (isCurrent(page, request)) page.emit("stale", "steps");
  if (descent.grid) showGrid(page, descent.grid);
  page.emit("descent");
  page.emit("row");
  askSteps(page, page.request());
  if (isGridStale && !descent.grid) await lay(page); // says why there is none
}

/**
 * Request the table of the steps and their arithmetic.
 *
 * @param {Descent} page
 * @param {ReturnType<Descent["request"]>} request
 */
async function askSteps(page, request) {
  const steps = await ask("steps", request).catch(() => null); // the descent reports the error
  if (!steps || !isCurrent(page, request)) return;
  page.steps = steps;
  page.emit("stale", "");
  page.emit("steps");
  page.emit("row");
}

/** Whether a request is still what the page is about. @param {Descent} page @param {Record<string, any>} request */
function isCurrent(page, request) {
  const now = page.request();
  return /** @type {const} */ (["formula", "start", "rate", "method", "steps"]).every((key) => JSON.stringify(request[key]) === JSON.stringify(now[key]));
}

/** Request the grid in the box of the state, or in a box that fits the path. @param {Descent} page */
async function lay(page) {
  const { f } = page.state;
  const shown = page.over;
  try {
    const request = { formula: f, start: page.start, over: shown, ...boxOf(page, page.descent) };
    const grid = await ask("grid", request);
    if (!grid || f !== page.state.f) return;
    showGrid(page, grid);
    if (page.descent) page.emit("row");
  } catch (error) {
    if (f === page.state.f) page.emit("trouble", "grid", /** @type {Trouble} */ (error));
  }
}

/**
 * @param {Descent} page
 * @param {Grid} grid
 */
function showGrid(page, grid) {
  page.grid = grid;
  page.gridOf = page.state.f;
  page.emit("trouble", "grid", null);
  page.emit("grid");
}

/** Request the stable rates and the best. @param {Descent} page */
async function findRates(page) {
  const { f, method, steps } = page.state;
  try {
    const rates = await ask("rates", { formula: f, start: page.start, method, steps });
    if (!rates || f !== page.state.f) return;
    page.rates = rates;
    page.emit("rates");
  } catch (error) {
    if (f === page.state.f) page.emit("trouble", "rates", /** @type {Trouble} */ (error));
  }
}

/** Write the box that is shown into the address, since it no longer follows from the rest. @param {Descent} page */
function keepView(page) {
  if (page.state.view || !page.grid) return;
  const { over, box } = page.grid;
  page.set({ view: over.flatMap((name) => box[name]) }, { quiet: true });
}

/**
 * Return the ranges of a view by name.
 *
 * @param {number[]} view
 * @param {string[]} shown
 */
function toBox(view, shown) {
  return Object.fromEntries(shown.map((name, axis) => [name, view.slice(2 * axis, 2 * axis + 2)]));
}

/**
 * Return what a request says of its box: that of the state, else that of the path; both are widened to the shape of the picture,
 * which leaves a box as it is that was widened to this shape before.
 *
 * @param {Descent} page
 * @param {DescentReply | null} descent
 */
function boxOf(page, descent) {
  const { over, ground, state: { view } } = page;
  if (view && view.length === 2 * over.length) return { box: toBox(view, over), ...ground };
  return { box: descent && over.every((name) => name in descent.box) ? descent.box : null, ...ground };
}
