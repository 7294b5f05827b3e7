/** The table: its name, its first rows, and equations that may suit two of its columns. */

/** @import { Fitting } from "./flow.js" */
/** @import { Columns } from "../types.d.ts" */

import { byId, make, setMaths, tableById } from "../elements.js";
import { mountMenu } from "../menu.js";
import { showTableTrouble, sizeOf } from "../upload.js";

/** Connect the parts that show the table. @param {Fitting} page */
export function mountData(page) {
  const selects = { x: byId("column-x", HTMLSelectElement), y: byId("column-y", HTMLSelectElement) };
  const axes = /** @type {const} */ (["x", "y"]);
  for (const axis of axes) {
    const select = selects[axis];
    select.addEventListener("change", () => {
      if (!page.data) return;
      const other = axis === "x" ? "y" : "x";
      const swapped = select.value === selects[other].value ? { [other]: page.data[axis] } : {};
      page.set({ x: page.data.x, y: page.data.y, [axis]: select.value, ...swapped });
    });
  }
  const close = mountMenu(byId("shapes", HTMLDetailsElement));
  page.on("trouble", (verb, error) => verb === "columns" && showTableTrouble(page.state, error));
  page.on("data", () => {
    const { data } = page;
    if (!data) return;
    byId("data-name").textContent = data.name;
    byId("data-rows").textContent = sizeOf(data);
    showPreview(data);
    for (const axis of axes) {
      const select = selects[axis];
      select.replaceChildren(...data.numbers.map((name) => make("option", { value: name, text: name })));
      select.value = data[axis];
    }
    byId("shapes-list").replaceChildren(...data.proposals.map(({ title, formula }) => {
      const button = make("button", { type: "button" },
        make("span", { class: "example-title", text: title }),
        setMaths(make("span", { class: "maths" }), formula, [data.x, data.y]));
      button.addEventListener("click", () => {
        close();
        page.set({ f: formula, start: null, hold: null, step: null, over: null }, { push: true });
      });
      return make("li", {}, button);
    }));
    byId("shapes-none").hidden = data.proposals.length > 0;
  });
}

/** @param {Columns} columns */
function showPreview({ headings, cells, rows }) {
  const { head, body } = tableById("preview");
  head.replaceChildren(make("tr", {}, ...headings.map((text) => make("th", { scope: "col", text }))));
  const more = rows > cells.length ? [make("tr", {}, ...headings.map(() => make("td", { text: "…" })))] : [];
  body.replaceChildren(...cells.map((row) => make("tr", {}, ...row.map((text) => make("td", { text })))), ...more);
}
