/** Light, dark, or as the system is; and the greeting of the first visit. */

import { byId } from "./elements.js";

const GREETED = "downslope.greeted";

/** Connect the choice of colours. */
export function mountTheme(page) {
  const buttons = [...byId("theme").querySelectorAll("button")];
  const show = () => {
    const { theme } = page.state;
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    for (const button of buttons) button.setAttribute("aria-pressed", String((button.dataset.theme || null) === theme));
  };
  for (const button of buttons) button.addEventListener("click", () => page.set({ theme: button.dataset.theme || null }));
  page.on("state", (changed) => changed.has("theme") && show());
  show();
}

/** Whether the page is dark now. */
export function isDark(page) {
  return page.state.theme ? page.state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Say what to do, once; a browser that keeps nothing is told each time. */
export function mountGreeting() {
  const greeting = byId("welcome");
  try {
    greeting.hidden = localStorage.getItem(GREETED) === "yes";
  } catch {
    greeting.hidden = false;
  }
  byId("welcome-close").addEventListener("click", () => {
    greeting.hidden = true;
    byId("formula").focus();
    try {
      localStorage.setItem(GREETED, "yes");
    } catch {
      // Without storage it greets again.
    }
  });
}
