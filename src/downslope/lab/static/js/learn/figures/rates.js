/** The learning rate: one walk for each rate, with the stable range, and what a diagnosis says of the walk. */

/** @import { DescentReply, Grid, Rates, Range, Scale } from "../../types.d.ts" */
/** @import { Example, Figure, Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { round } from "../../frame.js";
import { drawLand } from "../../land.js";
import { Way } from "../../way.js";
import { positionsOf } from "../requests.js";
import { setRich } from "../words.js";
import { nearest, plotIn, sliderIn } from "./parts.js";
import { findingOf } from "./runs.js";

const METHOD = "gradient descent", STEPS = 100;
const POSITIONS = 41; // of the rate, on a function that a person typed
const THUMB = 9; // pixels, half of the slider's knob, so that scale and slider agree
const SCALE_HEIGHT = 58;
const LETTER = 6.5; // pixels of a letter, about
const ARRIVED = 1e-6; // of the first value: what counts as the bottom
const SHOWN = 6; // points of the walk that are written out
const MARGIN = { top: 26, right: 14, bottom: 38, left: 52 };

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, { lesson, word, number, message, ask, say, read, write, changed, trouble }) {
  const plot = plotIn(host, { title: word("title"), className: "tall", margin: MARGIN, redraw: () => drawAll() });
  const land = plot.frame.layer("land");
  const way = new Way(plot.frame);
  const presets = make("div", { class: "row figure-presets", role: "group", "aria-label": word("rates") });
  const scale = draw("svg", { class: "rate-scale", role: "img", "aria-hidden": "true", height: SCALE_HEIGHT });
  const column = make("div", { class: "figure-rate" });
  const finding = make("div", { class: "figure-finding" });
  const reading = make("p", { class: "figure-reading maths" });
  host.append(presets, column, reading, finding);
  const slider = sliderIn(column, { label: "α", choose: (index) => choose(positions[index]) });
  slider.range.before(scale);
  slider.name.className = "unseen";
  const buttons = lesson.presets.map((/** @type {{ id: string, rate: number }} */ { id, rate: preset }) => {
    const button = make("button", { type: "button", text: `${word(id)}: α = ${number(preset)}` });
    button.addEventListener("click", () => choose(preset));
    presets.append(button);
    return { button, preset };
  });
  new ResizeObserver(() => drawScale()).observe(scale);

  /** @type {Example} */
  let example = lesson;
  /** @type {number[]} */
  let positions = [];
  let rate = lesson.rate;
  /** @type {Rates | null} */
  let rates = null;
  /** @type {Grid | null} */
  let grid = null;
  /** @type {DescentReply | null} */
  let descent = null;
  let row = 0;
  /** What was requested last: an answer is checked once the figure shows it. @type {Promise<void>} */
  let coming = Promise.resolve();

  const walk = {
    get count() { return descent?.values.length ?? 1; },
    get index() { return row; },
    /** @param {number} index */
    go(index) {
      row = index;
      keep();
      drawAll();
      changed();
    },
    /** @param {number} index */
    name: (index) => word("step", { step: descent?.steps[index] ?? index }),
  };

  /** @param {Example} shown */
  async function show(shown) {
    const isLesson = shown === lesson;
    const start = shown.start ?? (await ask("read", { formula: shown.formula }))?.start;
    if (!start) return;
    const next = { ...shown, start };
    const [nextRates, nextGrid] = await Promise.all([
      ask("rates", { formula: next.formula, start, method: METHOD, steps: STEPS }),
      ask("grid", { formula: next.formula, start, box: shown.box }),
    ]);
    if (!nextRates || !nextGrid) return;
    [rates, grid, row] = [nextRates, nextGrid, 0];
    example = isLesson ? lesson : next;
    positions = isLesson ? positionsOf(lesson, "descend", lesson.formula, "rate") : spread(rates?.slider ?? [1e-3, 1], POSITIONS);
    const wanted = isLesson ? read().rate ?? lesson.rate : (rates?.best ?? positions[0]) / 5;
    rate = positions[nearest(positions.map(Math.log), Math.log(wanted))];
    presets.hidden = !isLesson;
    row = isLesson ? read().step ?? 0 : 0;
    await request();
  }

  async function request() {
    const wanted = rate;
    try {
      const reply = await ask("descend", { formula: example.formula, start: example.start, rate: wanted, method: METHOD, steps: STEPS });
      if (!reply || wanted !== rate || !grid) return;
      descent = reply;
      row = Math.min(row, reply.values.length - 1);
      trouble(null);
      const [across, up] = grid.over;
      plot.show({ x: grid.box[across], y: up === undefined ? grid.f_range : grid.box[up], xName: across, yName: up ?? `${reply.name}(${across})`, names: [...grid.over, reply.name] });
      changed();
    } catch (error) {
      trouble(error);
    }
  }

  /** @param {number} wanted */
  function choose(wanted) {
    rate = wanted;
    row = 0;
    keep();
    slider.show(positions.length, nearest(positions, rate), `α = ${number(rate)}`);
    coming = request();
  }

  function keep() {
    if (example === lesson) write({ ...(rate === lesson.rate ? {} : { rate }), ...(row ? { step: row } : {}) });
  }

  function drawAll() {
    if (!grid || !descent || !plot.frame.width) return;
    way.show(descent, grid.over, plot.x, plot.y);
    way.select(descent, grid.over, plot.x, plot.y, row, drawLand(land, grid, plot.x, plot.y, { clear: way.outline }));
    slider.show(positions.length, nearest(positions, rate), `α = ${number(rate)}`);
    for (const { button, preset } of buttons) button.setAttribute("aria-pressed", String(preset === rate));
    drawScale();
    setRich(reading, `\`${written()}\``, grid.over);
    const [first] = descent.verdict.findings;
    finding.replaceChildren(findingOf(first, word("says"), message));
    const sentence = word("said", { rate: number(rate), stand: word(standing()), step: row, value: number(descent.values[row]) });
    plot.frame.desc.textContent = sentence;
    say(sentence);
  }

  /** The walk as numbers, from the selected step on. */
  function written() {
    if (!descent || !grid) return "";
    const [across] = grid.over;
    const path = descent.path[across];
    const from = Math.max(0, Math.min(row, path.length - SHOWN));
    const points = path.slice(from, from + SHOWN).map((value) => number(value));
    return `${across}: ${from ? "… → " : ""}${points.join(" → ")}${from + SHOWN < path.length ? " → …" : ""}`;
  }

  function standing() {
    const bound = rates?.stable?.[1] ?? Infinity;
    return rate > bound ? "unstable" : rate === bound ? "edge" : "stable";
  }

  function drawScale() {
    const { width } = scale.getBoundingClientRect();
    if (!width || !rates || positions.length < 2) return;
    scale.setAttribute("viewBox", `0 0 ${round(width)} ${SCALE_HEIGHT}`);
    const last = positions.length - 1;
    const x = d3.scaleLog(positions, positions.map((_, index) => THUMB + ((width - 2 * THUMB) * index) / last)).clamp(true);
    const base = SCALE_HEIGHT - 15;
    /** @type {SVGElement[]} */
    const parts = [];
    if (rates.stable) {
      const end = round(x(rates.stable[1]));
      parts.push(draw("rect", { class: "stable", x: THUMB, y: 0, width: round(end - THUMB), height: base, rx: 2 }));
      if (rates.stable[1] < positions[last]) parts.push(draw("line", { class: "bound", x1: end, x2: end, y1: 0, y2: base }));
    }
    parts.push(...curve(x, base), ...ticks(x, base));
    const now = round(x(rate));
    parts.push(draw("line", { class: "now", x1: now, x2: now, y1: 0, y2: base + 3 }));
    if (rates.stable) {
      const text = word("stable_range", { bound: number(rates.stable[1]) });
      const end = x(rates.stable[1]);
      const cut = Math.min(Math.max(now, THUMB), end); // the longer part beside the rate has room for the words
      const middle = cut - THUMB > end - cut ? (THUMB + cut) / 2 : (cut + end) / 2;
      parts.push(draw("text", { class: "stable-name", x: round(middle), y: 15, "text-anchor": "middle", text }));
    }
    scale.replaceChildren(...parts);
  }

  /** How low the walk has come at its end, by rate: from the height of its start down to a millionth of that. @param {Scale} x @param {number} base */
  function curve(x, base) {
    const known = rates?.curve;
    const first = Math.abs(descent?.values[0] ?? 0);
    if (!known || !first) return [];
    const y = d3.scaleLog([first * ARRIVED, first], [base - 4, 8]).clamp(true);
    const [from, to] = [positions[0], positions[positions.length - 1]];
    /** @type {(index: number) => boolean} */
    const isShown = (index) => known.values[index] !== null && known.rates[index] >= from && known.rates[index] <= to;
    const line = d3.line(x, (_, index) => y(Math.max(Math.abs(known.values[index] ?? 0), first * ARRIVED))).defined((_, index) => isShown(index));
    return [draw("path", { class: "by-rate", d: line(known.rates) ?? "" })];
  }

  /** @param {Scale} x @param {number} base */
  function ticks(x, base) {
    const powers = d3.range(-9, 9).map((power) => 10 ** power).filter((value) => value >= positions[0] * 0.999 && value <= positions[positions.length - 1] * 1.001);
    let last = -Infinity; // where the text before ends
    return powers.flatMap((value) => {
      const [at, text] = [round(x(value)), number(value)];
      const anchor = at < 20 ? "start" : "middle";
      const half = (text.length * LETTER) / 2;
      const isFree = at - (anchor === "start" ? 0 : half) > last + LETTER;
      if (isFree) last = at + (anchor === "start" ? 2 * half : half);
      const name = isFree ? [draw("text", { class: "power-name", x: at, y: SCALE_HEIGHT - 2, "text-anchor": anchor, text })] : [];
      return [draw("line", { class: "power", x1: at, x2: at, y1: base, y2: base + 3 }), ...name];
    });
  }

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    if (!descent) return null;
    const best = rates?.best ?? NaN, bound = rates?.stable?.[1] ?? Infinity;
    const values = { rate: number(rate), steps: arrival() ?? "–", x: number(descent?.end[Object.keys(descent.end)[0]] ?? null), bound: number(bound) };
    if (Math.abs(rate / best - 1) < 1e-6) return { right: true, key: "right", values };
    if (rate >= bound) return { right: false, key: "lost", values };
    const key = rate > best ? "overshoots" : arrival() === null ? "creeps" : "stops";
    return { right: false, key, values };
  }

  /** The first step at which the value is next to nothing; null if there is none. */
  function arrival() {
    const values = descent?.values ?? [];
    const index = values.findIndex((value) => value !== null && Math.abs(value) <= ARRIVED * Math.abs(values[0] ?? 1));
    return index < 0 ? null : descent?.steps[index] ?? null;
  }

  async function reset() {
    rate = lesson.rate;
    row = 0;
    write({});
    await show(lesson);
  }

  coming = show(lesson).catch(trouble);
  return { show, check, reset, stop: () => {}, walk };
}

/** Return so many rates, evenly on a logarithmic scale. @param {Range} range @param {number} count */
function spread([low, high], count) {
  return d3.range(count).map((index) => Number((low * (high / low) ** (index / (count - 1))).toPrecision(3)));
}
