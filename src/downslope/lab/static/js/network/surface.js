/** The output of the network over two features as a surface, beside the picture. */

/** @import { Learning } from "./flow.js" */
/** @import { Ground } from "../scene.js" */
/** @import { Heights, TrainingHead, TrainingPicture } from "../types.d.ts" */

import { byId } from "../elements.js";
import { mountBeside } from "../surface.js";

const STEPS = 1000; // of a probability
const LANES = 8;
const LEVELS = 9; // lines between the lowest and the highest number, or tenths of a probability

/** Connect the surface and its buttons. @param {Learning} page */
export function mountSurface(page) {
  const { surface, frame } = mountBeside(page, show);
  page.on("head", layOut);
  page.on("row", show);
  page.on("state", (changed) => {
    if (changed.has("surface")) layOut();
    if (changed.has("theme")) show();
  });
  layOut();

  function layOut() {
    const head = page.run?.head;
    // Until the head is there, as the address says: the frame then has its shape before its box is requested.
    const isPossible = head === undefined || (head.over.length === 2 && (head.kind === "plane" || head.kind === "agreement"));
    frame(isPossible, isPossible && Boolean(head));
  }

  function show() {
    const { moment, run } = page;
    if (byId("surface").hidden || !moment || !run) return;
    const ground = groundOf(moment.picture, run.head);
    surface.show(ground);
    if (!ground) return;
    const what = run.head.kind === "plane" ? `The probability of ${ground.name}` : `${run.head.target}, predicted,`;
    surface.canvas.setAttribute("aria-label", `${what} over ${run.head.over.join(" and ")} after ${moment.step} steps.`);
    surface.scatter(run.head.kind === "plane" ? pointsOf(run.head) : []);
  }
}

/** Return the examples as dots in the colours of their classes. @param {TrainingHead} head */
function pointsOf({ x, y, class: labels, classes }) {
  const colours = coloursOf(classes.length);
  return x.map((across, row) => ({ across, up: y[row], colour: colours[labels[row]] }));
}

/** Return the colours of classes. @param {number} count */
function coloursOf(count) {
  const style = getComputedStyle(document.documentElement);
  return d3.range(count).map((index) => style.getPropertyValue(`--lane-${index % LANES}`).trim());
}

/**
 * Return the ground of a moment. Of two classes its height is the probability of the second one, of more that of the likeliest.
 *
 * @param {TrainingPicture} picture
 * @param {TrainingHead} head
 * @returns {Ground | null}
 */
function groundOf(picture, { classes, over, box, target }) {
  const shared = { over, box, floor: [] };
  const style = getComputedStyle(document.documentElement);
  if (picture.heights) {
    const { heights } = picture;
    const [low, high] = ["--land-low", "--land-high"].map((name) => style.getPropertyValue(name).trim());
    const levels = d3.ticks(heights.low, heights.high, LEVELS);
    return { ...shared, name: target, heights, levels, colour: (/** @type {number} */ share) => d3.interpolateRgb(low, high)(share) };
  }
  if (!picture.cells) return null;
  const { cells } = picture;
  const side = Math.round(Math.sqrt(cells.length));
  const isPair = classes.length === 2;
  const values = cells.map((cell) => {
    const sure = Math.round(((cell % 1000) / 999) * STEPS);
    return isPair && cell < 1000 ? STEPS - sure : sure;
  });
  /** @type {Heights} */
  const heights = { low: 0, high: 1, steps: STEPS, side, values };
  const colours = coloursOf(classes.length);
  const paper = style.getPropertyValue("--card").trim();
  const pair = d3.interpolateRgbBasis([colours[0], paper, colours[1] ?? colours[0]]);
  const name = isPair ? `P(${classes[1]})` : "P";
  const rises = d3.range(1, 10).map((tenth) => tenth / 10);
  if (isPair) return { ...shared, name, heights, levels: rises, colour: (/** @type {number} */ share) => pair(0.12 + 0.76 * share) };
  /** @type {(share: number, height: number, kind: number) => string} */
  const colour = (share, _, kind) => d3.interpolateRgb(paper, colours[kind])(0.2 + 0.6 * share);
  return { ...shared, name, heights, levels: rises, colour, kinds: cells.map((cell) => Math.floor(cell / 1000)) };
}
