/** The table of steps. Only the rows in sight are in the document, so that sliding stays quick. */

/** @import { Page } from "./page.js" */

import { byId, make, setMaths, tableById, written } from "./elements.js";

const ROW = 28; // pixels, as in the style sheet
const MORE = 6; // rows above and below what is in sight

/** Connect the table. @param {Page<any>} page */
export function mountTable(page) {
  const box = byId("table-box");
  const { table, head, body } = tableById("table");
  let headings = "";
  let shown = "";
  // Kept, since to read them from the document between two changes of it lays the whole page out once more.
  let [height, above] = [box.clientHeight, box.scrollTop];

  page.on("steps", () => {
    shown = "";
    showHead();
    showRows();
  });
  page.on("row", () => reveal());
  box.addEventListener("scroll", () => {
    above = box.scrollTop;
    showRows();
  }, { passive: true });
  new ResizeObserver(() => {
    height = box.clientHeight;
    showRows();
  }).observe(box);
  body.addEventListener("click", (event) => {
    const row = event.target instanceof Element && event.target.closest("tr");
    if (row && row.dataset.row) choose(Number(row.dataset.row));
  });
  box.addEventListener("keydown", (event) => {
    if (!page.steps) return;
    const rows = page.steps.steps.length;
    const screen = Math.max(1, Math.floor(height / ROW) - 2);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: screen, PageUp: -screen, Home: -rows, End: rows }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    choose(Math.min(Math.max(page.row + by, 0), rows - 1));
  });

  /** @param {number} row */
  function choose(row) {
    page.set({ step: page.steps?.steps[row] });
  }

  function showHead() {
    if (!page.steps || !page.reading) return;
    const { headings: heads, cells } = page.steps;
    table.setAttribute("aria-rowcount", String(cells.length + 1));
    if (heads.join("\n") === headings) return;
    headings = heads.join("\n");
    const names = [...page.reading.variables, page.reading.name];
    head.replaceChildren(make("tr", {}, ...heads.map((text) => setMaths(make("th", { scope: "col" }), text, names))));
    table.style.setProperty("--columns", String(heads.length));
  }

  function showRows() {
    if (!page.steps) return;
    const { cells } = page.steps;
    const first = Math.min(cells.length, Math.max(0, Math.floor(above / ROW) - MORE));
    const last = Math.min(cells.length, Math.ceil((above + height) / ROW) + MORE);
    const now = `${first}-${last}-${page.row}`;
    if (now === shown) return;
    shown = now;
    body.replaceChildren(space(first), ...d3.range(first, last).map((row) => rowOf(cells[row], row)), space(cells.length - last));
  }

  /**
   * @param {string[]} cells
   * @param {number} row
   */
  function rowOf(cells, row) {
    const [step, ...others] = cells;
    const line = make("tr", { "data-row": row, "aria-rowindex": row + 2, "aria-current": row === page.row ? "step" : null },
      make("th", { scope: "row", text: step }), ...others.map((text) => make("td", { text: written(text) })));
    return line;
  }

  /** Keep the row that is selected in sight. */
  function reveal() {
    const top = page.row * ROW;
    const room = height - 2 * ROW;
    if (top < above) scroll(top);
    else if (top > above + room) scroll(top - room);
    showRows();
  }

  /** @param {number} top */
  function scroll(top) {
    box.scrollTop = top;
    above = box.scrollTop; // it ends where the rows do
  }
}

/** Return a row that keeps the room of the rows out of sight. @param {number} rows */
function space(rows) {
  const row = make("tr", { class: "space", "aria-hidden": "true" });
  row.style.height = `${rows * ROW}px`;
  return row;
}
