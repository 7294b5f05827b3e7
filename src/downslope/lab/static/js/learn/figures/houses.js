/** Learning from data: a line through points, and the loss of every line as a map; both move together, and the walk moves both. */

/** @import { Grid, PathReply, Point, Range } from "../../types.d.ts" */
/** @import { Example, Figure, Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { dots, round } from "../../frame.js";
import { disc, hideCovered } from "../../labels.js";
import { drawLand } from "../../land.js";
import { Way } from "../../way.js";
import { setRich } from "../words.js";
import { handleIn, labelOf, lineOf, nearest, plotIn, sliderIn } from "./parts.js";

const MARGIN = { top: 26, right: 14, bottom: 40, left: 48 };
const STEPS = 20;
const RING = 13; // pixels around the point of the line
const NEAR = 1e-4; // of the largest loss: what counts as the least
const ROOM = 0.18; // of the prices, above and below them

/**
 * The loss at a lattice of lines, as the verb `line` replies.
 *
 * @typedef {object} Lines
 * @property {string} formula
 * @property {number[]} x
 * @property {number[]} y
 * @property {number[]} w
 * @property {number[]} b
 * @property {number[][]} loss
 * @property {Record<string, Range>} box
 * @typedef {PathReply & { grid: Grid, rate: number }} Descent
 * @typedef {{ w: number, b: number, loss: number, row: number | null }} Line
 */

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, { lesson, word, number, ask, say, read, write, changed, trouble }) {
  const pair = make("div", { class: "figure-pair" });
  host.append(pair);
  const left = plotIn(pair, { title: word("title"), className: "even", margin: MARGIN, redraw: () => drawAll() });
  const right = plotIn(pair, { title: word("map"), className: "even", margin: MARGIN, redraw: () => drawAll() });
  const stems = left.frame.layer("stems"), points = left.frame.layer("data-dots", "path"), lines = left.frame.layer("lines");
  const land = right.frame.layer("land");
  const way = new Way(right.frame);
  const controls = make("div", { class: "figure-controls" });
  const reading = make("p", { class: "figure-reading maths" });
  host.append(controls, reading);
  const sliders = {
    w: sliderIn(controls, { label: word("weight"), choose: (index) => lattice && put(index, at().b) }),
    b: sliderIn(controls, { label: word("offset"), choose: (index) => lattice && put(at().w, index) }),
  };
  const turn = handleIn(left, {
    isFlat: true, clicks: false, drag: ([, y]) => lattice && settle((left.y.invert(y) - line.b) / middle(), line.b),
    nudge: (across, up) => put(at().w + across + up, at().b),
  });
  const lift = handleIn(left, {
    isFlat: true, clicks: false, drag: ([, y]) => settle(line.w, left.y.invert(y)), nudge: (across, up) => put(at().w, at().b + across + up),
  });
  const spot = handleIn(right, { drag: ([x, y]) => settle(right.x.invert(x), right.y.invert(y)), nudge: (across, up) => put(at().w + across, at().b + up) });

  /** @type {Example} */
  let example = lesson;
  /** @type {Lines | null} */
  let lattice = null;
  /** @type {Descent | null} */
  let descent = null;
  /** @type {Line} */
  let line = { w: 0, b: 0, loss: 0, row: 0 };
  /** What was requested last: an answer is checked once the figure shows it. @type {Promise<void>} */
  let coming = Promise.resolve();

  const middle = () => d3.mean(lattice?.x ?? [1]) || d3.max(lattice?.x ?? [1], Math.abs) || 1;
  /** The indices of the line on the lattice. */
  const at = () => ({ w: nearest(lattice?.w ?? [], line.w), b: nearest(lattice?.b ?? [], line.b) });
  const walk = {
    get count() { return descent?.values.length ?? 1; },
    get index() { return line.row ?? 0; },
    /** @param {number} row */
    go(row) {
      if (!descent) return;
      line = { w: descent.path.w[row] ?? NaN, b: descent.path.b[row] ?? NaN, loss: descent.values[row] ?? NaN, row };
      keep();
      drawAll();
      changed();
    },
    /** @param {number} row */
    name: (row) => (line.row === null ? word("moved") : word("step", { step: row })),
  };

  /** @param {Example} shown */
  async function show(shown) {
    const fields = { points: shown.formula, box: shown.box };
    const reply = await ask("line", fields);
    if (!reply) return;
    const request = { formula: reply.formula, start: { w: 0, b: 0 }, box: reply.box, rate: shown.rate ?? null, method: "gradient descent", steps: STEPS, grid: true };
    const walked = await ask("descend", request);
    if (!walked?.grid) return;
    [example, lattice, descent] = [shown, reply, walked];
    const position = read();
    walk.go(0);
    if (shown === lesson && position.w !== undefined) settle(position.w, position.b ?? 0);
    else if (shown === lesson && position.step) walk.go(Math.min(position.step, walk.count - 1));
    trouble(null);
    const [low, high] = /** @type {Range} */ (d3.extent([0, ...reply.y]));
    const slack = ROOM * (high - low || 1);
    const [from, to] = /** @type {Range} */ (d3.extent([0, ...reply.x]));
    const isLesson = shown === lesson;
    left.show({ x: [from - 0.04 * (to - from), to + 0.12 * (to - from)], y: [low - slack, high + 1.5 * slack], xName: isLesson ? word("size") : "x", yName: isLesson ? word("price") : "y", names: ["x", "y"] });
    right.show({ x: reply.box.w, y: reply.box.b, xName: "w", yName: "b", names: ["w", "b"] });
    changed();
  }

  /** Settle on the line nearest to a weight and an offset. @param {number} w @param {number} b */
  function settle(w, b) {
    if (lattice) put(nearest(lattice.w, w), nearest(lattice.b, b));
  }

  /** Place the line of the lattice with these indices. @param {number} across @param {number} up */
  function put(across, up) {
    if (!lattice) return;
    const [column, row] = [within(across, lattice.w.length), within(up, lattice.b.length)];
    line = { w: lattice.w[column], b: lattice.b[row], loss: lattice.loss[row][column], row: null };
    keep();
    drawAll();
    changed();
  }

  function keep() {
    if (example === lesson) write(line.row === null ? { w: line.w, b: line.b } : line.row ? { step: line.row } : {});
  }

  function drawAll() {
    if (!lattice || !descent || !left.frame.width || !right.frame.width) return;
    const { w, b, loss, row } = line;
    const { x, y } = lattice;
    const values = { w: number(w), b: number(b), loss: number(loss) };
    points.setAttribute("d", dots(x.map((size, index) => [left.x(size), left.y(y[index])])));
    points.setAttribute("stroke-width", "11");
    stems.replaceChildren(...x.map((size, index) => draw("line", { x1: round(left.x(size)), x2: round(left.x(size)), y1: round(left.y(y[index])), y2: round(left.y(w * size + b)) })));
    lines.replaceChildren(lineOf("model-line", left, 0, b, w),
      labelOf(left, example === lesson ? word("model", values) : `y = ${values.w}·x + ${values.b}`.replace("+ −", "− "), [left.frame.along[1] - 6, left.frame.up[1] + 14], { anchor: "end" }));
    turn.put(inside([left.x(middle()), left.y(w * middle() + b)]), word("turn", values), w);
    lift.put(inside([left.x(0), left.y(b)]), word("lift", values), b);
    const path = { path: descent.path, values: descent.values }; // without gradients, whose arrows would cover the path
    way.show(path, ["w", "b"], right.x, right.y);
    way.select(path, ["w", "b"], right.x, right.y, row ?? -1);
    hideCovered(drawLand(land, descent.grid, right.x, right.y, { clear: way.outline }), { rooms: [disc([right.x(w), right.y(b)], RING)] });
    spot.put([right.x(w), right.y(b)], word("handle", values));
    sliders.w.show(lattice.w.length, at().w, `w = ${values.w}`);
    sliders.b.show(lattice.b.length, at().b, `b = ${values.b}`);
    setRich(reading, `\`${arithmetic()}\``, ["w", "b"]);
    const sentence = word("said", values);
    left.frame.desc.textContent = right.frame.desc.textContent = sentence;
    say(sentence);
  }

  /** Keep a point of the left plot in sight. @param {Point} point @returns {Point} */
  function inside([across, up]) {
    const [bottom, top] = left.frame.up;
    return [across, Math.min(Math.max(up, top), bottom)];
  }

  /** The loss of the line; on the walk, how the next weight comes about. */
  function arithmetic() {
    const loss = `${word("loss")} = ${number(line.loss, 5)}`;
    const { row } = line;
    const [next, slope] = row === null ? [null, null] : [descent?.path.w[row + 1] ?? null, descent?.gradients?.w[row] ?? null];
    if (!descent || next === null || slope === null) return loss;
    return `${loss},  w = ${number(line.w)} − ${number(descent.rate)} × ${bracketed(number(slope, 6))} = ${number(next)}`;
  }

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    if (!lattice) return null;
    const [most, least] = [d3.max(lattice.loss.flat()) ?? 1, d3.min(lattice.loss.flat()) ?? 0];
    const here = at();
    const best = d3.minIndex(lattice.loss[here.b]);
    const isRight = line.loss <= least + NEAR * (most - least);
    const key = isRight ? "right" : here.w < best ? "steeper" : here.w > best ? "flatter" : "floor";
    return { right: isRight, key, values: { w: number(line.w), b: number(line.b), loss: number(line.loss) } };
  }

  async function reset() {
    write({});
    await show(lesson);
  }

  coming = show(lesson).catch(trouble);
  return { show, check, reset, stop: () => {}, walk };
}

/** Keep an index within a list. @param {number} index @param {number} length */
const within = (index, length) => Math.min(Math.max(index, 0), length - 1);

/** Put a negative number into brackets. @param {string} text */
export const bracketed = (text) => (text.startsWith("−") ? `(${text})` : text);
