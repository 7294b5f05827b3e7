/** Slope: a secant that becomes the tangent while its width shrinks, and the slope of every point drawn beneath. */

/** @import { Example, Figure, Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { round } from "../../frame.js";
import { positionsOf } from "../requests.js";
import { setRich } from "../words.js";
import { curveOf, evenly, handleIn, labelOf, lineOf, nearest, plotIn, sliderIn, zeroOf } from "./parts.js";

const POSITIONS = 41; // of the point on a function that a person typed
const SHARES = [0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001, 0.0001]; // of the axis: the widths there
const LEVEL = 1e-6; // of the steepest slope: what counts as level
const UPPER = { top: 26, right: 20, bottom: 26, left: 56 }, LOWER = { top: 26, right: 20, bottom: 38, left: 56 };

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, { lesson, word, number, ask, say, read, write, changed, trouble }) {
  const upper = plotIn(host, { title: word("title"), className: "tall", margin: UPPER, redraw: () => drawAll() });
  const lower = plotIn(host, { title: word("title"), className: "low", margin: LOWER, redraw: () => drawAll() });
  const curve = upper.frame.layer("curves"), marks = upper.frame.layer("marks");
  const slopes = lower.frame.layer("curves"), dots = lower.frame.layer("marks");
  const controls = make("div", { class: "figure-controls" });
  const reading = make("p", { class: "figure-reading maths" });
  host.append(controls, reading);
  const slider = sliderIn(controls, { label: word("point"), choose: (index) => move(positions[index]) });
  const handle = handleIn(upper, { isFlat: true, drag: ([x]) => move(upper.x.invert(x)), nudge: (right) => move(positions[clamp(at() + right)]) });

  /** @type {Example} */
  let example = lesson;
  /** @type {number[]} */
  let positions = [];
  /** @type {number[]} */
  let widths = lesson.widths;
  let index = 0; // of the width; the last is the limit
  let point = 0;
  /** @type {any} */
  let reply = null;
  /** What was requested last: an answer is checked once the figure shows it. @type {Promise<void>} */
  let coming = Promise.resolve();

  const at = () => nearest(positions, point);
  /** @param {number} wanted */
  const clamp = (wanted) => Math.min(Math.max(wanted, 0), positions.length - 1);
  const isLimit = () => index >= widths.length;
  const walk = {
    get count() { return widths.length + 1; },
    get index() { return index; },
    /** @param {number} wanted */
    go(wanted) {
      index = wanted;
      keep();
      drawAll();
      changed();
    },
    /** @param {number} position */
    name: (position) => (position >= widths.length ? word("limit") : `h = ${number(widths[position])}`),
  };

  /** @param {Example} shown */
  async function show(shown) {
    const isOwn = shown.box === null;
    const first = await ask("secants", isOwn ? { formula: shown.formula, start: null, box: null, widths: [] } : requestOf(shown, startOf(shown), shown.box));
    if (!first) return;
    const { variable, box } = first;
    example = { ...shown, start: shown.start ?? first.start, box };
    const span = box[variable][1] - box[variable][0];
    positions = isOwn ? evenly(box[variable], POSITIONS, first.start[variable]) : positionsOf(lesson, "secants", shown.formula, `start.${variable}`);
    widths = isOwn ? SHARES.map((share) => Number((share * span).toPrecision(1))) : lesson.widths;
    index = Math.min(index, widths.length);
    point = positions[nearest(positions, startOf(example)[variable])];
    await request();
  }

  /** Return the start of a function, or where the address says the point is. @param {Example} shown */
  function startOf(shown) {
    const { x } = read();
    const [[name, first] = ["", 0]] = Object.entries(shown.start ?? {});
    return shown.formula === lesson.formula && x !== undefined ? { [name]: positionsNear(shown, name, x) } : { [name]: first };
  }

  /** @param {Example} shown @param {string} name @param {number} x */
  function positionsNear(shown, name, x) {
    const listed = positionsOf(lesson, "secants", shown.formula, `start.${name}`);
    return listed[nearest(listed, x)] ?? x;
  }

  /** @param {Example} shown @param {Record<string, number>} start @param {any} box */
  const requestOf = (shown, start, box) => ({ formula: shown.formula, start, widths, box });

  async function request() {
    const [name] = Object.keys(example.box ?? {});
    const wanted = point;
    try {
      const next = await ask("secants", requestOf(example, { [name]: wanted }, example.box));
      if (!next || wanted !== point) return;
      reply = next;
      trouble(null);
      const names = [reply.variable, reply.name];
      upper.show({ x: reply.box[name], y: reply.f_range, yName: `${reply.name}(${name})`, names });
      lower.show({ x: reply.box[name], y: reply.slope_range, xName: name, yName: `${reply.name}′(${name})`, names });
      changed();
    } catch (error) {
      trouble(error);
    }
  }

  /** @param {number} x */
  function move(x) {
    point = positions[nearest(positions, x)];
    keep();
    coming = request();
  }

  function keep() {
    if (example.formula === lesson.formula) write({ x: point, h: index });
  }

  function drawAll() {
    if (!reply) return;
    const { variable: name, name: f } = reply;
    const { value, slope } = reply;
    const x = reply.start[name];
    const secant = isLimit() ? null : reply.secants[index];
    curve.replaceChildren(...zeroOf(upper), draw("path", { class: "curve", d: curveOf(reply.curve[name], reply.curve.f, upper) }));
    slopes.replaceChildren(...zeroOf(lower), draw("path", { class: "curve slope-curve", d: curveOf(reply.curve[name], reply.curve.slope, lower) }));
    handle.put([upper.x(x), value === null ? NaN : upper.y(value)], word("handle", { x: `${name} = ${number(x)}` }), x);
    marks.replaceChildren(...(value === null ? [] : marksAbove(x, value, slope, secant)));
    dots.replaceChildren(...marksBelow(x, slope, secant));
    slider.show(positions.length, at(), `${name} = ${number(x)}`);
    setRich(reading, `\`${arithmetic(name, f, x, value, slope, secant)}\``, [name, f]);
    const said = { x: `${name} = ${number(x)}`, h: secant ? number(secant.width) : "", slope: number(secant ? secant.slope : slope) };
    upper.frame.desc.textContent = word(secant ? "said" : "said_limit", said);
    upper.frame.title.textContent = word("curve", { name: f, x: said.x });
    lower.frame.title.textContent = word("slopes", { name: f });
    say(upper.frame.desc.textContent);
  }

  /**
   * @param {number} x
   * @param {number} value
   * @param {number | null} slope
   * @param {any} secant
   */
  function marksAbove(x, value, slope, secant) {
    if (!secant) return slope === null ? [] : [lineOf("tangent-line", upper, x, value, slope)];
    if (secant.value === null) return [];
    const [left, right, from, to] = [upper.x(x), upper.x(secant.end), upper.y(value), upper.y(secant.value)].map(round);
    const names = Math.abs(right - left) < 34 ? [] : [
      labelOf(upper, `h = ${number(secant.width)}`, [(left + right) / 2, from + (to < from ? 18 : -8)]),
      labelOf(upper, `Δ = ${number(secant.value - value)}`, [right + 8, (from + to) / 2 + 4], { anchor: "start" }),
    ];
    return [
      lineOf("secant-line", upper, x, value, secant.slope),
      draw("path", { class: "rise", d: `M${left},${from}H${right}V${to}` }),
      draw("circle", { class: "second-dot", cx: right, cy: to, r: 5.5 }), ...names,
    ];
  }

  /** @param {number} x @param {number | null} slope @param {any} secant */
  function marksBelow(x, slope, secant) {
    const across = round(lower.x(x));
    const [bottom, top] = lower.frame.up;
    const plumb = draw("line", { class: "mark-drop", x1: across, x2: across, y1: top, y2: bottom });
    const limit = slope === null ? [] : [draw("circle", { class: "mark-dot", cx: across, cy: round(lower.y(slope)), r: 5.5 })];
    const open = secant && secant.slope !== null
      ? [draw("circle", { class: "second-dot", cx: across, cy: round(Math.min(Math.max(lower.y(secant.slope), top), bottom)), r: 5.5 })] : [];
    return [plumb, ...limit, ...open];
  }

  /** @param {string} name @param {string} f @param {number} x @param {number | null} value @param {number | null} slope @param {any} secant */
  function arithmetic(name, f, x, value, slope, secant) {
    if (!secant) return `h → 0:  ${f}′(${number(x)}) = ${number(slope)}`;
    const [end, before] = [number(secant.value, 6), number(value, 6)];
    return `(${f}(${number(secant.end, 6)}) − ${f}(${number(x)})) / h = (${end} − ${before.startsWith("−") ? `(${before})` : before}) / ${number(secant.width)} = ${number(secant.slope, 6)}`;
  }

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    if (!reply) return null;
    const slope = reply.slope ?? NaN;
    const steepest = Math.max(...reply.slope_range.map(Math.abs));
    const right = Math.abs(slope) <= LEVEL * steepest;
    return { right, key: right ? "right" : slope > 0 ? "rising" : "falling", values: { x: point, slope } };
  }

  async function reset() {
    index = 0;
    write({});
    await show(lesson);
  }

  index = Math.min(read().h ?? 0, widths.length);
  coming = show(lesson).catch(trouble);
  return { show, check, reset, stop: () => {}, walk };
}
