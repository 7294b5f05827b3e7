/** A menu that opens below its name. */

/** Let a menu be left as people expect, and return the function that closes it. */
export function mountMenu(menu) {
  const close = () => {
    menu.open = false;
    menu.querySelector("summary").focus();
  };
  menu.addEventListener("keydown", (event) => event.key === "Escape" && menu.open && close());
  document.addEventListener("pointerdown", (event) => menu.contains(event.target) || (menu.open = false));
  menu.addEventListener("focusout", (event) => event.relatedTarget && !menu.contains(event.relatedTarget) && (menu.open = false));
  return close;
}
