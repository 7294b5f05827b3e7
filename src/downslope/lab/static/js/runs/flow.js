/**
 * From a change to what has to be asked for.
 *
 *     the folder ─▶ runs, now and then
 *     the run that is chosen ─▶ run, and again whenever it has changed
 *     the runs that are ticked ─▶ compare
 */

import { ask, VISITOR } from "../api.js";
import { Page } from "../page.js";

const AGAIN = 4000; // milliseconds from one look at the folder to the next

/** What the page knows by now. It tells list, shown, compared, head, row, trouble and state. */
export class Looking extends Page {
  /** The runs in the folder, the one that is shown, and those beside each other. */
  list = null;
  shown = null;
  compared = null;
  /** What the charts of the layers show. */
  run = null;
  #events = null;

  get moment() {
    return this.run?.moments[0];
  }

  /** The name of the run that is chosen. */
  get chosen() {
    return this.state.run ?? this.list?.runs[0]?.name ?? null;
  }

  /** The names of those that are ticked. */
  get beside() {
    return this.state.beside.split("|").filter(Boolean);
  }

  /** Ask what lies in the folder. */
  async look() {
    try {
      const list = await ask("runs", {});
      if (!list) return;
      const isFirst = !this.list;
      this.list = list;
      this.tell("trouble", "runs", null);
      this.tell("list", list);
      const listed = list.runs.find(({ name }) => name === this.chosen);
      if (isFirst || (listed?.state === "running" && !this.#events) || (this.chosen && !this.shown)) this.show();
      if (isFirst) this.compare();
    } catch (error) {
      this.tell("trouble", "runs", error);
    }
  }

  /** Ask for the run that is chosen, and follow it if it is being written. */
  async show() {
    this.#follow(null);
    const name = this.chosen;
    if (!name) return;
    await this.#refresh(name);
    if (this.shown?.name === name && this.shown.state === "running") this.#follow(name);
  }

  /** Ask for the runs that are ticked. */
  async compare() {
    const names = this.beside;
    this.compared = null;
    if (names.length < 2) {
      this.tell("compared", null);
      return;
    }
    try {
      const compared = await ask("compare", { runs_beside: names });
      if (!compared || names.join("|") !== this.state.beside) return;
      this.compared = compared;
      this.tell("trouble", "compare", null);
      this.tell("compared", compared);
    } catch (error) {
      this.tell("trouble", "compare", error);
    }
  }

  async #refresh(name) {
    try {
      const shown = await ask("run", { run: name });
      if (!shown || name !== this.chosen) return;
      this.shown = shown;
      this.run = shown.layers && { head: { layers: shown.layers.names }, moments: [{ layers: shown.layers }] };
      this.tell("trouble", "run", null);
      this.tell("shown", shown);
      this.tell("row");
    } catch (error) {
      if (name === this.chosen) this.tell("trouble", "run", error);
    }
  }

  #follow(name) {
    this.#events?.close();
    this.#events = name && new EventSource(`/api/follow?run=${encodeURIComponent(name)}&visitor=${VISITOR}`);
    this.#events?.addEventListener("changed", () => this.#refresh(name));
    this.#events?.addEventListener("finished", async () => {
      this.#follow(null);
      await this.#refresh(name);
      this.look();
    });
  }
}

/** Act on changes from now on. */
export function connect(page) {
  page.store.listen((changed, how) => {
    if (changed.has("run")) page.show();
    if (changed.has("beside")) page.compare();
    page.tell("state", changed, how);
  });
  setInterval(() => document.visibilityState === "visible" && page.look(), AGAIN);
}
