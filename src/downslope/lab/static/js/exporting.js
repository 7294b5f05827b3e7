/** Copying texts, and saving pictures and numbers as files. */

/** @import { Page } from "./page.js" */
/** @import { TextFile, Written } from "./types.d.ts" */

import { byId, draw, say, showTrouble } from "./elements.js";

const DONE = 1600; // milliseconds that a button says what it did
const SHARP = 2; // pixels of a saved picture for one on the page
const PRESENTATION = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin", "stroke-dasharray",
  "opacity", "font-family", "font-size", "font-style", "font-weight", "paint-order", "text-anchor",
];

/** @typedef {{ svg: SVGSVGElement, width: number, height: number }} Picture */

/**
 * Connect the buttons that copy code, command and link, and those that save the picture and a file of numbers.
 *
 * `written()` holds `python` and `command` from `event` on; `frame` is the picture, saved as `name` as it is then; `csv()` gives the
 * file, or nothing; `settle()` completes the address where it lacks something.
 *
 * @param {Page<any>} page
 * @param {object} options
 * @param {"descent" | "end" | "shown"} options.event
 * @param {() => Written | null | undefined} options.written
 * @param {Picture | undefined} options.frame
 * @param {string} options.name
 * @param {() => Promise<TextFile | null | undefined> | TextFile | null | undefined} options.csv
 * @param {() => void} [options.settle]
 */
export function mountExports(page, options) {
  const { event, written, name, csv, settle = () => {} } = options;
  const note = byId("take-note");
  const drawn = () => {
    if (!options.frame) throw new Error("There is no picture yet.");
    return options.frame;
  };
  page.on(event, () => {
    const { python, command } = written() ?? {};
    byId("python").textContent = python ?? "";
    byId("command").textContent = command ?? "The command line has no words for these choices; Python has.";
  });
  copies(byId("copy-python"), () => written()?.python);
  copies(byId("copy-command"), () => written()?.command);
  copies(byId("copy-link"), () => {
    settle();
    page.store.flush();
    return location.href;
  });
  saves(byId("export-svg"), note, async () => save(`${name}.svg`, svgBlob(drawn())));
  saves(byId("export-png"), note, async () => save(`${name}.png`, await pngBlob(drawn())));
  saves(byId("export-csv"), note, async () => {
    const file = await csv();
    if (file) save(file.name, new Blob([file.text], { type: "text/csv" }));
  });
}

/**
 * Let a button copy a text, and confirm it.
 *
 * @param {HTMLElement} button
 * @param {() => string | null | undefined} text
 */
export function copies(button, text) {
  const name = button.textContent;
  button.addEventListener("click", async () => {
    const copied = text();
    if (!copied) return;
    const done = await copy(copied);
    button.textContent = done ? "Copied" : "Could not copy";
    say(button.textContent, 0);
    setTimeout(() => (button.textContent = name), DONE);
  });
}

/**
 * Let a button save a file; errors are shown in `note`.
 *
 * @param {HTMLElement} button
 * @param {HTMLElement} note
 * @param {() => Promise<void>} saving
 */
function saves(button, note, saving) {
  button.addEventListener("click", async () => {
    try {
      await saving();
      showTrouble(note, null);
    } catch (error) {
      showTrouble(note, error instanceof Error ? error : { message: String(error) });
    }
  });
}

/**
 * Copy a text. A page without encryption has no clipboard: there the selection of a hidden field is copied.
 *
 * @param {string} text
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}

/**
 * Let the browser save a file.
 *
 * @param {string} name
 * @param {Blob} blob
 */
export function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Return the picture as a file that needs no style sheet. @param {Picture} picture */
function svgBlob({ svg, width, height }) {
  const copied = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
  const [from, to] = [svg, copied].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((element, index) => {
    const style = getComputedStyle(element);
    const target = to[index];
    for (const name of ["class", "tabindex", "role", "aria-roledescription", "style", "aria-hidden"]) target.removeAttribute(name);
    if (["title", "desc", "defs", "clipPath"].includes(element.tagName) || element.closest("defs")) return;
    if (style.display === "none" || style.visibility === "hidden") target.setAttribute("display", "none");
    for (const name of PRESENTATION) target.setAttribute(name, portable(style.getPropertyValue(name)));
  });
  const paper = getComputedStyle(document.body).backgroundColor;
  copied.insertBefore(draw("rect", { width, height, fill: paper }), copied.querySelector("defs"));
  copied.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copied.setAttribute("width", String(width));
  copied.setAttribute("height", String(height));
  return new Blob([new XMLSerializer().serializeToString(copied)], { type: "image/svg+xml" });
}

/** Return a style's value as every program reads it: mixed colours as plain ones. @param {string} value */
function portable(value) {
  if (!value.startsWith("color(")) return value;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = context2d(canvas);
  pen.fillStyle = value;
  pen.fillRect(0, 0, 1, 1);
  return `rgb(${[...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)].join(", ")})`;
}

/** Return the pen of a canvas. @param {HTMLCanvasElement} canvas */
export function context2d(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * Return the picture as an image of pixels.
 *
 * @param {Picture} frame
 * @returns {Promise<Blob>}
 */
async function pngBlob(frame) {
  const address = URL.createObjectURL(svgBlob(frame));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(frame.width * SHARP);
    canvas.height = Math.round(frame.height * SHARP);
    context2d(canvas).drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The browser drew no image."))), "image/png");
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}
