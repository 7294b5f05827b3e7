/**
 * The state of this page.
 *
 * @typedef {object} State
 * @property {string|null} run the run that is shown; null for the latest
 * @property {string} beside the runs that are shown beside each other, with | between them
 * @property {"light"|"dark"|null} theme null for the system's
 */

import { Store, oneOf, text, word } from "../address.js";

const SCHEMA = {
  run: { usual: null, reader: word },
  beside: { usual: "", reader: text },
  theme: { usual: null, reader: oneOf("light", "dark") },
};

/** Return the state, kept in the address. */
export const newStore = () => new Store(SCHEMA);
