/**
 * The state of this page.
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
 * @property {number[]|null} view the box that is shown, low and high of each axis; null for a box that fits the path
 * @property {number|null} hint how many steps of the derivation are revealed; null for all
 * @property {"equal"|"free"|null} scale whether a unit is as long along both axes; null where the ranges decide
 * @property {number|null} example the example that is shown, from 1
 * @property {0|1} sweep 1 where one method races at several rates
 * @property {number[]|null} surface azimuth and elevation in degrees; null while no surface is shown
 * @property {"light"|"dark"|null} theme null for the system's
 */

/** @import { Schema } from "../types.d.ts" */

import { Store, names, natural, number, numbers, oneOf, point, text, word } from "../address.js";

/** @type {Schema<State>} */
const SCHEMA = {
  f: { usual: "", reader: text, always: true },
  at: { usual: null, reader: point },
  rate: { usual: null, reader: number },
  method: { usual: "gradient descent", reader: word },
  steps: { usual: 100, reader: natural },
  race: { usual: null, reader: names },
  over: { usual: null, reader: names },
  step: { usual: 0, reader: natural },
  view: { usual: null, reader: (entry) => numbers(entry, [2, 4]) },
  hint: { usual: null, reader: natural },
  scale: { usual: null, reader: oneOf("equal", "free") },
  example: { usual: null, reader: natural },
  sweep: { usual: 0, reader: (entry) => (entry === "1" ? 1 : 0) },
  surface: { usual: null, reader: (entry) => numbers(entry, [2]) },
  theme: { usual: null, reader: oneOf("light", "dark") },
};
/** @type {Partial<State>} */
const FIRST = { f: "f(x, y) = x² + 2y²", at: { x: 4, y: 3 }, rate: 0.1, surface: [-60, 30] };

/**
 * Return the state, kept in the address.
 *
 * @param {Partial<State>} [first] the state of an address that says nothing
 * @param {(state: State) => State} [allowed] the nearest state that the page can show
 */
export const newStore = (first = FIRST, allowed) => new Store(SCHEMA, first, allowed);
