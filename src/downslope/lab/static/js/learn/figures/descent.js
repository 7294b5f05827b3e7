/** Descent: where does the next step land? A marker is put there, and the step is taken. */

/** @import { Grid, Range } from "../../types.d.ts" */
/** @import { Example, Figure, Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { round } from "../../frame.js";
import { drawLand } from "../../land.js";
import { positionsOf } from "../requests.js";
import { setRich } from "../words.js";
import { arrowOf, evenly, handleIn, labelOf, lineOf, nearest, plotIn, sliderIn } from "./parts.js";

const METHOD = "gradient descent";
const SHARES = [0.1, 0.3, 0.6, 1, 1.4, 1.8, 2.2]; // of the usual rate: the rates on a function that a person typed
const POSITIONS = 25; // of the start there
const NEAR = 0.15, NEAREST = 0.012; // of the step, and of the axis at least: how near a prediction is right
const NUDGE = 1 / 160; // of the axis: an arrow key
const BELOW = 0.14; // of the heights: room below the curve
const LIFT = 20; // pixels of the marker above the axis
const MARGIN = { top: 26, right: 20, bottom: 40, left: 52 };

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, { lesson, word, number, ask, say, read, write, changed, trouble }) {
  const plot = plotIn(host, { title: word("title"), className: "large", margin: MARGIN, redraw: () => drawAll() });
  const land = plot.frame.layer("land"), steps = plot.frame.layer("steps"), marks = plot.frame.layer("marks");
  const controls = make("div", { class: "figure-controls" });
  const reading = make("p", { class: "figure-reading maths" });
  host.append(controls, reading);
  const startSlider = sliderIn(controls, { label: word("start"), choose: (index) => restart({ start: starts[index] }) });
  const rateSlider = sliderIn(controls, { label: word("rate"), choose: (index) => restart({ rate: rates[index] }) });
  const marker = handleIn(plot, { isFlat: true, drag: ([x]) => guess(plot.x.invert(x)), nudge: (right) => guess((guessed ?? here()) + right * NUDGE * span()) });
  marker.element.classList.add("guess");

  /** @type {Example} */
  let example = lesson;
  let name = Object.keys(lesson.start ?? {})[0];
  /** @type {number[]} */
  let starts = [];
  /** @type {number[]} */
  let rates = [];
  let [start, rate] = [0, 0.1];
  let row = 0; // the steps that were taken
  /** Where the next step is expected; null before that. @type {number | null} */
  let guessed = null;
  /** @type {any} */
  let reply = null;
  /** What was requested last: an answer is checked once the figure shows it. @type {Promise<void>} */
  let coming = Promise.resolve();
  /** The arithmetic of each step. @type {string[][]} */
  let lines = [];
  /** @type {Grid | null} */
  let grid = null;

  const path = () => /** @type {(number | null)[]} */ (reply?.path[name] ?? []);
  const here = () => path()[row] ?? start;
  const span = () => (grid ? grid.box[name][1] - grid.box[name][0] : 1);
  const walk = {
    get count() { return path().length; },
    get index() { return row; },
    /** @param {number} index */
    go(index) {
      row = index;
      guessed = null;
      keep();
      drawAll();
      changed();
    },
    /** @param {number} index */
    name: (index) => word("step", { index }),
  };

  /** @param {Example} shown */
  async function show(shown) {
    const isOwn = shown.box === null;
    const { formula } = shown;
    const request = { formula, start: shown.start, rate: isOwn ? null : lesson.rate, method: METHOD, steps: lesson.steps, over: null };
    const first = isOwn ? await ask("descend", { ...request, grid: true, box: null, ratio: null }) : null;
    const ground = isOwn ? first?.grid : await ask("grid", { formula, start: shown.start, over: null, box: shown.box });
    if (!ground || ground.over.length !== 1) throw Object.assign(new Error(word("single")), { hint: null });
    grid = ground;
    [name] = ground.over;
    const kept = isOwn ? {} : read();
    example = { ...shown, start: shown.start ?? first.reading.start, box: ground.box };
    starts = isOwn ? evenly(ground.box[name], POSITIONS, first.reading.start[name]) : positionsOf(lesson, "descend", formula, `start.${name}`);
    rates = isOwn ? SHARES.map((share) => Number((share * first.rate).toPrecision(2))) : positionsOf(lesson, "descend", formula, "rate");
    const wanted = example.start?.[name] ?? 0;
    start = starts[nearest(starts, kept[name] ?? wanted)];
    rate = rates[nearest(rates, kept.rate ?? (isOwn ? first.rate : lesson.rate))];
    row = 0;
    guessed = null;
    await take();
    row = Math.min(kept.step ?? 0, path().length - 1);
    drawAll();
    changed();
  }

  async function take() {
    const wanted = { formula: example.formula, start: { [name]: start }, rate, method: METHOD, steps: lesson.steps, over: null };
    const [descent, table] = await Promise.all([ask("descend", wanted), ask("steps", wanted)]);
    if (!descent || !table || wanted.start[name] !== start || wanted.rate !== rate) return;
    reply = descent;
    lines = table.lines;
    row = Math.min(row, path().length - 1);
    trouble(null);
    if (grid) plot.show({ x: grid.box[name], y: roomyBelow(grid.f_range), xName: name, yName: `${reply.name}(${name})`, names: [name, reply.name] });
    changed();
  }

  /** @param {{ start?: number, rate?: number }} other */
  function restart(other) {
    [start, rate] = [other.start ?? start, other.rate ?? rate];
    row = 0;
    guessed = null;
    keep();
    coming = take().catch(trouble);
  }

  /** @param {number} x */
  function guess(x) {
    if (!grid || next() === null) return;
    const [low, high] = grid.box[name];
    guessed = Math.min(Math.max(x, low), high);
    drawAll();
  }

  /** Return where the next step lands, or null after the last. */
  const next = () => path()[row + 1] ?? null;

  function keep() {
    if (example.formula === lesson.formula) write({ [name]: start, rate, step: row });
  }

  function drawAll() {
    if (!reply || !grid) return;
    drawLand(land, grid, plot.x, plot.y);
    const [bottom] = plot.frame.up;
    const points = path().slice(0, row + 1).map((x, index) => [x === null ? NaN : plot.x(x), plot.y(reply.values[index] ?? NaN)]);
    const at = points[row];
    const slope = reply.tangents.slope[row];
    steps.replaceChildren(...points.flatMap(([x, y], index) => [
      ...(index ? [arrowOf("hop", [points[index - 1][0], bottom - 7], [x, bottom - 7])] : []),
      ...(index < row ? [draw("circle", { class: "past-dot", cx: round(x), cy: round(y), r: 4 })] : []),
    ]));
    const plumb = draw("line", { class: "mark-drop", x1: round(at[0]), x2: round(at[0]), y1: round(at[1]), y2: bottom });
    const tangent = slope === null ? [] : [lineOf("mark-tangent", plot, here(), reply.values[row], slope)];
    const caption = slope === null ? [] : [labelOf(plot, word("slope", { slope: number(slope) }), [at[0] + (slope < 0 ? 14 : -14), at[1] - 12], { anchor: slope < 0 ? "start" : "end" })];
    marks.replaceChildren(plumb, ...tangent, draw("circle", { class: "mark-dot", cx: round(at[0]), cy: round(at[1]), r: 6.5 }), ...caption, ...guessMarks(bottom));
    const where = guessed ?? here();
    marker.put(next() === null ? [NaN, NaN] : [plot.x(where), bottom - LIFT], word(guessed === null ? "marker" : "marked", { x: `${name} = ${number(where, 3)}` }), where);
    startSlider.show(starts.length, nearest(starts, start), `${name} = ${number(start)}`);
    rateSlider.show(rates.length, nearest(rates, rate), `α = ${number(rate)}`);
    const before = row ? lines[row - 1]?.[0] : null;
    setRich(reading, before ? `${word("step", { index: row })}:  \`${localised(before)}\`` : word("begin", { x: `\`${name} = ${number(here())}\``, slope: number(slope) }), [name]);
    plot.frame.title.textContent = word("curve", { name: reply.name });
    plot.frame.desc.textContent = word("said", { index: row, x: `${name} = ${number(here(), 3)}`, slope: number(slope), value: number(reply.values[row]) });
    say(plot.frame.desc.textContent);
  }

  /** @param {number} bottom */
  function guessMarks(bottom) {
    if (guessed === null) return [];
    const x = round(plot.x(guessed));
    const [, top] = plot.frame.up;
    return [draw("line", { class: "guess-line", x1: x, x2: x, y1: bottom, y2: top }), labelOf(plot, word("guess", { x: number(guessed, 3) }), [x, top + 16])];
  }

  /** Write the numbers of a line of arithmetic as the language does. @param {string} line */
  const localised = (line) => line.replace(/\d+\.\d+/g, (digits) => number(Number(digits), 6));

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    if (!reply) return null;
    const landing = next();
    if (landing === null) return { right: false, key: "over" };
    if (guessed === null) return { right: false, key: "unplaced" };
    const [from, off] = [here(), guessed - landing];
    const step = landing - from;
    const slope = reply.tangents.slope[row] ?? NaN;
    const factor = slope < 0 ? `(${number(slope)})` : number(slope);
    const values = { from, landing, step: Math.abs(step), slope, factor, rate };
    if (Math.abs(off) <= Math.max(NEAR * Math.abs(step), NEAREST * span())) {
      walk.go(row + 1);
      return { right: true, key: "right", values };
    }
    const share = (guessed - from) / step;
    return { right: false, key: share <= 0 ? "uphill" : share < 1 ? "too_short" : "too_far", values };
  }

  async function reset() {
    write({});
    await show(lesson);
  }

  coming = show(lesson).catch(trouble);
  return { show, check, reset, stop: () => {}, walk };
}

/** Return a range of heights with room below for the marker, which would cover the lowest points. @param {Range} range @returns {Range} */
function roomyBelow([low, high]) {
  return [low - BELOW * (high - low), high];
}
