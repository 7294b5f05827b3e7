/** What happens in the layers: how much gradient reaches each, and what their units put out. */

import { byId, draw, written } from "./elements.js";
import { Frame, round } from "./frame.js";

const MARGIN = { top: 24, right: 14, bottom: 40, left: 54 };
const BAR = 0.62; // of a layer's room
const MANY = 8; // layers from which on they are named by number alone
const NAME = 46; // pixels that a name takes

/** Connect both charts; they show `page.moment`, on scales that suit all moments of `page.run`. */
export function mountLayers(page) {
  const gradients = new Frame(byId("gradients"), { margin: MARGIN, title: "Gradient by layer", resized: () => show() });
  const activations = new Frame(byId("activations"), { margin: MARGIN, title: "Activation by layer", resized: () => show() });
  const bars = gradients.layer("bars");
  const spans = activations.layer("spans");
  page.on("head", () => show());
  page.on("row", () => show());

  function show() {
    const layers = page.moment?.layers ?? page.run?.moments.find((moment) => moment.layers)?.layers;
    byId("layers-section").hidden = !page.run?.head.layers.length;
    if (!layers || !gradients.width || !activations.width) return;
    showGradients(layers.gradient_norm);
    showActivations(layers);
  }

  function showGradients(norms) {
    const every = page.run.moments.flatMap(({ layers }) => layers?.gradient_norm ?? []).filter((norm) => norm > 0);
    const [low, high] = every.length ? d3.extent(every) : [0.1, 1];
    const x = d3.scaleBand(d3.range(norms.length), gradients.along).padding(1 - BAR);
    const y = d3.scaleLog([Math.max(low, high * 1e-20) / 2, high * 1.5], gradients.up);
    const bottom = gradients.up[0];
    bars.replaceChildren(...norms.map((norm, place) => {
      const top = norm > 0 ? Math.min(bottom, y(Math.max(norm, y.domain()[0]))) : bottom;
      return norm > 0
        ? draw("rect", { class: "bar", x: round(x(place)), y: round(top), width: round(x.bandwidth()), height: round(bottom - top) })
        : draw("text", { class: "bar-none", x: round(x(place) + x.bandwidth() / 2), y: bottom - 6, "text-anchor": "middle", text: norm === 0 ? "0" : "–" });
    }));
    frameLayers(gradients, x, y, "‖gradient‖, log scale");
    gradients.desc.textContent = norms.map((norm, place) => `${page.run.head.layers[place]}: ${norm === null ? "not known" : norm.toPrecision(2)}`).join(", ");
  }

  function showActivations({ activation_mean: means, activation_deviation: deviations, dead_share: dead, saturated_share: saturated }) {
    const reach = ({ layers }) => (layers ? layers.activation_mean.flatMap((mean, place) => [mean - layers.activation_deviation[place], mean + layers.activation_deviation[place]]) : []);
    const [low, high] = d3.extent(page.run.moments.flatMap(reach).filter(Number.isFinite));
    const slack = 0.12 * (high - low || 1);
    const x = d3.scaleBand(d3.range(means.length), activations.along).padding(1 - BAR);
    const y = d3.scaleLinear([(low ?? 0) - slack, (high ?? 1) + 2 * slack], activations.up);
    spans.replaceChildren(
      draw("path", { class: "zero", d: `M${activations.along[0]},${round(y(0))}H${activations.along[1]}` }),
      ...means.map((mean, place) => {
        if (mean === null || deviations[place] === null) return draw("g", {});
        const middle = round(x(place) + x.bandwidth() / 2);
        const [from, to] = [y(mean + deviations[place]), y(mean - deviations[place])];
        const share = dead[place] > 0 ? `${Math.round(100 * dead[place])} % dead` : saturated[place] > 0.005 ? `${Math.round(100 * saturated[place])} % flat` : "";
        return draw("g", {},
          draw("rect", { class: "span", x: round(x(place)), y: round(from), width: round(x.bandwidth()), height: Math.max(1, round(to - from)) }),
          draw("line", { class: "span-mean", x1: round(x(place)), x2: round(x(place) + x.bandwidth()), y1: round(y(mean)), y2: round(y(mean)) }),
          draw("text", { class: "span-share", x: middle, y: round(Math.max(activations.up[1] + 12, from - 6)), "text-anchor": "middle", text: x.bandwidth() > NAME ? share : share.replace(/ (dead|flat)/, "") }));
      }));
    frameLayers(activations, x, y, "activation, mean ± deviation");
    activations.desc.textContent = means.map((mean, place) => `${page.run.head.layers[place]}: ${written(mean ?? "not known")} ± ${deviations[place] ?? "not known"}`).join(", ");
  }

  function frameLayers(frame, x, y, yName) {
    const { layers } = page.run.head;
    const isNarrow = layers.length > MANY || x.bandwidth() < NAME;
    frame.setAxes(x, y, { xName: "layer, from input to output", yName, xTexts: layers.map((name, place) => (isNarrow ? place + 1 : name)) });
  }
}
