/**
 * Recorded replies in place of a lab, for a page in a file of its own. A request that was not recorded is refused, never answered
 * with something near it.
 */

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

import { LabError, carryBy } from "./api.js";
import { landIn } from "./recorded-land.js";
import { keyOf, readRecording } from "./recorded-parts.js";
import { tableOf } from "./recorded-table.js";

const MISSING = { kind: "NotRecordedError", message: "This was not recorded.", hint: "“downslope lab” computes it." };

/** Let the page's requests be answered from what it holds, which is returned. @returns {Recording} */
export function answerFromRecording() {
  /** @type {Recording} */
  const recording = readRecording();
  const answer = answerer(recording);
  carryBy(async (path, { body }) => {
    try {
      return new Response(JSON.stringify(answer(path, JSON.parse(String(body ?? "{}")))));
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      return new Response(JSON.stringify({ error: MISSING }), { status: 404 });
    }
  });
  return recording;
}

/**
 * Return the function from a request to its recorded reply, which throws LabError where there is none.
 *
 * @param {Recording} recording
 * @returns {(verb: string, request: Request) => any}
 */
export function answerer({ entries, ignored, lands }) {
  /** @param {string} verb @param {Request} request */
  const key = (verb, request) => keyOf(verb, Object.fromEntries(Object.entries(request).filter(([name]) => !ignored[verb]?.includes(name))));
  const replies = new Map(entries.map(([verb, request, reply]) => [key(verb, request), reply]));
  /** @param {string} verb @param {Request} request */
  const recorded = (verb, request) => {
    const reply = replies.get(key(verb, request));
    if (reply === undefined) throw new LabError(MISSING);
    return reply;
  };
  return (verb, request) => {
    if (verb === "grid" && lands.length) return landIn(lands, request, request.box);
    const reply = recorded(verb, request);
    if (verb === "descend" && request.grid) return { ...reply, grid: landIn(lands, request, request.box ?? reply.box) };
    return verb === "steps" && "derived" in reply ? tableOf(/** @type {Derived} */ (reply), recorded("descend", request)) : reply;
  };
}
