/** The requests that a chapter's figure makes on the chapter's own functions. */

/** @import { Ask, Lesson } from "./types.d.ts" */

/**
 * Return every request of a list of asks, in order: each `request` with all combinations of what `vary` lists. A name with a
 * dot, such as `start.x`, varies an entry of a field.
 *
 * @param {Ask[]} asks
 * @returns {[verb: string, request: Record<string, any>][]}
 */
export function requestsOf(asks) {
  return asks.flatMap(({ verb, request, vary = {} }) => {
    let requests = [request];
    for (const [path, values] of Object.entries(vary)) {
      requests = requests.flatMap((each) => values.map((value) => replaced(each, path.split("."), value)));
    }
    return requests.map((each) => /** @type {[string, Record<string, any>]} */ ([verb, each]));
  });
}

/**
 * @param {Record<string, any>} fields
 * @param {string[]} path
 * @param {unknown} value
 * @returns {Record<string, any>}
 */
function replaced(fields, [name, ...rest], value) {
  return { ...fields, [name]: rest.length ? replaced(fields[name] ?? {}, rest, value) : value };
}

/**
 * Return the positions that a slider of a figure steps through: the values of one name in the asks about a formula.
 *
 * @param {Lesson} lesson
 * @param {string} verb
 * @param {string} formula
 * @param {string} path such as "start.x" or "rate"
 * @returns {any[]}
 */
export function positionsOf(lesson, verb, formula, path) {
  return lesson.asks.find((ask) => ask.verb === verb && ask.request.formula === formula)?.vary?.[path] ?? [];
}
