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
const EDGE = 1e-3; // of a triangle beyond its edges, so that no pixel between two is left out

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
  const shades = d3.range(LIGHTS).map((step) => lightness(step, line));
  /** @type {Map<string, Rgb>} the colours of bands, of which there are few */
  const known = new Map();
  for (let tone = 0; tone < TONES; tone += 1) {
    const share = tone / (TONES - 1);
    const height = low + share * (high - low);
    bands[tone] = 1 + d3.bisectRight(rising, height);
    for (let kind = 0; kind < several; kind += 1) {
      const name = colour(share, height, kind);
      const base = known.get(name) ?? rgbOf(name);
      known.set(name, base);
      shades.forEach(({ other, part }, step) => {
        palette[(kind * TONES + tone) * LIGHTS + step] = pixelOf(base, other, part);
      });
    }
  }
  const kept = { pixels: new Uint32Array(0), zones: new Uint16Array(0), xs: new Float32Array(side * side), ys: new Float32Array(side * side) };
  return { side, shares, cut, lights, kinds: Uint8Array.from(values, (_, index) => kinds[index] ?? 0), palette, bands, line, kept };
}

/** Return the step of light at a corner. @param {Float32Array} shares @param {number} side @param {number} index */
function lightAt(shares, side, index) {
  const column = index % side;
  const row = (index - column) / side;
  const across = STEEP * slopeAt(shares, index, column, side, 1);
  const up = STEEP * slopeAt(shares, index, row, side, side);
  const toward = (LIGHT[2] - across * LIGHT[0] - up * LIGHT[1]) / Math.sqrt(1 + across * across + up * up);
  const more = (toward - LIGHT[2]) / Math.hypot(...LIGHT); // than on flat ground
  return Math.max(0, Math.min(LIGHTS - 1, ((more + 1) / 2) * (LIGHTS - 1)));
}

/**
 * Return the slope along one side of the mesh, from the neighbours of a corner; 0 beside what has no height.
 *
 * @param {Float32Array} shares
 * @param {number} index of the corner
 * @param {number} position of the corner along that side
 * @param {number} side
 * @param {number} stride from a corner to the next
 */
function slopeAt(shares, index, position, side, stride) {
  const [behind, ahead] = [position > 0 ? 1 : 0, position < side - 1 ? 1 : 0];
  const [from, to] = [shares[index - behind * stride], shares[index + ahead * stride]];
  return to < 0 || from < 0 ? 0 : ((to - from) / (ahead + behind)) * (side - 1);
}

/** Return the colour that a step of light mixes in, and its part. @param {number} step @param {Rgb} shadow @returns {{ other: Rgb, part: number }} */
function lightness(step, shadow) {
  const more = (2 * step) / (LIGHTS - 1) - 1;
  return more > 0 ? { other: [255, 255, 255], part: Math.min(GLOSS, more) } : { other: shadow, part: Math.min(SHADOW, -more * 0.6) };
}

/** @param {string} colour @returns {Rgb} */
function rgbOf(colour) {
  const { r, g, b } = d3.rgb(colour);
  return [r, g, b];
}

/** Return the mixture of two colours as an opaque pixel, red in its lowest byte. @param {Rgb} base @param {Rgb} other @param {number} part of the other */
function pixelOf([red, green, blue], other, part) {
  const r = Math.round(red + (other[0] - red) * part);
  const g = Math.round(green + (other[1] - green) * part);
  const b = Math.round(blue + (other[2] - blue) * part);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
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
    const left = ax + Math.min(0, bx, cx) - 0.01;
    const right = ax + Math.max(0, bx, cx) + 0.01;
    const top = Math.max(0, Math.ceil(ay + Math.min(0, by, cy) - 0.01));
    const bottom = Math.min(height - 1, Math.floor(ay + Math.max(0, by, cy) + 0.01));
    // A pixel lies at a + u (b − a) + v (c − a); along a row u and v grow by the same amount from pixel to pixel.
    const [uStep, vStep] = [cy / area, -by / area];
    const [tone, light, first] = [shares[a] * (TONES - 1), lights[a], kinds[a] * TONES];
    const [toneB, toneC] = [(shares[b] - shares[a]) * (TONES - 1), (shares[c] - shares[a]) * (TONES - 1)];
    const [lightB, lightC] = [lights[b] - light, lights[c] - light];
    const [toneStep, lightStep] = [uStep * toneB + vStep * toneC, uStep * lightB + vStep * lightC];
    const wStep = -uStep - vStep;
    for (let y = top; y <= bottom; y += 1) {
      const [u, v] = [(-ax * cy - (y - ay) * cx) / area, ((y - ay) * bx + ax * by) / area]; // at x = 0
      const w = 1 - u - v;
      const from = Math.max(0, left, begin(u, uStep), begin(v, vStep), begin(w, wStep));
      const to = Math.min(width - 1, right, -begin(u, -uStep), -begin(v, -vStep), -begin(w, -wStep));
      const [toneY, lightY] = [tone + u * toneB + v * toneC, light + u * lightB + v * lightC];
      for (let x = Math.ceil(from), last = Math.floor(to), at = y * width + x; x <= last; x += 1, at += 1) {
        const shade = Math.max(0, Math.min(TONES - 1, Math.round(toneY + x * toneStep)));
        pixels[at] = palette[(first + shade) * LIGHTS + Math.round(lightY + x * lightStep)];
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

/**
 * Return the place from which a value that grows along a row is above −EDGE; −∞ where it does not grow.
 *
 * @param {number} value at 0
 * @param {number} step from pixel to pixel
 */
function begin(value, step) {
  return step > 0 ? (-EDGE - value) / step : -Infinity;
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
