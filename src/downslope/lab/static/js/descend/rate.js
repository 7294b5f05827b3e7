/** The learning rate: a slider on a logarithmic scale, with the stable range and the best rate marked on it. */

/** @import { Descent } from "./flow.js" */
/** @import { Rates } from "../types.d.ts" */

import { byId, draw, setMaths, showTrouble, typed, written } from "../elements.js";
import { extent, round } from "../frame.js";

const EDGE = 18; // pixels from the left within which a number begins at its mark, so that it is not cut off
const NOTCHES = 400; // positions of the slider
const THUMB = 9; // pixels, half of the slider's knob, so that scale and slider agree
/** @type {[number, number]} */
const USUAL = [1e-4, 10]; // the range while none is known
const NAME = 24; // pixels, more than half of what the word at the best rate takes
const FIGURES = 3;

/** Connect the slider, the field and the scale. @param {Descent} page */
export function mountRate(page) {
  const slider = byId("rate-slider", HTMLInputElement);
  const field = byId("rate-field", HTMLInputElement);
  const drawing = byId("rate-scale", SVGSVGElement);
  let scale = d3.scaleLog(USUAL, [0, NOTCHES]);
  let { width, height } = drawing.getBoundingClientRect();

  /** The rate that is used: the chosen rate, or the method's own. */
  const current = () => page.state.rate ?? page.descent?.rate ?? null;

  slider.addEventListener("input", () => {
    const rate = Number(scale.invert(Number(slider.value)).toPrecision(FIGURES));
    page.set({ rate });
    show();
  });
  field.addEventListener("input", () => {
    const rate = typed(field.value);
    const fine = field.value.trim() === "" || (rate !== null && rate > 0);
    if (!fine) field.setAttribute("aria-invalid", "true");
    else {
      field.removeAttribute("aria-invalid");
      page.set({ rate });
      show();
    }
  });
  field.addEventListener("blur", () => show());

  /** @param {boolean} is */
  const setStale = (is) => {
    for (const part of [drawing, byId("rate-text")]) part.classList.toggle("stale", is);
  };
  page.on("state", (changed) => ["f", "method", "steps"].some((key) => changed.has(key)) && setStale(true));
  page.on("rates", () => {
    setStale(false);
    byId("rate-note").hidden = true;
    show();
  });
  page.on("descent", () => show());
  page.on("trouble", (verb, error) => {
    if (verb === "rates" && error) showTrouble(byId("rate-note"), error);
    if (verb === "descend") showTrouble(byId("rate-note"), error?.kind === "SettingError" ? error : null);
  });
  new ResizeObserver(([{ contentRect }]) => {
    ({ width, height } = contentRect);
    drawScale(drawing, { width, height }, page, scale, current());
  }).observe(drawing);

  function show() {
    const rate = current();
    const range = page.rates?.slider ?? USUAL;
    scale = d3.scaleLog(rate === null || rate <= 0 ? range : [Math.min(range[0], rate), Math.max(range[1], rate)], [0, NOTCHES]);
    const takesNone = page.rates !== null && !page.rates.slider && rate === null;
    byId("rate").classList.toggle("none", takesNone);
    slider.disabled = field.disabled = takesNone;
    if (rate !== null && rate > 0) {
      if (document.activeElement !== slider || Math.abs(Number(slider.value) - scale(rate)) > 1) slider.value = String(scale(rate));
      slider.setAttribute("aria-valuetext", `${written(rate)}, ${standing(page.rates, rate)}`);
    }
    if (document.activeElement !== field) field.value = rate === null ? "" : written(Number(rate.toPrecision(6)));
    field.classList.toggle("own", page.state.rate === null);
    setMaths(byId("rate-text"), page.rates?.text ?? "");
    drawScale(drawing, { width, height }, page, scale, rate);
  }
}

/**
 * @param {Rates | null} rates
 * @param {number} rate
 */
function standing(rates, rate) {
  if (!rates?.stable) return "";
  return rate > rates.stable[1] ? "beyond what is stable" : "stable";
}

/**
 * Draw the stable range, the best rate, and the value at the end by rate.
 *
 * @param {SVGSVGElement} svg
 * @param {{ width: number, height: number }} size of the drawing, in pixels
 * @param {Descent} page
 * @param {d3.ScaleLogarithmic<number, number>} scale
 * @param {number | null} rate
 */
function drawScale(svg, { width, height }, { rates }, scale, rate) {
  if (!width) return;
  svg.setAttribute("viewBox", `0 0 ${round(width)} ${round(height)}`);
  const x = d3.scaleLog(scale.domain(), [THUMB, width - THUMB]);
  const base = height - 15;
  /** @param {number} value */
  const inside = (value) => Math.min(Math.max(x(value), x.range()[0]), x.range()[1]);
  /** @type {SVGElement[]} */
  const parts = [];
  if (rates?.stable) {
    const [low, high] = rates.stable.map(inside);
    parts.push(draw("rect", { class: "stable", x: round(low), y: 0, width: round(Math.max(0, high - low)), height: base, rx: 2 }));
    if (x(rates.stable[1]) < x.range()[1] - 1) parts.push(draw("line", { class: "bound", x1: round(high), x2: round(high), y1: 0, y2: base }));
  }
  if (rates?.curve) parts.push(...curve(rates.curve, x, base));
  parts.push(...powers(x, base, height));
  if (rates?.best) {
    const at = round(inside(rates.best));
    const bound = rates.stable ? x(rates.stable[1]) : Infinity;
    const isTight = at > width - NAME || (bound > at - NAME && bound < at + NAME);
    parts.push(draw("path", { class: "best", d: `M${at},${base}l-4.5,-8h9Z` }), draw("line", { class: "best-line", x1: at, x2: at, y1: 12, y2: base - 8 }),
      draw("text", { class: "best-name", x: isTight ? Math.min(at, bound) - 3 : at, y: 10, "text-anchor": isTight ? "end" : at < NAME ? "start" : "middle", text: "best" }));
  }
  if (rate !== null && rate > 0) parts.push(draw("line", { class: "now", x1: round(x(rate)), x2: round(x(rate)), y1: 0, y2: base + 3 }));
  svg.replaceChildren(...parts);
}

/**
 * Return the curve of the value at the end by rate.
 *
 * @param {NonNullable<Rates["curve"]>} curve
 * @param {d3.ScaleLogarithmic<number, number>} x
 * @param {number} base
 */
function curve({ rates, values }, x, base) {
  const finite = values.filter((value) => value !== null);
  const ends = extent(finite);
  if (finite.length < 2 || !ends) return [];
  const [low, high] = ends;
  const y = low > 0 && high / low > 100 ? d3.scaleLog(ends, [base - 4, 14]) : d3.scaleSymlog(ends, [base - 4, 14]);
  const line = d3.line(x, (_, index) => y(values[index] ?? NaN)).defined((_, index) => values[index] !== null);
  return [draw("path", { class: "by-rate", d: line(rates) ?? "" })];
}

/**
 * Return marks at the powers of ten.
 *
 * @param {d3.ScaleLogarithmic<number, number>} x
 * @param {number} base
 * @param {number} height
 */
function powers(x, base, height) {
  return x.ticks(4).filter((value) => Math.abs(Math.log10(value) % 1) < 1e-6).flatMap((value) => [
    draw("line", { class: "power", x1: round(x(value)), x2: round(x(value)), y1: base, y2: base + 3 }),
    draw("text", { class: "power-name", x: round(x(value)), y: height - 1, "text-anchor": x(value) < EDGE ? "start" : "middle", text: written(value) }),
  ]);
}
