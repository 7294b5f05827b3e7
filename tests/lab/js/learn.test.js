/** The course: its requests and their keys, numbers and sentences in a language, and notes in the address. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.js";
import { requestsOf } from "../../../src/downslope/lab/static/js/learn/requests.js";
import { keyOf } from "../../../src/downslope/lab/static/js/recorded-parts.js";
import { Words, plain } from "../../../src/downslope/lab/static/js/learn/words.js";
import { notesOf, textOf } from "../../../src/downslope/lab/static/js/learn/pinned.js";
import { evenly, nearest } from "../../../src/downslope/lab/static/js/learn/figures/parts.js";

const MESSAGES = {
  "The value fell from {a} to {b}.": "Der Wert fiel von {a} auf {b}.", "Try {a}.": "Versuche {a}.", "Try {a}; below {b} all is well.": "Versuche {a}; unter {b} ist alles gut.",
  "This is {phrase}.": "Das ist {phrase}.", "… a hill of {a}": "… ein Hügel von {a}", "… {a} of {b}": "… {a} von {b}", "write {code}": "schreibe {code}",
};
const TEXTS = { language: "", page: { next: "Next: {title}" }, chapters: { slope: { said: "At {x}: {slope}." } }, messages: MESSAGES };

test("an ask stands for each combination of what it varies, within fields too", () => {
  const asks = [{ verb: "a", request: { start: { y: 1 } }, vary: { "start.x": [2, 3], rate: [0.1, 0.2] } }, { verb: "b", request: {} }];
  assert.deepEqual(requestsOf(asks), [
    ["a", { start: { y: 1, x: 2 }, rate: 0.1 }], ["a", { start: { y: 1, x: 2 }, rate: 0.2 }],
    ["a", { start: { y: 1, x: 3 }, rate: 0.1 }], ["a", { start: { y: 1, x: 3 }, rate: 0.2 }], ["b", {}],
  ]);
});

test("the key of a request does not depend on the order of its fields", () => {
  assert.equal(keyOf("a", { x: 1, y: { p: [1, { b: 2, a: 3 }], q: null } }), keyOf("a", { y: { q: null, p: [1, { a: 3, b: 2 }] }, x: 1 }));
  assert.notEqual(keyOf("a", { x: [1, 2] }), keyOf("a", { x: [2, 1] }));
  assert.notEqual(keyOf("a", { x: 1 }), keyOf("b", { x: 1 }));
});

test("numbers are written as the language does", () => {
  const [english, german] = ["en", "de"].map((language) => new Words(language, TEXTS));
  assert.equal(english.number(-0.976), "−0.976");
  assert.equal(german.number(-0.976), "−0,976");
  assert.equal(german.localised("0.4 − 0.1 × (-3.2)"), "0,4 − 0,1 × (−3,2)");
  assert.equal(english.number(-0), "0");
  assert.equal(english.number(119.98, 6), "119.98");
  assert.equal(english.number(2.5e9), "2.50 × 10⁹");
  assert.equal(english.number(null), "–");
});

test("gaps of sentences are filled, and what is unknown stays", () => {
  const german = new Words("de", TEXTS);
  assert.equal(german.chapter("slope", "said", { x: "p = 5", slope: 0.5 }), "At p = 5: 0,5.");
  assert.equal(german.page("next", {}), "Next: {title}");
  assert.equal(plain("the slope `f′` is"), "the slope f′ is");
});

test("notes go into the address and come back", () => {
  const notes = [{ chapter: "slope", x: 12, y: 30, text: "Only a secant, 100 %" }, { chapter: "compass", x: 0, y: 92, text: "here" }];
  assert.deepEqual(notesOf(textOf(notes)), notes);
  assert.deepEqual(notesOf("slope~12~130~outside|~1~1~nowhere|slope~1~1|nonsense"), []);
  assert.deepEqual(notesOf(textOf([{ chapter: "slope", x: 1, y: 2, text: "a|b~c" }])), [{ chapter: "slope", x: 1, y: 2, text: "a b c" }]);
});

test("positions are short numbers from end to end, and the nearest is known", () => {
  assert.deepEqual(evenly([-1, 1], 5), [-1, -0.5, 0, 0.5, 1]);
  assert.equal(evenly([0, 1 / 3], 3).at(-1), 0.333);
  assert.deepEqual(evenly([-1, 1], 3, 0.25), [-1, 0, 0.25, 1]);
  assert.deepEqual(evenly([-1, 1], 3, 0), [-1, 0, 1]);
  assert.equal(nearest([0, 0.5, 1], 0.8), 2);
});

test("messages of the lab are said in the language of the page where all of them is known", () => {
  const german = new Words("de", TEXTS);
  /** @param {string} message */
  const said = (message) => german.message(message);
  assert.deepEqual(said("The value fell from 0.5 to 1.5e-9. Try 0.25; below 1.5 all is well."), { text: "Der Wert fiel von 0,5 auf 1,5\u00a0×\u00a010⁻⁹. Versuche 0,25; unter 1,5 ist alles gut.", lang: "de" });
  assert.deepEqual(said("This is a hill of 2.5."), { text: "Das ist ein Hügel von 2,5.", lang: "de" });
  assert.deepEqual(said("This is a pole. Try 2."), { text: "This is a pole. Try 2.", lang: "en" });
  assert.deepEqual(said("the end of a hill"), { text: "the end of a hill", lang: "en" }); // parts of sentences are no messages
  assert.deepEqual(said("Try 1 of 2."), { text: "Versuche 1 von 2.", lang: "de" });
  assert.deepEqual(said("write 3.5"), { text: "schreibe 3.5", lang: "de" });
  assert.deepEqual(new Words("en", { ...TEXTS, messages: {} }).message("Try 0.5."), { text: "Try 0.5.", lang: "en" });
});
