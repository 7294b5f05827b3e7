/** Remedies that are tried beside the control, and what each was shown to do. */

import { follow } from "../api.js";
import { byId, draw, make, say, showTrouble } from "../elements.js";
import { copies } from "../taking.js";
import { stateOf } from "./state.js";

const BAR = { width: 180, height: 22 };

/** Connect the button, the progress and the table. */
export function mountRemedies(page) {
  let stop = null;
  let found = null;
  const button = byId("prescribe");
  const note = byId("prescribe-note");

  button.addEventListener("click", () => (stop ? end() : prescribe()));
  byId("use").addEventListener("click", () => {
    page.set(stateOf(found.keep), { push: true, train: true, fit: true });
    byId("picture").scrollIntoView({ block: "center" });
  });
  copies(byId("prescribe-python"), () => found?.python);
  page.on("head", () => forget());

  function forget() {
    end();
    found = null;
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
      await follow("prescribe", page.request(), (piece) => stop === mine && take(piece), mine.signal);
    } catch (error) {
      if (stop === mine) showTrouble(note, error);
    }
    if (stop === mine) end();
  }

  function take(piece) {
    if (piece.doing) {
      byId("prescribe-state").textContent = piece.most ? `${piece.doing}: ${piece.done} of at most ${piece.most} steps` : `${piece.doing} …`;
      byId("prescribe-progress").hidden = !piece.most;
      if (piece.most) byId("prescribe-progress").value = piece.done / piece.most;
      return;
    }
    found = piece;
    show();
  }

  function show() {
    byId("prescription").hidden = false;
    byId("prescription-verdict").textContent = found.verdict;
    say(found.verdict);
    byId("prescription-cost").textContent = found.cost ?? "";
    byId("use").hidden = byId("prescribe-python").hidden = !found.keep;
    const table = byId("trials");
    table.parentElement.hidden = found.trials.length === 0;
    const heads = ["helped", "remedy", found.heading, found.effect_heading, "beside none", "what was to move"];
    table.tHead.replaceChildren(make("tr", {}, ...heads.map((text) => make("th", { scope: "col", text }))));
    const scale = scaleOf(found.trials);
    table.tBodies[0].replaceChildren(...found.trials.map((trial) => make("tr", { class: trial.helped ? "winner" : null },
      make("td", { text: trial.mark }),
      make("th", { scope: "row" }, make("span", { text: trial.name }), make("span", { class: "small why", text: trial.why })),
      make("td", { text: trial.score }), make("td", { text: trial.effect }), make("td", {}, bar(trial, scale)), make("td", { text: trial.moved }))));
    byId("tried-list").replaceChildren(...found.tried.map(({ name, score }) => make("li", { text: `${name}: ${score === null ? "not finite" : score.toPrecision(3)}` })));
    byId("tried").hidden = found.tried.length === 0;
  }
}

/** Return the scale that all effects share; 0 is on it. */
function scaleOf(trials) {
  const ends = trials.flatMap(({ low, high, mean }) => [low, high, mean]).filter((end) => end !== null);
  const [low, high] = d3.extent([0, ...ends]);
  return d3.scaleLinear([low, high > low ? high : low + 1], [6, BAR.width - 6]);
}

/** Return an effect with its interval, beside nothing. */
function bar({ mean, low, high, helped, effect }, scale) {
  const middle = BAR.height / 2;
  const zero = scale(0);
  return draw("svg", { class: `effect ${helped ? "helped" : ""}`, viewBox: `0 0 ${BAR.width} ${BAR.height}`, width: BAR.width, height: BAR.height, role: "img", "aria-label": `effect ${effect}` },
    draw("line", { class: "effect-zero", x1: zero, x2: zero, y1: 0, y2: BAR.height }),
    ...(low === null || high === null ? [] : [draw("line", { class: "effect-span", x1: scale(low), x2: scale(high), y1: middle, y2: middle })]),
    ...(mean === null ? [] : [draw("circle", { class: "effect-mean", cx: scale(mean), cy: middle, r: 5 })]));
}
