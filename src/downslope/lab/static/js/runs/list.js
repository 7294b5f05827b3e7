/** The list of runs: which one is shown, and which are compared. */

/** @import { Looking } from "./flow.js" */
/** @import { ListedRun } from "../types.d.ts" */

import { byId, make, showTrouble } from "../elements.js";

const MOST = 6; // runs that are compared, the lab's limit

/** Connect the list. @param {Looking} page */
export function mountList(page) {
  const container = byId("runs-list");
  page.on("list", () => show());
  page.on("state", () => mark());
  page.on("trouble", (verb, error) => verb === "runs" && showTrouble(byId("runs-note"), error));

  function show() {
    if (!page.list) return;
    const { runs, folder } = page.list;
    byId("folder").textContent = `“${folder}”`;
    byId("none").hidden = runs.length > 0;
    byId("some").hidden = byId("run-section").hidden = runs.length === 0;
    const now = JSON.stringify(runs);
    if (container.dataset.shown !== now) {
      const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.key;
      container.replaceChildren(...runs.map((run) => entry(page, run)));
      container.dataset.shown = now;
      if (focused) {
        const keyed = /** @type {NodeListOf<HTMLElement>} */ (container.querySelectorAll("[data-key]"));
        [...keyed].find(({ dataset }) => dataset.key === focused)?.focus();
      }
    }
    mark();
  }

  function mark() {
    const { ticked, chosen } = page;
    for (const line of container.querySelectorAll("li")) {
      const { name = "" } = line.dataset;
      const [button, box] = [line.querySelector("button"), line.querySelector("input")];
      if (!button || !box) continue;
      if (name === chosen) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      box.checked = ticked.includes(name);
      box.disabled = !box.checked && ticked.length >= MOST;
    }
  }
}

/**
 * @param {Looking} page
 * @param {ListedRun} run
 */
function entry(page, { name, what, state, method, changed }) {
  const button = make("button", { type: "button", class: "run-choice", "data-key": `run ${name}` },
    make("span", { class: "run-name" }, make("b", { text: name }), make("span", { class: `run-state ${state.replace(" ", "-")}`, text: state })),
    make("span", { class: "small", text: what || "nothing to read" }), make("span", { class: "small", text: [method, changed].filter(Boolean).join(" · ") }));
  button.addEventListener("click", () => page.set({ run: name }, { push: true }));
  const box = make("input", { type: "checkbox", "aria-label": `Compare ${name}`, "data-key": `beside ${name}` });
  box.addEventListener("change", () => {
    const others = page.ticked.filter((other) => other !== name);
    page.set({ beside: (box.checked ? [...others, name] : others).join("|") }, { push: true });
  });
  return make("li", { "data-name": name }, make("label", { class: "check", title: "Compare" }, box), button);
}
