/** The derivation of the slope, rule by rule; with hints, a step at each click. */

/** @import { Descent } from "./flow.js" */
/** @import { Derivation, Trouble } from "../types.d.ts" */

import { ask } from "../api.js";
import { byId, make, setMaths, showTrouble } from "../elements.js";

/** Connect the derivation, which is requested once it comes into sight. @param {Descent} page */
export function mountDerivation(page) {
  const container = byId("derivation");
  const more = byId("hint-next");
  const mode = byId("hint-mode", HTMLInputElement);
  let inSight = false;
  /** @type {{ formula: string, derivations: Derivation[] } | null} */
  let current = null;

  new IntersectionObserver((entries) => {
    inSight = entries.at(-1)?.isIntersecting ?? false;
    if (inSight) look();
  }, { rootMargin: "300px" }).observe(container.parentElement ?? container);
  page.on("reading", () => inSight && look());
  page.on("state", (changed) => {
    if (changed.has("hint")) show();
    if (changed.has("f")) container.classList.toggle("stale", current?.formula !== page.state.f);
  });
  mode.addEventListener("change", () => page.set({ hint: mode.checked ? 0 : null }));
  more.addEventListener("click", () => {
    page.set({ hint: (page.state.hint ?? 0) + 1 });
    if (more.hidden) mode.focus();
  });
  mode.checked = page.state.hint !== null;

  async function look() {
    const formula = page.state.f;
    if (!page.reading || current?.formula === formula) return;
    try {
      const reply = await ask("derive", { formula });
      if (!reply || formula !== page.state.f) return;
      current = { formula, ...reply };
      container.classList.remove("stale");
      showTrouble(byId("derivation-note"), null);
      show();
    } catch (error) {
      if (formula !== page.state.f) return;
      container.replaceChildren();
      showTrouble(byId("derivation-note"), /** @type {Trouble} */ (error));
    }
  }

  function show() {
    const { hint } = page.state;
    mode.checked = hint !== null;
    if (!current || !page.reading) return;
    const { variables, name } = page.reading;
    const { derivations } = current;
    const all = d3.sum(derivations, ({ steps }) => steps.length);
    let left = hint === null ? all : hint;
    more.hidden = hint === null || hint >= all;
    more.textContent = hint ? "Show the next step" : "Show the first step";
    container.replaceChildren(...derivations.flatMap((derivation) => {
      const before = left;
      left -= derivation.steps.length;
      return before < 0 || (before === 0 && hint !== null && derivation !== derivations[0])
        ? [] : [derivationOf(derivation, Math.max(0, before), name, variables)];
    }));
  }
}

/**
 * Return a derivation, of which so many steps are revealed.
 *
 * @param {Derivation} derivation
 * @param {number} revealed
 * @param {string} name
 * @param {string[]} variables
 */
function derivationOf({ by, derivative, steps }, revealed, name, variables) {
  const names = [...variables, name, "d"];
  const several = variables.length > 1;
  const symbol = several ? `∂${name}/∂${by}` : `${name}′(${by})`;
  const whole = revealed >= steps.length;
  const result = setMaths(make("p", { class: "maths derivative" }), whole ? `${symbol} = ${derivative}` : `${symbol} = …`, names);
  const list = make("ol", { class: "rules" }, ...steps.slice(0, revealed).map((step) => make("li", {},
    make("span", { class: "rule", text: step.rule }),
    setMaths(make("span", { class: "maths" }), `${step.from} → ${step.to}`, names),
    make("span", { class: "small", text: step.text }),
    setMaths(make("span", { class: "small maths law" }), step.law, names))));
  return make("div", { class: "derivation-of" }, make("h3", { text: several ? `Along ${by}` : "Its derivative" }), list, result);
}
