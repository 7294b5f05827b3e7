/** A dial: a scale on an arc, a needle, and its value; where it is turned by hand, also a second needle. */

/** @import { Point, Range } from "../../types.d.ts" */

import { draw, make, setMaths } from "../../elements.js";
import { round } from "../../frame.js";
import { plain, setRich } from "../words.js";

const WIDTH = 264, HEIGHT = 180, CENTRE = /** @type {Point} */ ([132, 114]), RADIUS = 80;
const OUTSIDE = 21; // of the arc: where its numbers stand
const SWEEP = 125; // degrees to either side of the top
const NUDGE = 1e-9;

/**
 * Put a dial into a host.
 *
 * @param {HTMLElement} host
 * @param {{ turn?: (value: number) => void }} options called with the value under the pointer
 */
export function dialIn(host, { turn }) {
  const svg = draw("svg", { class: turn ? "gauge turned" : "gauge", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const name = make("p", { class: "dial-name" });
  const value = make("p", { class: "dial-value" });
  const box = make("div", { class: "dial-box" }, name, svg, value);
  host.append(box);
  const face = draw("g", {}), guess = draw("g", { class: "dial-guess" }), needle = draw("g", { class: "dial-needle" });
  svg.append(face, guess, needle, draw("circle", { class: "dial-hub", cx: CENTRE[0], cy: CENTRE[1], r: 6 }));
  let scale = d3.scaleLinear([0, 1], [-SWEEP, SWEEP]).clamp(true);

  if (turn) {
    let isDragged = false;
    /** @param {PointerEvent} event */
    const follow = (event) => {
      const [x, y] = d3.pointer(event, svg);
      const angle = (Math.atan2(x - CENTRE[0], CENTRE[1] - y) * 180) / Math.PI;
      turn(scale.invert(Math.min(Math.max(angle, -SWEEP), SWEEP)));
    };
    svg.addEventListener("pointerdown", (event) => {
      isDragged = true;
      svg.setPointerCapture(event.pointerId);
      follow(event);
      event.preventDefault();
    });
    svg.addEventListener("pointermove", (event) => isDragged && follow(event));
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) svg.addEventListener(end, () => (isDragged = false));
  }

  /**
   * Draw the face.
   *
   * @param {Range} range
   * @param {string} title
   * @param {string[]} names
   * @param {(value: number) => string} written
   */
  function open(range, title, names, written) {
    const [low, high] = range;
    scale = d3.scaleLinear(high - low > NUDGE ? [low, high] : [low - 1, high + 1], [-SWEEP, SWEEP]).clamp(true);
    setMaths(name, title, names);
    const fine = scale.ticks(20), coarse = new Set(scale.ticks(4));
    face.replaceChildren(
      draw("path", { class: "dial-arc", d: arc(-SWEEP, SWEEP, RADIUS) }),
      ...fine.flatMap((tick) => {
        const isCoarse = coarse.has(tick);
        const [from, to, at] = [RADIUS, RADIUS - (isCoarse ? 10 : 5), RADIUS + OUTSIDE].map((radius) => on(scale(tick), radius));
        const text = isCoarse ? [draw("text", { class: "dial-tick", x: at[0], y: at[1] + 5, "text-anchor": "middle", text: written(tick) })] : [];
        return [draw("line", { class: isCoarse ? "dial-mark coarse" : "dial-mark", x1: from[0], y1: from[1], x2: to[0], y2: to[1] }), ...text];
      }),
    );
  }

  /**
   * Turn the needle, and the second one where there is a guess.
   *
   * @param {number | null} now
   * @param {string} text with its mathematics between backticks
   * @param {string[]} names the names in it, set in italics
   * @param {number | null} guessed
   */
  function show(now, text, names, guessed = null) {
    needle.replaceChildren(...(now === null ? [] : [hand(scale(now), RADIUS - 8)]));
    guess.replaceChildren(...(guessed === null ? [] : [hand(scale(guessed), RADIUS + 4), draw("circle", { class: "dial-grip", cx: on(scale(guessed), RADIUS)[0], cy: on(scale(guessed), RADIUS)[1], r: 7 })]));
    setRich(value, text, names);
    svg.setAttribute("aria-label", plain(text));
  }

  return { open, show, box };
}

/** Return the point at an angle from the top. @param {number} angle @param {number} radius @returns {Point} */
function on(angle, radius) {
  const turned = (angle * Math.PI) / 180;
  return [round(CENTRE[0] + radius * Math.sin(turned)), round(CENTRE[1] - radius * Math.cos(turned))];
}

/** @param {number} from @param {number} to @param {number} radius */
function arc(from, to, radius) {
  return `M${on(from, radius).join()}A${radius},${radius} 0 1 1 ${on(to, radius).join()}`;
}

/** @param {number} angle @param {number} length */
function hand(angle, length) {
  const [x, y] = on(angle, length);
  return draw("line", { x1: CENTRE[0], y1: CENTRE[1], x2: x, y2: y });
}
