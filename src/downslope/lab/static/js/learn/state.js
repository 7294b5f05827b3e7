/**
 * The state of the page, which follows the # of its address.
 *
 * @typedef {object} State
 * @property {string} chapter the id of the chapter; "" for the first
 * @property {string|null} lang the language of the texts; null for that of the browser
 * @property {string[]|null} done the ids of the chapters whose question was answered
 * @property {Object<string, number>|null} at the positions of the figure; null for the lesson's own
 * @property {number|null} teach 1 in the teachers' view
 * @property {string} notes the notes pinned on figures, as `pinned.js` writes them
 * @property {"light"|"dark"|null} theme null for the system's
 */

/** @import { Schema } from "../types.d.ts" */

import { Store, names, natural, oneOf, point, text, word } from "../address.js";

/** @type {Schema<State>} */
const SCHEMA = {
  chapter: { usual: "", reader: text },
  lang: { usual: null, reader: word },
  done: { usual: null, reader: names },
  at: { usual: null, reader: point },
  teach: { usual: null, reader: natural },
  notes: { usual: "", reader: text },
  theme: { usual: null, reader: oneOf("light", "dark") },
};

/** Return the state, kept in the address. */
export const newStore = () => new Store(SCHEMA, {}, undefined, { inFragment: true });
