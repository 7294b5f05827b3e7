/**
 * From a change to the requests that it makes necessary.
 *
 *     table ─▶ columns ─▶ equation ─▶ fit ─▶ grid
 *                 formula ────┘        │       │
 *     start, held, loss, method, rate ─┘       │
 *     the parameters of the landscape ─────────┘
 */

/** @import { State } from "./state.js" */
/** @import { Columns, EquationReading, FitReply, Grid, Trouble } from "../types.d.ts" */

import { ask } from "../api.js";
import { tableOf } from "../upload.js";
import { Page } from "../page.js";

const TYPING = 250; // milliseconds after the last key
const SLOW = 250; // milliseconds after which the picture shows that it waits

/**
 * The replies that the page shows. Events: data, reading, wrong, descent, steps, grid, row, trouble, busy, state.
 *
 * @extends {Page<State, EquationReading, FitReply>}
 */
export class Fitting extends Page {
  /** @type {Columns | null} */
  data = null;
  /** @type {Grid | null} */
  grid = null;
  /** The table of the fit that is shown, as a text. */
  #fitted = "";

  /** The table that is chosen, as a text. */
  get chosen() {
    return JSON.stringify(tableOf(this.state));
  }

  /** Whether the fit that is shown is of another table, so that only the data can be drawn. */
  get isAhead() {
    return this.#fitted !== this.chosen;
  }

  /** Take a fit of the table that is chosen. @param {FitReply} descent */
  take(descent) {
    this.descent = descent;
    this.steps = descent.table;
    this.#fitted = this.chosen;
  }

  /** The parameters along the axes of the landscape. */
  get over() {
    const free = this.descent?.free ?? [];
    const { over } = this.state;
    const suits = over && over.length === Math.min(2, free.length) && over.every((name) => free.includes(name));
    return suits ? over : free.slice(0, 2);
  }

  /** Return a request about this fit. @param {object} more */
  request(more = {}) {
    const { f, loss, method, rate, steps } = this.state;
    const held = new Set(this.state.hold ?? []);
    const values = Object.entries(this.state.start ?? {});
    const start = Object.fromEntries(values.filter(([name]) => !held.has(name)));
    const fixed = Object.fromEntries(values.filter(([name]) => held.has(name)));
    return { ...tableOf(this.state), formula: f, start, fixed, loss, method, rate, steps, ...more };
  }
}

/** Request what each change makes necessary, from now on. @param {Fitting} page */
export function connect(page) {
  /** @type {number | undefined} */
  let typing;
  page.store.listen((changed, how) => {
    /** @param {...keyof State} keys */
    const has = (...keys) => keys.some((key) => changed.has(key));
    clearTimeout(has("f", "start", "rate", "steps", "reading") ? typing : undefined);
    if (has("table", "sample", "reading", "f")) page.emit("stale", "reading");
    else if (has("start", "hold", "loss", "method", "rate", "steps")) page.emit("stale", page.isAhead ? "data" : "answer");
    if (has("table", "sample", "x", "y")) look(page, { isNew: has("table", "sample") && !how.back });
    else if (has("reading")) later(() => look(page, { mayRename: !how.back }), how.typing);
    else if (has("f")) later(() => read(page), how.typing);
    else if (has("start", "hold", "loss", "method", "rate", "steps")) later(() => fit(page), how.typing);
    else if (has("over")) lay(page);
    if (has("step")) page.emit("row");
    page.emit("state", changed, how);
  });

  /**
   * @param {() => void} request
   * @param {boolean} [isTyping]
   */
  function later(request, isTyping) {
    if (isTyping) typing = setTimeout(request, TYPING);
    else request();
  }
}

/**
 * Request the columns of the table, and go on from there; a new table whose columns the equation lacks gets a new equation.
 *
 * @param {Fitting} page
 * @param {{ isNew?: boolean, mayRename?: boolean }} options whether the table is new, whether its columns may be called otherwise now
 * @returns {Promise<void>}
 */
export async function look(page, { isNew = false, mayRename = false } = {}) {
  if (isNew && page.state.reading) page.set({ reading: null }, { quiet: true });
  const { x, y, table, sample, reading } = page.state;
  let data;
  try {
    data = await ask("columns", { ...tableOf(page.state), x, y });
  } catch (error) {
    page.emit("trouble", "columns", /** @type {Trouble} */ (error));
    return;
  }
  if (!data || table !== page.state.table || sample !== page.state.sample || reading !== page.state.reading) return;
  const isRenamed = mayRename && page.data?.headings.join("\n") !== data.headings.join("\n");
  page.data = data;
  page.emit("trouble", "columns", null);
  if (isNew || isRenamed || !page.state.f) {
    const f = data.proposals[0]?.formula ?? "";
    page.set({ f, start: null, hold: null, step: null, over: null }, { quiet: true });
    page.emit("state", new Set(["f", "start", "hold"]), {});
  }
  page.emit("data");
  if (page.isAhead) page.emit("stale", "data");
  await read(page);
}

/**
 * Request how the equation is read, and go on from there.
 *
 * @param {Fitting} page
 * @returns {Promise<void>}
 */
export async function read(page) {
  const request = page.request();
  if (!page.data) return look(page);
  try {
    const reading = await ask("equation", request);
    if (!reading || !isCurrent(page, request)) return;
    page.reading = reading;
    page.emit("reading", reading);
    page.emit("stale", page.isAhead ? "data" : "answer");
    await fit(page);
  } catch (error) {
    if (isCurrent(page, request)) page.emit("wrong", /** @type {Trouble} */ (error));
  }
}

/** @param {Fitting} page */
async function fit(page) {
  const request = page.request();
  const waiting = setTimeout(() => page.emit("busy", true), SLOW);
  try {
    const descent = await ask("fit", request);
    if (!descent || !isCurrent(page, request)) return;
    page.take(descent);
    page.emit("trouble", "fit", null);
    if (isTheSame(page, request)) page.emit("stale", "");
    page.emit("descent");
    page.emit("steps");
    page.emit("row");
    lay(page);
  } catch (error) {
    if (isCurrent(page, request)) page.emit("trouble", "fit", /** @type {Trouble} */ (error));
  } finally {
    clearTimeout(waiting);
    page.emit("busy", false);
  }
}

/** Whether a request is all that the page is about now. @param {Fitting} page @param {object} request */
function isTheSame(page, request) {
  return JSON.stringify(page.request()) === JSON.stringify(request);
}

/** Request the landscape. @param {Fitting} page */
async function lay(page) {
  const { descent } = page;
  if (!descent?.free.length) return;
  try {
    const grid = await ask("fit_grid", page.request({ over: page.over }));
    if (!grid || descent !== page.descent) return;
    page.grid = grid;
    page.emit("trouble", "grid", null);
    page.emit("grid");
  } catch (error) {
    if (descent === page.descent) page.emit("trouble", "grid", /** @type {Trouble} */ (error));
  }
}

/**
 * Whether a request is still about what the page shows.
 *
 * @param {Fitting} page
 * @param {Record<string, any>} request
 */
function isCurrent(page, { formula, table, sample, reading }) {
  const now = page.request();
  const isSameTable = table === now.table && sample === now.sample && JSON.stringify(reading) === JSON.stringify(now.reading);
  return formula === now.formula && isSameTable;
}
