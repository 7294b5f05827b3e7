/** The examples: a menu of all of them, and a line that leads from one to the next. */

/** @import { Descent } from "./flow.js" */
/** @import { Example } from "../types.d.ts" */

import { listOf } from "../api.js";
import { byId, make, setMaths } from "../elements.js";
import { mountMenu } from "../menu.js";

/** Fill the menu of examples, and connect the line. @param {Descent} page */
export async function mountExamples(page) {
  const close = mountMenu(byId("examples", HTMLDetailsElement));
  const [back, forward] = ["lesson-back", "lesson-forward"].map((id) => byId(id, HTMLButtonElement));
  /** @type {{ examples: Example[] }} */
  const { examples } = (await listOf("examples")) ?? { examples: [] };
  /** @param {number} number from 1 */
  const choose = (number) => page.set(stateOf(examples[number - 1], number), { push: true, fit: true });
  byId("examples-list").replaceChildren(...examples.map((example, index) => {
    const button = make("button", { type: "button" },
      make("span", { class: "example-title", text: example.title }),
      setMaths(make("span", { class: "maths" }), example.formula, Object.keys(example.start)),
      make("span", { class: "small", text: example.what }));
    button.addEventListener("click", () => {
      close();
      choose(index + 1);
    });
    return make("li", {}, button);
  }));
  back.addEventListener("click", () => choose((page.state.example ?? 2) - 1));
  forward.addEventListener("click", () => choose((page.state.example ?? 0) + 1));
  page.on("state", () => show());
  show();

  /** Show the line while the formula is that of the example. */
  function show() {
    const { example: number, f } = page.state;
    const example = number ? examples[number - 1] : undefined;
    const isShown = example?.formula === f;
    byId("lesson").hidden = !isShown;
    [...byId("examples-list").querySelectorAll("button")].forEach((button, index) => {
      if (isShown && index + 1 === number) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
    if (!isShown || !number) return;
    byId("lesson-title").textContent = `${example.title}.`;
    byId("lesson-what").textContent = example.what;
    byId("lesson-count").textContent = `${number} of ${examples.length}`;
    back.disabled = number === 1;
    forward.disabled = number === examples.length;
  }
}

/**
 * Return the state of the page for an example.
 *
 * @param {Example} example
 * @param {number} number
 */
function stateOf({ formula, start, rate, method, steps, view }, number) {
  return { f: formula, at: start, rate, method, steps, over: null, step: 0, view, hint: null, race: null, scale: null, example: number };
}
