/** Playing the path step by step: play, single steps, and the slider. */

/** @import { Page } from "./page.js" */
/** @import { Frame } from "./frame.js" */
/** @import { Scale } from "./types.d.ts" */

import { byId, draw, make } from "./elements.js";

/** The drawings on the buttons. */
export const PICTURES = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z",
  back: "M17 5v14L8 12zM6 5h2v14H6z",
  forward: "M7 5v14l9-7zM16 5h2v14h-2z",
  loop: "M7 7h9v3l5-4-5-4v3H5v7h2zM17 17H8v-3l-5 4 5 4v-3h11v-7h-2z",
};
const LONGEST = 9000; // milliseconds that playing takes at most, at the usual pace
const PACE = [28, 420]; // milliseconds of a step, at least and at most
/** The paces: their texts, and how many times as quick they are as usual. */
export const PACES = /** @type {const} */ ([["¼×", 0.25], ["½×", 0.5], ["1×", 1], ["2×", 2], ["4×", 4]]);
const REST = 900; // milliseconds at the end, before it begins anew
/** Elements that do something of their own with the space bar. */
const OWN_SPACE = "input, select, textarea, button, summary, a, [contenteditable], [role=region]";

/** Connect the controls that walk along the steps of `page.descent`, row by row. @param {Page<any>} page */
export function mountPlayback(page) {
  const scrub = byId("scrub", HTMLInputElement);
  const play = byId("play");
  const [back, forward] = ["back", "forward"].map((id) => byId(id, HTMLButtonElement));
  const loop = byId("loop");
  const pace = byId("pace", HTMLSelectElement);
  let playing = 0;
  let isLooped = false;
  loop.append(icon(PICTURES.loop));
  pace.append(...PACES.map(([text, factor]) => make("option", { value: factor, text })));
  pace.value = "1";
  back.append(icon(PICTURES.back));
  forward.append(icon(PICTURES.forward));
  play.append(icon(PICTURES.play));

  const rows = () => page.descent?.steps.length ?? 0;
  /** @param {number} row */
  const go = (row) => page.set({ step: page.descent?.steps[Math.min(Math.max(row, 0), rows() - 1)] });

  back.addEventListener("click", () => rows() && (stop(), go(page.row - 1)));
  forward.addEventListener("click", () => rows() && (stop(), go(page.row + 1)));
  scrub.addEventListener("input", () => rows() && (stop(), go(Number(scrub.value))));
  play.addEventListener("click", () => (playing ? stop() : start()));
  loop.addEventListener("click", () => {
    isLooped = !isLooped;
    loop.setAttribute("aria-pressed", String(isLooped));
  });
  addEventListener("keydown", (event) => {
    if (event.key !== " " || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(OWN_SPACE)) return;
    event.preventDefault();
    if (event.repeat) return;
    if (playing) stop();
    else start();
  });
  page.on("descent", () => show());
  page.on("row", () => show());
  page.on("wrong", () => stop());

  function start() {
    if (!rows()) return;
    if (page.row >= rows() - 1) go(0);
    /** Milliseconds of a step, now. */
    const each = () => Math.min(PACE[1], Math.max(PACE[0], LONGEST / rows())) / Number(pace.value);
    let due = performance.now() + each();
    /** @param {number} now */
    const tick = (now) => {
      if (now >= due && page.row >= rows() - 1) {
        go(0); // only a loop comes here
        due = now + each();
      } else if (now >= due) {
        const steps = 1 + Math.floor((now - due) / each());
        due += steps * each();
        go(page.row + steps);
        if (page.row >= rows() - 1) due = now + REST;
      }
      playing = page.row >= rows() - 1 && !isLooped ? 0 : requestAnimationFrame(tick);
      if (!playing) stop();
    };
    playing = requestAnimationFrame(tick);
    turn(true);
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    turn(false);
  }

  /** @param {boolean} on */
  function turn(on) {
    document.body.classList.toggle("playing", on);
    play.querySelector("path")?.setAttribute("d", on ? PICTURES.pause : PICTURES.play);
    play.setAttribute("aria-label", on ? "Pause" : "Play");
    play.title = on ? "Pause (space)" : "Play (space)";
  }

  function show() {
    const { descent, row } = page;
    if (!descent) return;
    const last = descent.steps.length - 1;
    scrub.max = String(last);
    scrub.value = String(row);
    scrub.style.setProperty("--done", `${last ? (100 * row) / last : 0}%`);
    scrub.setAttribute("aria-valuetext", `step ${descent.steps[row]} of ${descent.steps_taken}`);
    byId("count").replaceChildren("step ", make("b", { text: descent.steps[row] }), ` of ${descent.steps_taken}`);
    back.disabled = row === 0;
    forward.disabled = row === last;
  }
}

/**
 * Let a chart be dragged along its steps; `scaleOf()` is its scale from steps to pixels, or null.
 *
 * @param {Page<any>} page
 * @param {Frame} frame
 * @param {() => Scale | null} scaleOf
 */
export function scrubsAlong(page, frame, scaleOf) {
  /** @param {PointerEvent} event */
  const scrub = (event) => {
    const [x, steps] = [scaleOf(), page.descent?.steps];
    if (x && steps) page.set({ step: steps[d3.bisectCenter(steps, x.invert(d3.pointer(event, frame.svg)[0]))] });
  };
  frame.svg.addEventListener("pointerdown", (event) => {
    frame.svg.setPointerCapture(event.pointerId);
    scrub(event);
  });
  frame.svg.addEventListener("pointermove", (event) => frame.svg.hasPointerCapture(event.pointerId) && scrub(event));
}

/** Return a drawing for a button. @param {string} path */
export function icon(path) {
  return draw("svg", { viewBox: "0 0 24 24", width: 22, height: 22, "aria-hidden": "true" }, draw("path", { d: path }));
}
