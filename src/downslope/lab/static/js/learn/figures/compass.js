/** The gradient as a compass: a needle at a point of a map, and the slope in its direction, drawn while it turns. */

/** @import { Room, Stroke } from "../../labels.js" */
/** @import { Point, Range } from "../../types.d.ts" */
/** @import { Example, Figure, Tools } from "../types.d.ts" */

import { draw, make } from "../../elements.js";
import { round } from "../../frame.js";
import { disc, roomOf } from "../../labels.js";
import { positionsOf } from "../requests.js";
import { setRich } from "../words.js";
import { arrowOf, evenly, handleIn, labelOf, mapIn, nearest, plotIn, zeroOf } from "./parts.js";

const POSITIONS = 21; // along each axis of a function that a person typed
const RATIO = 1.3; // of width to height of its map
const NEEDLE = 78, NEEDLE_SHARE = 0.2; // pixels, and at most this share of the width of the map
const RING = 13, NAMED = 13; // pixels around the point and the tip, and of the letters of a name
const GRADIENT = [34, 120]; // pixels of the shortest and the longest gradient
const CORNER = 13; // pixels of the mark of a right angle
const LEVEL = 0.09; // of the steepest slope: what counts as level
const MARGIN = { top: 24, right: 18, bottom: 38, left: 50 };

/** @param {HTMLElement} host @param {Tools} tools @returns {Figure} */
export function figure(host, { lesson, word, number, ask, say, read, write, changed, trouble }) {
  const board = make("div", { class: "slices compass" });
  const beside = make("div", { class: "beside" });
  const reading = make("p", { class: "figure-reading maths" });
  host.append(board, reading);
  const map = mapIn(board, { title: word("title"), redraw: () => drawAll() });
  board.append(beside);
  const marks = map.frame.layer("marks");
  const rose = plotIn(beside, { title: word("title"), className: "rose", margin: MARGIN, redraw: () => drawAll() });
  const traces = rose.frame.layer("curves");
  const handle = handleIn(map, {
    drag: ([x, y]) => moveTo([map.x.invert(x), map.y.invert(y)]),
    nudge: (right, up) => moveTo([right, up].map((by, axis) => positions[axis][clamp(nearest(positions[axis], point[axis]) + by, positions[axis].length)])),
  });
  const tip = handleIn(map, { isFlat: true, clicks: false, drag: (at) => aim(at), nudge: (right, up) => turn((index + count() - right + up) % count()) });
  tip.element.classList.add("tip");

  /** @type {Example} */
  let example = lesson;
  let over = Object.keys(lesson.start ?? {});
  /** @type {number[][]} */
  let positions = [[], []];
  let point = [0, 0];
  let index = 0; // of the direction
  /** The directions that were tried, whose slopes are drawn. @type {Set<number>} */
  let tried = new Set([0]);
  let isRevealed = false;
  /** @type {any} */
  let reply = null;
  /** What was requested last: an answer is checked once the figure shows it. @type {Promise<void>} */
  let coming = Promise.resolve();
  let steepest = 1;

  const count = () => lesson.directions;
  /** @param {number} wanted @param {number} length */
  const clamp = (wanted, length) => Math.min(Math.max(wanted, 0), length - 1);
  const walk = {
    get count() { return count() + 1; },
    get index() { return index + (isRound ? count() : 0); },
    /** @param {number} wanted */
    go: (wanted) => turn(wanted % count(), wanted >= count()),
    /** @param {number} wanted */
    name: (wanted) => `${(wanted * 360) / count()}°`,
  };
  let isRound = false; // the needle came back to where it began

  /** @param {Example} shown */
  async function show(shown) {
    const isOwn = shown.box === null;
    const { formula } = shown;
    const first = isOwn ? await ask("compass", { formula, start: null, directions: count() }) : null;
    const grid = await ask("grid", isOwn ? { formula, start: first.start, over: null, box: null, ratio: RATIO } : { formula, start: shown.start, over: null, box: shown.box });
    if (!grid) return;
    over = grid.over;
    example = { ...shown, start: shown.start ?? first.start, box: grid.box };
    positions = over.map((name) => (isOwn ? evenly(grid.box[name], POSITIONS, first.start[name]) : positionsOf(lesson, "compass", formula, `start.${name}`)));
    const kept = isOwn ? {} : read();
    point = over.map((name, axis) => positions[axis][nearest(positions[axis], kept[name] ?? example.start?.[name] ?? 0)]);
    forget(kept.turn ?? 0);
    reply = null; // that of another function, perhaps of other variables
    const [x, y] = over.map((name) => grid.box[name]);
    map.showGrid(grid, [...over], { isEqual: areAlike(x, y) });
    await request();
  }

  /** Forget the directions that were tried. @param {number} first */
  function forget(first) {
    index = first % count();
    isRound = false;
    tried = new Set([index]);
    isRevealed = false;
  }

  async function request() {
    const wanted = point;
    try {
      const next = await ask("compass", { formula: example.formula, start: Object.fromEntries(over.map((name, axis) => [name, wanted[axis]])), directions: count() });
      if (!next || wanted !== point) return;
      reply = next;
      steepest = Math.max(reply.steepness ?? 0, 1e-9);
      trouble(null);
      rose.show({ x: [0, 360], xTicks: [0, 90, 180, 270, 360], y: [-1.15 * steepest, 1.15 * steepest], xName: word("degrees"), yName: word("slope_name") });
      drawMap();
      changed();
    } catch (error) {
      trouble(error);
    }
  }

  /** @param {number[]} wanted */
  function moveTo(wanted) {
    const next = wanted.map((value, axis) => positions[axis][nearest(positions[axis], value)]);
    if (next.every((value, axis) => value === point[axis])) return;
    point = next;
    forget(index);
    keep();
    coming = request();
  }

  /** @param {number} wanted @param {boolean} [comesRound] */
  function turn(wanted, comesRound = false) {
    const by = (wanted - index + count()) % count();
    // Every direction that a play or a drag passes was tried as well; a jump of the slider passes none.
    if (by <= 6) for (let step = 1; step <= by; step += 1) tried.add((index + step) % count());
    if (count() - by <= 6) for (let step = 1; step <= count() - by; step += 1) tried.add((index - step + count()) % count());
    index = wanted;
    isRound = comesRound;
    tried.add(index);
    keep();
    drawAll();
    changed();
  }

  /** Turn the needle towards a point in pixels. @param {Point} at */
  function aim(at) {
    const [x, y] = centre();
    const angle = (Math.atan2(y - at[1], at[0] - x) * 180) / Math.PI;
    turn(Math.round((((angle % 360) + 360) % 360) / (360 / count())) % count());
  }

  function keep() {
    if (example.formula === lesson.formula) write({ ...Object.fromEntries(over.map((name, axis) => [name, point[axis]])), turn: index });
  }

  /** @returns {Point} */
  const centre = () => [map.x(reply.start[over[0]]), map.y(reply.start[over[1]])];

  function drawAll() {
    if (!reply) return;
    drawMap();
    drawRose();
    const { angles, slopes, name: f } = reply;
    const said = { x: whereText(), angle: number(angles[index]), slope: number(slopes[index]) };
    const [across, up] = over.map((name) => number(reply.gradient[name]));
    const gradient = isRevealed ? `  ·  \`∇${f} = (${across}, ${up})\`, \`‖∇${f}‖ = ${number(reply.steepness)}\`` : "";
    setRich(reading, word("reading", said) + gradient, [f, ...over]);
    map.frame.title.textContent = word("map", { name: f });
    map.frame.desc.textContent = word("said", said);
    rose.frame.title.textContent = word("rose", { x: said.x });
    say(map.frame.desc.textContent);
  }

  const whereText = () => over.map((name) => `${name} = ${number(reply.start[name])}`).join(", ");

  function drawMap() {
    if (!reply) return;
    const at = centre();
    const turned = (reply.angles[index] * Math.PI) / 180;
    /** @type {Point} */
    const end = [at[0] + needle() * Math.cos(turned), at[1] - needle() * Math.sin(turned)];
    const { drawn, strokes, rooms } = isRevealed ? revealed(at) : { drawn: [], strokes: [], rooms: [] };
    marks.replaceChildren(...drawn, draw("circle", { class: "dial", cx: round(at[0]), cy: round(at[1]), r: round(needle()) }), arrowOf("needle", at, end));
    map.clear({ lines: [[at, end], ...strokes], rooms: [disc(at, RING), disc(end, RING), ...rooms] });
    handle.put(at, word("handle", { x: whereText() }));
    tip.put(end, word("needle", { angle: number(reply.angles[index]), slope: number(reply.slopes[index]) }), reply.angles[index]);
  }

  /** The length of the needle in pixels. */
  function needle() {
    const [left, right] = map.frame.along;
    return Math.min(NEEDLE, NEEDLE_SHARE * (right - left));
  }

  /**
   * Return the gradient and the level direction at right angles to it, and what they cover.
   *
   * @param {Point} at
   * @returns {{ drawn: Element[], strokes: Stroke[], rooms: Room[] }}
   */
  function revealed(at) {
    if (!(reply.steepness > 0)) return { drawn: [], strokes: [], rooms: [] };
    const name = `∇${reply.name}`;
    const up = (reply.uphill * Math.PI) / 180;
    const [cos, sin] = [Math.cos(up), -Math.sin(up)];
    const length = Math.min(GRADIENT[1], Math.max(GRADIENT[0], needle() * 1.45));
    /** @param {number} along @param {number} aside @returns {Point} */
    const off = (along, aside) => [at[0] + cos * along - sin * aside, at[1] + sin * along + cos * aside];
    const [left, right, ...corner] = [off(0, -1.3 * needle()), off(0, 1.3 * needle()), off(CORNER, 0), off(CORNER, CORNER), off(0, CORNER)].map((each) => each.map(round));
    const drawn = [
      draw("line", { class: "level-line", x1: left[0], y1: left[1], x2: right[0], y2: right[1] }),
      draw("path", { class: "corner", d: `M${corner.map((each) => each.join()).join("L")}` }),
      arrowOf("gradient", at, off(length, 0)),
      labelOf(map, name, off(length + 16, 0)),
    ];
    const strokes = /** @type {Stroke[]} */ ([[at, off(length, 0)], [left, right]]);
    return { drawn, strokes, rooms: [roomOf(name, off(length + 16, 0), NAMED)] };
  }

  function drawRose() {
    const { angles, slopes } = reply;
    const [bottom, top] = rose.frame.up;
    const at = round(rose.x(angles[index]));
    const shown = isRevealed ? d3.range(count()) : [...tried].sort((left, right) => left - right);
    const dots = shown.map((each) => draw("circle", { class: "tried", cx: round(rose.x(angles[each])), cy: round(rose.y(slopes[each])), r: 2.6 }));
    const peak = isRevealed ? [
      draw("line", { class: "mark-drop", x1: round(rose.x(reply.uphill)), x2: round(rose.x(reply.uphill)), y1: bottom, y2: top }),
      labelOf(rose, word("uphill"), [rose.x(reply.uphill), bottom - 8]),
    ] : [];
    traces.replaceChildren(...zeroOf(rose), ...dots, ...peak, draw("circle", { class: "mark-dot", cx: at, cy: round(rose.y(slopes[index])), r: 6 }));
  }

  /** @type {Figure["check"]} */
  async function check() {
    await coming;
    if (!reply) return null;
    const { angles, slopes, uphill, steepness } = reply;
    const slope = slopes[index];
    const values = { angle: angles[index], slope, steepness, uphill: Math.round(uphill) };
    if (!(steepness > 0)) return { right: false, key: "flat", values };
    const off = Math.abs(((angles[index] - uphill + 540) % 360) - 180);
    if (off <= 360 / count()) {
      isRevealed = true;
      drawAll();
      return { right: true, key: "right", values };
    }
    return { right: false, key: Math.abs(slope) <= LEVEL * steepest ? "level" : slope < 0 ? "down" : "up", values };
  }

  async function reset() {
    write({});
    await show(lesson);
  }

  coming = show(lesson).catch(trouble);
  return { show, check, reset, stop: () => {}, walk };
}

/** Whether two ranges differ so little that a unit can be as long along both. @param {Range} left @param {Range} right */
function areAlike(left, right) {
  const [least, most] = d3.extent([left[1] - left[0], right[1] - right[0]]);
  return (most ?? 1) <= 5 * (least ?? 1);
}
