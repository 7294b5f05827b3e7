/** A field that holds a part of the state. */

/** @import { Page } from "./page.js" */

import { byId, showValid, written } from "./elements.js";

/**
 * Connect the field of this name.
 *
 * `read(text)` gives the value of a text, or undefined where it makes no sense; `write(value)` is the text of a value;
 * `also` is what changes with it.
 *
 * @param {Page<any>} page
 * @param {string} name
 * @param {{ read: (text: string) => any, write?: (value: any) => string, also?: Record<string, unknown> }} options
 */
export function mountField(page, name, { read, write = (value) => (value === null ? "" : written(value)), also = {} }) {
  const field = byId(name, HTMLInputElement);
  const show = () => (field.value = write(page.state[name]));
  field.addEventListener("input", () => {
    const value = read(field.value);
    showValid(field, value !== undefined);
    if (value !== undefined) page.set({ [name]: value, ...also }, { typing: true });
  });
  field.addEventListener("blur", () => {
    showValid(field, true);
    show();
  });
  page.on("state", (changed) => changed.has(name) && document.activeElement !== field && show());
  show();
}
