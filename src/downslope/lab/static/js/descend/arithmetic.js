/** The arithmetic of the selected step: how it leads to the next one. */

/** @import { Descent } from "./flow.js" */

import { byId, make, setMaths, written } from "../elements.js";

/** Connect it. @param {Descent} page */
export function mountArithmetic(page) {
  page.on("descent", () => show(page));
  page.on("row", () => show(page));
}

/** @param {Descent} page */
function show({ descent, steps, reading, row }) {
  if (!descent || !steps?.lines) return;
  const lines = steps.lines[row] ?? [];
  const step = descent.steps[row];
  const lead = byId("arithmetic-step");
  const list = byId("arithmetic-lines");
  list.style.setProperty("--lines", String(Math.max(1, steps.lines[0]?.length ?? 1)));
  lead.textContent = lines.length ? `Step ${step} → ${step + 1}` : `Step ${step}`;
  if (!lines.length) {
    list.replaceChildren(make("p", { class: "ends", text: written(descent.outcome) }));
    return;
  }
  list.replaceChildren(...lines.map((line) => setMaths(make("p"), line, reading?.variables ?? [])));
}
