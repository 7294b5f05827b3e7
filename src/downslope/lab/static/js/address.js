/**
 * The state of a page. All of it is in the address and nowhere else, so that a link or a reload gives the same picture.
 *
 * A schema is an object: for each key its default, `usual`, and the function that reads it from text, which gives null for
 * what makes no sense.
 */

/** @import { Change, Schema } from "./types.d.ts" */

const WRITE_AFTER = 120; // milliseconds; browsers refuse to change the address too often

/**
 * Return the state that the query of an address describes; what makes no sense is left out.
 *
 * @template {object} State
 * @param {string} query
 * @param {Schema<State>} schema
 * @param {Partial<State>} first the state of an address that says nothing
 * @returns {State}
 */
export function fromAddress(query, schema, first = {}) {
  const entries = new URLSearchParams(query);
  const keys = /** @type {(keyof State & string)[]} */ (Object.keys(schema));
  const state = /** @type {State} */ ({});
  for (const key of keys) {
    const { usual, reader } = schema[key];
    const text = entries.get(key);
    state[key] = text === null ? usual : reader(text) ?? usual;
  }
  const isFresh = keys.every((key) => key === "theme" || !entries.has(key));
  return isFresh ? { ...state, ...first } : state;
}

/**
 * Return the query that describes a state; what is as usual is left out.
 *
 * @template {object} State
 * @param {State} state
 * @param {Schema<State>} schema
 */
export function toAddress(state, schema) {
  const parts = [];
  for (const key of /** @type {(keyof State & string)[]} */ (Object.keys(schema))) {
    const { usual, always } = schema[key];
    const value = state[key];
    if (!always && (same(value, usual) || value === null)) continue;
    parts.push(`${key}=${readable(written(value))}`);
  }
  return `?${parts.join("&")}`;
}

/**
 * Holds the state, notifies listeners of changes, and keeps the address in step.
 *
 * The state is the query of the address or, with `inFragment`, what follows its #: a page that was saved as a file cannot
 * change its query. The theme that a link brings in the query is then read as well.
 *
 * @template {object} State
 */
export class Store {
  /** @type {((changed: Set<string>, how: Change) => void)[]} */
  #listeners = [];
  /** @type {number | undefined} */
  #writing;

  /**
   * @param {Schema<State>} schema
   * @param {Partial<State>} first the state of an address that says nothing
   * @param {(state: State) => State} allowed the nearest state that the page can show
   * @param {{ inFragment?: boolean }} options
   */
  constructor(schema, first = {}, allowed = (state) => state, { inFragment = false } = {}) {
    this.schema = schema;
    this.allowed = allowed;
    this.inFragment = inFragment;
    const addressed = () => allowed(fromAddress(this.#query(), schema, first));
    this.state = addressed();
    addEventListener("popstate", () => this.#replaceAll(addressed()));
    addEventListener("pagehide", () => this.flush());
  }

  /**
   * Call a listener after each change, with the keys that changed and the circumstances.
   *
   * @param {(changed: Set<string>, how: Change) => void} listener
   */
  listen(listener) {
    this.#listeners.push(listener);
  }

  /**
   * Change some keys.
   *
   * @param {Partial<State>} patch
   * @param {Change} how
   */
  set(patch, how = {}) {
    const state = this.allowed({ ...this.state, ...patch });
    const changed = differing(this.state, state);
    if (changed.size === 0 && !how.fit) return;
    if (how.push) this.flush();
    this.state = state;
    if (how.push) rename("pushState", this.#address());
    else this.#writeSoon();
    if (!how.quiet) this.#notify(changed, how);
  }

  /** Write the address now. */
  flush() {
    clearTimeout(this.#writing);
    this.#writing = undefined;
    const address = this.#address();
    if (address !== (this.inFragment ? location.hash : location.search)) rename("replaceState", address);
  }

  /** Return what the address says of the state, as a query. */
  #query() {
    // A page within another one, as in a notebook, has no address of its own.
    const query = globalThis.document?.documentElement?.dataset?.query ?? location.search;
    return this.inFragment ? `${location.hash.slice(1)}&${query.slice(1)}` : query;
  }

  /** Return the address of the state, relative to this page. */
  #address() {
    const query = toAddress(this.state, this.schema);
    if (!this.inFragment) return query;
    return `${location.search ? location.pathname : ""}#${query.slice(1)}`;
  }

  #writeSoon() {
    if (!this.#writing) this.#writing = setTimeout(() => this.flush(), WRITE_AFTER);
  }

  /** @param {State} state */
  #replaceAll(state) {
    clearTimeout(this.#writing);
    this.#writing = undefined;
    const changed = differing(this.state, state);
    this.state = state;
    this.#notify(changed, { fit: true, back: true });
  }

  /**
   * @param {Set<string>} changed
   * @param {Change} how
   */
  #notify(changed, how) {
    for (const listener of this.#listeners) listener(changed, how);
  }
}

/**
 * Change the query of the address. A page within a sandbox may not; it then works as usual, only its address stays.
 *
 * @param {"pushState" | "replaceState"} how
 * @param {string} query
 */
function rename(how, query) {
  try {
    history[how](null, "", query);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "SecurityError")) throw error;
  }
}

/**
 * Return the keys in which two states differ.
 *
 * @template {object} State
 * @param {State} before
 * @param {State} after
 */
function differing(before, after) {
  const keys = /** @type {(keyof State & string)[]} */ (Object.keys(after));
  return new Set(/** @type {string[]} */ (keys.filter((key) => !same(before[key], after[key]))));
}

/**
 * @param {unknown} left
 * @param {unknown} right
 */
function same(left, right) {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

/** @param {unknown} value */
function written(value) {
  if (Array.isArray(value)) return value.join(",");
  if (typeof value === "object" && value !== null) return Object.entries(value).map(([name, entry]) => `${name}=${entry}`).join(",");
  return String(value);
}

/** Encode what an address needs encoded, and leave the rest for people to read. @param {string} entry */
function readable(entry) {
  return encodeURIComponent(entry).replace(/%20/g, "+").replace(/%2C/g, ",").replace(/%3D/g, "=").replace(/%2F/g, "/");
}

/** Return the text as it is. @param {string} entry */
export const text = (entry) => entry;

/** Return text, or null if it is empty. @param {string} entry */
export const word = (entry) => entry || null;

/**
 * Return a reader of these words.
 *
 * @template {string} Word
 * @param {...Word} words
 * @returns {(entry: string) => Word | null}
 */
export const oneOf = (...words) => (entry) => words.find((known) => known === entry) ?? null;

/** Return a finite number. @param {string} entry */
export function number(entry) {
  const value = entry.trim() === "" ? NaN : Number(entry);
  return Number.isFinite(value) ? value : null;
}

/** Return a whole number from 0 up. @param {string} entry */
export function natural(entry) {
  return /^\d{1,9}$/.test(entry) ? Number(entry) : null;
}

/** Return names between commas. @param {string} entry */
export function names(entry) {
  const list = entry.split(",").map((name) => name.trim()).filter(Boolean);
  return list.length ? list.slice(0, 8) : null;
}

/**
 * Return numbers between commas, as many as one of the counts.
 *
 * @param {string} entry
 * @param {number[]} counts
 */
export function numbers(entry, counts) {
  const values = entry.split(",").map(number).filter((value) => value !== null);
  return counts.includes(values.length) && values.length === entry.split(",").length ? values : null;
}

/** Return numbers by name: x=1,y=2. @param {string} entry */
export function point(entry) {
  /** @type {Record<string, number>} */
  const values = {};
  for (const part of entry.split(",")) {
    const [name, figure] = part.split("=");
    const value = figure === undefined ? null : number(figure);
    if (value === null) return null;
    values[name.trim()] = value;
  }
  return values;
}

/** Return texts by name: separator=tab,decimal=comma. @param {string} entry */
export function texts(entry) {
  const pairs = entry.split(",").map((part) => part.split("="));
  return pairs.every(([name, value]) => name && value) ? Object.fromEntries(pairs.map(([name, value]) => [name.trim(), value.trim()])) : null;
}
