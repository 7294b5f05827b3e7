/** Saving files that the lab makes: a page with its recording, or a moving picture. */

import { follow } from "./api.js";
import { byId, showTrouble } from "./elements.js";
import { save } from "./exporting.js";

/** @typedef {{ doing: string, name?: undefined } | { doing?: undefined, name: string, type: string, content: string }} Piece */

/**
 * Let a button save a file that the lab makes, and say meanwhile what it does.
 *
 * @param {HTMLButtonElement} button
 * @param {object} options
 * @param {string} options.verb
 * @param {() => Record<string, any>} options.request
 * @param {HTMLElement} options.state says what is done
 * @param {(doing: string) => string} [options.say] in the words of the page
 */
export function mountSaving(button, { verb, request, state, say = (doing) => `${doing} …` }) {
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true"); // not disabled, which would take the focus away
    showTrouble(byId("saving-note"), null);
    state.textContent = say("");
    try {
      await follow(verb, request(), (/** @type {Piece} */ piece) => {
        if (piece.name === undefined) state.textContent = say(piece.doing);
        else save(piece.name, new Blob([bytesOf(piece.content)], { type: piece.type }));
      }, new AbortController().signal);
    } catch (error) {
      showTrouble(byId("saving-note"), /** @type {any} */ (error));
    }
    state.textContent = "";
    button.removeAttribute("aria-disabled");
  });
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
