// The pictures of the stepper: u, q, k over the columns, the four blocks, the output.
import { cellCanvas } from "./cells.js";
import { h, icon, say } from "./dom.js";
import { drawBars, drawCursor, drawMatrix, pen } from "./draw.js";
import { read } from "./memory_rules.js";
import { SIGNS } from "./srwm_clock.js";
import { BLOCKS, softmax } from "./srwm_rules.js";

const count = (n) => Array.from({ length: n }, (_, i) => String(i + 1));
const WHEN_READ = "Read before the step writes.";
const numbers = (values) => values.map((x) => say(x, 2)).join(", ");

/** The height of a row, so that all four blocks stand on one screen. */
const rowHeight = ({ W }) => Math.min(Math.max(Math.round(560 / W.length), 11), 28);

function tagged(sign, words, canvas) {
  const tag = h(
    "div",
    { class: "fw-tag" },
    h("p", { class: "fw-title" }, sign),
    h("p", { class: "fw-note" }, words),
  );
  return h("div", { class: "fw-rows" }, tag, canvas);
}

/** The input: one cell over each column of the matrix. */
export function inputView(clock) {
  const canvas = h("canvas", { role: "img" });
  const draw = (colours) => {
    const values = clock.frame.u ?? Array(clock.K).fill(0);
    const { ctx, width, height, ratio } = pen(canvas, () => 28);
    const box = { x: 0, y: 0, w: width, h: height };
    const scale = clock.reach("u") || 1;
    drawMatrix(ctx, colours, values, 1, clock.K, box, { scale, ratio });
    const said = clock.at ? numbers(values) : "none yet";
    canvas.setAttribute("aria-label", `Input u: ${said}`);
  };
  return { node: tagged("u", "the input; W u is read", canvas), draw };
}

/** Query or key: one bar over each column. */
export function barsView(clock, name, words) {
  const canvas = h("canvas", { role: "img" });
  const draw = (colours) => {
    const values = clock.frame[name] ?? Array(clock.K).fill(0);
    const scale = Math.max(clock.reach("q"), clock.reach("k"));
    const [names, height] = name === "k" ? [count(clock.K), 66] : [[], 50];
    drawBars(canvas, colours, values, { scale, names, rising: true, height });
    const said = clock.at ? numbers(values) : "none yet";
    canvas.setAttribute("aria-label", `${name}, ${words}: ${said}`);
  };
  return { node: tagged(name, words, canvas), draw };
}

/** Name, lock, learning rate and clock of a block. */
function tagView(clock, n) {
  const name = BLOCKS[n];
  const lock = h("span", { class: "fw-lock" }, icon("lock"), "frozen");
  const bar = h("i", {});
  const [rate, moved, scale] = [0, 1, 2].map(() => h("p", { class: "fw-note" }));
  const node = h(
    "div",
    { class: "fw-tag" },
    h("p", { class: "fw-title" }, `${SIGNS[name]} rows`, lock),
    rate,
    h("div", { class: "fw-meter", "aria-hidden": "true" }, bar),
    moved,
    scale,
  );
  const draw = () => {
    const [value, stays] = [clock.frame.rates?.[n], clock.frozen.includes(name)];
    lock.hidden = !stays;
    node.toggleAttribute("data-frozen", stays);
    bar.style.width = `${100 * (value ?? 0)}%`;
    const said = value === undefined ? "none yet" : say(value, 2);
    rate.textContent = `learning rate ${said}`;
    moved.textContent = `moved ${say(clock.moved(n)[clock.at], 2)}`;
    scale.textContent = `full colour ±${say(clock.scale(n), 2)}`;
  };
  return { node, draw };
}

/** What the step writes into each row of a block, before it meets the key. */
function sideView(clock, n, tall) {
  const canvas = h("canvas", { class: "fw-side", role: "img" });
  const draw = (colours) => {
    const rows = clock.frame.blocks[n].length;
    const values = clock.frame.sides?.[n] ?? Array(rows).fill(0);
    const { ctx, width, height, ratio } = pen(canvas, () => rows * tall);
    const box = { x: 0, y: 0, w: width, h: height };
    const scale = clock.sideScale(n) || 1;
    drawMatrix(ctx, colours, values, rows, 1, box, { scale, ratio, figures: false });
    const sign = SIGNS[BLOCKS[n]];
    const said = values.some(Boolean) ? numbers(values) : "nothing";
    canvas.setAttribute("aria-label", `Written into the ${sign} rows: ${said}`);
  };
  return { node: canvas, draw };
}

/** One block of rows, to look at and to point into. */
export function blockView(clock, n) {
  const rows = clock.frame.blocks[n].length;
  const tall = rowHeight(clock);
  const owner = {
    cell: null,
    point(cell, speak = false) {
      owner.cell = cell;
      clock.cell = cell && [n, cell];
      clock.changed();
      if (speak) clock.spoken.speak(clock.cellText());
    },
  };
  const matrix = cellCanvas(`${SIGNS[BLOCKS[n]]} rows`, rows, clock.K, owner);
  const [tag, side] = [tagView(clock, n), sideView(clock, n, tall)];
  const node = h("div", { class: "fw-rows" }, tag.node, matrix, side.node);
  const draw = (colours) => {
    const { ctx, width, height, ratio } = pen(matrix, () => rows * tall);
    const box = { x: 0, y: 0, w: width, h: height };
    const values = clock.rows(clock.frames, n, clock.at).flat();
    const options = { scale: clock.scale(n) || 1, ratio };
    const tileAt = drawMatrix(ctx, colours, values, rows, clock.K, box, options);
    if (owner.cell)
      drawCursor(ctx, colours, tileAt(...owner.cell), document.activeElement === matrix);
    tag.draw();
    side.draw(colours);
  };
  return { node, draw };
}

/** The output; ticks show what it would be with nothing frozen. */
export function outputView(clock) {
  const canvas = h("canvas", { role: "img" });
  const note = h("p", { class: "fw-note" });
  const title = h("p", { class: "fw-title" }, "Output y");
  const draw = (colours) => {
    const y = clock.frame.y ?? clock.W.slice(0, -2 * clock.K - 4).map(() => 0);
    const wanted = clock.frozen.length ? clock.free[clock.at].y : null;
    const scale = clock.reach("y") || 1;
    drawBars(canvas, colours, y, { wanted, scale, names: count(y.length), label: "y" });
    const said = clock.at ? numbers(y) : "none yet";
    canvas.setAttribute("aria-label", `Output y: ${said}`);
    const free = `Ticks: with nothing frozen, ${say(clock.at ? clock.off : 0, 2)} away.`;
    note.textContent = wanted ? free : y.length > 6 ? `y = ${said}` : WHEN_READ;
  };
  return { node: h("div", { class: "fw-figure" }, title, canvas, note), draw };
}

/** What a read-out says about y: the probability of each answer. */
export function answerView(clock) {
  const [matrix, names] = [clock.model.get("read_out"), clock.model.get("names")];
  const canvas = h("canvas", { role: "img" });
  const note = h("p", { class: "fw-note" });
  const title = h("p", { class: "fw-title" }, "Answer: softmax of the read-out of y");
  const chances = ({ y }) => y && softmax(read(matrix, y));
  const likeliest = (p) => {
    const best = p.indexOf(Math.max(...p));
    return `${names[best]} (${say(p[best], 2)})`;
  };
  const draw = (colours) => {
    const found = chances(clock.frame);
    const wanted = clock.frozen.length ? chances(clock.free[clock.at]) : null;
    const values = found ?? names.map(() => 0);
    drawBars(canvas, colours, values, { wanted, scale: 1, names, rising: true });
    const free = wanted ? `; with nothing frozen ${likeliest(wanted)}` : "";
    note.textContent = found ? `Likeliest: ${likeliest(found)}${free}.` : "None yet.";
    canvas.setAttribute("aria-label", `Answer. ${note.textContent}`);
  };
  return { node: h("div", { class: "fw-figure" }, title, canvas, note), draw };
}
