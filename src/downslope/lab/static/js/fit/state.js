/**
 * The state of this page.
 *
 * @typedef {object} State
 * @property {string|null} table the key of a file in the lab's memory
 * @property {string|null} name what that file is called
 * @property {string|null} sample a table that ships, where there is no file
 * @property {Object<string, string>|null} reading what is said about how the file is read; null for nothing
 * @property {string} f the equation as it was typed; empty for the first proposal
 * @property {string|null} x the column that proposals are over
 * @property {string|null} y the column that they are of
 * @property {Object<string, number>|null} start where to begin; null for a start that is searched
 * @property {string[]|null} hold the parameters that stay at their start
 * @property {string} loss
 * @property {string} method
 * @property {number|null} rate null for the method's own
 * @property {number} steps at most, of a method that is not the fit's own
 * @property {number|null} step the step that is selected; null for the last
 * @property {string[]|null} over the parameters of the landscape; null for the first ones
 * @property {"light"|"dark"|null} theme null for the system's
 */

/** @import { Schema } from "../types.d.ts" */

import { Store, names, natural, number, oneOf, point, text, texts, word } from "../address.js";

/** @type {Schema<State>} */
const SCHEMA = {
  table: { usual: null, reader: word },
  name: { usual: null, reader: word },
  sample: { usual: null, reader: word },
  reading: { usual: null, reader: texts },
  f: { usual: "", reader: text },
  x: { usual: null, reader: word },
  y: { usual: null, reader: word },
  start: { usual: null, reader: point },
  hold: { usual: null, reader: names },
  loss: { usual: "linear", reader: word },
  method: { usual: "levenberg-marquardt", reader: word },
  rate: { usual: null, reader: number },
  steps: { usual: 500, reader: natural },
  step: { usual: null, reader: natural },
  over: { usual: null, reader: names },
  theme: { usual: null, reader: oneOf("light", "dark") },
};
/** @type {Partial<State>} */
const FIRST = {
  sample: "coffee.csv",
  f: "temperature = a + b·e^(-k·minutes)",
  start: { a: 60, b: 20, k: 0.2 },
};

/** Return the state, kept in the address. */
export const newStore = () => new Store(SCHEMA, FIRST);
