/** Reading what a page in a file of its own holds. */

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
