/** How to fit: where the parameters begin, which are held, the loss, the method. */

import { ask } from "../api.js";
import { byId, make, showTrouble, showValid, typed, typedWhole, written } from "../elements.js";
import { mountField } from "../field.js";

/** Connect the controls. */
export function mountControls(page) {
  mountStart(page);
  const also = { step: null };
  mountField(page, "rate", { read: (text) => (text.trim() === "" ? null : typed(text) ?? undefined), also });
  mountField(page, "steps", { read: (text) => typedWhole(text, 1), also });
  byId("search").addEventListener("click", () => page.set({ start: null, hold: null, step: null }, { push: true }));
}

/** One line for each parameter: where it begins, and whether it stays there. */
function mountStart(page) {
  const place = byId("start-fields");
  let shown = "";

  const show = () => {
    if (!page.reading) return;
    const { parameters } = page.reading;
    if (parameters.join("\n") !== shown) {
      shown = parameters.join("\n");
      place.replaceChildren(...parameters.map((name) => lineFor(page, name)));
    }
    const { start, hold } = page.state;
    for (const line of place.children) {
      const { name } = line.dataset;
      const [field, box] = line.querySelectorAll("input");
      if (document.activeElement !== field) field.value = start?.[name] === undefined ? "" : written(start[name]);
      box.checked = hold?.includes(name) ?? false;
      box.disabled = start?.[name] === undefined && page.descent?.ends[name] === undefined;
    }
    const given = parameters.filter((name) => start?.[name] !== undefined).length;
    byId("search").disabled = given === 0;
    byId("start-lead").textContent = given === 0 ? "A start is searched for."
      : given < parameters.length && parameters.some((name) => start?.[name] !== undefined && !hold?.includes(name))
        ? "A start is used once every parameter has one; until then it is searched for." : "";
  };
  page.on("reading", show);
  page.on("descent", show);
  page.on("state", show);
  page.on("trouble", (verb, error) => verb === "fit" && showTrouble(byId("start-note"), error));
}

function lineFor(page, name) {
  const field = make("input", { type: "text", inputmode: "decimal", autocomplete: "off", placeholder: "searched", "aria-label": `Start of ${name}` });
  const box = make("input", { type: "checkbox", "aria-label": `Hold ${name}` });
  field.addEventListener("input", () => {
    const value = typed(field.value);
    const fine = value !== null || field.value.trim() === "";
    showValid(field, fine);
    if (!fine) return;
    const { [name]: _, ...others } = page.state.start ?? {};
    const start = value === null ? others : { ...page.state.start, [name]: value };
    const hold = value === null ? without(page.state.hold, name) : page.state.hold;
    page.set({ start: Object.keys(start).length ? start : null, hold, step: null }, { typing: true });
  });
  box.addEventListener("change", () => {
    const hold = box.checked ? [...(page.state.hold ?? []), name] : without(page.state.hold, name);
    const value = page.state.start?.[name] ?? page.descent.ends[name];
    page.set({ hold, start: { ...page.state.start, [name]: value }, step: null }, { push: true });
  });
  return make("div", { class: "parameter", "data-name": name },
    make("i", { text: name }), field, make("label", { class: "check" }, box, "hold"));
}

function without(names, name) {
  const left = (names ?? []).filter((other) => other !== name);
  return left.length ? left : null;
}

/** Fill the lists of losses and methods. */
export async function mountChoices(page) {
  const { losses, methods } = (await ask("fit_choices", {})) ?? { losses: [page.state.loss], methods: [{ name: page.state.method }] };
  fill(byId("loss-choice"), losses);
  fill(byId("method"), methods.map(({ name }) => name));
  const show = () => {
    const { loss, method } = page.state;
    byId("loss-choice").value = loss;
    byId("method").value = method;
    byId("descending").hidden = method === methods[0].name;
    byId("rate").disabled = !methods.find(({ name }) => name === method)?.takes_rate;
  };
  byId("loss-choice").addEventListener("change", (event) => page.set({ loss: event.target.value, step: null }, { push: true }));
  byId("method").addEventListener("change", (event) => page.set({ method: event.target.value, rate: null, step: null }, { push: true }));
  page.on("state", show);
  show();
}

function fill(select, names) {
  select.replaceChildren(...names.map((name) => make("option", { value: name, text: name })));
}
