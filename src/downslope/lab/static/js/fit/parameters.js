/** What was found: the parameters with their errors, and how good the fit is. */

import { byId, make, setMaths } from "../elements.js";

/** Connect both tables. */
export function mountParameters(page) {
  page.on("descent", ({ parameters, summary, notes, data }) => {
    const { headings, cells } = parameters;
    const table = byId("parameters");
    table.tHead.replaceChildren(make("tr", {}, ...headings.map((text) => make("th", { scope: "col", text }))));
    table.tBodies[0].replaceChildren(...cells.map(([name, ...others]) =>
      make("tr", {}, setMaths(make("th", { scope: "row" }), name, [name]), ...others.map((text) => make("td", { text })))));
    byId("goodness").replaceChildren(...summary.map(([label, text]) =>
      make("tr", {}, make("th", { scope: "row", text: label }), make("td", { text }))));
    const drawn = data.y.length < data.rows ? [`The picture draws ${data.y.length} of ${data.rows} rows; the fit uses all.`] : [];
    byId("fit-notes").replaceChildren(...[...notes, ...drawn].map((text) => make("p", { class: "small", text })));
  });
}
