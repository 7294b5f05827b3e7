/**
 * From a change to what has to be asked for.
 *
 *     button, preset, data ─▶ train ─▶ head, a moment at each evaluation, end
 *     the moment and example that are selected ─▶ graph
 *     button ─▶ prescribe
 */

import { ask, follow } from "../api.js";
import { tableOf } from "../dropping.js";
import { Page } from "../page.js";
import { SETTINGS } from "./state.js";

/** What the page knows by now. It tells head, moment, end, row, descent, training, trouble, table and state. */
export class Learning extends Page {
  /** The training: its head, its moments, its end; null before the first. */
  run = null;
  isTraining = false;
  #stop = new AbortController();

  /** The moment that is selected. */
  get moment() {
    return this.run?.moments[Math.min(this.row, this.run.moments.length - 1)];
  }

  /** What every question about this training holds. */
  request(more = {}) {
    const { target, hidden, activation, initialisation, normalisation, skip, dropout, method, rate, batch, steps, seed, over } = this.state;
    const units = hidden.split(/[\s,;]+/).filter(Boolean).map(Number);
    return {
      ...tableOf(this.state), target, hidden: units, activation, initialisation, normalisation, skip: skip === 1, dropout,
      method, rate, batch: batch || null, steps, seed, more: this.state.more, over, ...more,
    };
  }

  /** Train, from the beginning. */
  async train() {
    this.stop();
    const stop = new AbortController();
    this.#stop = stop;
    this.isTraining = true;
    this.tell("training", true);
    this.tell("trouble", "train", null);
    try {
      await follow("train", this.request(), (piece) => stop === this.#stop && this.#take(piece), stop.signal);
    } catch (error) {
      if (stop === this.#stop) this.tell("trouble", "train", error);
    }
    if (stop !== this.#stop) return;
    this.isTraining = false;
    this.tell("training", false);
  }

  /** End the training under way; what came of it so far stays. */
  stop() {
    this.#stop.abort();
    if (!this.isTraining) return;
    this.isTraining = false;
    this.tell("training", false);
  }

  #take({ head, end, ...moment }) {
    if (head) {
      this.run = { head, moments: [], end: null };
      this.descent = null;
      this.tell("head", head);
    } else if (end) {
      this.run.end = end;
      this.tell("end", end);
    } else {
      this.run.moments.push(moment);
      const steps = this.run.moments.map(({ step }) => step);
      this.descent = { steps, steps_taken: this.run.head.of };
      this.tell("descent", this.descent);
      this.tell("row");
    }
  }
}

/** Act on changes from now on. */
export function connect(page) {
  page.store.listen((changed, how) => {
    const has = (...keys) => keys.some((key) => changed.has(key));
    const isNewData = has("table", "sample") && !how.train && !how.back;
    if (isNewData) page.set({ target: null, over: null, example: 0, step: null, trained: 1 }, { quiet: true });
    else if (has(...SETTINGS) && !how.train && !how.back) page.set({ trained: 0 }, { quiet: true });
    if (has("table", "sample", "target")) look(page);
    if (isNewData || how.train || (how.back && page.state.trained && has("trained", "over", ...SETTINGS))) page.train();
    if (has("step")) page.tell("row");
    page.tell("state", changed, how);
  });
}

/** Ask what is in a table that was given. */
export async function look(page) {
  const { table } = page.state;
  if (!table) {
    page.tell("table", null);
    return;
  }
  try {
    const found = await ask("network_table", page.request());
    if (found && table === page.state.table) page.tell("table", found);
  } catch (error) {
    if (table === page.state.table) page.tell("trouble", "table", error);
  }
}
