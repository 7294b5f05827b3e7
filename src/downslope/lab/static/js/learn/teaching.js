/** The teachers' view: the figure on the full screen in large type, stepped through by keys. */

/** @import { Page } from "../page.js" */
/** @import { State } from "./state.js" */
/** @import { Words } from "./words.js" */

import { byId } from "../elements.js";

/**
 * Connect the teachers' view; `turn` goes so many chapters on. Gives the function that shows it in the words of a language.
 *
 * @param {Page<State>} page
 * @param {{ turn: (by: number) => void }} options
 */
export function mountTeaching(page, { turn }) {
  const button = byId("teach");
  const isTeaching = () => page.state.teach === 1;
  button.addEventListener("click", () => {
    if (isTeaching()) end();
    else begin();
  });
  document.addEventListener("fullscreenchange", () => !document.fullscreenElement && isTeaching() && end());
  document.addEventListener("keydown", (event) => {
    if (!isTeaching() || event.defaultPrevented || event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLInputElement) return;
    if (event.key === "Escape") end();
    else if (event.shiftKey && (event.key === "ArrowRight" || event.key === "ArrowLeft") && !isOnHandle(event)) {
      event.preventDefault();
      turn(event.key === "ArrowRight" ? 1 : -1);
    }
  });

  function begin() {
    page.set({ teach: 1 });
    // Refused in a frame that may not, and where there is no such mode; the view is as wide as the window then.
    document.documentElement.requestFullscreen?.().catch(() => {});
  }

  function end() {
    page.set({ teach: null });
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  }

  /** @param {Words} words */
  function show(words) {
    document.documentElement.classList.toggle("teaching", isTeaching());
    button.setAttribute("aria-pressed", String(isTeaching()));
    button.textContent = words.page(isTeaching() ? "teach_end" : "teach");
    byId("teach-keys").textContent = words.page("teach_keys");
  }

  return { show };
}

/** Whether a key belongs to a point of the figure, which moves farther with Shift. @param {KeyboardEvent} event */
function isOnHandle({ target }) {
  return target instanceof Element && target.closest("[role=slider], [role=application], .note") !== null;
}
