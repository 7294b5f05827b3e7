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

const TYPING = 400; // milliseconds after the last key

/**
 * The replies that the page shows. Events: head, moment, end, row, descent, training, trouble, table, state.
 *
 * @extends {Page<State>}
 */
export class Learning extends Page {
  /** The training: its head, its moments, its end; null before the first. @type {TrainingRun | null} */
  run = null;
  isTraining = false;
  /** Whether the last training has failed, so that it is requested anew when a lab that was lost answers. */
  isUnanswered = false;
  /** The widths of the picture over its heights, with the surface beside it and without. @type {number[]} */
  ratios = [];
  #stop = new AbortController();
  #goesOn = false;
  /** @type {number | undefined} */
  #resuming;

  /** The selected moment. @returns {TrainingMoment | undefined} */
  get moment() {
    return this.run?.moments[Math.min(this.row, this.run.moments.length - 1)];
  }

  /** Return a request about this training. @param {object} more */
  request(more = {}) {
    const { target, hidden, activation, initialisation, normalisation, skip, dropout, class_weights, method, rate, batch, steps, seed, over, devices } = this.state;
    const units = hidden.split(/[\s,;]+/).filter(Boolean).map(Number);
    return {
      ...tableOf(this.state), target, hidden: units, activation, initialisation, normalisation, skip: skip === 1, dropout, class_weights,
      method, rate, batch: batch || null, steps, seed, more: this.state.more, over, ratio: this.ratios,
      earlier: this.state.earlier, devices: devices && devices !== "all" ? Number(devices) : devices, ...more,
    };
  }

  /** Train from the beginning; or go on with the weights of the last moment, where the page has them. @param {{ isResumed?: boolean }} options */
  async train({ isResumed = false } = {}) {
    this.stop();
    const stop = new AbortController();
    const weights = (isResumed && this.run?.moments.at(-1)?.weights) || null;
    this.#stop = stop;
    this.#goesOn = weights !== null;
    this.isTraining = true;
    this.isUnanswered = false;
    this.emit("training", true);
    this.emit("trouble", "train", null);
    if (!this.#goesOn) this.emit("stale", this.run ? "answer" : "");
    try {
      /** @param {TrainingPiece} piece */
      const take = (piece) => stop === this.#stop && this.#take(piece);
      const ratio = (weights && this.run?.ratios) || this.ratios; // the earlier moments stay, in their own box
      await follow("train", this.request(weights ? { weights, ratio } : {}), take, stop.signal);
    } catch (error) {
      if (stop === this.#stop) {
        this.isUnanswered = true;
        this.emit("stale", this.run ? "answer" : "");
      }
      if (stop === this.#stop) this.emit("trouble", "train", /** @type {Trouble} */ (error));
    }
    if (stop !== this.#stop) return;
    this.isTraining = false;
    this.emit("training", false);
  }

  /** Go on from the last moment with the rate that is chosen now; once all steps are taken, for as many again. */
  resume() {
    const at = this.run?.moments.at(-1)?.step;
    if (!this.run || !at) return this.set({ trained: 1, step: null, earlier: null }, { train: true, fit: true });
    const { steps, earlier } = this.state;
    const first = Math.max(0, ...Object.keys(earlier ?? {}).map(Number));
    const more = at >= steps ? at + (steps - first) : steps;
    this.set({ earlier: { ...earlier, [at]: this.run.rate ?? 0 }, steps: more, trained: 1, step: null }, { train: true, resume: true, fit: true });
  }

  /** Go on with another rate once it has not changed for a moment. */
  resumeSoon() {
    clearTimeout(this.#resuming);
    this.#resuming = setTimeout(() => this.isTraining && this.resume(), TYPING);
  }

  /** End the running training; its moments so far stay. */
  stop() {
    clearTimeout(this.#resuming);
    this.#stop.abort();
    if (!this.isTraining) return;
    this.isTraining = false;
    this.emit("training", false);
  }

  /** @param {TrainingPiece} piece */
  #take(piece) {
    if (piece.head) {
      this.run = { head: piece.head, moments: (this.#goesOn && this.run?.moments) || [], end: null, rate: this.state.rate, ratios: (this.#goesOn && this.run?.ratios) || this.ratios };
      if (!this.#goesOn) this.descent = null;
      this.emit("head", piece.head);
    } else if (this.run && piece.end) {
      this.run.end = piece.end;
      this.emit("end", piece.end);
    } else if (this.run && !piece.end) {
      if (this.run.moments.at(-1)?.step === piece.step) this.run.moments.pop(); // where one stage ends and the next begins
      this.run.moments.push(piece);
      this.emit("stale", this.state.trained ? "" : "answer");
      const steps = this.run.moments.map(({ step }) => step);
      this.descent = { steps, steps_taken: this.run.head.of };
      this.emit("descent");
      this.emit("row");
    }
  }
}

/** Act on changes from now on. @param {Learning} page */
export function connect(page) {
  /** @type {number | undefined} */
  let checking;
  // Settings that cannot be trained are refused while they are chosen, not only once the button is pressed.
  const checkSoon = () => {
    clearTimeout(checking);
    checking = setTimeout(() => check(page), TYPING);
  };
  page.store.listen((changed, how) => {
    /** @param {...keyof State} keys */
    const has = (...keys) => keys.some((key) => changed.has(key));
    const isNewData = has("table", "sample") && !how.train && !how.back;
    const isByHand = has(...SETTINGS) && !how.train && !how.back;
    const isNewRate = page.isTraining && SETTINGS.filter((key) => changed.has(key)).join() === "rate";
    if (isNewData) page.set({ target: null, over: null, example: 0, step: null, trained: 1, earlier: null }, { quiet: true });
    else if (isByHand && isNewRate) page.resumeSoon();
    else if (isByHand) {
      page.set({ trained: 0 }, { quiet: true });
      page.emit("stale", page.run ? "answer" : "");
    }
    if (isByHand) checkSoon();
    if (has("table", "sample", "target")) look(page);
    if (isNewData || how.train || (how.back && page.state.trained && has("trained", "over", ...SETTINGS))) page.train({ isResumed: how.resume });
    if (has("step")) page.emit("row");
    page.emit("state", changed, how);
  });
}

/** Say what is wrong with the settings. @param {Learning} page */
async function check(page) {
  const request = page.request();
  /** @type {Trouble | null} */
  let trouble = null;
  try {
    await ask("network_check", request);
  } catch (error) {
    trouble = /** @type {Trouble} */ (error);
  }
  if (!page.isTraining && JSON.stringify(page.request()) === JSON.stringify(request)) page.emit("trouble", "train", trouble);
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
