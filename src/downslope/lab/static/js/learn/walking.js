/** Playing, stepping and sliding through the walk of a figure, also by keys. */

/** @import { Words } from "./words.js" */
/** @import { Walk } from "./types.d.ts" */

import { byId, make } from "../elements.js";
import { icon, PACES, PICTURES } from "../playback.js";

const STEP = 1100; // milliseconds of a step at the usual pace, and at most of all steps together
const LONGEST = 16_000;
/** @type {Record<string, number>} */
const KEYS = { ArrowRight: 1, ArrowLeft: -1, PageDown: 1, PageUp: -1 };

/**
 * Connect the controls of the walk; gives functions that show another walk, and words in another language.
 *
 * @param {{ isTeaching: () => boolean }} options
 */
export function mountWalking({ isTeaching }) {
  const scrub = byId("scrub", HTMLInputElement);
  const [play, back, forward] = ["play", "back", "forward"].map((id) => byId(id, HTMLButtonElement));
  const pace = byId("pace", HTMLSelectElement);
  const loop = byId("loop");
  let isLooped = false;
  pace.append(...PACES.map(([text, factor]) => make("option", { value: factor, text })));
  pace.value = "1";
  loop.append(icon(PICTURES.loop));
  back.append(icon(PICTURES.back));
  forward.append(icon(PICTURES.forward));
  play.append(icon(PICTURES.play));
  /** @type {Walk | null} */
  let walk = null;
  /** @type {Words | null} */
  let words = null;
  /** @type {number | undefined} */
  let playing;

  back.addEventListener("click", () => step(-1));
  forward.addEventListener("click", () => step(1));
  play.addEventListener("click", () => (playing ? stop() : start()));
  scrub.addEventListener("input", () => (stop(), walk?.go(Number(scrub.value))));
  pace.addEventListener("change", () => playing && (stop(), start()));
  loop.addEventListener("click", () => {
    isLooped = !isLooped;
    loop.setAttribute("aria-pressed", String(isLooped));
  });
  document.addEventListener("keydown", (event) => {
    if (!walk || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || isTaken(event)) return;
    const way = KEYS[event.key];
    if (event.key === " ") playing ? stop() : start();
    else if (way && isTeaching()) step(way);
    else return;
    event.preventDefault();
  });

  /** @param {number} way */
  function step(way) {
    stop();
    if (walk) walk.go(Math.min(Math.max(walk.index + way, 0), walk.count - 1));
  }

  function start() {
    if (!walk || walk.count < 2) return;
    if (walk.index >= walk.count - 1) walk.go(0);
    playing = setInterval(() => {
      if (!walk) return stop();
      walk.go(walk.index >= walk.count - 1 ? 0 : walk.index + 1);
      if (walk.index >= walk.count - 1 && !isLooped) stop();
    }, Math.min(STEP, LONGEST / walk.count) / Number(pace.value));
    turn();
  }

  function stop() {
    clearInterval(playing);
    playing = undefined;
    turn();
  }

  function turn() {
    play.querySelector("path")?.setAttribute("d", playing ? PICTURES.pause : PICTURES.play);
    if (words) play.title = words.page(playing ? "pause" : "play");
    play.setAttribute("aria-label", play.title);
  }

  /** Show where a walk is; null where there is none. @param {Walk | null} shown */
  function show(shown) {
    if (shown !== walk) stop();
    walk = shown;
    byId("transport").hidden = !walk;
    if (!walk) return;
    const last = Math.max(0, walk.count - 1);
    const name = walk.name(walk.index);
    scrub.max = String(last);
    scrub.value = String(walk.index);
    scrub.style.setProperty("--done", `${last ? (100 * walk.index) / last : 0}%`);
    scrub.setAttribute("aria-valuetext", name);
    byId("count").textContent = name;
    back.disabled = walk.index === 0;
    forward.disabled = walk.index === last;
  }

  /** @param {Words} spoken */
  function speak(spoken) {
    words = spoken;
    const named = /** @type {[HTMLElement, string][]} */ ([[back, "step_back"], [forward, "step_forward"], [pace, "pace"], [loop, "loop"]]);
    for (const [button, key] of named) {
      button.title = spoken.page(key);
      button.setAttribute("aria-label", button.title);
    }
    scrub.setAttribute("aria-label", spoken.page("step"));
    byId("transport").setAttribute("aria-label", spoken.page("steps"));
    turn();
  }

  return { show, speak, stop };
}

/** Whether a key belongs to what has the focus: a field, a slider, a button, or a handle of the figure. @param {KeyboardEvent} event */
function isTaken({ key, target }) {
  if (!(target instanceof Element)) return false;
  if (target.closest("input, select, textarea, [contenteditable], [role=slider], [role=application], .scroll, pre")) return true;
  return key === " " && target.closest("button, a, summary") !== null;
}
