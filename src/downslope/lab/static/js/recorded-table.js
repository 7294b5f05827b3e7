/**
 * The table and the arithmetic of a recorded descent, written from its numbers as the lab writes them. The lab compares both when
 * it records, and records the table itself where they differ.
 */

/** @import { DescentReply, StepTable, Value } from "./types.d.ts" */

/**
 * @typedef {object} Derived
 * @property {"rate" | "length"} derived how a step is written: as rate times slope, or as its length
 * @property {string[]} headings
 * @property {string[]} variables
 */

const DIGITS = 6;
const OF_ARITHMETIC = 5;
const EXACT = 40; // digits, more than a number in the middle of two others has

/**
 * Return the table of a descent.
 *
 * @param {Derived} derived
 * @param {DescentReply} descent
 * @returns {StepTable}
 */
export function tableOf({ derived, headings, variables }, { steps, path, gradients, values, rate }) {
  const slopes = steps.map((_, row) => variables.map((name) => gradients?.[name][row] ?? NaN));
  const points = steps.map((_, row) => variables.map((name) => path[name][row] ?? NaN));
  const rates = headings.length > variables.length + 3 ? [numberOf(rate)] : [];
  return {
    steps, headings,
    cells: steps.map((step, row) => [
      String(step), ...points[row].map((value) => numberOf(value)), numberOf(values[row]),
      numberOf(variables.length === 1 ? slopes[row][0] : Math.hypot(...slopes[row])), ...rates,
    ]),
    lines: steps.map((_, row) => {
      const after = points[row + 1];
      if (!after?.every(Number.isFinite)) return [];
      return variables.map((name, axis) => {
        const [from, to] = [points[row][axis], after[axis]].map((value) => numberOf(value, OF_ARITHMETIC));
        const length = numberOf(Math.abs(after[axis] - points[row][axis]), OF_ARITHMETIC);
        return derived === "rate"
          ? `${name} = ${from} − ${numberOf(rate, OF_ARITHMETIC)} × ${factorOf(slopes[row][axis])} = ${to}`
          : `${name} = ${from} ${after[axis] >= points[row][axis] ? "+" : "−"} ${length} = ${to}`;
      });
    }),
  };
}

/** Return a number as a factor of a product. @param {number} value */
function factorOf(value) {
  const text = numberOf(value, OF_ARITHMETIC);
  return text.startsWith("−") ? `(${text})` : text;
}

/**
 * Return a number with so many significant digits, as every text of the lab has it.
 *
 * @param {Value | undefined} value
 * @param {number} digits
 */
export function numberOf(value, digits = DIGITS) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const [mantissa, exponent] = rounded(value + 0, digits).split("e");
  const power = Number(exponent);
  const text = power < -4 || power >= digits ? `${trimmed(mantissa)}e${power}` : trimmed(Number(`${mantissa}e${power}`).toFixed(digits - 1 - power));
  return text.replace(/-/g, "−");
}

/**
 * Return a number as a mantissa and a power of ten; a number in the middle is rounded to the even digit, as Python does.
 *
 * @param {number} value
 * @param {number} digits
 */
function rounded(value, digits) {
  const exact = value.toExponential(EXACT);
  const [mantissa, power] = exact.split("e");
  const end = mantissa.indexOf(".") + digits;
  const isEven = Number(mantissa[end - 1]) % 2 === 0;
  return isEven && /^50*$/.test(mantissa.slice(end)) ? `${mantissa.slice(0, end)}e${power}` : value.toExponential(digits - 1);
}

/** @param {string} digits */
function trimmed(digits) {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}
