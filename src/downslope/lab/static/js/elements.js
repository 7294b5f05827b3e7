/** Elements, mathematics in type, and numbers as people write them. Text goes in as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

/** Return the element of this id. */
export const byId = (id) => document.getElementById(id);

/** Return a new HTML element; `text` and `class` are understood, all else is an attribute. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return a new SVG element. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Set a text as it would be in a book: names of one letter, those given and products of them in italics, and real minus signs. */
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

/** Return a number as text with a real minus sign. */
export function written(value) {
  return String(value).replace(/-/g, "−");
}

/** Return the number that a person typed, or null. */
export function typed(text) {
  const plain = text.trim().replace(/[−–]/g, "-").replace(/\s/g, "").replace(/^(-?\d*),(\d+)$/, "$1.$2");
  const value = plain === "" ? NaN : Number(plain);
  return Number.isFinite(value) ? value : null;
}

/** Return the whole number from `least` up that a person typed, or undefined. */
export function typedWhole(text, least) {
  const value = typed(text);
  return Number.isInteger(value) && value >= least ? value : undefined;
}

/** Show whether what a field holds makes sense. */
export function showValid(field, isValid) {
  if (isValid) field.removeAttribute("aria-invalid");
  else field.setAttribute("aria-invalid", "true");
}

/** Show or clear what went wrong, beside what caused it. */
export function showTrouble(element, error) {
  element.hidden = !error;
  element.replaceChildren();
  if (!error) return;
  element.append(make("span", { text: error.message }));
  if (error.hint) element.append(" ", make("span", { class: "hint", text: error.hint }));
}

let speaking = 0;

/** Let a screen reader say something, once it has not changed for a moment. */
export function say(text, after = 600) {
  clearTimeout(speaking);
  speaking = setTimeout(() => (byId("spoken").textContent = text), after);
}
