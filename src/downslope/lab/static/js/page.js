/** A page: its state, and who wants to hear of what. */

export class Page {
  #listeners = new Map();

  /** `store` holds the state. */
  constructor(store) {
    this.store = store;
  }

  /** The state, to be read. */
  get state() {
    return this.store.state;
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
