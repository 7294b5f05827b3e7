/** What every page has around it: links to the others, its colours, the greeting of the first visit, and a lost lab. */

/** @import { Page } from "./page.js" */

import { isThere, onLost } from "./api.js";
import { byId, setAgain, translated } from "./elements.js";

const GREETED = "downslope.greeted"; // the key in storage, of all pages
const GONE = ["lost", "locked"]; // errors that end when the lab answers again
const AGAIN = 2000; // milliseconds between two tries to reach a lab that was lost
const LOST = "The lab does not answer. Is “downslope lab” still running? This page goes on as soon as it is.";
const LOCKED = "The lab was restarted. Open the address that the command printed; this page then goes on by itself.";

/**
 * Connect what every page has around it; `again` requests anew what the page shows.
 *
 * @param {Page<any>} page
 * @param {() => unknown} again
 */
export function mountShell(page, again) {
  mountTheme(page);
  mountGreeting();
  keepTrying(page, again);
  setAgain(again);
  // What the page shows may belong to an earlier question: all of it, all but the picture, or nothing.
  page.on("stale", (what) => (byId("main").dataset.stale = what));
}

/** Connect the choice of colours, which goes along to the other pages. @param {Page<any>} page */
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

/** Whether the page is dark now. @param {Page<any>} page */
export function isDark(page) {
  return page.state.theme ? page.state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Greet a new visitor once, on the first page that has a greeting; without storage it comes each time. */
function mountGreeting() {
  if (!document.getElementById("welcome")) return;
  const greeting = byId("welcome");
  try {
    greeting.hidden = localStorage.getItem(GREETED) === "yes";
  } catch {
    greeting.hidden = false;
  }
  byId("welcome-close").addEventListener("click", () => {
    greeting.hidden = true;
    byId("main").focus();
    try {
      localStorage.setItem(GREETED, "yes");
    } catch {
      // Without storage it greets again.
    }
  });
}

/**
 * Say that the lab is lost, and go on when it answers again. Asked here and not by the pages, which may have nothing to ask.
 *
 * @param {Page<any>} page
 * @param {() => unknown} again
 */
function keepTrying(page, again) {
  let trying = 0;
  /** What could not be answered meanwhile. @type {Set<string>} */
  const unanswered = new Set();
  page.on("trouble", (verb, error) => error?.kind && GONE.includes(error.kind) && unanswered.add(verb));
  onLost((lost, isLocked) => {
    byId("lost").hidden = !lost;
    byId("lost").textContent = lost ? translated(isLocked ? LOCKED : LOST) : "";
    clearInterval(trying);
    if (lost) trying = setInterval(isThere, AGAIN);
    else goOn();
  });

  function goOn() {
    for (const verb of unanswered) page.emit("trouble", verb, null);
    unanswered.clear();
    again();
  }
}
