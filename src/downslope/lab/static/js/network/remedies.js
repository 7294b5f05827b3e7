/** Remedies that are tried beside the control, and the proved effect of each. */

/** @import { Learning } from "./flow.js" */
/** @import { Prescription, PrescriptionProgress, Trial, Trouble } from "../types.d.ts" */

import { follow } from "../api.js";
import { byId, draw, make, say, showTrouble, tableById, written } from "../elements.js";
import { copies } from "../exporting.js";
import { stateOf } from "./state.js";

const BAR = { width: 180, height: 22 };

/** Connect the button, the progress and the table. @param {Learning} page */
export function mountRemedies(page) {
  /** @type {AbortController | null} */
  let stop = null;
  /** @type {Prescription | null} */
  let prescription = null;
  const button = byId("prescribe");
  const note = byId("prescribe-note");

  button.addEventListener("click", () => (stop ? end() : prescribe()));
  byId("use").addEventListener("click", () => {
    if (prescription?.keep) page.set(stateOf(prescription.keep), { push: true, train: true, fit: true });
    byId("picture").scrollIntoView({ block: "center" });
  });
  copies(byId("prescribe-python"), () => prescription?.python);
  page.on("head", () => forget());

  function forget() {
    end();
    prescription = null;
    byId("prescription").hidden = true;
    showTrouble(note, null);
  }

  function end() {
    stop?.abort();
    stop = null;
    button.textContent = "Prescribe";
    byId("prescribe-progress").hidden = true;
    byId("prescribe-state").textContent = "";
  }

  async function prescribe() {
    forget();
    const mine = new AbortController();
    stop = mine;
    button.textContent = "Stop";
    try {
      /** @param {Prescription | PrescriptionProgress} piece */
      const onPiece = (piece) => stop === mine && take(piece);
      await follow("prescribe", page.request(), onPiece, mine.signal);
    } catch (error) {
      if (stop === mine) showTrouble(note, /** @type {Trouble} */ (error));
    }
    if (stop === mine) end();
  }

  /** @param {Prescription | PrescriptionProgress} piece */
  function take(piece) {
    if (piece.doing !== undefined) {
      byId("prescribe-state").textContent = piece.most ? `${piece.doing}: ${piece.done} of at most ${piece.most} steps` : `${piece.doing} …`;
      const bar = byId("prescribe-progress", HTMLProgressElement);
      bar.hidden = !piece.most;
      if (piece.most) bar.value = (piece.done ?? 0) / piece.most;
      return;
    }
    prescription = piece;
    show(piece);
  }

  /** @param {Prescription} shown */
  function show(shown) {
    byId("prescription").hidden = false;
    byId("prescription-verdict").textContent = written(shown.verdict);
    byId("prescription-reason").textContent = written(shown.reason);
    say(shown.verdict);
    byId("prescription-cost").textContent = shown.cost ?? "";
    byId("use").hidden = byId("prescribe-python").hidden = !shown.keep;
    const { table, head, body } = tableById("trials");
    table.parentElement?.toggleAttribute("hidden", shown.trials.length === 0);
    const heads = ["helped", "remedy", shown.heading, shown.effect_heading, "beside none", "what was to move"];
    head.replaceChildren(make("tr", {}, ...heads.map((text) => make("th", { scope: "col", text }))));
    const scale = scaleOf(shown.trials);
    body.replaceChildren(...shown.trials.map((trial) => make("tr", { class: trial.helped ? "winner" : null },
      make("td", { text: trial.mark }),
      make("th", { scope: "row" }, make("span", { text: trial.name }), make("span", { class: "small why", text: trial.why })),
      make("td", { text: written(trial.score) }), make("td", { text: written(trial.effect) }), make("td", {}, effectOf(trial, scale)), make("td", { text: written(trial.moved) }))));
    byId("tried-list").replaceChildren(...shown.tried.map(({ name, score }) => make("li", { text: `${name}: ${score === null ? "not finite" : written(score.toPrecision(3))}` })));
    byId("tried").hidden = shown.tried.length === 0;
  }
}

/** Return the scale that all effects share; 0 is on it. @param {Trial[]} trials */
function scaleOf(trials) {
  const ends = trials.flatMap(({ low, high, mean }) => [low, high, mean]).filter((end) => end !== null);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  return d3.scaleLinear([low, high > low ? high : low + 1], [6, BAR.width - 6]);
}

/**
 * Return a bar of an effect with its interval, beside a line at 0.
 *
 * @param {Trial} trial
 * @param {d3.ScaleLinear<number, number>} scale
 */
function effectOf({ mean, low, high, helped, effect }, scale) {
  const middle = BAR.height / 2;
  const zero = scale(0);
  return draw("svg", { class: `effect ${helped ? "helped" : ""}`, viewBox: `0 0 ${BAR.width} ${BAR.height}`, width: BAR.width, height: BAR.height, role: "img", "aria-label": `effect ${effect}` },
    draw("line", { class: "effect-zero", x1: zero, x2: zero, y1: 0, y2: BAR.height }),
    ...(low === null || high === null ? [] : [draw("line", { class: "effect-span", x1: scale(low), x2: scale(high), y1: middle, y2: middle })]),
    ...(mean === null ? [] : [draw("circle", { class: "effect-mean", cx: scale(mean), cy: middle, r: 5 })]));
}
