/** The figures by the name under which `lessons.json` has them. */

/** @import { FigureMaker } from "../types.d.ts" */

import { figure as compass } from "./compass.js";
import { figure as descent } from "./descent.js";
import { figure as secant } from "./secant.js";
import { figure as slices } from "./slices.js";

/** @type {Record<string, FigureMaker>} */
export const FIGURES = { secant, slices, compass, descent };
