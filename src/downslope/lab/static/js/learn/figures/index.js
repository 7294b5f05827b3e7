/** The figures by the name under which `lessons.json` has them. */

/** @import { FigureMaker } from "../types.d.ts" */

import { figure as chain } from "./chain.js";
import { figure as compass } from "./compass.js";
import { figure as descent } from "./descent.js";
import { figure as houses } from "./houses.js";
import { figure as pitfalls } from "./pitfalls.js";
import { figure as rates } from "./rates.js";
import { figure as secant } from "./secant.js";
import { figure as slices } from "./slices.js";

/** @type {Record<string, FigureMaker>} */
export const FIGURES = { secant, slices, compass, descent, houses, rates, chain, pitfalls };
