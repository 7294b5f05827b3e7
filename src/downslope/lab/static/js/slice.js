/** With more than two names: the choice of the two that a picture shows. */

import { byId, make } from "./elements.js";

/**
 * Connect the two lists, and return the function that shows them anew.
 *
 * `names()` are all, `over()` those that are shown, and `choose(over)` shows others.
 *
 * @param {{ names: () => string[], over: () => string[], choose: (over: string[]) => void }} options
 * @returns {() => void}
 */
export function mountSlice({ names, over, choose }) {
  const selects = ["over-x", "over-y"].map((id) => byId(id, HTMLSelectElement));
  const show = () => {
    byId("slice").hidden = names().length < 3;
    selects.forEach((select, axis) => {
      select.replaceChildren(...names().map((name) => make("option", { value: name, text: name })));
      select.value = over()[axis] ?? "";
    });
  };
  selects.forEach((select, axis) => select.addEventListener("change", () => {
    const before = over();
    const chosen = selects.map((each) => each.value);
    if (chosen[0] === chosen[1]) chosen[1 - axis] = before[axis];
    choose(chosen);
    show();
  }));
  return show;
}
