/**
 * The page's state. All of it is in the address and nowhere else, so that a link or a reload gives the same picture.
 *
 * @typedef {object} State
 * @property {string} f the formula as it was typed
 * @property {Object<string, number>|null} at the start; null for the one that the formula suggests
 * @property {number|null} rate null for the method's own
 * @property {string} method
 * @property {number} steps
 * @property {string[]|null} race the methods of the race that was run
 * @property {string[]|null} over the variables shown; null for the first ones
 * @property {number} step the step that is selected
 * @property {number[]|null} view the box that is shown, low and high of each axis; null for one around the way
 * @property {number|null} hint how many steps of the derivation are revealed; null for all
 * @property {number[]|null} surface azimuth and elevation in degrees; null while no surface is shown
 * @property {"light"|"dark"|null} theme null for the system's
 */

const DEFAULTS = {
  f: "", at: null, rate: null, method: "gradient descent", steps: 100, race: null, over: null, step: 0, view: null,
  hint: null, surface: null, theme: null,
};
const FIRST = { f: "f(x, y) = x² + 2y²", at: { x: 4, y: 3 }, rate: 0.1 };
const WRITE_AFTER = 120; // milliseconds; browsers refuse to change the address too often

/** Return the state that the query of an address describes; what makes no sense is left out. */
export function fromAddress(query) {
  const given = new URLSearchParams(query);
  const read = (key, reader) => (given.has(key) ? reader(given.get(key)) ?? DEFAULTS[key] : DEFAULTS[key]);
  const state = {
    f: read("f", (text) => text),
    at: read("at", point),
    rate: read("rate", number),
    method: read("method", (text) => text || null),
    steps: read("steps", natural),
    race: read("race", names),
    over: read("over", names),
    step: read("step", natural),
    view: read("view", (text) => numbers(text, [2, 4])),
    hint: read("hint", natural),
    surface: read("surface", (text) => numbers(text, [2])),
    theme: read("theme", (text) => (text === "light" || text === "dark" ? text : null)),
  };
  return given.has("f") ? state : { ...state, ...FIRST };
}

/** Return the query that describes a state; what is as usual is left out. */
export function toAddress(state) {
  const parts = [];
  for (const key of Object.keys(DEFAULTS)) {
    const value = state[key];
    if (key !== "f" && (value === DEFAULTS[key] || value === null)) continue;
    parts.push(`${key}=${readable(written(value))}`);
  }
  return `?${parts.join("&")}`;
}

/** Holds the state, tells who listens what changed, and keeps the address in step. */
export class Store {
  #listeners = [];
  #writing = 0;

  constructor() {
    this.state = fromAddress(location.search);
    addEventListener("popstate", () => this.#replaceAll(fromAddress(location.search)));
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
    if (how.push) history.pushState(null, "", toAddress(this.state));
    else this.#writeSoon();
    if (!how.quiet) this.#tell(changed, how);
  }

  /** Write the address now. */
  flush() {
    clearTimeout(this.#writing);
    this.#writing = 0;
    const query = toAddress(this.state);
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

function number(text) {
  const value = text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

function natural(text) {
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function names(text) {
  const found = text.split(",").map((name) => name.trim()).filter(Boolean);
  return found.length ? found.slice(0, 8) : null;
}

function numbers(text, counts) {
  const found = text.split(",").map(number);
  return counts.includes(found.length) && !found.includes(null) ? found : null;
}

function point(text) {
  const found = {};
  for (const part of text.split(",")) {
    const [name, value] = part.split("=");
    if (value === undefined || number(value) === null) return null;
    found[name.trim()] = number(value);
  }
  return found;
}
