/** The race: several methods from the same start, each at its own best rate. */

/** @import { Descent } from "./flow.js" */
/** @import { Lane, MethodChoice, Point, Race, Range, Reading, Scale, Trouble, Value } from "../types.d.ts" */

import { ask } from "../api.js";
import { byId, draw, make, setMaths, showTrouble, tableById, written } from "../elements.js";
import { Frame, isLogarithmic, isNear, planeScales, round, scaleFor, through } from "../frame.js";
import { drawLand } from "../land.js";
import { copies } from "../exporting.js";
import { pixelsOf } from "../way.js";

const MOST = 8; // methods in one race
const PATHS = { top: 24, right: 10, bottom: 38, left: 52 };
const VALUES = { top: 26, right: 134, bottom: 36, left: 54 };
const [HIGH, GAP] = [340, 24]; // pixels, as in the style sheet
const LONGEST = 18; // letters of a name beside its line; the table has all of it
const NAME_GAP = 15; // pixels between two names beside their lines
const STALE = "The start or the formula has changed: run the race again.";
const LEADS = ["The same start, several methods, each at its own best rate.", "The same start, one method, several rates: too small, just right, too large."];

/**
 * Connect the race.
 *
 * @param {Descent} page
 * @param {MethodChoice[]} methods all of them
 */
export function mountRace(page, methods) {
  const result = byId("race-result");
  const state = byId("race-state");
  const picture = new Frame(byId("race-picture"), { margin: PATHS, title: "The paths of the race", resized: () => showWays() });
  const values = new Frame(byId("race-chart"), { margin: VALUES, title: "The value by step of each method", resized: () => showValues() });
  const [land, ways, lines] = [picture.layer("land"), picture.layer("ways"), values.layer("lines")];
  const runners = mountRunners(page, methods);
  /** The reply with its request. @type {Race & { request: Record<string, any> } | null} */
  let race = null;
  let runs = 0;
  let begun = false;

  const button = byId("race-run", HTMLButtonElement);
  button.disabled = false; // only now are there methods to choose
  button.addEventListener("click", () => {
    const names = page.state.sweep ? [page.state.method] : runners.chosen();
    if (names.length) page.set({ race: names }, { push: true });
    run(names);
  });
  for (const kind of byId("race-kind").querySelectorAll("button")) {
    kind.addEventListener("click", () => page.set({ sweep: kind.dataset.sweep === "1" ? 1 : 0, race: null }, { push: true }));
  }
  const showKind = () => {
    const { sweep, method } = page.state;
    for (const kind of byId("race-kind").querySelectorAll("button")) kind.setAttribute("aria-pressed", String(kind.dataset.sweep === String(sweep)));
    byId("race-lead").textContent = LEADS[sweep];
    byId("runners").hidden = sweep === 1;
    const takesRate = methods.find(({ name }) => name === method)?.takes_rate ?? true;
    button.textContent = sweep ? `Run ${method} at several rates` : "Run the race";
    button.disabled = sweep === 1 && !takesRate;
    if (sweep === 1 && !takesRate) state.textContent = `${method} finds the length of each step by itself.`;
    else if (!race) state.textContent = "";
  };
  showKind();
  copies(byId("race-python"), () => race?.python);
  copies(byId("race-command"), () => race?.command);
  page.on("state", (changed, how) => {
    /** @param {...string} keys */
    const has = (...keys) => keys.some((key) => changed.has(key));
    if (has("sweep", "method")) showKind();
    if ((has("race") && !page.state.race) || has("sweep") || (has("method") && page.state.sweep && race)) forget();
    else if (how.back && page.state.race && has("race", "f", "at", "steps")) {
      forget();
      runners.choose(page.state.race);
      begun = false;
      if (!has("f", "at", "steps")) begin();
    }
    compare();
  });
  page.on("start", () => compare());
  page.on("descent", () => begin());
  if (page.descent) begin();

  /** Run the race of the address, once. */
  function begin() {
    if (begun) return;
    begun = true;
    if (page.state.race && !race) run(page.state.race);
  }

  /** @param {string[]} names */
  async function run(names) {
    begun = true;
    if (!names.length) {
      state.textContent = "Choose at least one method.";
      return;
    }
    const mine = ++runs;
    const { sweep } = page.state;
    const request = page.request({ ...(sweep ? {} : { methods: names, method: undefined }), rate: undefined, ratio: ratio() });
    state.textContent = sweep ? "The rates are on their way…" : names.length === 1 ? "One method is on its way…" : `${names.length} methods are on their way…`;
    showTrouble(byId("race-note"), null);
    try {
      const reply = await ask(sweep ? "sweep" : "race", request);
      if (mine !== runs) return;
      state.textContent = "";
      if (reply) show({ ...reply, request });
    } catch (error) {
      if (mine !== runs) return;
      state.textContent = "";
      if (request.formula === page.state.f) showTrouble(byId("race-note"), /** @type {Trouble} */ (error), () => run(names));
    }
  }

  /** @param {Race & { request: Record<string, any> }} shown */
  function show(shown) {
    race = shown;
    result.hidden = false;
    if (page.reading) showTable(race, page.reading);
    showWays();
    showValues();
    compare();
  }

  /** Return the shape of the picture, also while it is hidden: the width of its column over the height in the style sheet. */
  function ratio() {
    if (picture.ratio) return picture.ratio;
    const room = byId("race-title").closest("section")?.clientWidth ?? 0;
    const width = matchMedia("(min-width: 860px)").matches ? (room - GAP) / 2 : room;
    return (width - PATHS.left - PATHS.right) / (HIGH - PATHS.top - PATHS.bottom);
  }

  function forget() {
    runs += 1;
    race = null;
    state.textContent = "";
    result.hidden = true;
    showTrouble(byId("race-note"), null);
  }

  /** Say whether the result still belongs to what the page shows. */
  function compare() {
    if (!race) return;
    const { formula, start, steps } = race.request;
    const otherFormula = formula !== page.state.f;
    const stale = otherFormula || steps !== page.state.steps || JSON.stringify(start) !== JSON.stringify(page.start);
    const text = stale ? STALE : written(race.sentence);
    result.hidden = otherFormula;
    result.classList.toggle("stale", stale);
    if (state.textContent !== text) state.textContent = text;
  }

  /** Draw the grid, and the paths on it. */
  function showWays() {
    if (!race || !page.reading || result.hidden || !picture.width) return;
    const { over, box, f_range: range } = race.grid;
    const [across, up] = over;
    const [x, y] = up === undefined
      ? [d3.scaleLinear(box[across], picture.along), d3.scaleLinear(range, picture.up)]
      : planeScales([box[across], box[up]], picture, race.grid.has_equal_units ?? false);
    const { variables, name } = page.reading;
    picture.setAxes(x, y, { xName: across, yName: up ?? `${name}(${across})`, names: [...variables, name] });
    drawLand(land, race.grid, x, y, { labels: false });
    const points = race.lanes.map((lane) => pixelsOf(lane, over, x, y));
    ways.replaceChildren(...points.map(wayOf).reverse(), ...startOf(points[0]));
    picture.desc.textContent = race.lanes.map(({ method, verdict_sentence: sentence }) => `${method}: ${sentence}`).join(" ");
  }

  /** Draw the values by step, each line with its name. */
  function showValues() {
    if (!race || !page.reading || result.hidden || !values.width) return;
    const last = Math.max(1, ...race.lanes.map(({ steps }) => steps[steps.length - 1]));
    const x = d3.scaleLinear([0, last], values.along);
    const y = scaleFor(race.lanes.flatMap((lane) => lane.values).filter((value) => value !== 0), values.up);
    const { name } = page.reading;
    values.setAxes(x, y, { xName: "step", yName: isLogarithmic(y) ? `${name}, log scale` : name, names: [name] });
    const points = race.lanes.map((lane) => lane.steps.map((step, row) => /** @type {Point} */ ([x(step), heightOf(lane.values[row], y)])));
    lines.replaceChildren(...points.map(wayOf).reverse());
    values.above.replaceChildren(...namesOf(race.lanes, points, values));
    values.desc.textContent = race.lanes.map((lane) => `${lane.method}: ${lane.value_text}`).join(", ");
  }
}

/**
 * Show a box to tick for each method.
 *
 * @param {Descent} page
 * @param {MethodChoice[]} methods
 */
function mountRunners(page, methods) {
  const names = methods.map(({ name }) => name);
  const boxes = new Map(names.map((name) => [name, make("input", { type: "checkbox", value: name })]));
  const container = byId("runners");
  const chosen = () => names.filter((name) => boxes.get(name)?.checked);
  const limit = () => {
    const full = chosen().length >= MOST;
    for (const box of boxes.values()) box.disabled = full && !box.checked;
  };
  /** @param {string[]} wanted */
  const choose = (wanted) => {
    for (const [name, box] of boxes) box.checked = wanted.includes(name);
    limit();
  };
  container.replaceChildren(...[...boxes].map(([name, box]) => make("label", {}, box, make("span", { text: name }))));
  container.addEventListener("change", limit);
  choose(page.state.race ?? methods.filter((method) => method.in_races).map(({ name }) => name));
  return { chosen, choose };
}

/**
 * Return the path of a lane through points in pixels.
 *
 * @param {Point[]} points
 * @param {number} index
 */
function wayOf(points, index) {
  const path = through(points);
  const end = points.findLast((point) => point.every(Number.isFinite));
  const spot = end && isNear(end) ? [draw("circle", { cx: round(end[0]), cy: round(end[1]), r: 4 })] : [];
  return draw("g", { class: `lane lane-${index}` },
    draw("path", { class: "lane-case", d: path }), draw("path", { class: "lane-line", d: path }), ...spot);
}

/** Return the ring at the start that all of them share. @param {Point[]} points */
function startOf(points) {
  const at = points?.[0];
  if (!at || !at.every(Number.isFinite) || !isNear(at)) return [];
  return [draw("circle", { class: "race-start", cx: round(at[0]), cy: round(at[1]), r: 5.5 })];
}

/**
 * Return the names of the lanes to the right of their lines, without overlap.
 *
 * @param {Lane[]} lanes
 * @param {Point[][]} points
 * @param {Frame} frame
 */
function namesOf(lanes, points, frame) {
  const [left, right] = [frame.along[1], frame.along[1] + 14];
  const ends = lanes.map((lane, index) => ({ lane, index, at: endOf(points[index], frame) }));
  ends.sort((upper, lower) => upper.at[1] - lower.at[1] || upper.index - lower.index);
  const heights = apart(ends.map(({ at }) => at[1]), frame.up);
  return ends.map(({ lane, index, at }, row) => draw("g", { class: `lane lane-${index}` },
    draw("path", { class: "lane-leader", d: `M${round(at[0])},${round(at[1])}H${left}L${right - 3},${round(heights[row])}` }),
    draw("text", { class: "lane-name", x: right, y: round(heights[row]), dy: "0.35em", text: brief(lane.method) })));
}

/** @param {string} name */
function brief(name) {
  return name.length > LONGEST ? `${name.slice(0, LONGEST - 1).trim()}…` : name;
}

/**
 * Return the end of a line, moved into the frame.
 *
 * @param {Point[]} points
 * @param {Frame} frame
 * @returns {Point}
 */
function endOf(points, frame) {
  const [bottom, top] = frame.up;
  const [across, up] = points.findLast((point) => point.every(Number.isFinite)) ?? [frame.along[0], bottom];
  return [across, Math.min(bottom, Math.max(top, up))];
}

/**
 * Move heights, from above downwards, apart from each other, and keep them within the frame.
 *
 * @param {number[]} heights
 * @param {Range} range
 */
function apart(heights, [bottom, top]) {
  const gap = Math.min(NAME_GAP, (bottom - top) / Math.max(1, heights.length - 1));
  /** @type {number[]} */
  const placed = [];
  for (const height of heights) placed.push(Math.max(height, (placed.at(-1) ?? -Infinity) + gap));
  let limit = bottom;
  for (let row = placed.length - 1; row >= 0; row -= 1) {
    placed[row] = Math.min(placed[row], limit);
    limit = placed[row] - gap;
  }
  return placed;
}

/**
 * Fill in the table of the result.
 *
 * @param {Race} race
 * @param {Reading} reading
 */
function showTable({ rows, lanes, winner }, { variables, name }) {
  const names = [...variables, name];
  const { head, body } = tableById("race-table");
  head.replaceChildren(make("tr", {}, ...rows.headings.map((text) => setMaths(make("th", { scope: "col" }), text, names))));
  body.replaceChildren(...rows.cells.map(([method, ...others], row) => {
    const lane = lanes.findIndex((entry) => entry.method === method);
    const swatch = make("span", { class: `swatch lane-${lane < 0 ? row : lane}`, "aria-hidden": "true" });
    return make("tr", { class: method === winner ? "winner" : null },
      make("th", { scope: "row" }, swatch, method), ...others.map((text) => make("td", { text: written(text) })));
  }));
}

/**
 * Return the height of a value in pixels; zero, which a log scale lacks, lies at its lower edge.
 *
 * @param {Value} value
 * @param {Scale} y
 */
function heightOf(value, y) {
  if (value === null) return NaN;
  return isLogarithmic(y) && value <= 0 ? y.range()[0] : y(value);
}
