/** The network unit by unit, for one example: values go forward, gradients come back, stage by stage. */

/** @import { Learning } from "./flow.js" */
/** @import { GraphStage, NetworkGraph, Trouble, UnitPictures, Value } from "../types.d.ts" */

import { ask } from "../api.js";
import { byId, draw, setMaths, showTrouble, showValid, typedWhole, written } from "../elements.js";
import { context2d } from "../exporting.js";

const WIDE = [900, 360]; // units of the picture, from the width in which it is drawn large
const TALL = [46, 72]; // of a unit and the room around it, without a picture and with one
const ROUND = 17; // radius of a unit
const HALF = 22; // of the side of its picture
const EDGE = [0.4, 3.4]; // width of the thinnest and of the thickest edge
const SIDES = 74; // left free for the names of the inputs
const FEW = 18; // edges of a layer up to which each has its number on it

/** Connect it; it is requested once it comes into sight. @param {Learning} page */
export function mountGraph(page) {
  const container = byId("graph");
  const scene = draw("svg", { class: "units", role: "img", "aria-labelledby": "graph-title graph-stage" });
  container.append(scene);
  let isInSight = false;
  /** @type {NetworkGraph | null} */
  let graph = null;
  let requested = "";
  /** What each unit has learned, as an image; of the moment that was drawn last. @type {string[][] | null} */
  let pictures = null;
  /** @type {(UnitPictures & { step: number }) | null} */
  let units = null;
  let requestedUnits = "";

  new IntersectionObserver((entries) => {
    isInSight = entries.at(-1)?.isIntersecting ?? false;
    look();
  }, { rootMargin: "200px" }).observe(container);
  new ResizeObserver(() => graph && show()).observe(container);
  page.on("head", ({ no_graph: why, examples }) => {
    byId("graph-section").classList.toggle("none", Boolean(why));
    byId("graph-why").textContent = why ?? "";
    byId("graph-why").hidden = !why;
    byId("graph-body").hidden = byId("graph-example").hidden = Boolean(why);
    byId("example").setAttribute("aria-describedby", "example-note");
    byId("example-note").textContent = `of ${examples}; or click a point in the picture`;
  });
  page.on("row", () => look());
  const recolour = () => {
    pictures = units && picturesOf(units);
    if (graph) show();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  page.on("state", (changed) => {
    if (changed.has("theme")) recolour();
    if (changed.has("example")) look();
    if (changed.has("stage") && graph) show();
  });
  const field = byId("example", HTMLInputElement);
  field.addEventListener("input", () => {
    const value = typedWhole(field.value, 1);
    const fine = value !== undefined && value <= (page.run?.head.examples ?? 1);
    showValid(field, fine);
    if (fine) page.set({ example: value - 1 });
  });
  byId("stage-back").addEventListener("click", () => go(-1));
  byId("stage-forward").addEventListener("click", () => go(1));

  /** @param {number} by */
  function go(by) {
    if (graph) page.set({ stage: Math.min(Math.max(page.state.stage + by, 0), graph.stages.length - 1) });
  }

  async function look() {
    if (document.activeElement !== field) field.value = String(page.state.example + 1);
    const { moment, run } = page;
    if (!isInSight || !run || !moment?.weights || run.head.no_graph) return;
    lookAtUnits();
    const example = Math.min(page.state.example, run.head.examples - 1);
    const request = page.request({ weights: moment.weights, example });
    const now = JSON.stringify([example, moment.step, run.head.read_as, moment.weights[0]]);
    if (now === requested) return;
    requested = now;
    try {
      const reply = await ask("network_graph", request);
      if (!reply) return;
      graph = reply;
      showTrouble(byId("graph-note"), null);
      show();
    } catch (error) {
      requested = "";
      showTrouble(byId("graph-note"), /** @type {Trouble} */ (error));
    }
  }

  /** Request what each unit has learned at the selected moment, of a network over two features or more. */
  async function lookAtUnits() {
    const { moment, run } = page;
    if (!run || !moment?.weights) return;
    const now = JSON.stringify([moment.step, run.head.read_as, run.head.over, moment.weights[0], page.state.over]);
    if (now === requestedUnits) return;
    requestedUnits = now;
    /** @type {UnitPictures | null | undefined} */
    let reply = null;
    try {
      if (run.head.features.length > 1) reply = await ask("network_units", page.request({ weights: moment.weights }));
    } catch {
      if (now === requestedUnits) requestedUnits = ""; // the next look requests them again
    }
    if (reply === undefined || !["", now].includes(requestedUnits)) return; // a newer one is on its way
    units = reply && { ...reply, step: moment.step };
    pictures = units && picturesOf(units);
    if (graph) show();
  }

  function show() {
    if (!graph) return;
    const suits = pictures?.length === graph.layers.length && pictures.every((layer, index) => layer.length === graph?.layers[index].after.length);
    byId("units-note").hidden = !suits;
    byId("units-note").textContent = suits && units ? `Each picture shows what its unit puts out over ${units.over.join(" and ")} after ${units.step} ${units.step === 1 ? "step" : "steps"}: one colour above 0, the other below.` : "";
    const stage = graph.stages[Math.min(page.state.stage, graph.stages.length - 1)];
    byId("graph-stage").textContent = stage.title;
    setMaths(byId("graph-text"), stage.text, ["∂L", "∂z", "∂w"]);
    byId("stage-count").textContent = `${graph.stages.indexOf(stage) + 1} of ${graph.stages.length}`;
    byId("stage-back", HTMLButtonElement).disabled = stage === graph.stages[0];
    byId("stage-forward", HTMLButtonElement).disabled = stage === graph.stages.at(-1);
    paint(scene, graph, stage, container.clientWidth, suits ? pictures : null);
  }
}

/**
 * Draw the units and edges at a stage.
 *
 * @param {SVGSVGElement} scene
 * @param {NetworkGraph} graph
 * @param {GraphStage} stage
 * @param {number} room the width in pixels
 * @param {string[][] | null} pictures of what each unit has learned, by layer
 */
function paint(scene, { inputs, layers, loss }, stage, room, pictures) {
  const columns = [inputs.length, ...layers.map(({ after }) => after.length)];
  const width = room > 600 ? WIDE[0] : WIDE[1];
  const tall = TALL[pictures ? 1 : 0];
  const height = tall * Math.max(...columns) + 40;
  const back = stage.way === "backward";
  /** @param {number} column */
  const x = (column) => SIDES + ((width - 2 * SIDES) * column) / (columns.length - 1);
  /** @type {(column: number, row: number) => number} */
  const y = (column, row) => height / 2 + tall * (row - (columns[column] - 1) / 2) - 6;
  /** @param {number} layer */
  const isLit = (layer) => (back ? layer >= stage.layer : stage.way === "loss" || layer <= stage.layer);
  scene.setAttribute("viewBox", `0 0 ${width} ${height}`);
  /** @type {SVGElement[]} */
  const numbers = [];
  const edges = layers.flatMap(({ weights, weight_gradients: slopes }, layer) => {
    const values = back ? slopes : weights;
    const most = largest(values.flat());
    const lit = isLit(layer);
    return values.flatMap((row, from) => row.map((value, to) => {
      const line = draw("line", {
        class: `edge ${lit ? sign(value) : "unlit"}`, x1: x(layer) + (pictures && layer ? HALF : ROUND), y1: y(layer, from), x2: x(layer + 1) - (pictures ? HALF : ROUND), y2: y(layer + 1, to),
        "stroke-width": EDGE[0] + (EDGE[1] - EDGE[0]) * (Math.abs(value ?? 0) / most),
      });
      line.append(draw("title", { text: `${back ? "∂L/∂w" : "w"} = ${figures(value)}` }));
      if (lit && row.length * values.length <= FEW) numbers.push(onEdge(line, figures(value), 0.24 + (0.52 * (from + to)) / (values.length + row.length - 1)));
      return line;
    }));
  });
  const units = [
    ...inputs.map(({ value, gradient, name }, row) => unit(x(0), y(0, row), !back || stage.layer === 0, back ? gradient : value, name)),
    ...layers.flatMap(({ after, gradient }, layer) => {
      const most = largest(back ? gradient : after);
      return after.map((value, row) => unit(x(layer + 1), y(layer + 1, row), isLit(layer), back ? gradient[row] : value, null, most, pictures?.[layer][row]));
    }),
  ];
  const names = ["inputs", ...layers.map(({ name, activation }) => (activation === "linear" ? name : `${name}, ${activation}`))];
  const heads = width === WIDE[0] ? names.map((name, column) => draw("text", { class: "unit-head", x: x(column), y: height - 6, "text-anchor": "middle", text: name })) : [];
  const end = stage.way === "forward" ? [] : [draw("text", { class: "unit-loss", x: x(columns.length - 1), y: y(columns.length - 1, 0) - ROUND - 10, "text-anchor": "middle", text: `L = ${loss}` })];
  scene.replaceChildren(...edges, ...numbers, ...units, ...heads, ...end);
}

/** Return the largest absolute value, 1 where all are 0. @param {Value[]} values */
function largest(values) {
  return d3.max(values, (value) => Math.abs(value ?? 0)) || 1;
}

/**
 * Return a number on an edge, at a share of its length.
 *
 * @param {SVGLineElement} line
 * @param {string} text
 * @param {number} share
 */
function onEdge(line, text, share) {
  const [x1, x2, y1, y2] = ["x1", "x2", "y1", "y2"].map((name) => Number(line.getAttribute(name)));
  return draw("text", { class: "edge-value", x: x1 + (x2 - x1) * share, y: y1 + (y2 - y1) * share, dy: "0.35em", "text-anchor": "middle", text });
}

/**
 * Return a unit with its value.
 *
 * @param {number} x
 * @param {number} y
 * @param {boolean} isLit
 * @param {Value} value
 * @param {string | null} label to the left of it
 * @param {number} most the largest value of its layer
 * @param {string} [picture] of what it has learned
 */
function unit(x, y, isLit, value, label, most = 0, picture = undefined) {
  if (picture) {
    const edge = { x: x - HALF, y: y - HALF, width: 2 * HALF, height: 2 * HALF };
    return draw("g", {},
      draw("image", { href: picture, ...edge, preserveAspectRatio: "none" }),
      draw("rect", { class: `unit picture-edge ${isLit ? sign(value) : "unlit"}`, ...edge, rx: 3, "fill-opacity": 0 }),
      draw("text", { class: "unit-value", x, y: y + HALF + 11, "text-anchor": "middle", text: isLit ? figures(value) : "" }));
  }
  const share = most ? Math.abs(value ?? 0) / most : 0;
  const circle = draw("circle", { class: `unit ${isLit ? sign(value) : "unlit"}`, cx: x, cy: y, r: ROUND, "fill-opacity": isLit ? 0.12 + 0.5 * share : 0 });
  const text = draw("text", { class: "unit-value", x, y, dy: "0.35em", "text-anchor": "middle", text: isLit ? figures(value) : "" });
  const name = label ? [draw("text", { class: "unit-name", x: x - ROUND - 6, y, dy: "0.35em", "text-anchor": "end", text: label.length > 9 ? `${label.slice(0, 8)}…` : label })] : [];
  return draw("g", {}, draw("circle", { class: "unit-paper", cx: x, cy: y, r: ROUND }), circle, text, ...name);
}

/** Return the pictures of units, in the colours of the theme. @param {UnitPictures} units */
function picturesOf({ side, layers }) {
  const style = getComputedStyle(document.documentElement);
  const [above, below, zero] = ["--accent", "--warm", "--card"].map((name) => style.getPropertyValue(name).trim());
  const mixed = d3.interpolateRgbBasis([below, zero, above]);
  const colours = d3.range(201).map((step) => d3.rgb(mixed(step / 200)));
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const pen = context2d(canvas);
  const image = pen.createImageData(side, side);
  return layers.map((units) => units.map(({ cells }) => {
    cells.forEach((cell, index) => {
      const { r, g, b } = colours[cell + 100];
      image.data.set([r, g, b, 255], 4 * ((side - 1 - Math.floor(index / side)) * side + (index % side))); // an image begins above
    });
    pen.putImageData(image, 0, 0);
    return canvas.toDataURL();
  }));
}

/** @param {Value} value */
const sign = (value) => ((value ?? 0) < 0 ? "below" : "above");

/** Return a number as it fits into a unit. @param {Value} value */
function figures(value) {
  if (value === null) return "∞";
  const size = Math.abs(value);
  const text = size !== 0 && size < 0.005 ? value.toExponential(0).replace("e-", "e−") : Number(value.toPrecision(2)).toString();
  return written(text);
}
