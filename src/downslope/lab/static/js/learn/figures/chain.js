/** The chain rule: two linked rates as three dials, and the same rule through a small network, forward and back. */

/** @import { Range } from "../../types.d.ts" */
/** @import { Example, Figure, Tools } from "../types.d.ts" */
/** @import { Pass } from "./units.js" */

import { make, setMaths } from "../../elements.js";
import { plain, setRich } from "../words.js";
import { dialIn } from "./dial.js";
import { bracketed } from "./houses.js";
import { nearest, sliderIn } from "./parts.js";
import { STAGES, unitsIn } from "./units.js";

const TICK = 180; // milliseconds between two positions of a dial that turns by itself
const CLOSE = 0.02; // of the range of the last dial: what counts as the same position

/**
 * Two linked rates, as the verb `chain` replies.
 *
 * @typedef {object} Linked
 * @property {Record<"x" | "u" | "y", string>} names
 * @property {Record<string, string>} derivatives
 * @property {number[]} x
 * @property {(number | null)[]} u
 * @property {(number | null)[]} y
 * @property {(number | null)[]} inner
 * @property {(number | null)[]} outer
 * @property {(number | null)[]} whole
 */

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, tools) {
  const { lesson, word, number, ask, say, read, write, changed, trouble, isCalm } = tools;
  const scene = make("div", { class: "figure-scene" });
  const controls = make("div", { class: "figure-controls" });
  const caption = make("p", { class: "figure-caption" });
  const reading = make("p", { class: "figure-reading maths" });
  host.append(scene, controls, caption, reading);
  /** @type {ReturnType<typeof dials> | ReturnType<typeof network> | null} */
  let shown = null;
  /** @type {number | undefined} */
  let turning;

  /** @param {Example} example */
  async function show(example) {
    const isNetwork = Boolean(example.graph);
    const reply = isNetwork ? await ask("backprop", example.graph) : await ask("chain", { formula: example.formula, box: example.box });
    if (!reply) return;
    clearInterval(turning);
    shown?.stop();
    scene.replaceChildren();
    controls.replaceChildren();
    shown = isNetwork ? network(example, reply) : dials(example, reply);
    trouble(null);
    changed();
  }

  /**
   * Three dials, the second turned by the first and the third by the second.
   *
   * @param {Example} example
   * @param {Linked} linked
   */
  function dials(example, linked) {
    const isLesson = example === lesson;
    const { names, x, u, y } = linked;
    const italics = Object.values(names);
    const row = make("div", { class: "dials-row" });
    scene.append(row);
    const first = dialIn(row, { turn: (value) => (clearInterval(turning), turn(nearest(x, value))) });
    const links = [linkIn(row), linkIn(row)];
    row.insertBefore(links[0].element, null);
    const second = dialIn(row, {});
    row.insertBefore(links[1].element, null);
    const third = dialIn(row, isLesson ? { turn: (value) => predict(value) } : {});
    const guesses = isLesson ? d3.range(lesson.guesses[0], lesson.guesses[1] + 1, lesson.guesses[2]) : [];
    const slider = isLesson ? sliderIn(controls, { label: word("prediction"), choose: (index) => predict(guesses[index]) }) : null;
    const begin = nearest(x, isLesson ? lesson.start?.[names.x] ?? x[0] : (x[0] + x[x.length - 1]) / 2);
    const start = y[begin] ?? 0;
    let index = isLesson && read().x !== undefined ? nearest(x, read().x) : begin;
    /** @type {number | null} */
    let guess = isLesson ? read().guess ?? start : null;
    caption.textContent = "";
    /** @type {[ReturnType<typeof dialIn>, (number | null)[], "x" | "u" | "y"][]} */
    const all = [[first, x, "x"], [second, u, "u"], [third, y, "y"]];
    for (const [dial, column, key] of all) dial.open(rangeOf(column), isLesson ? `${word(key)} ${names[key]}` : names[key], italics, (value) => number(value));

    /** @param {number} value */
    function predict(value) {
      guess = guesses[nearest(guesses, value)];
      keep();
      drawAll();
    }

    /** @param {number} wanted */
    function turn(wanted) {
      index = Math.min(Math.max(wanted, 0), x.length - 1);
      keep();
      drawAll();
      changed();
    }

    function keep() {
      if (isLesson) write({ ...(index === begin ? {} : { x: x[index] }), ...(guess === start ? {} : { guess: guess ?? start }) });
    }

    function drawAll() {
      const texts = all.map(([, column, key]) => `\`${names[key]} = ${number(column[index])}\`${isLesson ? ` ${word(`${key}_unit`)}` : ""}`);
      all.forEach(([dial, column, key], which) => dial.show(column[index], texts[which], italics, key === "y" ? guess : null));
      const [inner, outer, whole] = [linked.inner[index], linked.outer[index], linked.whole[index]].map((rate) => number(rate));
      links[0].show(`d${names.u}/d${names.x}`, inner, italics);
      links[1].show(`d${names.y}/d${names.u}`, outer, italics);
      slider?.show(guesses.length, nearest(guesses, guess ?? start), `${names.y} = ${number(guess ?? start)}`);
      setRich(reading, `\`d${names.y}/d${names.x} = d${names.y}/d${names.u} · d${names.u}/d${names.x} = ${outer} × ${bracketed(inner)} = ${whole}\``,
        [...italics, ...italics.map((name) => `d${name}`)]);
      say(plain(texts.join(", ")));
    }

    drawAll();
    return {
      walk: walkOf(x.length, () => index, turn, (at) => `${names.x} = ${number(x[at])}`),
      stop: () => {},
      check() {
        const span = rangeOf(y)[1] - rangeOf(y)[0];
        const [inner, outer] = [linked.inner[begin] ?? NaN, linked.outer[begin] ?? NaN];
        const change = (guess ?? start) - start;
        /** @param {number} wanted */
        const is = (wanted) => Math.abs(change - wanted) < CLOSE * span / 2;
        const right = is(inner * outer);
        const key = right ? "right" : is(0) ? "unmoved" : is(inner + outer) ? "added" : is(-inner * outer) ? "reversed" : is(Math.abs(outer)) || is(-Math.abs(outer)) ? "outer" : "other";
        if (right) reveal();
        return { right, key, values: { guess: number(guess), change: number(change) } };
      },
    };

    /** Turn the first dial by one, so that the third meets the second needle. */
    function reveal() {
      const end = nearest(x, x[begin] + 1);
      clearInterval(turning);
      if (isCalm()) {
        turn(end);
        return;
      }
      turn(begin);
      turning = setInterval(() => (index < end ? turn(index + 1) : clearInterval(turning)), TICK);
    }
  }

  /**
   * The network, stage by stage.
   *
   * @param {Example} example
   * @param {Pass} pass
   */
  function network(example, pass) {
    const units = unitsIn(scene, /** @type {any} */ (example.network), pass, tools);
    let stage = 0;
    const values = Object.fromEntries(Object.entries(/** @type {Record<string, string>} */ (example.network.values)).map(([name, node]) => [name, units.node(node)]));

    /** @param {number} wanted */
    function go(wanted) {
      stage = wanted;
      units.show(stage);
      const filled = {
        ...Object.fromEntries(Object.entries(values).flatMap(([name, { value, gradient }]) => [[name, number(value, 3)], [`d_${name}`, number(gradient, 3)], [`b_${name}`, bracketed(number(gradient, 3))]])),
        slope: number(pass.edges.find(({ target }) => target === example.network.sigmoid)?.local ?? null, 3),
        rate: number(example.graph.rate), after: number(pass.value_after, 3), w1_after: number(pass.after.w1, 3),
      };
      caption.textContent = word(`stage_${STAGES[stage]}`, filled);
      setRich(reading, `\`${word(`sum_${STAGES[stage]}`, filled)}\``, ["x", "w", "v", "h", "y", "L"]);
      say(`${caption.textContent} ${reading.textContent}`);
    }

    go(0);
    return {
      walk: walkOf(STAGES.length, () => stage, (wanted) => (go(wanted), changed()), (at) => word("stage", { stage: at + 1, count: STAGES.length })),
      stop: () => units.stop(),
      check: () => null,
    };
  }

  async function reset() {
    clearInterval(turning);
    write({});
    await show(lesson);
  }

  function stop() {
    clearInterval(turning);
    shown?.stop();
  }

  const coming = show(lesson).catch(trouble);

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    return shown?.check() ?? null;
  }

  return { show, check, reset, stop, get walk() { return shown?.walk ?? null; } };
}

/**
 * Return a walk of so many positions.
 *
 * @param {number} count
 * @param {() => number} now
 * @param {(index: number) => void} go
 * @param {(index: number) => string} name
 * @returns {import("../types.d.ts").Walk}
 */
const walkOf = (count, now, go, name) => ({ count, get index() { return now(); }, go, name });

/** An arrow between two dials, with the rate at which one turns the other. @param {HTMLElement} host */
function linkIn(host) {
  const name = make("span", { class: "maths" }), rate = make("b", {});
  const element = make("div", { class: "dial-link" }, name, make("span", { class: "dial-arrow", "aria-hidden": "true", text: "→" }), rate);
  host.append(element);
  return {
    element,
    /** @param {string} symbol @param {string} value @param {string[]} names */
    show(symbol, value, names) {
      setMaths(name, symbol, [...names, ...names.map((each) => `d${each}`)]);
      rate.textContent = `× ${bracketed(value)}`;
    },
  };
}

/** Return the range of the finite numbers of a column. @param {(number | null)[]} column @returns {Range} */
function rangeOf(column) {
  const [low, high] = d3.extent(column.filter((value) => value !== null));
  return [low ?? 0, high ?? 1];
}
