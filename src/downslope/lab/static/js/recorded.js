/**
 * Recorded replies in place of a lab's: the names of `api.js`, for a page in a file of its own. A request that was not recorded
 * is refused, never answered with something near it.
 */

/** @import { Trouble } from "./types.d.ts" */
/** @import { Land } from "./recorded-land.js" */
/** @import { Derived } from "./recorded-table.js" */
/** @typedef {import("./api.js").Request} Request */
/**
 * @typedef {object} Recording
 * @property {[verb: string, request: Request, reply: any][]} entries
 * @property {Record<string, string[]>} ignored fields of the requests of each verb that change nothing of its recorded reply
 * @property {Land[]} lands the objective around the paths, the smallest box first
 * @property {Record<string, any>} about what the page was recorded for
 */

import { landIn } from "./recorded-land.js";
import { readRecording } from "./recorded-parts.js";
import { tableOf } from "./recorded-table.js";

const MISSING = { kind: "NotRecordedError", message: "This was not recorded.", hint: "“downslope lab” computes it." };

/** Names this visit; a file needs none. */
export const VISITOR = "recorded";

/** A reply that the file does not hold. */
export class LabError extends Error {
  /** @param {Partial<Trouble>} trouble */
  constructor({ kind, message, hint }) {
    super(message ?? "");
    this.kind = kind;
    this.hint = hint ?? null;
    this.position = null;
    this.width = 1;
  }
}

/** What the file holds. @type {Recording} */
export const recording = readRecording();

/** @type {Map<string, any>} */
const replies = new Map(recording.entries.map(([verb, request, reply]) => [keyOf(verb, request), reply]));

/**
 * Return the recorded reply to a request. Throws LabError.
 *
 * @param {string} verb
 * @param {Request} request
 * @returns {Promise<any>}
 */
export async function ask(verb, request) {
  if (verb === "grid" && recording.lands.length) return landIn(recording.lands, request, request.box);
  const reply = recorded(verb, request);
  if (verb === "descend" && request.grid) return { ...reply, grid: landIn(recording.lands, request, request.box ?? reply.box) };
  return verb === "steps" && "derived" in reply ? tableOf(/** @type {Derived} */ (reply), recorded("descend", request)) : reply;
}

/**
 * @param {string} verb
 * @param {Request} request
 */
function recorded(verb, request) {
  const reply = replies.get(keyOf(verb, request));
  if (reply === undefined) throw new LabError(MISSING);
  return reply;
}

/** Files are not read without a lab. @returns {Promise<any>} */
export async function upload() {
  throw new LabError(MISSING);
}

/** A stream is not recorded. @returns {Promise<boolean>} */
export async function follow() {
  throw new LabError(MISSING);
}

/** A file does not get lost. */
export function onLost() {
  // Nothing to watch.
}

/** A file is there as long as its page. */
export async function isThere() {
  return true;
}

/**
 * Do what a page needs once; what was not recorded is never done.
 *
 * @template Result
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export function untilDone(work) {
  return work().catch((error) => (error instanceof LabError ? new Promise(() => {}) : Promise.reject(error)));
}

/**
 * Return the text by which a request is known: the fields in order, without those that are empty or change nothing.
 *
 * @param {string} verb
 * @param {Request} request
 */
export function keyOf(verb, request) {
  const ignored = recording.ignored[verb] ?? [];
  return `${verb} ${canonical(Object.fromEntries(Object.entries(request).filter(([name]) => !ignored.includes(name))))}`;
}

/** @param {unknown} value @returns {string} */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([name, entry]) => `${JSON.stringify(name)}:${canonical(entry)}`).join()}}`;
}
