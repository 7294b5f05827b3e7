/** The layers: how much gradient reaches each, and what their units put out. */

/** @import { Page } from "./page.js" */
/** @import { BandScale, LayerStatistics, LayeredRun, Point, Range, Scale, Value } from "./types.d.ts" */

import { byId, draw, written } from "./elements.js";
import { Frame, extent, round, through } from "./frame.js";

const MARGIN = { top: 24, right: 14, bottom: 40, left: 54 };
const BAR = 0.62; // of a layer's room
const DOT = 4.5; // pixels, its radius
const MANY = 8; // layers from which on they are named by number alone
const NAME = 46; // pixels that a name takes

/**
 * Connect both charts; they show `page.moment`, on scales that suit all moments of `page.run`.
 *
 * @param {Page<any> & { run: LayeredRun | null, moment: LayeredRun["moments"][0] | undefined }} page
 */
export function mountLayers(page) {
  const gradients = new Frame(byId("gradients"), { margin: MARGIN, title: "Gradient by layer", resized: () => show() });
  const activations = new Frame(byId("activations"), { margin: MARGIN, title: "Activation by layer", resized: () => show() });
  const dots = gradients.layer("dots");
  const spans = activations.layer("spans");
  page.on("head", () => show());
  page.on("row", () => show());

  function show() {
    const layers = page.moment?.layers ?? page.run?.moments.find((moment) => moment.layers)?.layers;
    byId("layers-section").hidden = !layers; // no empty boxes before there are numbers
    if (!page.run || !layers || !gradients.width || !activations.width) return;
    showGradients(page.run, layers.gradient_norm);
    showActivations(page.run, layers);
  }

  /**
   * @param {LayeredRun} run
   * @param {Value[]} norms
   */
  function showGradients({ head, moments }, norms) {
    const x = d3.scaleBand(d3.range(norms.length), gradients.along).padding(1 - BAR);
    const y = d3.scaleLog(gradientRange(moments), gradients.up);
    // A bar would begin at the foot of the scale, which is not a number: 0 lies infinitely far below it.
    const points = norms.map((norm, index) => /** @type {Point} */ ([
      (x(index) ?? 0) + x.bandwidth() / 2, norm !== null && norm > 0 ? y(Math.max(norm, y.domain()[0])) : NaN,
    ]));
    const decades = y.ticks().filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9).map(y);
    dots.replaceChildren(
      draw("path", { class: "decade", d: decades.map((height) => `M${gradients.along[0]},${round(height)}H${gradients.along[1]}`).join("") }),
      draw("path", { class: "by-layer", d: pieces(points).map((piece) => through(piece)).join("") }),
      ...points.map(([middle, height], index) => (Number.isFinite(height)
        ? draw("circle", { class: "layer-dot", cx: round(middle), cy: round(height), r: DOT })
        : draw("text", { class: "dot-none", x: round(middle), y: gradients.up[0] - 6, "text-anchor": "middle", text: norms[index] === 0 ? "0" : "–" }))));
    frameLayers(gradients, head.layers, x, y, "‖gradient‖, log scale");
    gradients.desc.textContent = norms.map((norm, index) => `${head.layers[index]}: ${norm === null ? "not known" : written(norm.toPrecision(2))}`).join(", ");
  }

  /**
   * @param {LayeredRun} run
   * @param {LayerStatistics} statistics
   */
  function showActivations({ head, moments }, { activation_mean: means, activation_deviation: deviations, dead_share: dead, saturated_share: saturated }) {
    const x = d3.scaleBand(d3.range(means.length), activations.along).padding(1 - BAR);
    const y = d3.scaleLinear(activationRange(moments), activations.up);
    spans.replaceChildren(
      draw("path", { class: "zero", d: `M${activations.along[0]},${round(y(0))}H${activations.along[1]}` }),
      ...means.map((mean, index) => {
        const deviation = deviations[index];
        if (mean === null || deviation === null) return draw("g", {});
        const left = x(index) ?? 0;
        const middle = round(left + x.bandwidth() / 2);
        const [from, to] = [y(mean + deviation), y(mean - deviation)];
        const share = shareText(dead[index], saturated[index]);
        return draw("g", {},
          draw("rect", { class: "span", x: round(left), y: round(from), width: round(x.bandwidth()), height: Math.max(1, round(to - from)) }),
          draw("line", { class: "span-mean", x1: round(left), x2: round(left + x.bandwidth()), y1: round(y(mean)), y2: round(y(mean)) }),
          draw("text", { class: "span-share", x: middle, y: round(Math.max(activations.up[1] + 12, from - 6)), "text-anchor": "middle", text: x.bandwidth() > NAME ? share : share.replace(/ (dead|flat)/, "") }));
      }));
    frameLayers(activations, head.layers, x, y, "activation, mean ± deviation");
    activations.desc.textContent = means.map((mean, index) => `${head.layers[index]}: ${written(mean ?? "not known")} ± ${deviations[index] ?? "not known"}`).join(", ");
  }

  /**
   * @param {Frame} frame
   * @param {string[]} layers
   * @param {BandScale} x
   * @param {Scale} y
   * @param {string} yName
   */
  function frameLayers(frame, layers, x, y, yName) {
    const isNarrow = layers.length > MANY || x.bandwidth() < NAME;
    frame.setAxes(x, y, { xName: "layer, from input to output", yName, xTexts: layers.map((name, index) => (isNarrow ? index + 1 : name)) });
  }
}

/** Return the runs of points whose height is known. @param {Point[]} points */
export function pieces(points) {
  /** @type {Point[][]} */
  const runs = [[]];
  for (const point of points) {
    if (Number.isFinite(point[1])) runs[runs.length - 1].push(point);
    else runs.push([]);
  }
  return runs.filter((run) => run.length > 1);
}

/**
 * Return the range that shows the gradients of all moments, in whole decades; what vanishes beside the largest is cut off.
 *
 * @param {LayeredRun["moments"]} moments
 * @returns {Range}
 */
export function gradientRange(moments) {
  const norms = moments.flatMap(({ layers }) => layers?.gradient_norm ?? []).filter((norm) => norm !== null && norm > 0);
  const [low, high] = extent(/** @type {number[]} */ (norms)) ?? [0.1, 1];
  const decades = [Math.floor(Math.log10(Math.max(low, high * 1e-20) / 1.1)), Math.ceil(Math.log10(high * 1.1))];
  return /** @type {Range} */ (decades.map((exponent) => Number(`1e${exponent}`)));
}

/**
 * Return the range that shows mean ± deviation of all moments, with room above for the shares.
 *
 * @param {LayeredRun["moments"]} moments
 * @returns {Range}
 */
export function activationRange(moments) {
  const ends = moments.flatMap(({ layers }) => (layers?.activation_mean ?? []).flatMap((mean, index) => {
    const deviation = layers?.activation_deviation[index] ?? NaN;
    return [(mean ?? NaN) - deviation, (mean ?? NaN) + deviation];
  }));
  const [low, high] = extent(ends.filter(Number.isFinite)) ?? [0, 1];
  const slack = 0.12 * (high - low || 1);
  return [low - slack, high + 2 * slack];
}

/**
 * Return how many units are dead or saturated, as a text that is empty for none.
 *
 * @param {Value} dead
 * @param {Value} saturated
 */
export function shareText(dead, saturated) {
  if (dead !== null && dead > 0) return `${Math.round(100 * dead)} % dead`;
  return saturated !== null && saturated > 0.005 ? `${Math.round(100 * saturated)} % flat` : "";
}
