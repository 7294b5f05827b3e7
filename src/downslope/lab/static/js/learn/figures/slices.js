/** Partial derivatives: a point on a map, the surface beside it cut along either variable through that point, and both cuts as curves. */

/** @import { Grid, Range } from "../../types.d.ts" */
/** @import { Example, Figure, Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { round } from "../../frame.js";
import { disc } from "../../labels.js";
import { coloursOf, floorOf } from "../../land.js";
import { FIRST_VIEW, Surface } from "../../surface.js";
import { positionsOf } from "../requests.js";
import { setRich } from "../words.js";
import { curveOf, evenly, handleIn, lineOf, mapIn, nearest, plotIn, sliderIn, zeroOf } from "./parts.js";

const POSITIONS = 25; // along each axis of a function that a person typed
const LEVEL = 1e-6; // of the steepest partial derivative of the chapter: what counts as level
const RATIO = 1.2; // of width to height of the map of such a function
const MARGIN = { top: 24, right: 18, bottom: 36, left: 48 };
const TALLEST = 0.36, TAUGHT = 0.48; // of the window's height: the map, above the cuts and beside them
const RING = 13; // pixels around the point
/** The buttons that turn the surface: the key of the name, the sign, degrees around and above. @type {[string, string, number, number][]} */
const TURNS = [["turn_left", "⟲", -15, 0], ["turn_right", "⟳", 15, 0], ["turn_up", "↑", 0, 10], ["turn_down", "↓", 0, -10]];

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, { lesson, word, number, ask, say, read, write, changed, trouble }) {
  const board = make("div", { class: "slices solid" });
  const beside = make("div", { class: "beside" });
  const controls = make("div", { class: "figure-controls" });
  const reading = make("p", { class: "figure-reading maths" });
  host.append(board, controls, reading);
  const map = mapIn(board, { title: word("title"), tallest: TALLEST, taught: TAUGHT, redraw: () => drawAll() });
  const solid = solidIn(board);
  board.append(beside);
  const cross = map.frame.layer("cross");
  const plots = [0, 1].map((axis) => plotIn(beside, { title: word("title"), className: `slice axis-${axis}`, margin: MARGIN, redraw: () => drawAll() }));
  const curves = plots.map((plot) => plot.frame.layer("curves"));
  const sliders = [0, 1].map((axis) => sliderIn(controls, { label: "", choose: (index) => move(axis, positions[axis][index]) }));
  const handle = handleIn(map, {
    drag: ([x, y]) => moveTo([map.x.invert(x), map.y.invert(y)]),
    nudge: (right, up) => [right, up].forEach((by, axis) => by && move(axis, positions[axis][clamp(axis, indexOf(axis) + by)])),
  });

  /** @type {Example} */
  let example = lesson;
  /** @type {string[]} */
  let over = Object.keys(lesson.start ?? {});
  /** @type {number[][]} */
  let positions = [[], []];
  let point = [0, 0];
  let walked = 0; // the axis that was moved last, along which the walk goes
  /** @type {Grid | null} */
  let ground = null;
  /** @type {any} */
  let reply = null;
  /** What was requested last: an answer is checked once the figure shows it. @type {Promise<void>} */
  let coming = Promise.resolve();

  /** @param {number} axis */
  const indexOf = (axis) => nearest(positions[axis], point[axis]);
  /** @param {number} axis @param {number} wanted */
  const clamp = (axis, wanted) => Math.min(Math.max(wanted, 0), positions[axis].length - 1);
  const walk = {
    get count() { return positions[walked].length; },
    get index() { return indexOf(walked); },
    /** @param {number} index */
    go: (index) => move(walked, positions[walked][index]),
    /** @param {number} index */
    name: (index) => `${over[walked]} = ${number(positions[walked][index] ?? 0)}`,
  };

  /** @param {Example} shown */
  async function show(shown) {
    const isOwn = shown.box === null;
    const { formula } = shown;
    const grid = await ask("grid", isOwn ? await ownGrid(formula) : { formula, start: shown.start, over: null, box: shown.box, heights: true });
    if (!grid) return;
    const first = isOwn ? await ask("slices", { formula, start: null, box: grid.box }) : null;
    over = grid.over;
    example = { ...shown, start: shown.start ?? first.start, box: grid.box };
    positions = over.map((name) => (isOwn ? evenly(grid.box[name], POSITIONS, first.start[name]) : positionsOf(lesson, "slices", formula, `start.${name}`)));
    const kept = read();
    point = over.map((name, axis) => positions[axis][nearest(positions[axis], (isOwn ? null : kept[name]) ?? example.start?.[name] ?? 0)]);
    const isEqual = isOwn && spanOf(grid.box[over[0]]) < 5 * spanOf(grid.box[over[1]]) && spanOf(grid.box[over[1]]) < 5 * spanOf(grid.box[over[0]]);
    ground = grid;
    reply = null; // that of another function, perhaps of other variables
    const { around, above } = kept;
    if (around !== undefined && above !== undefined) solid.surface.view = [around, above];
    map.showGrid(grid, [...over, "f"], { isEqual });
    await request();
    showSolid();
  }

  /** Return the request of the map of a function that a person typed. @param {string} formula */
  async function ownGrid(formula) {
    const { start } = await ask("slices", { formula, start: null, box: null });
    return { formula, start, over: null, box: null, ratio: RATIO, heights: true };
  }

  async function request() {
    const wanted = point;
    try {
      const next = await ask("slices", { formula: example.formula, start: Object.fromEntries(over.map((name, axis) => [name, wanted[axis]])), box: example.box });
      if (!next || wanted !== point) return;
      reply = next;
      trouble(null);
      over.forEach((name, axis) => plots[axis].show({
        x: reply.box[name], y: reply.f_range, xName: name, yName: reply.name, names: [...over, reply.name],
      }));
      changed();
    } catch (error) {
      trouble(error);
    }
  }

  /** @param {number[]} wanted */
  function moveTo(wanted) {
    point = wanted.map((value, axis) => positions[axis][nearest(positions[axis], value)]);
    keep();
    coming = request();
  }

  /** @param {number} axis @param {number} value */
  function move(axis, value) {
    walked = axis;
    moveTo(point.map((before, each) => (each === axis ? value : before)));
  }

  function keep() {
    const [around, above] = solid.surface.view;
    /** @type {Record<string, number>} */
    const view = String(solid.surface.view) === String(FIRST_VIEW) ? {} : { around, above };
    if (example.formula === lesson.formula) write({ ...Object.fromEntries(over.map((name, axis) => [name, point[axis]])), ...view });
  }

  /** Put the surface and the buttons that turn it into a host. @param {HTMLElement} parent */
  function solidIn(parent) {
    const view = make("div", { class: "surface-view", tabindex: 0, role: "group", "aria-label": word("surface") });
    const surface = new Surface(view, { turned: () => keep() });
    const buttons = TURNS.map(([key, text, around, above]) => {
      const button = make("button", { type: "button", "aria-label": word(key), title: word(key), text });
      button.addEventListener("click", () => surface.turn(around, above));
      return button;
    });
    parent.append(make("div", { class: "surface" }, make("div", { class: "picture-tools", role: "group" }, ...buttons), view));
    return { surface };
  }

  /** Show the surface, in the colours of the theme. */
  function showSolid() {
    if (!ground?.heights || !reply) return;
    const colours = coloursOf(ground);
    const [across, up] = over.map((name) => /** @type {Grid} */ (ground).box[name]);
    solid.surface.show({
      over, name: reply.name, box: [across, up], heights: ground.heights, levels: ground.lines.map(({ level }) => level),
      colour: (_, height) => colours(height), ...floorOf(ground, colours),
    });
  }

  function drawAll() {
    if (!reply) return;
    const { value, gradient, name: f } = reply;
    const [x, y] = over.map((name) => reply.start[name]);
    const at = [map.x(x), map.y(y)].map(round);
    const [[left, right], [bottom, top]] = [map.frame.along, map.frame.up];
    cross.replaceChildren(
      draw("line", { class: "cut axis-0", x1: left, x2: right, y1: at[1], y2: at[1] }),
      draw("line", { class: "cut axis-1", x1: at[0], x2: at[0], y1: bottom, y2: top }));
    map.clear({ lines: [[[left, at[1]], [right, at[1]]], [[at[0], bottom], [at[0], top]]], rooms: [disc([at[0], at[1]], RING)] });
    solid.surface.cut({ at: [x, y], slopes: [gradient[over[0]], gradient[over[1]]] });
    const where = over.map((name) => `${name} = ${number(reply.start[name])}`).join(", ");
    handle.put([at[0], at[1]], word("handle", { x: where }));
    over.forEach((name, axis) => {
      const plot = plots[axis];
      const slope = gradient[name];
      const across = round(plot.x(reply.start[name]));
      const dot = value === null ? [] : [draw("circle", { class: "mark-dot", cx: across, cy: round(plot.y(value)), r: 5.5 })];
      const tangent = value === null || slope === null ? [] : [lineOf("tangent-line", plot, reply.start[name], value, slope)];
      curves[axis].replaceChildren(...zeroOf(plot), draw("path", { class: `curve axis-${axis}`, d: curveOf(reply.slices[name].at, reply.slices[name].f, plot) }), ...tangent, ...dot);
      plot.frame.title.textContent = word("slice", { name, rest: where });
      plot.frame.desc.textContent = `∂${f}/∂${name} = ${number(slope)}`;
      sliders[axis].name.textContent = name;
      sliders[axis].show(positions[axis].length, indexOf(axis), `${name} = ${number(point[axis])}`);
    });
    setRich(reading, over.map((name) => `\`∂${f}/∂${name} = ${number(gradient[name])}\``).join(",\u2003"), [f, ...over]);
    map.frame.title.textContent = word("map", { name: f });
    map.frame.desc.textContent = word("said", { x: where, slopes: over.map((name) => `∂${f}/∂${name} = ${number(gradient[name])}`).join(", ") });
    solid.surface.canvas.setAttribute("aria-label", `${word("solid", { name: f })} ${map.frame.desc.textContent}`);
    say(map.frame.desc.textContent);
  }

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    if (!reply) return null;
    const slopes = over.map((name) => reply.gradient[name] ?? NaN);
    const wrong = slopes.findIndex((slope, axis) => !(Math.abs(slope) <= LEVEL * (lesson.steepest?.[axis] ?? 1)));
    const values = { x: point[0], y: point[1], value: reply.value ?? NaN, name: over[Math.max(0, wrong)], slope: slopes[Math.max(0, wrong)] };
    if (wrong < 0) return { right: true, key: "right", values };
    return { right: false, key: `${slopes[wrong] > 0 ? "more" : "less"}_${wrong}`, values };
  }

  async function reset() {
    walked = 0;
    write({});
    solid.surface.view = FIRST_VIEW;
    await show(lesson);
  }

  const colours = new MutationObserver(showSolid);
  colours.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", showSolid);
  const stop = () => {
    colours.disconnect();
    system.removeEventListener("change", showSolid);
  };

  coming = show(lesson).catch(trouble);
  return { show, check, reset, stop, walk };
}

/** @param {Range} range */
const spanOf = ([low, high]) => high - low;
