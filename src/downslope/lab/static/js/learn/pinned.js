/** Notes that are pinned on a figure, kept in the address: where each stands, in hundredths of the figure, and its words. */

/** @import { Page } from "../page.js" */
/** @import { State } from "./state.js" */
/** @import { Words } from "./words.js" */

import { byId, make } from "../elements.js";

const FIRST = { x: 58, y: 6 }; // where a new note is put
const MOST = 12; // notes, since the address holds them
const STEP = 2; // hundredths: an arrow key
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {{ chapter: string, x: number, y: number, text: string }} Note */

/** Return the notes of a text of the address; what makes no sense is left out. @param {string} text @returns {Note[]} */
export function notesOf(text) {
  return text.split("|").flatMap((part) => {
    const [chapter, x, y, ...words] = part.split("~");
    const at = [x, y].map(Number);
    if (!chapter || words.length !== 1 || !at.every((value) => value >= 0 && value <= 100)) return [];
    return [{ chapter, x: at[0], y: at[1], text: words[0] }];
  }).slice(0, MOST);
}

/** Return notes as a text for the address. @param {Note[]} notes */
export function textOf(notes) {
  return notes.map(({ chapter, x, y, text }) => [chapter, Math.round(x), Math.round(y), text.replace(/[|~]/g, " ")].join("~")).join("|");
}

/** Connect the notes; gives the function that shows those of a chapter. @param {Page<State>} page */
export function mountNotes(page) {
  const board = byId("notes");
  /** @type {Note[]} */
  let notes = [];
  let chapter = "";
  /** @type {Words | null} */
  let words = null;
  byId("pin").addEventListener("click", () => {
    if (notes.length >= MOST) return;
    const mine = notes.filter((note) => note.chapter === chapter).length;
    const note = { chapter, x: FIRST.x, y: Math.min(FIRST.y + 14 * mine, 90), text: "" };
    notes.push(note);
    board.append(elementOf(note));
    board.lastElementChild?.querySelector("textarea")?.focus();
  });

  /** Keep the notes in the address, without those that say nothing. */
  function keep() {
    page.set({ notes: textOf(notes.filter(({ text }) => text.trim())) }, { quiet: true });
  }

  /** @param {Note} note */
  function elementOf(note) {
    const field = make("textarea", { rows: 1, maxlength: 200, "aria-label": words?.page("note") });
    const grip = make("button", { type: "button", class: "note-grip", "aria-label": words?.page("note_move"), text: "⠿" });
    const close = make("button", { type: "button", class: "note-close", "aria-label": words?.page("note_remove"), text: "×" });
    const element = make("div", { class: "note" }, grip, field, close);
    field.value = note.text;
    field.addEventListener("input", () => {
      note.text = field.value;
      keep();
    });
    close.addEventListener("click", () => {
      notes = notes.filter((other) => other !== note);
      element.remove();
      byId("pin").focus();
      keep();
    });
    let isDragged = false;
    grip.addEventListener("pointerdown", (event) => {
      isDragged = true;
      grip.setPointerCapture(event.pointerId);
    });
    grip.addEventListener("pointermove", (event) => {
      if (!isDragged) return;
      const { left, top, width, height } = board.getBoundingClientRect();
      move((100 * (event.clientX - left - 10)) / width, (100 * (event.clientY - top - 14)) / height);
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) grip.addEventListener(name, () => (isDragged = false));
    grip.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow) return;
      event.preventDefault();
      event.stopPropagation();
      move(note.x + arrow[0] * STEP, note.y + arrow[1] * STEP);
    });

    /** @param {number} x @param {number} y */
    function move(x, y) {
      [note.x, note.y] = [x, y].map((value) => Math.min(Math.max(value, 0), 92));
      stand();
      keep();
    }

    function stand() {
      element.style.left = `${note.x}%`;
      element.style.top = `${note.y}%`;
    }

    stand();
    return element;
  }

  /** Show the notes of a chapter. @param {string} id @param {Words} spoken */
  function show(id, spoken) {
    [chapter, words] = [id, spoken];
    notes = notesOf(page.state.notes);
    board.replaceChildren(...notes.filter((note) => note.chapter === chapter).map(elementOf));
  }

  return { show };
}
