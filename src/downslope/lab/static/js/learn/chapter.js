/** A chapter: its words, its figure, its question, the numbers of the article, and where to go from it. */

/** @import { Page } from "../page.js" */
/** @import { State } from "./state.js" */
/** @import { Example, Figure, Lesson } from "./types.d.ts" */
/** @import { Words } from "./words.js" */

import { byId, make, say, setMaths, showTrouble, tableById } from "../elements.js";
import { FIGURES } from "./figures/index.js";
import { ask } from "./source.js";
import { mountWalking } from "./walking.js";
import { plain, setRich } from "./words.js";

const PATIENCE = 250; // milliseconds after which a figure that waits pales
const MARKS = { right: "✓", wrong: "•" };

/**
 * Connect the chapter; gives the functions that show one, and that tell the lesson shown.
 *
 * @param {Page<State>} page
 * @param {{ finished: (id: string) => void, follower: (id: string) => Lesson | null, go: (id: string) => void }} course
 */
export function mountChapter(page, { finished, follower, go }) {
  const walking = mountWalking({ isTeaching: () => page.state.teach === 1 });
  const own = byId("own-formula", HTMLInputElement);
  /** @type {Lesson | null} */
  let lesson = null;
  /** @type {Figure | null} */
  let figure = null;
  /** @type {Words | null} */
  let words = null;
  /** The function that the figure shows. @type {Example | null} */
  let shown = null;
  let choices = 0; // of a function, so that the last one is shown, whichever comes first

  byId("check").addEventListener("click", () => check());
  byId("hint").addEventListener("click", () => lesson && words && answer("hint", filledWithFacts(words.chapter(lesson.id, "hint"))));
  byId("reset").addEventListener("click", () => {
    answer("", "");
    if (lesson) choose(lesson, () => figure?.reset());
  });
  byId("figure").addEventListener("keydown", (event) => event.key === "Enter" && check());
  byId("next").addEventListener("click", () => lesson && go(follower(lesson.id)?.id ?? lesson.id));
  byId("own").addEventListener("submit", (event) => {
    event.preventDefault();
    if (own.value.trim()) choose({ formula: own.value, start: null, box: null });
  });
  byId("own-back").addEventListener("click", () => lesson && choose(lesson));
  byId("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId("snippet").textContent ?? "");
    if (words) byId("copy").textContent = words.page("copied");
  });

  /** Show a chapter. @param {Lesson} next @param {Words} spoken */
  function show(next, spoken) {
    figure?.stop();
    walking.stop();
    lesson = next;
    words = spoken;
    shown = lesson;
    const { id } = lesson;
    const texts = words.texts.chapters[id];
    setRich(byId("lesson-title"), texts.title, []);
    byId("lesson-text").replaceChildren(...texts.text.map((paragraph) => setRich(make("p"), filledWithFacts(paragraph), namesOf())));
    setRich(byId("question"), filledWithFacts(texts.question), namesOf());
    answer("", "");
    walking.speak(words);
    byId("figure").replaceChildren();
    byId("figure").dataset.figure = lesson.figure;
    showTrouble(byId("figure-note"), null);
    figure = null;
    figure = FIGURES[lesson.figure](byId("figure"), toolsOf(lesson, words));
    walking.show(figure.walk);
    showFunctions();
    showOwn();
    showNumbers();
    showFurther();
  }

  /** @param {Lesson} of @param {Words} spoken @returns {import("./types.d.ts").Tools} */
  function toolsOf(of, spoken) {
    return {
      lesson: of,
      ask: Object.assign(patient, { isLive: ask.isLive }),
      word: (key, values) => plain(spoken.chapter(of.id, key, values)),
      number: (value, digits) => spoken.number(value, digits),
      message: (message) => spoken.message(message),
      say: (sentence) => say(sentence),
      read: () => page.state.at ?? {},
      write: (positions) => page.set({ at: Object.keys(positions).length ? positions : null }, { quiet: true }),
      changed: () => figure && walking.show(figure.walk),
      trouble: (error) => showTrouble(byId("figure-note"), /** @type {any} */ (error)),
      isCalm: () => matchMedia("(prefers-reduced-motion: reduce)").matches,
    };
  }

  /** Request a verb, and let the figure pale while it has to wait. @param {string} verb @param {Record<string, any>} request */
  async function patient(verb, request) {
    const host = byId("figure");
    const waits = setTimeout(() => host.classList.add("stale"), PATIENCE);
    try {
      return await ask(verb, request);
    } finally {
      clearTimeout(waits);
      host.classList.remove("stale");
    }
  }

  async function check() {
    if (!figure || !lesson || !words || !shown) return;
    const now = figure;
    if (shown.formula !== lesson.formula) {
      answer("wrong", words.page("elsewhere", { formula: `\`${lesson.formula}\`` }));
      return;
    }
    const checked = await now.check();
    if (!checked || figure !== now) return;
    const { right, key, values } = checked;
    answer(right ? "right" : "wrong", words.chapter(lesson.id, key, values));
    if (!right) return;
    finished(lesson.id);
    const following = follower(lesson.id);
    byId("next-row").hidden = false;
    byId("next").hidden = !following;
    if (following) byId("next").textContent = words.page("next", { title: words.chapter(following.id, "title") });
    else answer("right", `${words.chapter(lesson.id, key, values)} ${words.page("finish")}`);
  }

  /** Show what is said of an answer. @param {"right" | "wrong" | "hint" | ""} kind @param {string} sentence */
  function answer(kind, sentence) {
    const box = byId("answer");
    box.dataset.kind = kind;
    byId("next-row").hidden = true;
    if (!sentence) {
      box.replaceChildren();
      return;
    }
    const mark = kind === "right" ? MARKS.right : MARKS.wrong;
    box.replaceChildren(make("p", {}, make("span", { class: "verdict-mark", "aria-hidden": "true", text: mark }), setRich(make("span"), sentence, namesOf())));
  }

  /** Show another function in the figure. @param {Example} example @param {() => unknown} [otherwise] */
  async function choose(example, otherwise) {
    if (!figure || !lesson) return;
    const now = figure;
    const turn = ++choices;
    try {
      await (otherwise ? otherwise() : now.show(example));
      if (figure !== now || turn !== choices) return;
      shown = example;
      showTrouble(byId("own-trouble"), null);
      walking.show(now.walk);
    } catch (error) {
      if (figure === now) showTrouble(byId("own-trouble"), /** @type {any} */ (error));
    }
    showFunctions();
    byId("own-back").hidden = shown?.formula === lesson.formula;
  }

  /** Show the buttons of the chapter's functions. */
  function showFunctions() {
    if (!lesson || !words) return;
    const { id, others = [] } = lesson;
    const spoken = words;
    const all = others.length ? [lesson, ...others] : [];
    byId("functions").hidden = all.length === 0;
    byId("functions").setAttribute("aria-label", words.page("functions"));
    byId("functions").replaceChildren(...all.map((example) => {
      const key = example === lesson ? "function" : example.id ?? "";
      const button = make("button", { type: "button", "aria-pressed": shown?.formula === example.formula },
        make("span", { text: spoken.chapter(id, key) }), setMaths(make("span", { class: "maths small" }), spoken.localised(example.formula), namesOf()));
      button.addEventListener("click", () => choose(example));
      return button;
    }));
  }

  function showOwn() {
    if (!lesson || !words) return;
    byId("own-back").hidden = true;
    showTrouble(byId("own-trouble"), null);
    own.value = "";
    own.disabled = !ask.isLive;
    byId("own-show", HTMLButtonElement).disabled = !ask.isLive;
    setRich(byId("own-note"), ask.isLive ? words.chapter(lesson.id, "own") : words.page("own_recorded"), namesOf());
  }

  function showNumbers() {
    if (!lesson || !words) return;
    const { id, facts } = lesson;
    const spoken = words;
    const { head, body } = tableById("numbers");
    head.replaceChildren(make("tr", {}, ...["quantity", "article", "computed"].map((key) => make("th", { scope: "col", text: spoken.page(key) }))));
    body.replaceChildren(...spoken.texts.chapters[id].numbers.map(({ what, fact }) => {
      const { value, article } = facts[fact];
      return make("tr", {}, setRich(make("th", { scope: "row" }), spoken.filled(what), namesOf()),
        make("td", { text: article === undefined ? "–" : spoken.quoted(article) }), make("td", { class: "right", text: spoken.number(value, 5) }));
    }));
  }

  function showFurther() {
    if (!lesson || !words) return;
    const { id, links, python } = lesson;
    const spoken = words;
    byId("links").hidden = !ask.isLive; // a recorded page has no others beside it
    byId("links").replaceChildren(...links.map(({ id: link, href }) => make("li", {}, make("a", { href, text: plain(spoken.texts.chapters[id].links[link]) }))));
    byId("snippet").textContent = python;
    byId("copy").textContent = words.page("copy");
  }

  /** Fill the facts of the lesson into a sentence. @param {string} sentence */
  function filledWithFacts(sentence) {
    const values = Object.fromEntries(Object.entries(lesson?.facts ?? {}).map(([name, { value }]) => [name, value]));
    return words?.filled(sentence, values) ?? sentence;
  }

  /** Return the names that the chapter sets in italics. */
  function namesOf() {
    return [...Object.keys(lesson?.start ?? {}), ...(lesson?.names ?? [])];
  }

  return { show, get lesson() { return lesson; } };
}
