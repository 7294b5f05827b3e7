/**
 * The mesh of a surface: heights and light at its corners, and its image in one view.
 *
 * The image is filled triangle by triangle, from the far side to the near one, into an array of pixels: a canvas that strokes and fills
 * some thousands of small shapes takes a tenth of a second a picture, and a surface that turns has a thirtieth.
 */

/** @import { Ground, Scene } from "./scene.js" */
/** @import { Heights } from "./types.d.ts" */

const LIGHT = [-0.45, 0.55, 0.7]; // where the light comes from, which turns with the surface
const [SHADOW, GLOSS] = [0.5, 0.4]; // of the colour that goes into shadow, and into light, at most
const STEEP = 0.5; // how much the heights count for the light
const TONES = 1024; // heights that have a colour of their own
const LIGHTS = 32; // and shades of each
const LINE = 0.55; // of the colour of a line that covers its ground

/** @typedef {[red: number, green: number, blue: number]} Rgb */
/**
 * @typedef {object} Relief
 * @property {number} side
 * @property {Float32Array} shares the height of each corner as a share of all heights; negative where there is none
 * @property {Uint8Array} cut 1 where a corner is higher than what is shown
 * @property {Float32Array} lights of each corner, from 0 to LIGHTS − 1
 * @property {Uint8Array} kinds of each corner
 * @property {Uint32Array} palette the pixel of each kind, height and light
 * @property {Uint16Array} bands the band of each height, from 1
 * @property {Rgb} line the colour of the lines between two bands
 * @property {{ pixels: Uint32Array<ArrayBuffer>, zones: Uint16Array, xs: Float32Array, ys: Float32Array }} kept from one image to the next
 */

/**
 * Return the mesh of heights.
 *
 * @param {Pick<Ground, "heights" | "levels" | "colour" | "kinds">} ground
 * @param {string} dark the colour of shadow and of lines
 * @returns {Relief}
 */
export function relief({ heights, levels, colour, kinds = [] }, dark) {
  const { side, values, steps, low, high } = heights;
  const shares = Float32Array.from(values, (value) => (value < 0 ? -1 : Math.min(1, value / steps)));
  const cut = Uint8Array.from(values, (value) => Number(value > steps));
  const lights = Float32Array.from(values, (_, index) => lightAt(shares, side, index));
  const line = rgbOf(dark);
  const several = 1 + (d3.max(kinds) ?? 0);
  const palette = new Uint32Array(several * TONES * LIGHTS);
  const bands = new Uint16Array(TONES);
  const rising = levels.toSorted((lower, higher) => lower - higher);
  for (let tone = 0; tone < TONES; tone += 1) {
    const share = tone / (TONES - 1);
    const height = low + share * (high - low);
    bands[tone] = 1 + rising.filter((level) => level <= height).length;
    for (let kind = 0; kind < several; kind += 1) {
      const base = rgbOf(colour(share, height, kind));
      for (let step = 0; step < LIGHTS; step += 1) {
        const [lit, toward] = lightness(step);
        palette[(kind * TONES + tone) * LIGHTS + step] = pixel(mixed(base, toward ? [255, 255, 255] : line, lit));
      }
    }
  }
  const kept = { pixels: new Uint32Array(0), zones: new Uint16Array(0), xs: new Float32Array(side * side), ys: new Float32Array(side * side) };
  return { side, shares, cut, lights, kinds: Uint8Array.from(values, (_, index) => kinds[index] ?? 0), palette, bands, line, kept };
}

/** Return the step of light at a corner. @param {Float32Array} shares @param {number} side @param {number} index */
function lightAt(shares, side, index) {
  const [column, row] = [index % side, Math.floor(index / side)];
  /** @type {(ahead: number, behind: number, count: number) => number} */
  const slope = (ahead, behind, count) => {
    const [to, from] = [shares[ahead], shares[behind]];
    return to < 0 || from < 0 || !count ? 0 : ((to - from) / count) * (side - 1);
  };
  const [right, left] = [Math.min(side - 1, column + 1), Math.max(0, column - 1)];
  const [above, below] = [Math.min(side - 1, row + 1), Math.max(0, row - 1)];
  const normal = [-STEEP * slope(row * side + right, row * side + left, right - left), -STEEP * slope(above * side + column, below * side + column, above - below), 1];
  const lit = normal.reduce((sum, component, axis) => sum + component * LIGHT[axis], 0) / (Math.hypot(...normal) * Math.hypot(...LIGHT));
  const more = lit - LIGHT[2] / Math.hypot(...LIGHT); // than on flat ground
  return Math.max(0, Math.min(LIGHTS - 1, ((more + 1) / 2) * (LIGHTS - 1)));
}

/** Return how much of another colour a step of light brings, and whether that is white. @param {number} step @returns {[number, boolean]} */
function lightness(step) {
  const more = (2 * step) / (LIGHTS - 1) - 1;
  return more > 0 ? [Math.min(GLOSS, more), true] : [Math.min(SHADOW, -more * 0.6), false];
}

/** @param {string} colour @returns {Rgb} */
function rgbOf(colour) {
  const { r, g, b } = d3.rgb(colour);
  return [r, g, b];
}

/** @param {Rgb} base @param {Rgb} other @param {number} share of the other @returns {Rgb} */
function mixed(base, other, share) {
  return /** @type {Rgb} */ (base.map((part, index) => Math.round(part + (other[index] - part) * share)));
}

/** Return an opaque colour as a pixel, whose bytes lie from red on. @param {Rgb} colour */
function pixel([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * Return the image of a mesh in a view.
 *
 * @param {Relief} mesh
 * @param {Pick<Scene, "at" | "toEye">} scene
 * @param {{ width: number, height: number }} size in pixels of the image
 * @param {number} scale pixels of the image for one of the scene
 */
export function imageOf({ side, shares, cut, lights, kinds, palette, bands, line, kept }, scene, { width, height }, scale) {
  // The band of each pixel is 0 where there is none.
  if (kept.pixels.length !== width * height) Object.assign(kept, { pixels: new Uint32Array(width * height), zones: new Uint16Array(width * height) });
  const { pixels, zones, xs, ys } = kept;
  pixels.fill(0);
  zones.fill(0);
  for (let row = 0, index = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1, index += 1) {
      const [x, y] = scene.at(column / (side - 1), row / (side - 1), shares[index]);
      xs[index] = x * scale;
      ys[index] = y * scale;
    }
  }

  /** Fill a triangle. @param {number} a @param {number} b @param {number} c */
  const fill = (a, b, c) => {
    const [ax, ay] = [xs[a], ys[a]];
    const [bx, by] = [xs[b] - ax, ys[b] - ay];
    const [cx, cy] = [xs[c] - ax, ys[c] - ay];
    const area = bx * cy - by * cx;
    if (area === 0) return;
    const left = Math.max(0, Math.ceil(ax + Math.min(0, bx, cx) - 0.01));
    const right = Math.min(width - 1, Math.floor(ax + Math.max(0, bx, cx) + 0.01));
    const top = Math.max(0, Math.ceil(ay + Math.min(0, by, cy) - 0.01));
    const bottom = Math.min(height - 1, Math.floor(ay + Math.max(0, by, cy) + 0.01));
    const [tone, light, first] = [shares[a] * (TONES - 1), lights[a], kinds[a] * TONES];
    const [tones, toneC] = [(shares[b] - shares[a]) * (TONES - 1), (shares[c] - shares[a]) * (TONES - 1)];
    const [lightB, lightC] = [lights[b] - light, lights[c] - light];
    for (let y = top; y <= bottom; y += 1) {
      for (let x = left, at = y * width + left; x <= right; x += 1, at += 1) {
        const u = ((x - ax) * cy - (y - ay) * cx) / area;
        const v = ((y - ay) * bx - (x - ax) * by) / area;
        if (u < -1e-3 || v < -1e-3 || u + v > 1.001) continue;
        const shade = Math.max(0, Math.min(TONES - 1, Math.round(tone + u * tones + v * toneC)));
        pixels[at] = palette[(first + shade) * LIGHTS + Math.round(light + u * lightB + v * lightC)];
        zones[at] = bands[shade];
      }
    }
  };

  const [fromLeft, fromBelow] = scene.toEye.map((component) => component >= 0);
  for (let i = 0; i < side - 1; i += 1) {
    const row = fromBelow ? i : side - 2 - i;
    for (let j = 0; j < side - 1; j += 1) {
      const first = row * side + (fromLeft ? j : side - 2 - j);
      const [a, b, c, d] = [first, first + 1, first + side + 1, first + side];
      if (shares[a] < 0 || shares[b] < 0 || shares[c] < 0 || shares[d] < 0) continue;
      // What was cut off above is left open, so that one looks into a valley and not onto a lid.
      if (cut[a] && cut[b] && cut[c] && cut[d]) continue;
      fill(a, b, c);
      fill(a, c, d);
    }
  }
  drawLines(pixels, zones, width, line);
  return new ImageData(new Uint8ClampedArray(pixels.buffer), width, height);
}

/** Darken the pixels at which one band ends. @param {Uint32Array} pixels @param {Uint16Array} zones @param {number} width @param {Rgb} line */
function drawLines(pixels, zones, width, line) {
  for (let at = 0; at < pixels.length - width; at += 1) {
    const zone = zones[at];
    if (!zone) continue;
    const [right, below] = [zones[at + 1], zones[at + width]];
    if ((right === zone || !right) && (below === zone || !below)) continue;
    const value = pixels[at];
    const red = (value & 255) * (1 - LINE) + line[0] * LINE;
    const green = ((value >> 8) & 255) * (1 - LINE) + line[1] * LINE;
    const blue = ((value >> 16) & 255) * (1 - LINE) + line[2] * LINE;
    pixels[at] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
}

/**
 * Return the function from a point, in shares of the box, to the share of its height; between the corners of a cell it is bilinear.
 *
 * @param {Heights} heights
 * @returns {(across: number, up: number) => number}
 */
export function sloping({ side, values, steps }) {
  return (across, up) => {
    const [x, y] = [across, up].map((share) => Math.min(1, Math.max(0, share)) * (side - 1));
    const [column, row] = [Math.min(side - 2, Math.floor(x)), Math.min(side - 2, Math.floor(y))];
    const [right, above] = [x - column, y - row];
    const first = row * side + column;
    /** @param {number} index */
    const height = (index) => Math.min(1, Math.max(0, values[index]) / steps);
    const lower = height(first) * (1 - right) + height(first + 1) * right;
    const upper = height(first + side) * (1 - right) + height(first + side + 1) * right;
    return lower * (1 - above) + upper * above;
  };
}
