/**
 * From a change to the requests that it makes necessary.
 *
 *     the folder ─▶ runs, now and then
 *     the run that is chosen ─▶ run, and again whenever it has changed
 *     the runs that are ticked ─▶ compare
 */

/** @import { State } from "./state.js" */
/** @import { Comparison, LayeredRun, ListedRun, SavedRun, Trouble } from "../types.d.ts" */

import { ask, eventsOf } from "../api.js";
import { Page } from "../page.js";

const AGAIN = 4000; // milliseconds from one look at the folder to the next

/**
 * The replies that the page shows. Events: list, shown, compared, head, row, trouble, state.
 *
 * @extends {Page<State>}
 */
export class Looking extends Page {
  /** The runs in the folder. @type {{ folder: string, runs: ListedRun[] } | null} */
  list = null;
  /** The run that is shown. @type {SavedRun | null} */
  shown = null;
  /** The runs that are compared. @type {Comparison | null} */
  compared = null;
  /** The run whose layers are shown. @type {LayeredRun | null} */
  run = null;
  /** @type {EventSource | null} */
  #events = null;

  get moment() {
    return this.run?.moments[0];
  }

  /** The name of the run that is chosen. */
  get chosen() {
    return this.state.run ?? this.list?.runs[0]?.name ?? null;
  }

  /** The names of the ticked runs. */
  get ticked() {
    return this.state.beside.split("|").filter(Boolean);
  }

  /** Request the runs in the folder. */
  async look() {
    try {
      const list = await ask("runs", {});
      if (!list) return;
      const isFirst = !this.list;
      this.list = list;
      this.emit("trouble", "runs", null);
      this.emit("list");
      const listed = list.runs.find((/** @type {ListedRun} */ { name }) => name === this.chosen);
      if (isFirst || (listed?.state === "running" && !this.#events) || (this.chosen && !this.shown)) this.show();
      if (isFirst) this.compare();
    } catch (error) {
      this.emit("trouble", "runs", /** @type {Trouble} */ (error));
    }
  }

  /** Request the chosen run, and follow it while it is written. */
  async show() {
    this.#follow(null);
    const name = this.chosen;
    if (!name) return;
    await this.#refresh(name);
    if (this.shown?.name === name && this.shown.state === "running") this.#follow(name);
  }

  /** Request a comparison of the ticked runs. */
  async compare() {
    const names = this.ticked;
    this.compared = null;
    if (names.length < 2) {
      this.emit("compared", null);
      return;
    }
    try {
      const compared = await ask("compare", { runs_beside: names });
      if (!compared || names.join("|") !== this.state.beside) return;
      this.compared = compared;
      this.emit("trouble", "compare", null);
      this.emit("compared", compared);
    } catch (error) {
      this.emit("trouble", "compare", /** @type {Trouble} */ (error));
    }
  }

  /** @param {string} name */
  async #refresh(name) {
    try {
      /** @type {SavedRun | undefined} */
      const shown = await ask("run", { run: name });
      if (!shown || name !== this.chosen) return;
      this.shown = shown;
      this.run = shown.layers && { head: { layers: shown.layers.names }, moments: [{ layers: shown.layers }] };
      this.emit("trouble", "run", null);
      this.emit("shown", shown);
      this.emit("row");
    } catch (error) {
      if (name === this.chosen) this.emit("trouble", "run", /** @type {Trouble} */ (error));
    }
  }

  /** Follow a run while it is written; null ends that. @param {string | null} name */
  #follow(name) {
    this.#events?.close();
    this.#events = null;
    if (name === null) return;
    const events = eventsOf(name);
    if (!events) return;
    this.#events = events;
    // A refusal, as after a restart, closes it for good; the next look at the folder follows the run again.
    events.addEventListener("error", () => events === this.#events && events.readyState === EventSource.CLOSED && this.#follow(null));
    events.addEventListener("changed", () => this.#refresh(name));
    events.addEventListener("finished", async () => {
      this.#follow(null);
      await this.#refresh(name);
      this.look();
    });
  }
}

/** Act on changes from now on. @param {Looking} page */
export function connect(page) {
  page.store.listen((changed, how) => {
    if (changed.has("run")) page.show();
    if (changed.has("beside")) page.compare();
    page.emit("state", changed, how);
  });
  setInterval(() => document.visibilityState === "visible" && page.look(), AGAIN);
}
