/** What can be taken away: copied texts, and files. */

import { byId, draw, say, showTrouble } from "./elements.js";

const DONE = 1600; // milliseconds that a button says what it did
const SHARP = 2; // pixels of a saved picture for one on the page
const PRESENTATION = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin", "stroke-dasharray",
  "opacity", "font-family", "font-size", "font-style", "font-weight", "paint-order", "text-anchor",
];

/**
 * Connect what every page lets one take away: code, command and link, the picture, and a file of numbers.
 *
 * `told()` holds `python` and `command` once `event` is told; `frame` is the picture, saved as `name`; `csv()` gives the
 * file as a name and its text, or nothing; `settle()` makes the address say all, where it does not by itself.
 */
export function mountTaking(page, { event, told, frame, name, csv, settle = () => {} }) {
  const note = byId("take-note");
  page.on(event, () => {
    byId("python").textContent = told().python;
    byId("command").textContent = told().command ?? "The command line has no words for these choices; Python has.";
  });
  copies(byId("copy-python"), () => told()?.python);
  copies(byId("copy-command"), () => told()?.command);
  copies(byId("copy-link"), () => {
    settle();
    page.store.flush();
    return location.href;
  });
  saves(byId("export-svg"), note, async () => save(`${name}.svg`, svgBlob(frame)));
  saves(byId("export-png"), note, async () => save(`${name}.png`, await pngBlob(frame)));
  saves(byId("export-csv"), note, async () => {
    const file = await csv();
    if (file) save(file.name, new Blob([file.text], { type: "text/csv" }));
  });
}

/** Let a button copy a text, and say so. */
export function copies(button, text) {
  const name = button.textContent;
  button.addEventListener("click", async () => {
    const what = text();
    if (!what) return;
    const done = await copy(what);
    button.textContent = done ? "Copied" : "Could not copy";
    say(button.textContent, 0);
    setTimeout(() => (button.textContent = name), DONE);
  });
}

/** Let a button save something; what goes wrong is said in `note`. */
function saves(button, note, saving) {
  button.addEventListener("click", async () => {
    try {
      await saving();
      showTrouble(note, null);
    } catch (error) {
      showTrouble(note, error);
    }
  });
}

/** Copy a text; an address without encryption has no clipboard, so there the old way is gone. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}

/** Hand a file to the browser to be kept. */
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Return the picture as a file that needs no style sheet. */
function svgBlob({ svg, width, height }) {
  const copied = svg.cloneNode(true);
  const [from, to] = [svg, copied].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((element, place) => {
    const style = getComputedStyle(element);
    const target = to[place];
    for (const name of ["class", "tabindex", "role", "aria-roledescription", "style", "aria-hidden"]) target.removeAttribute(name);
    if (["title", "desc", "defs", "clipPath"].includes(element.tagName) || element.closest("defs")) return;
    if (style.display === "none" || style.visibility === "hidden") target.setAttribute("display", "none");
    for (const name of PRESENTATION) target.setAttribute(name, everywhereRead(style.getPropertyValue(name)));
  });
  const paper = getComputedStyle(document.body).backgroundColor;
  copied.insertBefore(draw("rect", { width, height, fill: paper }), copied.querySelector("defs"));
  copied.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copied.setAttribute("width", width);
  copied.setAttribute("height", height);
  return new Blob([new XMLSerializer().serializeToString(copied)], { type: "image/svg+xml" });
}

/** Return a value of a style so that other programs read it: mixed colours as plain ones. */
function everywhereRead(value) {
  if (!value.startsWith("color(")) return value;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d");
  pen.fillStyle = value;
  pen.fillRect(0, 0, 1, 1);
  return `rgb(${[...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)].join(", ")})`;
}

async function pngBlob(frame) {
  const address = URL.createObjectURL(svgBlob(frame));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(frame.width * SHARP);
    canvas.height = Math.round(frame.height * SHARP);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  } finally {
    URL.revokeObjectURL(address);
  }
}
