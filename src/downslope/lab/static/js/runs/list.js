/** The list of runs: which one is shown, and which stand beside each other. */

import { byId, make, showTrouble } from "../elements.js";

const MOST = 6; // runs beside each other, as the lab allows

/** Connect the list. */
export function mountList(page) {
  const place = byId("runs-list");
  page.on("list", () => show());
  page.on("state", () => mark());
  page.on("trouble", (verb, error) => verb === "runs" && showTrouble(byId("runs-note"), error));

  function show() {
    const { runs, folder } = page.list;
    byId("folder").textContent = `“${folder}”`;
    byId("none").hidden = runs.length > 0;
    byId("some").hidden = byId("run-section").hidden = runs.length === 0;
    const now = JSON.stringify(runs);
    if (place.dataset.shown !== now) {
      const focused = document.activeElement?.dataset?.key;
      place.replaceChildren(...runs.map((run) => entry(page, run)));
      place.dataset.shown = now;
      if (focused) [...place.querySelectorAll("[data-key]")].find(({ dataset }) => dataset.key === focused)?.focus();
    }
    mark();
  }

  function mark() {
    const { beside, chosen } = page;
    for (const line of place.children) {
      const { name } = line.dataset;
      const [button, box] = [line.querySelector("button"), line.querySelector("input")];
      if (name === chosen) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      box.checked = beside.includes(name);
      box.disabled = !box.checked && beside.length >= MOST;
    }
  }
}

function entry(page, { name, what, state, method, changed }) {
  const button = make("button", { type: "button", class: "run-choice", "data-key": `run ${name}` },
    make("span", { class: "run-name" }, make("b", { text: name }), make("span", { class: `run-state ${state.replace(" ", "-")}`, text: state })),
    make("span", { class: "small", text: what || "nothing to read" }), make("span", { class: "small", text: [method, changed].filter(Boolean).join(" · ") }));
  button.addEventListener("click", () => page.set({ run: name }, { push: true }));
  const box = make("input", { type: "checkbox", "aria-label": `Compare ${name}`, "data-key": `beside ${name}` });
  box.addEventListener("change", () => {
    const others = page.beside.filter((other) => other !== name);
    page.set({ beside: (box.checked ? [...others, name] : others).join("|") }, { push: true });
  });
  return make("li", { "data-name": name }, make("label", { class: "check", title: "Compare" }, box), button);
}
