/**
 * The page within a notebook: its requests go to the page around it, which hands them to the kernel, and replies come back.
 *
 * The page stands in a frame of its own, so that its styles and those of the notebook do not meet. It has no origin, and can
 * reach neither the notebook nor the network.
 */

/** @import { FromFrame, ToFrame } from "../types.d.ts" */

import { carryBy } from "../api.js";
import { make } from "../elements.js";

/** @typedef {{ resolve: (reply: Response) => void, reject: (error: unknown) => void, stream: ReadableStreamDefaultController | null }} Waiting */

/** The requests that wait for a reply, or for more of it, by their number. @type {Map<number, Waiting>} */
const waiting = new Map();
let count = 0;

/** @param {FromFrame} message */
function tell(message) {
  parent.postMessage(message, "*"); // the frame does not know where it is shown
}

carryBy(async (path, { body, signal, headers }) => {
  const text = body instanceof Blob ? await base64(body) : /** @type {string | null} */ (body ?? null);
  return new Promise((resolve, reject) => {
    const number = ++count;
    waiting.set(number, { resolve, reject, stream: null });
    signal?.addEventListener("abort", () => stop(number));
    tell({ kind: "ask", number, path, body: text, visitor: new Headers(headers).get("X-Visitor") ?? "" });
  });
});

/** End a request that nobody waits for any more. @param {number} number */
function stop(number) {
  const request = waiting.get(number);
  if (!request) return;
  const error = new DOMException("Nobody waits for this any more.", "AbortError");
  waiting.delete(number);
  tell({ kind: "stop", number });
  request.reject(error);
  request.stream?.error(error);
}

/** @param {Blob} file */
async function base64(file) {
  let letters = "";
  for (const byte of new Uint8Array(await file.arrayBuffer())) letters += String.fromCharCode(byte);
  return btoa(letters);
}

addEventListener("message", ({ source, data }) => {
  if (source !== parent) return;
  const message = /** @type {ToFrame} */ (data);
  if (message.kind === "reply") take(message);
  else if (message.kind === "theme") document.querySelector(`#theme [data-theme="${message.theme}"]`)?.dispatchEvent(new Event("click"));
});

/** Hand on a reply, or a piece of one that has more. @param {Extract<ToFrame, { kind: "reply" }>} message */
function take({ number, status, body, isPiece }) {
  const request = waiting.get(number);
  if (!request) return;
  if (!isPiece) waiting.delete(number);
  const event = new TextEncoder().encode(`data: ${body}\n\n`);
  if (request.stream) {
    request.stream.enqueue(event);
    if (!isPiece) request.stream.close();
  } else if (isPiece) {
    request.resolve(new Response(new ReadableStream({
      start: (stream) => {
        request.stream = stream;
        stream.enqueue(event);
      },
      cancel: () => stop(number),
    })));
  } else request.resolve(new Response(status === 204 ? null : body, { status }));
}

const more = make("button", { type: "button", class: "more", text: "Show all of it", "aria-expanded": "false" });
more.addEventListener("click", () => {
  const isWhole = document.body.classList.toggle("whole");
  more.textContent = isWhole ? "Show less" : "Show all of it";
  more.setAttribute("aria-expanded", String(isWhole));
});
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
if (main.querySelector(".below")) main.append(more);

// The frame is as high as the page, so that the notebook alone scrolls.
new ResizeObserver(() => tell({ kind: "height", height: Math.ceil(main.getBoundingClientRect().bottom) })).observe(main);
