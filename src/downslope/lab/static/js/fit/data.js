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
      // Both as the lists show them: the reply to an earlier choice may still be on its way.
      page.set({ x: selects.x.value, y: selects.y.value, ...swapped });
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

/** Show the first rows of the first columns; the menus below name all columns. @param {Columns} columns */
function showPreview({ headings, cells, rows }) {
  const { head, body } = tableById("preview");
  const shown = headings.slice(0, cells[0]?.length ?? 0);
  const left = headings.length - shown.length;
  const names = left > 0 ? [...shown, `and ${left} more columns`] : shown;
  const ends = left > 0 ? ["…"] : [];
  head.replaceChildren(make("tr", {}, ...names.map((text) => make("th", { scope: "col", text }))));
  const more = rows > cells.length ? [names.map(() => "…")] : [];
  body.replaceChildren(...[...cells.map((row) => [...row, ...ends]), ...more].map((row) =>
    make("tr", {}, ...row.map((text) => make("td", { text })))));
}
