/** The ground in three dimensions, drawn by the lab on request, and turned by dragging. */

import { ask } from "../api.js";
import { byId, showTrouble } from "../elements.js";
import { isDark } from "../shell.js";

const FIRST_VIEW = [-60, 30];
const TURN = 0.4; // degrees for a pixel
const SETTLED = 350;

/** Connect the surface. */
export function mountSurface(page) {
  const [image, view] = [byId("surface-image"), byId("surface-view")];
  let address = null;
  let waiting = 0;
  let dragged = null;

  byId("surface-show").addEventListener("click", () => page.set({ surface: FIRST_VIEW }));
  byId("surface-hide").addEventListener("click", () => {
    page.set({ surface: null });
    byId("surface-show").focus();
  });
  for (const button of document.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => turn(...button.dataset.turn.split(",").map(Number)));
  }
  view.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] }[event.key];
    if (!by) return;
    event.preventDefault();
    turn(...by);
  });
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    dragged = { at: [event.clientX, event.clientY], from: page.state.surface };
  });
  view.addEventListener("pointermove", (event) => {
    if (!dragged || !view.hasPointerCapture(event.pointerId)) return;
    const [right, down] = [event.clientX - dragged.at[0], event.clientY - dragged.at[1]];
    look(dragged.from[0] - right * TURN, dragged.from[1] + down * TURN);
  });
  for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, () => (dragged = null));

  page.on("reading", () => show());
  page.on("descent", () => soon());
  page.on("state", (changed) => {
    if (changed.has("surface")) show();
    if (changed.has("theme")) soon();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => soon());

  function turn(around, above) {
    const [azimuth, elevation] = page.state.surface ?? FIRST_VIEW;
    look(azimuth + around, elevation + above);
  }

  function look(azimuth, elevation) {
    const around = Math.round(((((azimuth + 180) % 360) + 360) % 360) - 180);
    page.set({ surface: [around, Math.round(Math.min(90, Math.max(0, elevation)))] });
  }

  function soon() {
    clearTimeout(waiting);
    if (page.state.surface) waiting = setTimeout(show, SETTLED);
  }

  async function show() {
    const few = page.reading?.variables.length === 1;
    byId("surface-section").hidden = few;
    const shown = page.state.surface !== null && !few;
    byId("surface").hidden = !shown;
    byId("surface-show").hidden = shown;
    if (!shown || !page.reading) return;
    const [azimuth, elevation] = page.state.surface;
    view.setAttribute("aria-busy", "true");
    try {
      const told = await ask("surface", page.request({ azimuth, elevation, theme: isDark(page) ? "dark" : "light" }));
      if (!told) return;
      if (address) URL.revokeObjectURL(address);
      address = URL.createObjectURL(picture(told.png));
      image.src = address;
      image.alt = `Surface of ${page.reading.read_as} with the way down, seen from ${azimuth}° around and ${elevation}° above.`;
      showTrouble(byId("surface-note"), null);
    } catch (error) {
      showTrouble(byId("surface-note"), error);
    }
    view.removeAttribute("aria-busy");
  }
}

function picture(base64) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}
