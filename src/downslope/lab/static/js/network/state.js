/**
 * The state of this page.
 *
 * @typedef {object} State
 * @property {string|null} table the key of a file in the lab's memory
 * @property {string|null} name what that file is called
 * @property {string|null} sample data that ship, where there is no file
 * @property {string|null} target the column to predict; null for the last
 * @property {string} hidden units of the hidden layers, between commas
 * @property {string} activation
 * @property {string} initialisation
 * @property {string} normalisation
 * @property {number} skip 1 where hidden layers of one size are skipped
 * @property {number} dropout
 * @property {string|null} class_weights as typed; null for 1 for each class
 * @property {string} method
 * @property {number|null} rate null for the method's own
 * @property {number} batch 0 for all examples
 * @property {number} steps
 * @property {number} seed
 * @property {Object<string, number>|null} earlier the rates before this one, each by the step up to which it was used; 0 for the method's own
 * @property {string|null} devices how many devices take a part of each batch, or "all"; null for one
 * @property {number[]|null} surface degrees around and above of the output as a surface; null while it is not shown
 * @property {string|null} more further choices, as a JSON object
 * @property {string[]|null} over the features of the picture; null for the first ones
 * @property {number} trained 1 where the network is trained as the page opens
 * @property {number|null} step the step that is selected; null for the last
 * @property {number} example the example in the picture of the units
 * @property {number} stage the stage of its pass, forward and back
 * @property {"light"|"dark"|null} theme null for the system's
 */

/** @import { NetworkSettings, Schema } from "../types.d.ts" */

import { Store, names, natural, number, numbers, oneOf, point, text, word } from "../address.js";

/** @type {Schema<State>} */
const SCHEMA = {
  table: { usual: null, reader: word },
  name: { usual: null, reader: word },
  sample: { usual: "circles", reader: word },
  target: { usual: null, reader: word },
  hidden: { usual: "8,8", reader: text, always: true },
  activation: { usual: "tanh", reader: word },
  initialisation: { usual: "auto", reader: word },
  normalisation: { usual: "none", reader: word },
  skip: { usual: 0, reader: natural },
  dropout: { usual: 0, reader: number },
  class_weights: { usual: null, reader: word },
  method: { usual: "adam", reader: word },
  rate: { usual: null, reader: number },
  batch: { usual: 32, reader: natural },
  steps: { usual: 800, reader: natural },
  seed: { usual: 0, reader: natural },
  earlier: { usual: null, reader: point },
  devices: { usual: null, reader: (entry) => (/^([1-9]\d{0,3}|all)$/.test(entry) ? entry : null) },
  surface: { usual: null, reader: (entry) => numbers(entry, [2]) },
  more: { usual: null, reader: word },
  over: { usual: null, reader: names },
  trained: { usual: 0, reader: natural },
  step: { usual: null, reader: natural },
  example: { usual: 0, reader: natural },
  stage: { usual: 0, reader: natural },
  theme: { usual: null, reader: oneOf("light", "dark") },
};
/** @type {Partial<State>} */
const FIRST = { rate: 0.01, trained: 1 };

/** The keys that decide the numbers of a training. @type {(keyof State)[]} */
export const SETTINGS = [
  "table", "sample", "target", "hidden", "activation", "initialisation", "normalisation", "skip", "dropout", "class_weights",
  "method", "rate", "batch", "steps", "seed", "more", "devices",
];

/** Return the state, kept in the address. */
export const newStore = () => new Store(SCHEMA, FIRST);

/**
 * Return settings from the lab as a part of the state.
 *
 * @param {NetworkSettings} settings
 * @returns {Partial<State>}
 */
export function stateOf({ hidden, skip, batch, ...others }) {
  return { ...others, hidden: hidden.join(","), skip: skip ? 1 : 0, batch: batch ?? 0, step: null, stage: 0, trained: 1, earlier: null };
}
