/** The verdict in words, and the numbers behind it. */

import { byId, make, say } from "./elements.js";

const MARKS = { good: "✓", note: "•", problem: "!" };

/** Show what was found, and how it ended. */
export function showVerdict({ verdict, outcome }) {
  const [first] = verdict.findings;
  const severity = first?.severity ?? (verdict.ok ? "good" : "problem");
  byId("verdict").dataset.severity = severity;
  byId("verdict").dataset.symptom = verdict.symptom ?? "";
  byId("verdict-mark").textContent = MARKS[severity] ?? MARKS.note;
  byId("verdict-sentence").textContent = verdict.sentence || outcome;
  byId("evidence-list").replaceChildren(...verdict.findings.map(finding), make("p", { class: "small", text: outcome }));
  say(verdict.sentence || outcome);
}

function finding({ severity, sentence, evidence }, place) {
  const rows = evidence.map(([name, value]) => make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: value })));
  const title = place === 0 ? [] : [make("p", { class: "finding", "data-severity": severity }, make("span", { class: "verdict-mark", "aria-hidden": "true", text: MARKS[severity] ?? MARKS.note }), make("span", { text: sentence }))];
  return make("div", {}, ...title, make("table", { class: "evidence" }, make("tbody", {}, ...rows)));
}
