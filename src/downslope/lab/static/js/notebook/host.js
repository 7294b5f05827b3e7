/**
 * The lab in a notebook, as anywidget shows it: a frame with the page, and the messages between the page and the kernel.
 *
 * https://anywidget.dev describes `model` and `el`. Messages of the kernel reach each view of a widget, and name theirs.
 */

/** @import { FromFrame, FromKernel, NotebookModel, ToFrame } from "../types.d.ts" */

const LIGHTEST_DARK = 0.4; // luminance of a background below which white letters are read better
const WAITING = "Waiting for the kernel. Where it was restarted, run this cell again.";

/**
 * Show the lab in a cell; gives what clears up after it.
 *
 * @param {{ model: NotebookModel, el: HTMLElement }} cell
 */
function render({ model, el }) {
  const view = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const frame = document.createElement("iframe");
  frame.title = "downslope";
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.allow = "clipboard-write; fullscreen";
  frame.style.cssText = "display: block; width: 100%; height: 620px; border: 0; color-scheme: auto;";
  const waiting = document.createElement("p");
  waiting.textContent = WAITING;
  el.replaceChildren(waiting);
  let theme = themeOf(el);

  /** @param {FromKernel} message */
  function receive(message) {
    if (message.view !== view) return;
    if (message.kind === "page") {
      frame.srcdoc = message.page;
      el.replaceChildren(frame);
    } else {
      /** @type {ToFrame} */
      const reply = { kind: "reply", number: message.number, status: message.status, body: message.body, isPiece: message.is_piece };
      frame.contentWindow?.postMessage(reply, "*");
    }
  }

  /** @param {MessageEvent<FromFrame>} event */
  function hear({ source, data }) {
    if (!frame.contentWindow || source !== frame.contentWindow) return;
    if (data.kind !== "height") model.send({ ...data, view });
    else if (model.get("height") === null) frame.style.height = `${data.height}px`;
  }

  const fixed = model.get("height");
  if (fixed !== null) frame.style.height = `${fixed}px`;
  model.on("msg:custom", receive);
  addEventListener("message", hear);
  const watcher = new MutationObserver(() => {
    const now = themeOf(el);
    if (now === theme) return;
    theme = now;
    frame.contentWindow?.postMessage(/** @type {ToFrame} */ ({ kind: "theme", theme }), "*");
  });
  for (const element of [document.documentElement, document.body]) watcher.observe(element, { attributes: true });
  model.send({ kind: "page", view, theme });
  return () => {
    watcher.disconnect();
    removeEventListener("message", hear);
    model.off("msg:custom", receive);
    model.send({ kind: "gone", view });
  };
}

/**
 * Return whether the notebook is light or dark, by the background behind the cell: each notebook names its themes otherwise.
 *
 * @param {HTMLElement} el
 */
function themeOf(el) {
  /** @type {Element | null} */
  let element = el;
  while (element) {
    const [red, green, blue, alpha = 1] = (getComputedStyle(element).backgroundColor.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    if (alpha > 0) return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255 < LIGHTEST_DARK ? "dark" : "light";
    const root = element.getRootNode();
    element = element.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export default { render };
