/**
 * The state of this page.
 *
 * @typedef {object} State
 * @property {string|null} run the run that is shown; null for the latest
 * @property {string} beside the runs that are compared, with | between them
 * @property {"light"|"dark"|null} theme null for the system's
 */

/** @import { Schema } from "../types.d.ts" */

import { Store, oneOf, text, word } from "../address.js";

/** @type {Schema<State>} */
const SCHEMA = {
  run: { usual: null, reader: word },
  beside: { usual: "", reader: text },
  theme: { usual: null, reader: oneOf("light", "dark") },
};

/** Return the state, kept in the address. */
export const newStore = () => new Store(SCHEMA);
