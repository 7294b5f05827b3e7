/** What goes wrong: a run as it is and as it was mended, side by side, each with what a diagnosis says of it. */

/** @import { Grid, Range } from "../../types.d.ts" */
/** @import { Example, Figure, Tools } from "../types.d.ts" */
/** @import { Panel, Run, Training } from "./runs.js" */

import { make } from "../../elements.js";
import { heightOn } from "../../land.js";
import { positionsOf } from "../requests.js";
import { handleIn, nearest } from "./parts.js";
import { descentIn, findingOf, panelIn, trainingIn } from "./runs.js";

const METHOD = "gradient descent", STEPS = 100;
const MOMENTS = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100]; // rows of a path that the walk stops at
const SAME = 0.01; // of the depth: what counts as the lower valley
const SMALL = 1e-6; // what is written as 0
const FINDINGS = 2; // that are shown of a run

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, tools) {
  const { lesson, word, number, message, ask, say, read, write, changed, trouble } = tools;
  const pair = make("div", { class: "figure-pair" });
  const busy = make("p", { class: "small figure-busy", role: "status" });
  host.append(pair, busy);

  /** @type {Example} */
  let example = lesson;
  /** @type {ReturnType<typeof descents> | ReturnType<typeof trainings> | null} */
  let scene = null;
  let index = 0;
  /** What was requested last: an answer is checked once the figure shows it. @type {Promise<void>} */
  let coming = Promise.resolve();
  /** What was chosen last: trainings take so long that another choice may come before them. @type {Example | null} */
  let chosen = null;

  const walk = {
    get count() { return scene?.count ?? 1; },
    get index() { return index; },
    /** @param {number} wanted */
    go(wanted) {
      index = wanted;
      keep();
      scene?.draw();
      changed();
    },
    /** @param {number} at */
    name: (at) => word("step", { step: scene?.step(at) ?? 0 }),
  };

  /** @param {Example} shown */
  async function show(shown) {
    chosen = shown;
    busy.textContent = word(shown.settings ? "training" : "walking");
    try {
      const ready = shown.settings ? await trained(shown) : await mended(shown);
      if (!ready || chosen !== shown) return;
      pair.replaceChildren();
      example = shown;
      /** @type {NonNullable<typeof scene>} */
      const next = ready();
      scene = next;
      index = Math.min((shown === lesson ? read().step : undefined) ?? next.first, next.count - 1);
      next.open();
      next.draw();
      trouble(null);
      changed();
    } finally {
      if (chosen === shown) busy.textContent = "";
    }
  }

  function keep() {
    if (example !== lesson) return;
    const start = scene && "start" in scene ? scene.start() : null;
    write({ ...(start === null || start === lesson.start?.x ? {} : { x: start }), ...(index === walk.count - 1 ? {} : { step: index }) });
  }

  /** @param {Example} shown */
  async function mended(shown) {
    const rate = shown.rate ?? null;
    const reply = await ask("mend", { formula: shown.formula, start: shown.start, box: shown.box, method: METHOD, rate, steps: STEPS });
    return reply && (() => descents(shown, reply));
  }

  /** @param {Example} shown */
  async function trained(shown) {
    const [ill, well] = [await ask("trained", shown.settings), await ask("trained", shown.mended)];
    return ill && well && (() => trainings(ill, well));
  }

  /**
   * Two descents on the same ground; the lesson's own starts where the pupil puts it.
   *
   * @param {Example} shown
   * @param {{ grid: Grid, name: string, runs: Run[], verdict: string }} reply
   */
  function descents(shown, { grid, name, runs, verdict: sentence }) {
    const isLesson = shown === lesson;
    const panels = ["broken", "mended"].slice(0, runs.length).map((key) => panelIn(pair, { heading: word(runs.length > 1 ? key : "only"), redraw: () => drawAll() }));
    const grounds = panels.map(descentIn);
    const shownRuns = [...runs];
    const starts = isLesson ? positionsOf(lesson, "descend", lesson.formula, "start.x") : [];
    let x = lesson.start?.x ?? 0;
    const { plot } = panels[0];
    const handle = isLesson ? handleIn(plot, { isFlat: true, drag: ([across]) => (coming = move(plot.x.invert(across))), nudge: (right) => (coming = move(starts[Math.min(Math.max(nearest(starts, x) + right, 0), starts.length - 1)])) }) : null;
    panels[panels.length - 1].result.after(make("p", { class: "small", ...message(sentence) }));

    /** @param {number} wanted */
    async function move(wanted) {
      x = starts[nearest(starts, wanted)];
      const from = x;
      try {
        const isFirst = from === lesson.start?.x;
        const next = isFirst ? null : await ask("descend", { formula: lesson.formula, start: { x: from }, rate: lesson.rate, method: METHOD, steps: STEPS });
        if (from !== x || (!isFirst && !next)) return;
        shownRuns[0] = next ? { ...next, findings: next.verdict.findings } : runs[0];
        index = walk.count - 1;
        keep();
        drawAll();
        changed();
      } catch (error) {
        trouble(error);
      }
    }

    function drawAll() {
      if (!panels.every(({ plot: { frame } }) => frame.width)) return;
      if (grounds.some((ground) => ground.reshape(grid, runs))) return; // it has drawn all by itself
      panels.forEach((panel, which) => {
        const run = shownRuns[which];
        grounds[which].draw(grid, run, rowOf(run));
        describe(panel, run.findings, word("result", { end: endOf(run), name, value: number(Math.abs(run.value) < SMALL ? 0 : run.value) }));
      });
      if (handle) handle.put([plot.x(x), heightOn(grid, plot.x, plot.y, plot.x(x))], word("handle", { x: number(x) }), x);
      say(panels.map(({ plot: { frame } }) => frame.desc.textContent).join(" "));
    }

    /** @param {Run} run */
    const rowOf = (run) => Math.min(MOMENTS[index], run.values.length - 1);
    return {
      count: MOMENTS.filter((moment, at) => moment < longest() || (MOMENTS[at - 1] ?? -1) < longest()).length,
      first: MOMENTS.length - 1,
      /** @param {number} at */
      step: (at) => MOMENTS[at],
      draw: drawAll,
      open() {
        grounds.forEach((ground) => ground.show(grid, name));
        if (isLesson && read().x !== undefined) coming = move(read().x);
      },
      start: () => x,
      end: () => shownRuns[0],
      lowest: () => Math.min(...runs.map(({ value }) => value)),
    };

    function longest() {
      return Math.max(...runs.map(({ values }) => values.length - 1));
    }
  }

  /**
   * Two trainings, with the gradient that reaches each layer.
   *
   * @param {Training} ill
   * @param {Training} well
   */
  function trainings(ill, well) {
    const both = [ill, well];
    const panels = ["broken", "mended"].map((key) => panelIn(pair, { heading: word(key), redraw: () => drawAll() }));
    const dots = panels.map((panel) => trainingIn(panel, tools));

    function drawAll() {
      if (!panels.every(({ plot: { frame } }) => frame.width)) return;
      panels.forEach((panel, which) => {
        const { findings, metrics } = both[which];
        dots[which].draw(both[which], index);
        const row = Math.max(0, d3.bisectRight(metrics.step, both[which].steps[index]) - 1);
        const [now = 0, end = 0] = [metrics.training_accuracy[row], metrics.training_accuracy.at(-1)].map((share) => 100 * (share ?? 0));
        describe(panel, findings, word("score", { accuracy: number(now, 3), end: number(end, 3) }));
      });
      say(panels.map(({ plot: { frame } }) => frame.desc.textContent).join(" "));
    }

    return {
      count: ill.steps.length,
      first: 0,
      /** @param {number} at */
      step: (at) => ill.steps[at],
      draw: drawAll,
      open() {
        const all = both.flatMap(({ gradients }) => gradients.flat()).filter((value) => value !== null && value > 0);
        const range = /** @type {Range} */ (d3.extent(/** @type {number[]} */ (all)));
        dots.forEach((panel) => panel.show(range, ill.layers.length));
      },
    };
  }

  /** @param {Panel} panel @param {import("../../types.d.ts").Finding[]} findings @param {string} result */
  function describe({ plot, result: line, findings: list }, findings, result) {
    const grave = findings.filter(({ severity }) => severity === "problem");
    const shown = (grave.length ? grave : findings).slice(0, grave.length ? FINDINGS : 1);
    line.textContent = result;
    list.replaceChildren(...shown.map((finding) => findingOf(finding, word("says"), message)));
    plot.frame.desc.textContent = `${result} ${shown.map(({ sentence }) => message(sentence).text).join(" ")}`;
  }

  /** @param {Run} run */
  const endOf = ({ end }) => Object.entries(end).map(([name, value]) => `${name} = ${number(Math.abs(value) < SMALL ? 0 : value, 3)}`).join(", ");

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    if (!scene || !("lowest" in scene)) return null;
    const { value, end } = scene.end();
    const lowest = scene.lowest();
    const right = value - lowest <= SAME * Math.abs(lowest);
    return { right, key: right ? "right" : "higher", values: { x: number(scene.start()), end: number(end.x), value: number(value), lowest: number(lowest) } };
  }

  async function reset() {
    write({});
    await show(lesson);
  }

  coming = show(lesson).catch(trouble);
  return { show, check, reset, stop: () => {}, walk };
}
