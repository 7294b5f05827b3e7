/** How the slope is found, rule by rule; with hints, one step at each click. */

import { ask } from "../api.js";
import { byId, make, setMaths, showTrouble } from "../elements.js";

/** Connect the derivation; it is asked for once it comes into sight. */
export function mountDerivation(page) {
  const place = byId("derivation");
  const more = byId("hint-next");
  const mode = byId("hint-mode");
  let inSight = false;
  let found = null;

  new IntersectionObserver((entries) => {
    inSight = entries.at(-1).isIntersecting;
    if (inSight) look();
  }, { rootMargin: "300px" }).observe(place.parentElement);
  page.on("reading", () => inSight && look());
  page.on("state", (changed) => changed.has("hint") && show());
  mode.addEventListener("change", () => page.set({ hint: mode.checked ? 0 : null }));
  more.addEventListener("click", () => {
    page.set({ hint: (page.state.hint ?? 0) + 1 });
    if (more.hidden) mode.focus();
  });
  mode.checked = page.state.hint !== null;

  async function look() {
    const formula = page.state.f;
    if (!page.reading || found?.formula === formula) return;
    try {
      const told = await ask("derive", { formula });
      if (!told || formula !== page.state.f) return;
      found = { formula, ...told };
      showTrouble(byId("derivation-note"), null);
      show();
    } catch (error) {
      if (formula !== page.state.f) return;
      place.replaceChildren();
      showTrouble(byId("derivation-note"), error);
    }
  }

  function show() {
    const { hint } = page.state;
    mode.checked = hint !== null;
    if (!found || !page.reading) return;
    const { variables, name } = page.reading;
    const all = d3.sum(found.derivations, ({ steps }) => steps.length);
    let left = hint === null ? all : hint;
    more.hidden = hint === null || hint >= all;
    more.textContent = hint ? "Show the next step" : "Show the first step";
    place.replaceChildren(...found.derivations.flatMap((derivation) => {
      const before = left;
      left -= derivation.steps.length;
      return before < 0 || (before === 0 && hint !== null && derivation !== found.derivations[0])
        ? [] : [derivationOf(derivation, Math.max(0, before), name, variables)];
    }));
  }
}

/** Return one derivation, of which so many steps are revealed. */
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
