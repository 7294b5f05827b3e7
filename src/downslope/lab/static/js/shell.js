/** What every page has around it: the way to the others, its colours, the greeting of the first visit, and a lost lab. */

import { onLost } from "./api.js";
import { byId } from "./elements.js";

const AGAIN = 2000; // milliseconds between two tries to reach a lab that was lost

/** Connect all of it; `again` asks anew for what the page shows. */
export function mountShell(page, again) {
  mountTheme(page);
  mountGreeting(`downslope.greeted.${document.body.dataset.page}`);
  keepTrying(again);
}

/** Connect the choice of colours, which goes along to the other pages. */
function mountTheme(page) {
  const buttons = [...byId("theme").querySelectorAll("button")];
  const show = () => {
    const { theme } = page.state;
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    for (const link of byId("pages").querySelectorAll("a")) link.search = theme ? `?theme=${theme}` : "";
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
function mountGreeting(key) {
  const greeting = byId("welcome");
  try {
    greeting.hidden = localStorage.getItem(key) === "yes";
  } catch {
    greeting.hidden = false;
  }
  byId("welcome-close").addEventListener("click", () => {
    greeting.hidden = true;
    byId("main").focus();
    try {
      localStorage.setItem(key, "yes");
    } catch {
      // Without storage it greets again.
    }
  });
}

/** Tell when the lab is lost, and go on when it is there again. */
function keepTrying(again) {
  let trying = 0;
  onLost((lost) => {
    byId("lost").hidden = !lost;
    byId("lost").textContent = lost ? "The lab does not answer. Is “downslope lab” still running? This page goes on as soon as it is." : "";
    clearInterval(trying);
    if (lost) trying = setInterval(again, AGAIN);
  });
}
