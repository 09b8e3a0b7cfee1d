// Cells to point at and cells to switch, by mouse, finger and keyboard.
import { button, h, moved } from "./dom.js";

/** A canvas whose cells can be pointed at; `owner` has `cell` and `point(cell, speak)`. */
export function cellCanvas(name, rows, cols, owner) {
  const canvas = h("canvas", {
    class: "fw-matrix",
    tabindex: "0",
    role: "application",
    "aria-label": `${name}: ${rows} rows, ${cols} columns. Arrow keys move from cell to cell.`,
  });
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (x, size, n) => Math.min(Math.max(Math.floor((x / size) * n), 0), n - 1);
    owner.point([
      at(event.clientY - box.top, box.height, rows),
      at(event.clientX - box.left, box.width, cols),
    ]);
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener(
    "pointerleave",
    () => document.activeElement !== canvas && owner.point(null),
  );
  canvas.addEventListener("focus", () => owner.point(owner.cell ?? [0, 0], true));
  canvas.addEventListener("blur", () => owner.point(null));
  canvas.addEventListener("keydown", (event) => {
    const cell = moved(event.key, owner.cell ?? [0, 0], rows, cols);
    if (!cell) return;
    event.preventDefault();
    owner.point(cell, true);
  });
  return canvas;
}

/** How many columns show n cells as a block: the divisor next above the root. */
export function blockColumns(n) {
  let cols = Math.ceil(Math.sqrt(n));
  while (n % cols) cols++;
  return cols;
}

const MARKS = { 1: "+", 0: "", "-1": "−" };
const SAID = { 1: "plus", 0: "zero", "-1": "minus" };
const NEXT = { 1: -1, 0: 1, "-1": 0 };

/** A block of cells that go from 0 to + to − at each press; one tab stop, then arrows. */
export function patternEditor(name, size, onchange) {
  const cols = blockColumns(size);
  let values = Array(size).fill(0);
  const press = (n) => {
    values = values.map((x, i) => (i === n ? NEXT[x] : x));
    show();
    onchange(values);
  };
  const cells = values.map((_, n) => button("", () => press(n), { class: "fw-cell" }));
  const focus = (n) => {
    cells.forEach((cell, i) => {
      cell.tabIndex = i === n ? 0 : -1;
    });
  };
  const show = () =>
    cells.forEach((cell, n) => {
      cell.textContent = MARKS[values[n]];
      cell.dataset.sign = values[n];
      cell.setAttribute("aria-label", `${name}, cell ${n + 1}: ${SAID[values[n]]}`);
    });
  const node = h(
    "div",
    {
      class: "fw-pattern",
      role: "toolbar",
      "aria-label": name,
      style: `--cols: ${cols}`,
    },
    ...cells,
  );
  node.addEventListener("keydown", (event) => {
    const n = cells.indexOf(event.target);
    const to = moved(event.key, [Math.floor(n / cols), n % cols], size / cols, cols);
    if (n < 0 || !to) return;
    event.preventDefault();
    cells[to[0] * cols + to[1]].focus();
  });
  cells.forEach((cell, n) => cell.addEventListener("focus", () => focus(n)));
  focus(0);
  return {
    node,
    set: (next) => {
      values = [...next];
      show();
    },
  };
}
