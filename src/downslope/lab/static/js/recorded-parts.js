/** Reading what a page in a file of its own holds, and the key by which a recorded reply is found. */

/**
 * Return what was recorded into this page, with the parts that it shares put where they belong; null in a page of the lab.
 *
 * @returns {any}
 */
export function readRecording() {
  const { shared, whole } = JSON.parse(document.getElementById("recording")?.textContent ?? `{"whole":null}`);
  /** @type {Map<number, any>} */
  const known = new Map();
  /** @param {number} index */
  const part = (index) => {
    if (!known.has(index)) known.set(index, restored(shared[index]));
    return known.get(index);
  };
  /** @param {any} value @returns {any} */
  const restored = (value) => {
    if (Array.isArray(value)) return value.map(restored);
    if (typeof value !== "object" || value === null) return value;
    if ("$" in value) return part(value.$);
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, restored(entry)]));
  };
  return restored(whole);
}

/** Return the key of a request, the same in whatever order its fields were written. @param {string} verb @param {unknown} request */
export function keyOf(verb, request) {
  return `${verb} ${canonical(request)}`;
}

/** Return data as text, the fields in order and without the empty ones. @param {unknown} value @returns {string} */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([name, entry]) => `${JSON.stringify(name)}:${canonical(entry)}`).join()}}`;
}
