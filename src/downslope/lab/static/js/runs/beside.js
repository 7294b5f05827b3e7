/** Runs beside each other: their curves in one chart each, and what differs between them. */

import { byId, make, showTrouble } from "../elements.js";
import { copies } from "../taking.js";
import { Charts } from "./chart.js";

/** Connect it. */
export function mountBeside(page) {
  const charts = new Charts(byId("beside-charts"));
  copies(byId("beside-python"), () => page.compared?.python);
  byId("beside-none").addEventListener("click", () => page.set({ beside: "" }, { push: true }));
  page.on("trouble", (verb, error) => verb === "compare" && showTrouble(byId("beside-note"), error));
  page.on("state", () => (byId("beside-section").hidden = page.beside.length < 2));
  page.on("compared", (compared) => {
    byId("beside-section").hidden = page.beside.length < 2;
    byId("beside").hidden = !compared;
    if (!compared) return;
    charts.show(compared.charts);
    const table = byId("beside-table");
    const heads = ["what differs", ...compared.names];
    table.tHead.replaceChildren(make("tr", {}, ...heads.map((text, place) => make("th", { scope: "col" },
      ...(place ? [make("span", { class: `swatch lane-${place - 1}`, "aria-hidden": "true" })] : []), text))));
    table.tBodies[0].replaceChildren(...compared.rows.map(([label, ...cells]) =>
      make("tr", {}, make("th", { scope: "row", text: label }), ...cells.map((text) => make("td", { text })))));
    byId("beside-same").textContent = compared.same.length ? `The same in all: ${compared.same.map(([label, text]) => `${label} ${text}`).join(", ")}.` : "";
  });
}
