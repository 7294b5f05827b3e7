/**
 * A surface over two variables on a canvas, above its own contours, turned by dragging and by the arrow keys.
 *
 * Seen from far away, so that planes stay planes: the contours on the floor are the ones of the flat picture under one affine map.
 * The cells of the surface are painted from the far side to the near one.
 */

/** @import { Cuts } from "./cuts.js" */
/** @import { Dot, Ground, Line } from "./scene.js" */

import { drawCutsOnFloor, drawCutsOnSurface } from "./cuts.js";
import { byId } from "./elements.js";
import { context2d } from "./exporting.js";
import { relief } from "./mesh.js";
import { Scene, drawAxes, drawDots, drawFloor, drawMesh, drawOnFloor, drawOnSurface } from "./scene.js";

/** The view of a surface that was never turned: degrees around and above. @type {[around: number, above: number]} */
export const FIRST_VIEW = [-60, 30];
const TURN = 0.4; // degrees for a pixel
const REST = 140; // milliseconds after the last turn or a new ground, when it is painted finely
/** @type {Record<string, [around: number, above: number]>} */
const BY_KEY = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] };

/**
 * Connect the surface beside the picture of a page with its buttons and with the state: the view, or null where it is not shown.
 *
 * @param {{ state: { surface: number[] | null }, set: (changes: { surface: number[] | null }) => void }} page
 * @param {() => void} show shows what it is of, unless it is hidden; called when it comes into sight and when the colours change
 * @returns {{ surface: Surface, frame: (isPossible: boolean, isOffered?: boolean) => void }} the surface, and what lays out the
 *   stage with it or without it; where it is not offered, its button is hidden
 */
export function mountBeside(page, show) {
  const button = byId("surface-show");
  const surface = new Surface(byId("surface-view"), { turned: (turned) => page.set({ surface: turned }) });
  button.addEventListener("click", () => page.set({ surface: page.state.surface ? null : FIRST_VIEW }));
  for (const turning of byId("surface").querySelectorAll("button")) {
    const [around, above] = turning.dataset.turn?.split(",").map(Number) ?? [];
    turning.addEventListener("click", () => surface.turn(around, above));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  return { surface, frame };

  /** @param {boolean} isPossible @param {boolean} [isOffered] */
  function frame(isPossible, isOffered = isPossible) {
    const { surface: turned } = page.state;
    const isShown = isPossible && turned !== null;
    const wasHidden = byId("surface").hidden;
    byId("surface").hidden = !isShown;
    byId("views").classList.toggle("both", isShown);
    button.hidden = !isOffered;
    button.setAttribute("aria-pressed", String(isShown));
    if (turned && String(turned) !== String(surface.view)) surface.view = /** @type {[number, number]} */ (turned);
    if (wasHidden) show();
  }
}

/** A surface in a container. */
export class Surface {
  /** @type {Ground | null} */
  #ground = null;
  /** @type {ReturnType<typeof relief> | null} */
  #mesh = null;
  /** @type {Line | null} */
  #line = null;
  #row = 0;
  /** @type {Dot[]} */
  #dots = [];
  /** @type {Cuts | null} */
  #cuts = null;
  #view = FIRST_VIEW;
  #waiting = 0;
  #sheet = document.createElement("canvas");
  #isCoarse = false;
  #hasTurned = false;
  /** @type {number | undefined} */
  #resting;

  /**
   * @param {HTMLElement} container which is focused and dragged
   * @param {{ turned: (view: [number, number]) => void }} options what to do once it rests after a turn
   */
  constructor(container, { turned }) {
    this.container = container;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    container.append(this.canvas);
    this.turned = turned;
    new ResizeObserver(() => this.#soon()).observe(container);
    this.#connect();
  }

  /** Degrees around and above. */
  get view() {
    return this.#view;
  }

  set view(view) {
    this.#view = view;
    this.#soon();
  }

  /** Turn by degrees. @param {number} around @param {number} above */
  turn(around, above) {
    this.#look(this.#view[0] + around, this.#view[1] + above);
  }

  /** Show a ground; null for none. @param {Ground | null} ground */
  show(ground) {
    this.#ground = ground;
    this.#mesh = ground && relief(ground, getComputedStyle(this.container).getPropertyValue("--level").trim());
    this.#refineLater();
    this.#soon();
  }

  /** Show dots on the floor. @param {Dot[]} dots */
  scatter(dots) {
    this.#dots = dots;
    this.#soon();
  }

  /** Show the cuts through a point; null for none. @param {Cuts | null} cuts */
  cut(cuts) {
    this.#cuts = cuts;
    this.#soon();
  }

  /** Show a path on it, up to a row. @param {Line | null} line @param {number} row */
  follow(line, row) {
    this.#line = line;
    this.#row = row;
    this.#soon();
  }

  /** @param {number} around @param {number} above */
  #look(around, above) {
    const turned = Math.round(((((around + 180) % 360) + 360) % 360) - 180);
    this.#hasTurned = true;
    this.#refineLater();
    this.view = [turned, Math.round(Math.min(90, Math.max(0, above)))];
  }

  /** Paint coarsely from now on, and finely after a rest. */
  #refineLater() {
    this.#isCoarse = true;
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      this.#isCoarse = false;
      this.#soon();
      if (this.#hasTurned) this.turned(this.#view);
      this.#hasTurned = false;
    }, REST);
  }

  #connect() {
    const { container } = this;
    /** @type {{ at: [number, number], from: [number, number] } | null} */
    let dragged = null;
    container.addEventListener("keydown", (event) => {
      const by = BY_KEY[event.key];
      if (!by || event.target !== container) return;
      event.preventDefault();
      this.turn(...by);
    });
    container.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      container.setPointerCapture(event.pointerId);
      dragged = { at: [event.clientX, event.clientY], from: this.#view };
    });
    container.addEventListener("pointermove", (event) => {
      if (!dragged || !container.hasPointerCapture(event.pointerId)) return;
      const [right, down] = [event.clientX - dragged.at[0], event.clientY - dragged.at[1]];
      this.#look(dragged.from[0] - right * TURN, dragged.from[1] + down * TURN);
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) container.addEventListener(name, () => (dragged = null));
  }

  #soon() {
    if (this.#waiting) return;
    this.#waiting = requestAnimationFrame(() => {
      this.#waiting = 0;
      this.#draw();
    });
  }

  #draw() {
    const { width, height } = this.container.getBoundingClientRect();
    if (!width || !height) return;
    const sharp = Math.min(2, devicePixelRatio || 1);
    const { canvas } = this;
    const [wide, tall] = [Math.round(width * sharp), Math.round(height * sharp)];
    if (canvas.width !== wide || canvas.height !== tall) Object.assign(canvas, { width: wide, height: tall });
    const pen = context2d(canvas);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, wide, tall);
    if (!this.#ground || !this.#mesh) return;
    const style = getComputedStyle(this.container);
    /** @param {string} name */
    const ink = (name) => style.getPropertyValue(`--${name}`).trim();
    const scene = new Scene(this.#view, this.#ground.box, { width, height });
    const paint = { pen, scene, sharp, ink };
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.lineJoin = pen.lineCap = "round";
    pen.font = `12px ${style.fontFamily}`;
    drawFloor(paint, this.#ground);
    drawDots(paint, this.#dots, this.#ground);
    if (this.#line) drawOnFloor(paint, this.#line, this.#row, this.#ground);
    if (this.#cuts) drawCutsOnFloor(paint, this.#cuts, this.#ground);
    drawAxes(paint, this.#ground);
    drawMesh(paint, this.#mesh, this.#sheet, { width, height, fine: this.#isCoarse ? Math.min(1, sharp) : 2 * sharp > 3 ? sharp : 2 });
    if (this.#line) drawOnSurface(paint, this.#line, this.#row, this.#ground);
    if (this.#cuts) drawCutsOnSurface(paint, this.#cuts, this.#ground);
  }
}
