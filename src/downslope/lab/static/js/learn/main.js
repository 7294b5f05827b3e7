/** The page "Learn": a course in chapters, each with a figure that is asked and checked. */

import { byId, make, translateBy } from "../elements.js";
import { Page } from "../page.js";
import { mountSaving } from "../saving.js";
import { mountShell } from "../shell.js";
import { mountChapter } from "./chapter.js";
import { mountNotes } from "./pinned.js";
import { loadLessons, loadTexts } from "./source.js";
import { newStore } from "./state.js";
import { mountTeaching } from "./teaching.js";
import { Words } from "./words.js";

/** What stands around the page, by its place and the key of its words. @type {Record<string, string>} */
const AROUND = {
  ".skip": "skip", ".foot p": "footer", '.theme [data-theme=""]': "system", ".theme [data-theme=light]": "light", ".theme [data-theme=dark]": "dark",
};

const page = /** @type {Page<import("./state.js").State>} */ (new Page(newStore()));
page.store.listen((changed, how) => page.emit("state", changed, how));
mountShell(page, () => {});
begin();

async function begin() {
  const { chapters } = await loadLessons();
  const languages = byId("language", HTMLSelectElement);
  const known = [...languages.options].map(({ value }) => value);
  const browsers = known.find((language) => navigator.language.toLowerCase().startsWith(language)) ?? known.find((language) => language === "en") ?? known[0];
  const language = () => (page.state.lang && known.includes(page.state.lang) ? page.state.lang : browsers);
  let words = new Words(language(), await loadTexts(language()));
  /** @param {string} id */
  const indexOf = (id) => Math.max(0, chapters.findIndex((chapter) => chapter.id === id));
  const chapter = mountChapter(page, {
    finished: (id) => page.set({ done: [...new Set([...(page.state.done ?? []), id])] }),
    follower: (id) => chapters[indexOf(id) + 1] ?? null,
    go: (id) => go(id),
  });

  const notes = mountNotes(page);
  const teaching = mountTeaching(page, {
    turn: (by) => {
      const other = chapters[indexOf(page.state.chapter) + by];
      if (other) go(other.id);
    },
  });

  /** @param {string} id */
  function go(id) {
    page.set({ chapter: id, at: null }, { push: true });
    byId("lesson-title").focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  function showCourse() {
    const now = indexOf(page.state.chapter);
    byId("chapters").replaceChildren(...chapters.map(({ id }, index) => {
      const isDone = page.state.done?.includes(id) ?? false;
      const button = make("button", { type: "button", class: isDone ? "done" : "", "aria-current": index === now ? "step" : null },
        make("span", { class: "chapter-index", "aria-hidden": "true", text: isDone ? "✓" : index + 1 }),
        make("span", { class: "chapter-title", text: words.chapter(id, "short") }),
        ...(isDone ? [make("span", { class: "unseen", text: ` (${words.page("done")})` })] : []));
      button.addEventListener("click", () => go(id));
      return make("li", {}, button);
    }));
    byId("lesson-number").textContent = words.page("number", { index: now + 1, count: chapters.length });
    document.title = `${words.chapter(chapters[now].id, "title")} · downslope`;
  }

  /** Write the words of the page itself. */
  function speak() {
    document.documentElement.lang = words.language;
    translateBy((message) => words.message(message).text);
    d3.formatDefaultLocale({ decimal: words.comma, thousands: "\u2009", grouping: [3], currency: ["", ""], minus: "−" });
    languages.value = words.language;
    for (const element of document.querySelectorAll("[data-text]")) {
      element.textContent = words.page(/** @type {HTMLElement} */ (element).dataset.text ?? "");
    }
    for (const [selector, key] of Object.entries(AROUND)) {
      const element = document.querySelector(selector);
      if (element) element.textContent = words.page(key);
    }
    for (const link of document.querySelectorAll(".pages a")) {
      const name = new URL(/** @type {HTMLAnchorElement} */ (link).href).pathname.split("/").at(-1);
      link.textContent = words.page(`page_${name || "descend"}`);
    }
    document.querySelector(".pages")?.setAttribute("aria-label", words.page("pages"));
    document.querySelector(".theme")?.setAttribute("aria-label", words.page("colours"));
    teaching.show(words);
  }

  function showChapter() {
    showCourse();
    const lesson = chapters[indexOf(page.state.chapter)];
    chapter.show(lesson, words);
    notes.show(lesson.id, words);
  }

  languages.addEventListener("change", () => page.set({ lang: languages.value }));
  page.on("state", async (changed, how) => {
    if (changed.has("lang")) {
      words = new Words(language(), await loadTexts(language()));
      speak();
    }
    if (changed.has("lang") || changed.has("chapter") || (how.back && changed.has("at"))) showChapter();
    else if (changed.has("done")) showCourse();
    if (changed.has("teach")) teaching.show(words);
  });
  for (const part of ["chapter", "course"]) {
    mountSaving(byId(`save-${part}`, HTMLButtonElement), {
      verb: "page", state: byId("saving-state"), say: () => words.page("saving"),
      request: () => ({ page: "learn", chapter: part === "course" ? null : chapters[indexOf(page.state.chapter)].id }),
    });
  }
  speak();
  showChapter();
}
