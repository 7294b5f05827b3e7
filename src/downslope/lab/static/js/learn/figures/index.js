/** The figures by the name under which `lessons.json` has them. */

/** @import { FigureMaker } from "../types.d.ts" */

import { figure as secant } from "./secant.js";

/** @type {Record<string, FigureMaker>} */
export const FIGURES = { secant };
