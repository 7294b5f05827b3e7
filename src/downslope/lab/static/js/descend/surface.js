/** The objective as a surface, drawn by the lab on request, and turned by dragging. */

/** @import { Descent } from "./flow.js" */
/** @import { Trouble } from "../types.d.ts" */

import { ask } from "../api.js";
import { byId, showTrouble } from "../elements.js";
import { isDark } from "../shell.js";

/** @type {[number, number]} */
const FIRST_VIEW = [-60, 30];
const TURN = 0.4; // degrees for a pixel
const SETTLED = 350; // milliseconds after the last move
/** @type {Record<string, [around: number, above: number]>} */
const BY_KEY = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] };

/** Connect the surface. @param {Descent} page */
export function mountSurface(page) {
  const [image, view] = [byId("surface-image", HTMLImageElement), byId("surface-view")];
  /** @type {string | null} */
  let address = null;
  /** @type {number | undefined} */
  let waiting;
  /** @type {{ at: [number, number], from: number[] } | null} */
  let dragged = null;

  byId("surface-show").addEventListener("click", () => page.set({ surface: FIRST_VIEW }));
  byId("surface-hide").addEventListener("click", () => {
    page.set({ surface: null });
    byId("surface-show").focus();
  });
  for (const button of document.querySelectorAll("button")) {
    const [around, above] = button.dataset.turn?.split(",").map(Number) ?? [];
    if (above !== undefined) button.addEventListener("click", () => turn(around, above));
  }
  view.addEventListener("keydown", (event) => {
    const by = BY_KEY[event.key];
    if (!by) return;
    event.preventDefault();
    turn(...by);
  });
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    dragged = { at: [event.clientX, event.clientY], from: page.state.surface ?? FIRST_VIEW };
  });
  view.addEventListener("pointermove", (event) => {
    if (!dragged || !view.hasPointerCapture(event.pointerId)) return;
    const [right, down] = [event.clientX - dragged.at[0], event.clientY - dragged.at[1]];
    look(dragged.from[0] - right * TURN, dragged.from[1] + down * TURN);
  });
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) view.addEventListener(name, () => (dragged = null));

  page.on("reading", () => show());
  page.on("descent", () => soon());
  page.on("state", (changed) => {
    if (changed.has("surface")) show();
    if (changed.has("theme")) soon();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => soon());

  /**
   * @param {number} around
   * @param {number} above
   */
  function turn(around, above) {
    const [azimuth, elevation] = page.state.surface ?? FIRST_VIEW;
    look(azimuth + around, elevation + above);
  }

  /**
   * @param {number} azimuth
   * @param {number} elevation
   */
  function look(azimuth, elevation) {
    const around = Math.round(((((azimuth + 180) % 360) + 360) % 360) - 180);
    page.set({ surface: [around, Math.round(Math.min(90, Math.max(0, elevation)))] });
  }

  function soon() {
    clearTimeout(waiting);
    if (page.state.surface) waiting = setTimeout(show, SETTLED);
  }

  async function show() {
    const { surface } = page.state;
    const few = page.reading?.variables.length === 1;
    byId("surface-section").hidden = few;
    const shown = surface !== null && !few;
    byId("surface").hidden = !shown;
    byId("surface-show").hidden = shown;
    if (!shown || !page.reading) return;
    const [azimuth, elevation] = surface;
    view.setAttribute("aria-busy", "true");
    try {
      const reply = await ask("surface", page.request({ azimuth, elevation, theme: isDark(page) ? "dark" : "light" }));
      if (!reply) return;
      if (address) URL.revokeObjectURL(address);
      address = URL.createObjectURL(picture(reply.png));
      image.src = address;
      image.alt = `Surface of ${page.reading.read_as} with the path of the descent, seen from ${azimuth}° around and ${elevation}° above.`;
      showTrouble(byId("surface-note"), null);
    } catch (error) {
      showTrouble(byId("surface-note"), /** @type {Trouble} */ (error));
    }
    view.removeAttribute("aria-busy");
  }
}

/** @param {string} base64 */
function picture(base64) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}
