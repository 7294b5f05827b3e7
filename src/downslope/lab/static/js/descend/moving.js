/** Starting somewhere else: dragging the ring, clicking on the ground, arrow keys. */

const STEP = 1 / 50; // of the box, for an arrow key
const STRIDE = 1 / 10; // with Shift

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1] };

/** Let the start be moved in a picture. */
export function letMove(page, view) {
  const { ring, frame } = view;
  let dragging = false;
  let grip = [0, 0];

  ring.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !view.scales) return;
    dragging = true;
    ring.setPointerCapture(event.pointerId);
    ring.focus({ preventScroll: true });
    const { e, f } = ring.transform.baseVal.consolidate().matrix;
    const [across, up] = d3.pointer(event, frame.svg);
    grip = [across - e, up - f];
    ring.classList.add("dragged");
    event.preventDefault();
  });
  ring.addEventListener("pointermove", (event) => {
    if (!dragging) return;
    const [across, up] = d3.pointer(event, frame.svg);
    moveTo(page, view, [across - grip[0], up - grip[1]]);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    ring.addEventListener(name, () => {
      dragging = false;
      ring.classList.remove("dragged");
    });
  }
  ring.addEventListener("keydown", (event) => byKey(page, view, event));
  view.land.addEventListener("click", (event) => moveTo(page, view, d3.pointer(event, frame.svg)));
  frame.area.addEventListener("click", (event) => moveTo(page, view, d3.pointer(event, frame.svg)));
}

function moveTo(page, view, [across, up]) {
  if (!view.scales) return;
  const { x, y } = view.scales;
  const [first, second] = view.over;
  const moved = { [first]: snapped(x.invert(across), x, view.box[first]) };
  if (second !== undefined) moved[second] = snapped(y.invert(up), y, view.box[second]);
  page.set({ at: { ...page.start, ...moved } });
}

function byKey(page, view, event) {
  const arrow = ARROWS[event.key];
  if (!arrow || event.ctrlKey || event.metaKey || event.altKey || !view.scales) return;
  const [axis, way] = arrow;
  const name = view.over[axis];
  if (name === undefined) return;
  event.preventDefault();
  const [low, high] = view.box[name];
  const by = way * (event.shiftKey ? STRIDE : STEP) * (high - low);
  page.set({ at: { ...page.start, [name]: snapped(page.start[name] + by, axis === 0 ? view.scales.x : view.scales.y) } });
}

/** Return a value within the box, rounded to what a pixel can tell. */
function snapped(value, scale, [low, high] = [-Infinity, Infinity]) {
  const [from, to] = scale.range();
  const pixel = Math.abs((scale.invert(to) - scale.invert(from)) / (to - from));
  const digits = Math.floor(Math.log10(pixel));
  const inside = Math.min(Math.max(value, low), high);
  return digits < 0 ? Number(inside.toFixed(Math.min(-digits, 20))) : Math.round(inside / 10 ** digits) * 10 ** digits;
}
