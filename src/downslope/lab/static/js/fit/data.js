/** The table: what it is called, its first rows, and the equations that may suit two of its columns. */

import { byId, make, setMaths, showTrouble } from "../elements.js";
import { mountMenu } from "../menu.js";

/** Connect what shows the table. */
export function mountData(page) {
  const selects = { x: byId("column-x"), y: byId("column-y") };
  for (const [axis, select] of Object.entries(selects)) {
    select.addEventListener("change", () => {
      const other = axis === "x" ? "y" : "x";
      const swapped = select.value === selects[other].value ? { [other]: page.data[axis] } : {};
      page.set({ x: page.data.x, y: page.data.y, [axis]: select.value, ...swapped });
    });
  }
  const close = mountMenu(byId("shapes"));
  page.on("trouble", (verb, error) => verb === "columns" && showTrouble(byId("drop-note"), error));
  page.on("data", (data) => {
    byId("data-name").textContent = data.name;
    byId("data-rows").textContent = `${data.rows} rows, ${data.headings.length} columns`;
    showPreview(data);
    for (const [axis, select] of Object.entries(selects)) {
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

function showPreview({ headings, cells, rows }) {
  const table = byId("preview");
  table.tHead.replaceChildren(make("tr", {}, ...headings.map((text) => make("th", { scope: "col", text }))));
  const more = rows > cells.length ? [make("tr", {}, ...headings.map(() => make("td", { text: "…" })))] : [];
  table.tBodies[0].replaceChildren(...cells.map((row) => make("tr", {}, ...row.map((text) => make("td", { text })))), ...more);
}
