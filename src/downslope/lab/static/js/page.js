/** A page: its state, the descent that it shows, and the listeners of its events. */

/** @import { Store } from "./address.js" */
/** @import { Change, Events, Reading, StepTable, Steps } from "./types.d.ts" */

/**
 * @template {{ step?: number | null, theme: import("./types.d.ts").Theme }} State
 * @template {Reading} [Read=Reading]
 * @template {Steps} [Descent=Steps]
 */
export class Page {
  /** @type {Map<keyof Events, ((...values: any[]) => unknown)[]>} */
  #listeners = new Map();

  /** How the formula was read; null while it is not known. @type {Read | null} */
  reading = null;
  /** The path of steps. @type {Descent | null} */
  descent = null;
  /** The table of its steps. @type {StepTable | null} */
  steps = null;

  /** @param {Store<State>} store holds the state */
  constructor(store) {
    this.store = store;
  }

  /** The state, to be read. */
  get state() {
    return this.store.state;
  }

  /** The index of the selected row; the last one where the state selects none. */
  get row() {
    if (!this.descent) return 0;
    const { step = null } = this.state;
    return Math.max(0, step === null ? this.descent.steps.length - 1 : d3.bisectRight(this.descent.steps, step) - 1);
  }

  /**
   * Change the state.
   *
   * @param {Partial<State>} patch
   * @param {Change} [how]
   */
  set(patch, how) {
    this.store.set(patch, how);
  }

  /**
   * Call `listener` at each event of this name.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => unknown} listener
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? [];
    this.#listeners.set(name, [...listeners, listener]);
  }

  /**
   * Call the listeners of an event.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} values
   */
  emit(name, ...values) {
    for (const listener of this.#listeners.get(name) ?? []) listener(...values);
  }
}
