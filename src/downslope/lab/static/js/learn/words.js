/** Sentences in the language of the page: with their numbers filled in, and their mathematics in type. */

/** @import { Texts, Values } from "./types.d.ts" */

import { make, setMaths, written } from "../elements.js";

/** The words of one language. */
export class Words {
  /**
   * @param {string} language its tag, such as "de"
   * @param {Texts} texts
   */
  constructor(language, texts) {
    this.language = language;
    this.texts = texts;
    this.comma = new Intl.NumberFormat(language).formatToParts(1.5).find(({ type }) => type === "decimal")?.value ?? ".";
  }

  /** Return a sentence of the page. @param {string} key @param {Values} [values] */
  page(key, values) {
    return this.filled(this.texts.page[key] ?? key, values);
  }

  /** Return a sentence of a chapter. @param {string} chapter @param {string} key @param {Values} [values] */
  chapter(chapter, key, values) {
    return this.filled(this.texts.chapters[chapter][key] ?? key, values);
  }

  /** Fill the gaps of a sentence: {x}. @param {string} sentence @param {Values} [values] */
  filled(sentence, values = {}) {
    return sentence.replace(/\{(\w+)\}/g, (gap, name) => {
      const value = values[name];
      return value === undefined ? gap : typeof value === "number" ? this.number(value) : String(value);
    });
  }

  /** Return a number as it is written in this language. @param {number | null} value @param {number} [digits] significant ones */
  number(value, digits = 4) {
    if (value === null || !Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size >= 1e6 || (size > 0 && size < 1e-6)) return this.localised(value.toExponential(Math.min(digits, 3) - 1).replace("e+", "e"));
    return this.localised(String(Number(value.toPrecision(digits)) || 0));
  }

  /** Write the numbers of a text that is the same in every language: with real minus signs, and the language's decimal mark. @param {string} text */
  localised(text) {
    return written(text).replace(/(\d)\.(?=\d)/g, `$1${this.comma}`);
  }
}

/**
 * Set a sentence in which mathematics stands between backticks.
 *
 * @template {Element} Type
 * @param {Type} element
 * @param {string} sentence
 * @param {string[]} names the names to be set in italics, as of variables
 */
export function setRich(element, sentence, names) {
  const pieces = sentence.split("`").map((piece, index) => (index % 2 ? setMaths(make("span", { class: "maths" }), piece, names) : piece));
  element.replaceChildren(...pieces);
  return element;
}

/** Return a sentence without the marks of its mathematics, to be spoken. @param {string} sentence */
export const plain = (sentence) => sentence.replace(/`/g, "");
