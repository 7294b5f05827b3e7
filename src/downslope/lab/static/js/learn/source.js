/**
 * Where lessons, texts and replies come from: the lab, or a recording within the page.
 *
 * A page that was saved as a single file holds the lessons, the texts by language, and the reply to each request of the
 * lessons' `asks`.
 */

/** @import { Asking, Lesson, Recording, Texts } from "./types.d.ts" */

import { LabError, ask as askLab, fileOf, untilDone } from "../api.js";
import { keyOf, readRecording } from "../recorded-parts.js";

const KEPT = 400; // replies, so that going back and forth on a slider asks nothing anew

/** @type {Recording | null} */
export const recording = readRecording();

/** Return the lessons. @returns {Promise<{ chapters: Lesson[] }>} */
export async function loadLessons() {
  return recording ? recording.lessons : fetched("lessons.json");
}

/** Return the texts of a language. @param {string} language @returns {Promise<Texts>} */
export async function loadTexts(language) {
  return recording ? recording.texts[language] : fetched(`texts.${language}.json`);
}

/** Read a file of the course, again and again until the lab answers. @param {string} name @returns {Promise<any>} */
function fetched(name) {
  return untilDone(async () => {
    const response = await fileOf(`learn/${name}`).catch(() => null);
    if (!response?.ok) throw new LabError({ kind: "lost", message: "The lab does not answer." });
    return response.json();
  });
}

/** Ask for a reply: the recorded one, or the lab's. @type {Asking} */
export const ask = recording ? fromRecording(recording) : fromLab();

/** @param {Recording} recorded @returns {Asking} */
function fromRecording({ replies }) {
  const known = new Map(replies.map(([verb, request, reply]) => [keyOf(verb, request), reply]));
  /** @param {string} verb @param {Record<string, any>} request */
  const answer = async (verb, request) => {
    const key = keyOf(verb, request);
    if (!known.has(key)) throw new LabError({ kind: "unrecorded", message: `This was not recorded: ${key}` });
    return known.get(key);
  };
  return Object.assign(answer, { isLive: false });
}

/** @returns {Asking} */
function fromLab() {
  /** @type {Map<string, any>} */
  const kept = new Map();
  /** @param {string} verb @param {Record<string, any>} request */
  const answer = async (verb, request) => {
    const key = keyOf(verb, request);
    if (kept.has(key)) return kept.get(key);
    const reply = await askLab(verb, request);
    if (reply === undefined) return reply; // a newer request replaced it
    kept.set(key, reply);
    for (const oldest of [...kept.keys()].slice(0, -KEPT)) kept.delete(oldest);
    return reply;
  };
  return Object.assign(answer, { isLive: true });
}
