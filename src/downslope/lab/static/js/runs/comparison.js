/** A comparison of runs: their curves in common charts, and the settings in which they differ. */

/** @import { Looking } from "./flow.js" */

import { byId, make, showTrouble, tableById, written } from "../elements.js";
import { copies } from "../exporting.js";
import { Charts } from "./chart.js";

/** Connect it. @param {Looking} page */
export function mountComparison(page) {
  const charts = new Charts(byId("beside-charts"));
  copies(byId("beside-python"), () => page.compared?.python);
  byId("beside-none").addEventListener("click", () => page.set({ beside: "" }, { push: true }));
  page.on("trouble", (verb, error) => verb === "compare" && showTrouble(byId("beside-note"), error));
  page.on("state", () => (byId("beside-section").hidden = page.ticked.length < 2));
  page.on("compared", (compared) => {
    byId("beside-section").hidden = page.ticked.length < 2;
    byId("beside").hidden = !compared;
    if (!compared) return;
    charts.show(compared.charts);
    const { head, body } = tableById("beside-table");
    const heads = ["what differs", ...compared.names];
    head.replaceChildren(make("tr", {}, ...heads.map((text, column) => make("th", { scope: "col" },
      ...(column ? [make("span", { class: `swatch lane-${column - 1}`, "aria-hidden": "true" })] : []), text))));
    body.replaceChildren(...compared.rows.map(([label, ...cells]) =>
      make("tr", {}, make("th", { scope: "row", text: label }), ...cells.map((text) => make("td", { text: written(text) })))));
    byId("beside-same").textContent = compared.same.length ? `The same in all: ${compared.same.map(([label, text]) => `${label} ${text}`).join(", ")}.` : "";
  });
}
