/**
 * From a change to what has to be asked for.
 *
 *     table ─▶ columns ─▶ equation ─▶ fit ─▶ ground
 *                 formula ────┘        │       │
 *     start, held, loss, method, rate ─┘       │
 *     the parameters of the landscape ─────────┘
 */

import { ask } from "../api.js";
import { tableOf } from "../dropping.js";
import { Page } from "../page.js";

const TYPING = 250; // milliseconds after the last key
const SLOW = 250; // milliseconds after which the picture shows that it waits

/** What the page knows by now. It tells data, reading, wrong, descent, steps, ground, row, trouble, busy and state. */
export class Fitting extends Page {
  data = null;
  ground = null;

  /** The parameters along the axes of the landscape. */
  get over() {
    const free = this.descent?.free ?? [];
    const { over } = this.state;
    const suits = over && over.length === Math.min(2, free.length) && over.every((name) => free.includes(name));
    return suits ? over : free.slice(0, 2);
  }

  /** What every question about this fit holds. */
  request(more = {}) {
    const { f, loss, method, rate, steps } = this.state;
    const held = new Set(this.state.hold ?? []);
    const given = Object.entries(this.state.start ?? {});
    const start = Object.fromEntries(given.filter(([name]) => !held.has(name)));
    const fixed = Object.fromEntries(given.filter(([name]) => held.has(name)));
    return { ...tableOf(this.state), formula: f, start, fixed, loss, method, rate, steps, ...more };
  }
}

/** Ask for what a change makes necessary, from now on. */
export function connect(page) {
  let typing = 0;
  page.store.listen((changed, how) => {
    const has = (...keys) => keys.some((key) => changed.has(key));
    clearTimeout(has("f", "start", "rate", "steps") ? typing : 0);
    if (has("table", "sample", "x", "y")) look(page, { isNew: has("table", "sample") && !how.back });
    else if (has("f")) later(() => read(page), how.typing);
    else if (has("start", "hold", "loss", "method", "rate", "steps")) later(() => fit(page), how.typing);
    else if (has("over")) lay(page);
    if (has("step")) page.tell("row");
    page.tell("state", changed, how);
  });

  function later(asking, isTyping) {
    if (isTyping) typing = setTimeout(asking, TYPING);
    else asking();
  }
}

/** Ask what is in the table, and go on from there; a new table whose columns the equation lacks gets a new equation. */
export async function look(page, { isNew = false } = {}) {
  const { x, y, table, sample } = page.state;
  let data;
  try {
    data = await ask("columns", { ...tableOf(page.state), x, y });
  } catch (error) {
    page.tell("trouble", "columns", error);
    return;
  }
  if (!data || table !== page.state.table || sample !== page.state.sample) return;
  page.data = data;
  page.tell("trouble", "columns", null);
  if (isNew || !page.state.f) {
    const f = data.proposals[0]?.formula ?? "";
    page.set({ f, start: null, hold: null, step: null, over: null }, { quiet: true });
    page.tell("state", new Set(["f", "start", "hold"]), {});
  }
  page.tell("data", data);
  await read(page);
}

/** Ask how the equation is read, and go on from there. */
export async function read(page) {
  const request = page.request();
  if (!page.data) return look(page);
  try {
    const reading = await ask("equation", request);
    if (!reading || !isCurrent(page, request)) return;
    page.reading = reading;
    page.tell("reading", reading);
    await fit(page);
  } catch (error) {
    if (isCurrent(page, request)) page.tell("wrong", error);
  }
}

async function fit(page) {
  const request = page.request();
  const waiting = setTimeout(() => page.tell("busy", true), SLOW);
  try {
    const descent = await ask("fit", request);
    if (!descent || !isCurrent(page, request)) return;
    page.descent = descent;
    page.steps = descent.table;
    page.tell("trouble", "fit", null);
    page.tell("descent", descent);
    page.tell("steps", descent.table);
    page.tell("row");
    lay(page);
  } catch (error) {
    if (isCurrent(page, request)) page.tell("trouble", "fit", error);
  } finally {
    clearTimeout(waiting);
    page.tell("busy", false);
  }
}

/** Ask for the landscape. */
async function lay(page) {
  const { descent } = page;
  if (!descent?.free.length) return;
  try {
    const ground = await ask("fit_ground", page.request({ over: page.over }));
    if (!ground || descent !== page.descent) return;
    page.ground = ground;
    page.tell("trouble", "ground", null);
    page.tell("ground", ground);
  } catch (error) {
    if (descent === page.descent) page.tell("trouble", "ground", error);
  }
}

/** Whether a question is still about what the page shows. */
function isCurrent(page, { formula, table, sample }) {
  const now = page.request();
  return formula === now.formula && table === now.table && sample === now.sample;
}
