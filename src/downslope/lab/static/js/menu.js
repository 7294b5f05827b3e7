/** A menu that opens below its name. */

/**
 * Let a menu be left as people expect, and return the function that closes it.
 *
 * @param {HTMLDetailsElement} menu
 * @returns {() => void}
 */
export function mountMenu(menu) {
  const close = () => {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  };
  menu.addEventListener("keydown", (event) => event.key === "Escape" && menu.open && close());
  document.addEventListener("pointerdown", ({ target }) => (target instanceof Node && menu.contains(target)) || (menu.open = false));
  menu.addEventListener("focusout", ({ relatedTarget }) => relatedTarget instanceof Node && !menu.contains(relatedTarget) && (menu.open = false));
  return close;
}
