/** The arithmetic of the step that is selected: how it leads to the next one. */

import { byId, make, setMaths } from "../elements.js";

/** Connect it. */
export function mountArithmetic(page) {
  page.on("descent", () => show(page));
  page.on("row", () => show(page));
}

function show({ descent, steps, reading, row }) {
  if (!descent || !steps) return;
  const lines = steps.lines[row] ?? [];
  const step = descent.steps[row];
  const lead = byId("arithmetic-step");
  const place = byId("arithmetic-lines");
  place.style.setProperty("--lines", Math.max(1, steps.lines[0]?.length ?? 1));
  lead.textContent = lines.length ? `Step ${step} → ${step + 1}` : `Step ${step}`;
  if (!lines.length) {
    place.replaceChildren(make("p", { class: "ends", text: descent.outcome }));
    return;
  }
  place.replaceChildren(...lines.map((line) => setMaths(make("p"), line, reading?.variables ?? [])));
}
