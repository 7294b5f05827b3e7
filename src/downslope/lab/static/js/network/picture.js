/** What the network makes of the data: regions of a plane, a curve, or what it predicts against what is true. */

import { byId, draw } from "../elements.js";
import { Frame, dots, roomy, round, through } from "../frame.js";

const MARGIN = { top: 44, right: 12, bottom: 38, left: 56 };
const SHADE = [0.1, 0.5]; // of a class's colour, where it is guessed and where it is certain
const NEAR = 14; // pixels from a point within which a click selects it
const LANES = 8;
const ROOM = 0.06; // of the range of the numbers, around them

/** Put the picture on the page, and keep it in step. */
export function mountPicture(page) {
  const frame = new Frame(byId("picture"), { margin: MARGIN, title: "What the network makes of the data", resized: () => redraw() });
  const regions = frame.layer("regions");
  const points = frame.layer("points");
  const front = frame.layer("front");
  const key = draw("g", {});
  frame.above.append(key);
  let scales = null;

  page.on("head", () => redraw());
  page.on("row", () => show());
  page.on("state", (changed) => {
    if (changed.has("theme")) show();
    if (changed.has("example")) mark();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
  frame.svg.addEventListener("click", (event) => choose(d3.pointer(event, frame.svg)));

  function redraw() {
    const head = page.run?.head;
    if (!head || !frame.width) return;
    regions.replaceChildren();
    points.replaceChildren();
    front.replaceChildren();
    scales = null;
    byId("picture").dataset.kind = head.kind;
    if (head.kind === "plane" || head.kind === "line") redrawPlane(head);
    key.replaceChildren(keyOf(head, frame.along[1]));
    show();
  }

  function redrawPlane(head) {
    scales = head.kind === "plane"
      ? [d3.scaleLinear(head.box[0], frame.along), d3.scaleLinear(head.box[1], frame.up)]
      : [d3.scaleLinear(head.box[0], frame.along), d3.scaleLinear(roomy(head.y, ROOM), frame.up)];
    frame.setAxes(...scales, { xName: head.over[0], yName: head.over[1] ?? head.target, names: head.over });
    const places = head.x.map((x, row) => [scales[0](x), scales[1](head.y[row])]);
    const classes = head.kind === "plane" ? d3.range(head.classes.length) : [0];
    points.replaceChildren(...classes.flatMap((one) => {
      const mine = places.filter((_, row) => head.kind === "line" || head.class[row] === one);
      return [draw("path", { class: `data-dots lane-${one % LANES}`, d: dots(mine), "stroke-width": 7 })];
    }), draw("path", { class: "held-dots", d: dots(places.filter((_, row) => head.held[row])), "stroke-width": 3 }));
  }

  function show() {
    const { moment, run } = page;
    if (!moment || !frame.width) return;
    const { picture } = moment;
    if (picture.cells && scales) regions.replaceChildren(regionsOf(picture.cells, run.head, frame));
    else if (picture.curve && scales) {
      const line = picture.curve.x.map((x, place) => [scales[0](x), picture.curve.y[place] === null ? NaN : scales[1](picture.curve.y[place])]);
      front.replaceChildren(draw("path", { class: "curve", d: through(line) }));
    } else if (picture.predicted) showAgreement(picture);
    else if (picture.confusion) showConfusion(picture.confusion, run.head);
    frame.desc.textContent = describe(page);
    mark();
  }

  function showAgreement({ true: measured, predicted }) {
    const box = roomy([...measured, ...predicted], ROOM);
    scales = [d3.scaleLinear(box, frame.along), d3.scaleLinear(box, frame.up)];
    const { target } = page.run.head;
    frame.setAxes(...scales, { xName: `${target}, predicted`, yName: target, names: [target] });
    front.replaceChildren(draw("path", { class: "curve", d: through(box.map((end) => [scales[0](end), scales[1](end)])) }));
    const places = predicted.map((value, row) => [value === null ? NaN : scales[0](value), scales[1](measured[row])]);
    points.replaceChildren(draw("path", { class: "data-dots lane-0", d: dots(places), "stroke-width": 5 }),
      draw("path", { class: "held-dots", d: dots(places.filter((_, row) => page.run.head.held[row])), "stroke-width": 2.2 }));
  }

  function showConfusion(counts, { classes }) {
    const across = d3.scaleBand(d3.range(classes.length), frame.along).padding(0.04);
    const down = d3.scaleBand(d3.range(classes.length), [frame.up[1], frame.up[0]]).padding(0.04);
    const texts = classes.map(short);
    frame.setAxes(across, down, { xName: "taken for", yName: "true", xTexts: texts, yTexts: texts });
    front.replaceChildren(...counts.flatMap((row, truth) => row.map((count, taken) => {
      const cell = draw("rect", {
        class: `cell ${truth === taken ? "right" : "wrong"}`, x: across(taken), y: down(truth), width: across.bandwidth(), height: down.bandwidth(),
        "fill-opacity": count ? 0.15 + (0.6 * count) / d3.max(row) : 0,
      });
      const text = draw("text", { class: "count-text", x: across(taken) + across.bandwidth() / 2, y: down(truth) + down.bandwidth() / 2, dy: "0.35em", "text-anchor": "middle", text: count || "" });
      return draw("g", {}, cell, text);
    })));
  }

  function mark() {
    const head = page.run?.head;
    frame.above.querySelector(".chosen")?.remove();
    if (head?.kind !== "plane" || head.no_graph || !scales) return;
    const place = head.rows.indexOf(page.state.example);
    if (place < 0) return;
    frame.above.append(draw("circle", { class: "chosen", cx: round(scales[0](head.x[place])), cy: round(scales[1](head.y[place])), r: 8 }));
  }

  function choose([across, up]) {
    const head = page.run?.head;
    if (head?.kind !== "plane" || !scales) return;
    const away = head.x.map((x, row) => Math.hypot(scales[0](x) - across, scales[1](head.y[row]) - up));
    const nearest = d3.minIndex(away);
    if (away[nearest] < NEAR) page.set({ example: head.rows[nearest] });
  }

  return frame;
}

/** Return the regions of the classes as one image, in the colours of the theme. */
function regionsOf(cells, { classes }, frame) {
  const side = Math.round(Math.sqrt(cells.length));
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(side, side);
  const style = getComputedStyle(document.documentElement);
  const colours = d3.range(classes.length).map((place) => d3.rgb(style.getPropertyValue(`--lane-${place % LANES}`).trim()));
  const least = 1 / classes.length;
  cells.forEach((cell, place) => {
    const colour = colours[Math.floor(cell / 1000)];
    const sure = Math.max(0, ((cell % 1000) / 999 - least) / (1 - least));
    const [column, row] = [place % side, side - 1 - Math.floor(place / side)]; // an image begins above
    image.data.set([colour.r, colour.g, colour.b, 255 * (SHADE[0] + (SHADE[1] - SHADE[0]) * sure)], 4 * (row * side + column));
  });
  pen.putImageData(image, 0, 0);
  const [[left, right], [bottom, top]] = [frame.along, frame.up];
  return draw("image", { href: canvas.toDataURL(), x: left, y: top, width: right - left, height: bottom - top, preserveAspectRatio: "none" });
}

function keyOf({ kind, classes, held }, right) {
  const line = draw("text", { class: "key", x: right, y: 14, "text-anchor": "end" });
  if (kind === "confusion") {
    line.append(draw("tspan", { text: held.some(Boolean) ? "examples held back" : "examples" }));
    return line;
  }
  const names = kind === "plane" ? classes.slice(0, LANES) : ["data"];
  names.forEach((name, place) => line.append(draw("tspan", { class: `lane-mark lane-${place}`, dx: 12, text: "●" }), draw("tspan", { dx: 4, text: short(name) })));
  if (held.some(Boolean)) line.append(draw("tspan", { class: "held-mark", dx: 12, text: "◎" }), draw("tspan", { dx: 4, text: "held back" }));
  return line;
}

function describe({ moment, run }) {
  const told = Object.entries(moment.metrics).map(([name, value]) => `${name.replace(/_/g, " ")} ${value === null ? "not finite" : value.toPrecision(3)}`);
  return `${run.head.read_as}. After ${moment.step} steps: ${told.join(", ")}.`;
}

function short(name) {
  return name.length > 14 ? `${name.slice(0, 13)}…` : name;
}
