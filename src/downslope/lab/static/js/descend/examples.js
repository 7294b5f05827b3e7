/** The menu of examples. */

/** @import { Descent } from "./flow.js" */
/** @import { Example } from "../types.d.ts" */

import { ask, untilDone } from "../api.js";
import { byId, make, setMaths } from "../elements.js";
import { mountMenu } from "../menu.js";

/** Fill the menu of examples. @param {Descent} page */
export async function mountExamples(page) {
  const close = mountMenu(byId("examples", HTMLDetailsElement));
  /** @type {{ examples: Example[] }} */
  const { examples } = (await untilDone(() => ask("examples", {}))) ?? { examples: [] };
  byId("examples-list").replaceChildren(...examples.map((example) => {
    const button = make("button", { type: "button" },
      make("span", { class: "example-title", text: example.title }),
      setMaths(make("span", { class: "maths" }), example.formula, Object.keys(example.start)),
      make("span", { class: "small", text: example.what }));
    button.addEventListener("click", () => {
      close();
      page.set(stateOf(example), { push: true, fit: true });
    });
    return make("li", {}, button);
  }));
}

/** Return the state of the page for an example. @param {Example} example */
function stateOf({ formula, start, rate, method, steps, view }) {
  return { f: formula, at: start, rate, method, steps, over: null, step: 0, view, hint: null, race: null };
}
