/** The result: the parameters with their errors, and how good the fit is. */

/** @import { Fitting } from "./flow.js" */

import { byId, make, setMaths, tableById, written } from "../elements.js";

/** Connect both tables. @param {Fitting} page */
export function mountParameters(page) {
  const { head, body } = tableById("parameters");
  page.on("descent", () => {
    if (!page.descent) return;
    const { parameters, summary, notes, data } = page.descent;
    const { headings, cells } = parameters;
    head.replaceChildren(make("tr", {}, ...headings.map((text) => make("th", { scope: "col", text }))));
    body.replaceChildren(...cells.map(([name, ...others]) =>
      make("tr", {}, setMaths(make("th", { scope: "row" }), name, [name]), ...others.map((text) => make("td", { text: written(text) })))));
    byId("goodness").replaceChildren(...summary.map(([label, text]) =>
      make("tr", {}, make("th", { scope: "row", text: label }), make("td", { text: written(text) }))));
    const drawn = data.y.length < data.rows ? [`The picture draws ${data.y.length} of ${data.rows} rows; the fit uses all.`] : [];
    byId("fit-notes").replaceChildren(...[...notes, ...drawn].map((text) => make("p", { class: "small", text: written(text) })));
  });
}
