/** A page: its state, the way down on it, and who wants to hear of what. */

export class Page {
  #listeners = new Map();

  /** How the formula was read, the way down, and the table of its steps; null while they are not known. */
  reading = null;
  descent = null;
  steps = null;

  /** `store` holds the state. */
  constructor(store) {
    this.store = store;
  }

  /** The state, to be read. */
  get state() {
    return this.store.state;
  }

  /** The index of the row that is selected; where the state says none, the last one. */
  get row() {
    if (!this.descent) return 0;
    const { step } = this.state;
    return Math.max(0, step === null ? this.descent.steps.length - 1 : d3.bisectRight(this.descent.steps, step) - 1);
  }

  /** Change the state. */
  set(patch, how) {
    this.store.set(patch, how);
  }

  /** Call `listener` with what is told under a name. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, []);
    this.#listeners.get(name).push(listener);
  }

  /** Tell everybody who listens to a name. */
  tell(name, ...told) {
    for (const listener of this.#listeners.get(name) ?? []) listener(...told);
  }
}
