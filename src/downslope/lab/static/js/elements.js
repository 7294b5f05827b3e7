/** Elements, mathematics in type, and numbers as people write them. Text goes in as text, never as markup. */

/** @import { Trouble } from "./types.d.ts" */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return the element of this id, which must be of this type.
 *
 * @template {Element} [Type=HTMLElement]
 * @param {string} id
 * @param {new () => Type} [type]
 * @returns {Type}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof (type ?? Element))) throw new Error(`The page has no ${type?.name ?? "element"} #${id}.`);
  return /** @type {Type} */ (/** @type {unknown} */ (element));
}

/** Return the table of this id, with its head and its body. @param {string} id */
export function tableById(id) {
  const table = byId(id, HTMLTableElement);
  return { table, head: /** @type {HTMLTableSectionElement} */ (table.tHead), body: table.tBodies[0] };
}

/**
 * Return a new HTML element; `text` and `class` are understood, all else is an attribute.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * Return a new SVG element.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * @template {Element} Type
 * @param {Type} element
 * @param {Attributes} attributes
 * @param {(Node | string)[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value === null || value === undefined ? null : String(value);
    else if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Set a text as in a book: single letters, `names` and products of them in italics, and real minus signs.
 *
 * @template {Element} Type
 * @param {Type} element
 * @param {string} text
 * @param {string[]} names
 */
export function setMaths(element, text, names = []) {
  const pieces = [];
  for (const [piece] of written(text).matchAll(/[\p{Ll}\p{Lu}]+|[^\p{Ll}\p{Lu}]+/gu)) {
    const letters = [...piece];
    const isName = letters.length === 1 || names.includes(piece) || letters.every((letter) => names.includes(letter));
    pieces.push(isName && /^\p{L}/u.test(piece) ? make("i", { text: piece }) : piece);
  }
  element.replaceChildren(...pieces);
  return element;
}

/** @type {Record<string, string>} */
const SUPERSCRIPTS = { "−": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const POWER = /(?<![\p{L}\d_.,])(\d+(?:[.,]\d+)?)e([-−+]?)(\d+)(?![\p{L}\d_.]*\p{L})/gu;

/** Return a text or a number as in a book: real minus signs, and 1.63 × 10⁻⁹ for 1.63e-09. @param {string | number} value */
export function written(value) {
  return String(value).replace(POWER, (_, factor, sign, digits) => {
    const power = powerOfTen(sign === "+" || sign === "" ? Number(digits) : -Number(digits));
    return factor === "1" ? power : `${factor}\u00a0×\u00a0${power}`; // never broken into two lines
  }).replace(/-/g, "−");
}

/** Return a power of ten as in a book. @param {number} exponent */
export function powerOfTen(exponent) {
  return `10${[...String(exponent).replace("-", "−")].map((sign) => SUPERSCRIPTS[sign]).join("")}`;
}

/** Return the number that a person typed, or null. @param {string} text */
export function typed(text) {
  const digits = text.replace(/[⁻⁰¹²³⁴-⁹]+/gu, (raised) => `e${[...raised].map((sign) => Object.keys(SUPERSCRIPTS).find((key) => SUPERSCRIPTS[key] === sign)).join("")}`);
  const plain = digits.trim().replace(/[−–]/g, "-").replace(/\s/g, "").replace(/^(-?\d*),(\d+)$/, "$1.$2")
    .replace(/^(-?[\d.]+)[×*·]10\^?e?(-?\d+)$/, "$1e$2").replace(/^(-?)10e(-?\d+)$/, "$11e$2");
  const value = plain === "" ? NaN : Number(plain);
  return Number.isFinite(value) ? value : null;
}

/**
 * Return the whole number from `least` up that a person typed, or undefined.
 *
 * @param {string} text
 * @param {number} least
 */
export function typedWhole(text, least) {
  const value = typed(text);
  return value !== null && Number.isInteger(value) && value >= least ? value : undefined;
}

/**
 * Show whether the content of a field is valid.
 *
 * @param {HTMLInputElement} field
 * @param {boolean} isValid
 */
export function showValid(field, isValid) {
  if (isValid) field.removeAttribute("aria-invalid");
  else field.setAttribute("aria-invalid", "true");
}

/** Requests anew what the page shows. @type {() => unknown} */
let requestAgain = () => {};

/** Let "Try again" call a function where nothing else is said. @param {() => unknown} again */
export function setAgain(again) {
  requestAgain = again;
}

/** Says a message of the lab in the language of the page. @type {(message: string) => string} */
let translate = (message) => message;

/** Let a function say the messages of the lab in the language of the page. @param {(message: string) => string} by */
export function translateBy(by) {
  translate = by;
}

/** Return a message of the lab in the language of the page. @param {string} message */
export function translated(message) {
  return translate(message);
}

/**
 * Show an error beside its cause, or clear it. Where it ends by itself, as when the lab is busy, a button tries again.
 *
 * @param {HTMLElement} element
 * @param {Trouble | null} error
 * @param {() => unknown} [again] what the button does; requests anew what the page shows if there is none
 */
export function showTrouble(element, error, again = requestAgain) {
  element.hidden = !error;
  element.replaceChildren();
  if (!error) return;
  element.append(make("span", { text: written(translate(error.message)) }));
  if (error.hint) element.append(" ", make("span", { class: "hint", text: translate(error.hint) }));
  if (error.kind !== "LimitError" || !/^Try again\b/.test(error.hint ?? "")) return;
  const button = make("button", { type: "button", text: translate("Try again") });
  button.addEventListener("click", () => {
    showTrouble(element, null);
    again();
  });
  element.append(" ", button);
}

/** @type {number | undefined} */
let speaking;

/**
 * Let a screen reader say something, once it has not changed for a moment.
 *
 * @param {string} text
 * @param {number} after milliseconds
 */
export function say(text, after = 600) {
  clearTimeout(speaking);
  speaking = setTimeout(() => (byId("spoken").textContent = text), after);
}
