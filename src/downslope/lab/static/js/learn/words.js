/** Sentences in the language of the page: with their numbers filled in, and their mathematics in type. */

/** @import { Texts, Values } from "./types.d.ts" */

import { make, setMaths, written } from "../elements.js";

const SENTENCES = /(?<=\.) /; // between two of them; in numbers no blank follows the point
const PHRASE = "… "; // begins what is a part of sentences only
const GAP = /\{(\w+)\}/g;

/** The words of one language. */
export class Words {
  /**
   * @param {string} language its tag, such as "de"
   * @param {Texts} texts
   */
  constructor(language, texts) {
    this.language = language;
    this.texts = texts;
    /** The patterns of the lab's messages, those with the most letters of their own first. @type {[RegExp, string[], string][]} */
    this.patterns = Object.entries(texts.messages).sort(([left], [right]) => bare(right) - bare(left)).map(([english, said]) => [patternOf(english), [...english.matchAll(GAP)].map(([, name]) => name), said]);
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

  /**
   * Return a message of the lab, which speaks English, in this language where all of it is known, and the language that it is in.
   *
   * @param {string} message
   * @returns {{ text: string, lang: string }}
   */
  message(message) {
    const whole = this.#said(message);
    const sentences = whole === null ? message.split(SENTENCES).map((sentence) => this.#said(sentence)) : [whole];
    if (sentences.includes(null)) return { text: written(message), lang: "en" };
    return { text: sentences.join(" "), lang: this.language };
  }

  /** Return a short text in this language: a message that is known in it, or numbers. @param {string} text */
  quoted(text) {
    return this.#said(text) ?? this.localised(text);
  }

  /** Return a sentence of a message in this language, or null. @param {string} sentence @returns {string | null} */
  #said(sentence) {
    for (const [pattern, names, said] of this.patterns) {
      const values = pattern.exec(sentence)?.slice(1).map((value, index) => this.#value(names[index], value));
      if (values && !values.includes(null)) return said.replace(GAP, (_, name) => values[names.indexOf(name)] ?? "");
    }
    return null;
  }

  /** Return what stands in a gap: code as it is, a phrase in this language or null, and numbers as they are written in it. @param {string} name @param {string} value */
  #value(name, value) {
    if (name.startsWith("code")) return value;
    const phrase = this.#said(PHRASE + value)?.slice(PHRASE.length) ?? null;
    return phrase ?? (name.startsWith("phrase") ? null : this.localised(value));
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
    const grouped = this.comma === "," ? text.replace(/(\d),(?=\d{3}(?!\d))/g, "$1\u202f") : text; // 66,667 would be read as 66.667
    return written(grouped).replace(/(\d)\.(?=\d)/g, `$1${this.comma}`);
  }
}

/** Return the pattern of a message with gaps. @param {string} english */
function patternOf(english) {
  const literal = english.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join("((?:(?!\\. ).)+?)")}$`, "su"); // no gap reaches into another sentence
}

/** The number of letters of a message without its gaps. @param {string} english */
const bare = (english) => english.replace(GAP, "").length;

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
