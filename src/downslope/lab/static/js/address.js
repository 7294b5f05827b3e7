/**
 * The state of a page. All of it is in the address and nowhere else, so that a link or a reload gives the same picture.
 *
 * A schema is an object: for each key its value as usual, and the function that reads it from text, which gives null for
 * what makes no sense.
 */

const WRITE_AFTER = 120; // milliseconds; browsers refuse to change the address too often

/** Return the state that the query of an address describes; what makes no sense is left out. */
export function fromAddress(query, schema, first = {}) {
  const given = new URLSearchParams(query);
  const read = ([key, { usual, reader }]) => [key, given.has(key) ? reader(given.get(key)) ?? usual : usual];
  const state = Object.fromEntries(Object.entries(schema).map(read));
  const isFresh = Object.keys(schema).every((key) => key === "theme" || !given.has(key));
  return isFresh ? { ...state, ...first } : state;
}

/** Return the query that describes a state; what is as usual is left out. */
export function toAddress(state, schema) {
  const parts = [];
  for (const [key, { usual, always }] of Object.entries(schema)) {
    const value = state[key];
    if (!always && (same(value, usual) || value === null)) continue;
    parts.push(`${key}=${readable(written(value))}`);
  }
  return `?${parts.join("&")}`;
}

/** Holds the state, tells who listens what changed, and keeps the address in step. */
export class Store {
  #listeners = [];
  #writing = 0;

  /** `first` is the state of an address that says nothing. */
  constructor(schema, first = {}) {
    this.schema = schema;
    this.state = fromAddress(location.search, schema, first);
    addEventListener("popstate", () => this.#replaceAll(fromAddress(location.search, schema, first)));
    addEventListener("pagehide", () => this.flush());
  }

  /** Call `listener(changed, how)` after each change: the keys that changed, and how `set` was asked. */
  listen(listener) {
    this.#listeners.push(listener);
  }

  /** Change some keys. `how.push` makes a new entry of the history, `how.quiet` tells nobody. */
  set(patch, how = {}) {
    const changed = new Set(Object.keys(patch).filter((key) => !same(this.state[key], patch[key])));
    if (changed.size === 0 && !how.fit) return;
    if (how.push) this.flush();
    this.state = { ...this.state, ...patch };
    if (how.push) history.pushState(null, "", toAddress(this.state, this.schema));
    else this.#writeSoon();
    if (!how.quiet) this.#tell(changed, how);
  }

  /** Write the address now. */
  flush() {
    clearTimeout(this.#writing);
    this.#writing = 0;
    const query = toAddress(this.state, this.schema);
    if (query !== location.search) history.replaceState(null, "", query);
  }

  #writeSoon() {
    if (!this.#writing) this.#writing = setTimeout(() => this.flush(), WRITE_AFTER);
  }

  #replaceAll(state) {
    clearTimeout(this.#writing);
    this.#writing = 0;
    const changed = new Set(Object.keys(state).filter((key) => !same(this.state[key], state[key])));
    this.state = state;
    this.#tell(changed, { fit: true, back: true });
  }

  #tell(changed, how) {
    for (const listener of this.#listeners) listener(changed, how);
  }
}

function same(one, other) {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function written(value) {
  if (Array.isArray(value)) return value.join(",");
  if (typeof value === "object") return Object.entries(value).map(([name, entry]) => `${name}=${entry}`).join(",");
  return String(value);
}

/** Encode what an address needs encoded, and leave the rest for people to read. */
function readable(text) {
  return encodeURIComponent(text).replace(/%20/g, "+").replace(/%2C/g, ",").replace(/%3D/g, "=").replace(/%2F/g, "/");
}

/** Return text that says something. */
export const text = (given) => given;

/** Return text, or null if it is empty. */
export const word = (given) => given || null;

/** Return a reader of one of these words. */
export const oneOf = (...words) => (given) => (words.includes(given) ? given : null);

/** Return a finite number. */
export function number(given) {
  const value = given.trim() === "" ? NaN : Number(given);
  return Number.isFinite(value) ? value : null;
}

/** Return a whole number from 0 up. */
export function natural(given) {
  return /^\d{1,9}$/.test(given) ? Number(given) : null;
}

/** Return names between commas. */
export function names(given) {
  const found = given.split(",").map((name) => name.trim()).filter(Boolean);
  return found.length ? found.slice(0, 8) : null;
}

/** Return so many numbers between commas. */
export function numbers(given, counts) {
  const found = given.split(",").map(number);
  return counts.includes(found.length) && !found.includes(null) ? found : null;
}

/** Return numbers by name: x=1,y=2. */
export function point(given) {
  const found = {};
  for (const part of given.split(",")) {
    const [name, value] = part.split("=");
    if (value === undefined || number(value) === null) return null;
    found[name.trim()] = number(value);
  }
  return found;
}
