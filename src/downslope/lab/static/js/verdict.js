/** The verdict in words, and the numbers behind it. */

/** @import { Finding, Judged } from "./types.d.ts" */

import { byId, make, say, written } from "./elements.js";

/** @type {Record<string, string>} */
const MARKS = { good: "✓", note: "•", problem: "!" };

/** Show the findings, and how the run ended. @param {Judged} judged */
export function showVerdict({ verdict, outcome }) {
  const [first] = verdict.findings;
  const severity = first?.severity ?? (verdict.ok ? "good" : "problem");
  byId("verdict").dataset.severity = severity;
  byId("verdict").dataset.symptom = verdict.symptom ?? "";
  byId("verdict-mark").textContent = MARKS[severity] ?? MARKS.note;
  const sentence = written(verdict.sentence || outcome);
  byId("verdict-sentence").textContent = sentence;
  byId("evidence-list").replaceChildren(...verdict.findings.map(elementOf), make("p", { class: "small", text: written(outcome) }));
  say(sentence);
}

/**
 * @param {Finding} finding
 * @param {number} index
 */
function elementOf({ severity, sentence, evidence }, index) {
  const rows = evidence.map(([name, value]) => make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: written(value) })));
  const title = index === 0 ? [] : [make("p", { class: "finding", "data-severity": severity }, make("span", { class: "verdict-mark", "aria-hidden": "true", text: MARKS[severity] ?? MARKS.note }), make("span", { text: written(sentence) }))];
  return make("div", {}, ...title, make("table", { class: "evidence" }, make("tbody", {}, ...rows)));
}
