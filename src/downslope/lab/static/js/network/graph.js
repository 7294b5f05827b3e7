/** The network unit by unit, for one example: values go forward, gradients come back, stage by stage. */

import { ask } from "../api.js";
import { byId, draw, setMaths, showTrouble, showValid, typedWhole, written } from "../elements.js";

const WIDE = [900, 360]; // units of the picture, from the width in which it is drawn large
const TALL = 46; // of a unit and the room around it
const ROUND = 17; // radius of a unit
const EDGE = [0.4, 3.4]; // width of the thinnest and of the thickest edge
const SIDES = 74; // left free for the names of the inputs
const FEW = 18; // edges of a layer up to which each has its number on it

/** Connect it; it is asked for once it comes into sight. */
export function mountGraph(page) {
  const place = byId("graph");
  const scene = draw("svg", { class: "units", role: "img", "aria-labelledby": "graph-title graph-stage" });
  place.append(scene);
  let isInSight = false;
  let told = null;
  let asked = "";

  new IntersectionObserver((entries) => {
    isInSight = entries.at(-1).isIntersecting;
    look();
  }, { rootMargin: "200px" }).observe(place);
  new ResizeObserver(() => told && show()).observe(place);
  page.on("head", ({ no_graph: why, examples }) => {
    byId("graph-section").classList.toggle("none", Boolean(why));
    byId("graph-why").textContent = why ?? "";
    byId("graph-why").hidden = !why;
    byId("graph-body").hidden = byId("graph-example").hidden = Boolean(why);
    byId("example").setAttribute("aria-describedby", "example-note");
    byId("example-note").textContent = `of ${examples}; or click a point in the picture`;
  });
  page.on("row", () => look());
  page.on("state", (changed) => {
    if (changed.has("example")) look();
    if (changed.has("stage") && told) show();
  });
  const field = byId("example");
  field.addEventListener("input", () => {
    const value = typedWhole(field.value, 1);
    const fine = value !== undefined && value <= (page.run?.head.examples ?? 1);
    showValid(field, fine);
    if (fine) page.set({ example: value - 1 });
  });
  byId("stage-back").addEventListener("click", () => go(-1));
  byId("stage-forward").addEventListener("click", () => go(1));

  function go(by) {
    if (told) page.set({ stage: Math.min(Math.max(page.state.stage + by, 0), told.stages.length - 1) });
  }

  async function look() {
    if (document.activeElement !== field) field.value = page.state.example + 1;
    const { moment, run } = page;
    if (!isInSight || !moment?.weights || run.head.no_graph) return;
    const request = page.request({ weights: moment.weights, example: Math.min(page.state.example, run.head.examples - 1) });
    const now = JSON.stringify([request.example, moment.step, run.head.read_as, moment.weights[0]]);
    if (now === asked) return;
    asked = now;
    try {
      const found = await ask("network_graph", request);
      if (!found) return;
      told = found;
      showTrouble(byId("graph-note"), null);
      show();
    } catch (error) {
      asked = "";
      showTrouble(byId("graph-note"), error);
    }
  }

  function show() {
    const stage = told.stages[Math.min(page.state.stage, told.stages.length - 1)];
    byId("graph-stage").textContent = stage.title;
    setMaths(byId("graph-text"), stage.text, ["∂L", "∂z", "∂w"]);
    byId("stage-count").textContent = `${told.stages.indexOf(stage) + 1} of ${told.stages.length}`;
    byId("stage-back").disabled = stage === told.stages[0];
    byId("stage-forward").disabled = stage === told.stages.at(-1);
    paint(scene, told, stage, place.clientWidth);
  }
}

/** Draw the units and what goes along the edges at a stage. */
function paint(scene, { inputs, layers, loss }, stage, room) {
  const columns = [inputs.length, ...layers.map(({ after }) => after.length)];
  const width = room > 600 ? WIDE[0] : WIDE[1];
  const height = TALL * Math.max(...columns) + 40;
  const back = stage.way === "backward";
  const x = (column) => SIDES + ((width - 2 * SIDES) * column) / (columns.length - 1);
  const y = (column, row) => height / 2 + TALL * (row - (columns[column] - 1) / 2) - 6;
  const isLit = (layer) => (back ? layer >= stage.layer : stage.way === "loss" || layer <= stage.layer);
  scene.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const numbers = [];
  const edges = layers.flatMap(({ weights, weight_gradients: slopes }, layer) => {
    const values = back ? slopes : weights;
    const most = d3.max(values.flat(), Math.abs) || 1;
    const lit = isLit(layer);
    return values.flatMap((row, from) => row.map((value, to) => {
      const line = draw("line", {
        class: `edge ${lit ? sign(value) : "unlit"}`, x1: x(layer) + ROUND, y1: y(layer, from), x2: x(layer + 1) - ROUND, y2: y(layer + 1, to),
        "stroke-width": EDGE[0] + (EDGE[1] - EDGE[0]) * (Math.abs(value) / most),
      });
      line.append(draw("title", { text: `${back ? "∂L/∂w" : "w"} = ${figures(value)}` }));
      if (lit && row.length * values.length <= FEW) numbers.push(onEdge(line, figures(value), 0.24 + (0.52 * (from + to)) / (values.length + row.length - 1)));
      return line;
    }));
  });
  const units = [
    ...inputs.map(({ value, gradient, name }, row) => unit(x(0), y(0, row), !back || stage.layer === 0, back ? gradient : value, back, [name, "end"])),
    ...layers.flatMap(({ after, gradient }, layer) => {
      const most = d3.max(back ? gradient : after, Math.abs) || 1;
      return after.map((value, row) => unit(x(layer + 1), y(layer + 1, row), isLit(layer), back ? gradient[row] : value, back, null, most));
    }),
  ];
  const names = ["inputs", ...layers.map(({ name, activation }) => (activation === "linear" ? name : `${name}, ${activation}`))];
  const heads = width === WIDE[0] ? names.map((name, column) => draw("text", { class: "unit-head", x: x(column), y: height - 6, "text-anchor": "middle", text: name })) : [];
  const end = stage.way === "forward" ? [] : [draw("text", { class: "unit-loss", x: x(columns.length - 1), y: y(columns.length - 1, 0) - ROUND - 10, "text-anchor": "middle", text: `L = ${loss}` })];
  scene.replaceChildren(...edges, ...numbers, ...units, ...heads, ...end);
}

/** Return a number that stands on an edge, at a share of its way. */
function onEdge(line, text, share) {
  const [x1, x2, y1, y2] = ["x1", "x2", "y1", "y2"].map((name) => Number(line.getAttribute(name)));
  return draw("text", { class: "edge-value", x: x1 + (x2 - x1) * share, y: y1 + (y2 - y1) * share, dy: "0.35em", "text-anchor": "middle", text });
}

function unit(x, y, isLit, value, back, label, most = 0) {
  const share = most ? Math.abs(value) / most : 0;
  const circle = draw("circle", { class: `unit ${isLit ? sign(value) : "unlit"}`, cx: x, cy: y, r: ROUND, "fill-opacity": isLit ? 0.12 + 0.5 * share : 0 });
  const text = draw("text", { class: "unit-value", x, y, dy: "0.35em", "text-anchor": "middle", text: isLit ? figures(value) : "" });
  const name = label ? [draw("text", { class: "unit-name", x: x - ROUND - 6, y, dy: "0.35em", "text-anchor": "end", text: label[0].length > 9 ? `${label[0].slice(0, 8)}…` : label[0] })] : [];
  return draw("g", {}, draw("circle", { class: "unit-paper", cx: x, cy: y, r: ROUND }), circle, text, ...name);
}

const sign = (value) => (value < 0 ? "below" : "above");

/** Return a number as it fits into a unit. */
function figures(value) {
  if (value === null) return "∞";
  const size = Math.abs(value);
  const text = size !== 0 && size < 0.005 ? value.toExponential(0).replace("e-", "e−") : Number(value.toPrecision(2)).toString();
  return written(text);
}
