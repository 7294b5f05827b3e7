/**
 * From a change to the requests that it makes necessary.
 *
 *     button, preset, data ─▶ train ─▶ head, a moment at each evaluation, end
 *     the moment and example that are selected ─▶ graph
 *     button ─▶ prescribe
 */

/** @import { State } from "./state.js" */
/** @import { TrainingMoment, TrainingPiece, TrainingRun, Trouble } from "../types.d.ts" */

import { ask, follow } from "../api.js";
import { tableOf } from "../upload.js";
import { Page } from "../page.js";
import { SETTINGS } from "./state.js";

/**
 * The replies that the page shows. Events: head, moment, end, row, descent, training, trouble, table, state.
 *
 * @extends {Page<State>}
 */
export class Learning extends Page {
  /** The training: its head, its moments, its end; null before the first. @type {TrainingRun | null} */
  run = null;
  isTraining = false;
  /** The width of the picture over its height; null while it has none. @type {number | null} */
  ratio = null;
  #stop = new AbortController();

  /** The selected moment. @returns {TrainingMoment | undefined} */
  get moment() {
    return this.run?.moments[Math.min(this.row, this.run.moments.length - 1)];
  }

  /** Return a request about this training. @param {object} more */
  request(more = {}) {
    const { target, hidden, activation, initialisation, normalisation, skip, dropout, class_weights, method, rate, batch, steps, seed, over } = this.state;
    const units = hidden.split(/[\s,;]+/).filter(Boolean).map(Number);
    return {
      ...tableOf(this.state), target, hidden: units, activation, initialisation, normalisation, skip: skip === 1, dropout, class_weights,
      method, rate, batch: batch || null, steps, seed, more: this.state.more, over, ratio: this.ratio, ...more,
    };
  }

  /** Train, from the beginning. */
  async train() {
    this.stop();
    const stop = new AbortController();
    this.#stop = stop;
    this.isTraining = true;
    this.emit("training", true);
    this.emit("trouble", "train", null);
    try {
      /** @param {TrainingPiece} piece */
      const take = (piece) => stop === this.#stop && this.#take(piece);
      await follow("train", this.request(), take, stop.signal);
    } catch (error) {
      if (stop === this.#stop) this.emit("trouble", "train", /** @type {Trouble} */ (error));
    }
    if (stop !== this.#stop) return;
    this.isTraining = false;
    this.emit("training", false);
  }

  /** End the running training; its moments so far stay. */
  stop() {
    this.#stop.abort();
    if (!this.isTraining) return;
    this.isTraining = false;
    this.emit("training", false);
  }

  /** @param {TrainingPiece} piece */
  #take(piece) {
    if (piece.head) {
      this.run = { head: piece.head, moments: [], end: null };
      this.descent = null;
      this.emit("head", piece.head);
    } else if (this.run && piece.end) {
      this.run.end = piece.end;
      this.emit("end", piece.end);
    } else if (this.run && !piece.end) {
      this.run.moments.push(piece);
      const steps = this.run.moments.map(({ step }) => step);
      this.descent = { steps, steps_taken: this.run.head.of };
      this.emit("descent");
      this.emit("row");
    }
  }
}

/** Act on changes from now on. @param {Learning} page */
export function connect(page) {
  page.store.listen((changed, how) => {
    /** @param {...keyof State} keys */
    const has = (...keys) => keys.some((key) => changed.has(key));
    const isNewData = has("table", "sample") && !how.train && !how.back;
    if (isNewData) page.set({ target: null, over: null, example: 0, step: null, trained: 1 }, { quiet: true });
    else if (has(...SETTINGS) && !how.train && !how.back) page.set({ trained: 0 }, { quiet: true });
    if (has("table", "sample", "target")) look(page);
    if (isNewData || how.train || (how.back && page.state.trained && has("trained", "over", ...SETTINGS))) page.train();
    if (has("step")) page.emit("row");
    page.emit("state", changed, how);
  });
}

/** Request the columns of an uploaded table. @param {Learning} page */
export async function look(page) {
  const { table } = page.state;
  if (!table) {
    page.emit("table", null);
    return;
  }
  try {
    const preview = await ask("network_table", page.request());
    if (preview && table === page.state.table) page.emit("table", preview);
  } catch (error) {
    if (table === page.state.table) page.emit("trouble", "table", /** @type {Trouble} */ (error));
  }
}
