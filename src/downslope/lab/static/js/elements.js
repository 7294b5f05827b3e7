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

/** Return a number as text with a real minus sign. @param {string | number} value */
export function written(value) {
  return String(value).replace(/-/g, "−");
}

/** Return the number that a person typed, or null. @param {string} text */
export function typed(text) {
  const plain = text.trim().replace(/[−–]/g, "-").replace(/\s/g, "").replace(/^(-?\d*),(\d+)$/, "$1.$2");
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

/**
 * Show an error beside its cause, or clear it.
 *
 * @param {HTMLElement} element
 * @param {Trouble | null} error
 */
export function showTrouble(element, error) {
  element.hidden = !error;
  element.replaceChildren();
  if (!error) return;
  element.append(make("span", { text: error.message }));
  if (error.hint) element.append(" ", make("span", { class: "hint", text: error.hint }));
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
