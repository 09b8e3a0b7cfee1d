// The pictures of the stepper: source, threads, cells, time line.
import { lastWriters, stepWords, threadWords } from "./block_history.js";
import { cellCanvas } from "./cells.js";
import { h } from "./dom.js";
import { drawCursor, pen } from "./draw.js";

const GUTTER = 74;
const ROW = 20;

/** The text of the kernel; the current line is marked, and lines that race. */
export function sourceView(film) {
  const racing = new Set(
    film.races.flatMap(([, , , words]) =>
      [...words.matchAll(/line (\d+)/g)].map(([, n]) => Number(n)),
    ),
  );
  const rows = film.lines.map((text, i) => {
    const number = film.first + i;
    const mark = racing.has(number) ? "✕" : "";
    return h(
      "div",
      { class: `fw-line${text.includes("__sync") ? " fw-fence" : ""}` },
      h("span", { class: "fw-number" }, `${mark} ${number}`),
      h("code", {}, text || " "),
    );
  });
  const node = h(
    "div",
    {
      class: "fw-source",
      tabindex: "0",
      role: "group",
      "aria-label": `Source of ${film.name}`,
    },
    ...rows,
  );
  const draw = ({ line }) => {
    rows.forEach((row, i) => row.classList.toggle("fw-now", film.first + i === line));
    const now = rows[line - film.first];
    if (!now) return;
    const [top, room] = [now.offsetTop - node.offsetTop, node.clientHeight];
    if (top < node.scrollTop || top + now.clientHeight > node.scrollTop + room)
      node.scrollTop = top - room / 2;
  };
  return { node, draw };
}

function labelled(title, canvas, note) {
  return h(
    "div",
    { class: "fw-figure" },
    h("p", { class: "fw-title" }, title),
    canvas,
    note,
  );
}

/** Draw a grid of cells; `cellLook(row, col)` tells what stands in each. */
function drawGrid(canvas, colours, rows, cols, cellLook) {
  const { ctx, width, height } = pen(canvas, (w) => (w / cols) * rows);
  const [w, tall] = [width / cols, height / rows];
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < cols; j++) {
      const look = cellLook(i, j);
      if (look) drawCell(ctx, colours, [j * w, i * tall, w - 1.5, tall - 1.5], look);
    }
}

function drawCell(ctx, colours, [x, y, w, tall], { text, access, filled, race, chosen }) {
  ctx.fillStyle = filled ? colours.line : colours.soft;
  ctx.fillRect(x, y, w, tall);
  if (access) drawAccess(ctx, colours, [x, y, w, tall], access);
  if (race) drawCross(ctx, colours, [x, y, w, tall]);
  const size = Math.min(13, w * 0.45);
  if (text !== undefined && size >= 8) {
    ctx.font = `500 ${size}px ${colours.font}`;
    ctx.fillStyle = colours.ink;
    const aside = race ? 0.4 : 0.5;
    ctx.fillText(text, x + w * aside, y + tall * aside + 0.5);
  }
  if (chosen) drawCursor(ctx, colours, [x + 2, y + 2, w - 4, tall - 4], true);
}

/** Reads are a frame, writes a frame with a filled corner. */
function drawAccess(ctx, colours, [x, y, w, tall], access) {
  const thick = Math.max(2, Math.min(3.5, w * 0.1));
  ctx.strokeStyle = access === "write" ? colours.plus : colours.minus;
  ctx.fillStyle = ctx.strokeStyle;
  ctx.lineWidth = thick;
  ctx.strokeRect(x + thick / 2, y + thick / 2, w - thick, tall - thick);
  if (access !== "write") return;
  const corner = Math.min(w, tall) * 0.4;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x + corner, y);
  ctx.lineTo(x, y + corner);
  ctx.fill();
}

/** A cross in the lower right corner, so that the number stays readable. */
function drawCross(ctx, colours, [x, y, w, tall]) {
  const arm = Math.max(5, Math.min(w, tall) * 0.32);
  const [left, top] = [x + w - arm - 3, y + tall - arm - 3];
  ctx.strokeStyle = colours.ink;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(left, top);
  ctx.lineTo(left + arm, top + arm);
  ctx.moveTo(left + arm, top);
  ctx.lineTo(left, top + arm);
  ctx.stroke();
}

/** The threads, one warp a row. */
export function threadsView(film, clock) {
  const cols = Math.min(film.threads, 32);
  const rows = Math.ceil(film.threads / 32);
  const note = h("p", { class: "fw-note" });
  const owner = {
    cell: null,
    point(cell, speak = false) {
      owner.cell = cell;
      clock.changed();
      if (speak) clock.spoken.speak(note.textContent);
    },
  };
  const canvas = cellCanvas("Threads, one warp a row", rows, cols, owner);
  const threadAt = ([i, j]) => i * 32 + j;
  const pick = () => owner.cell && clock.follow(threadAt(owner.cell));
  canvas.addEventListener("click", pick);
  canvas.addEventListener("keydown", ({ key }) => key === "Enter" && pick());
  const draw = (colours, step) => {
    drawGrid(canvas, colours, rows, cols, (i, j) => {
      const thread = threadAt([i, j]);
      if (thread >= film.threads) return null;
      const access = step.cells.has(thread) && (step.write ? "write" : "read");
      const chosen = thread === clock.thread;
      return { text: thread, access, chosen };
    });
    const shown = owner.cell ? threadAt(owner.cell) : clock.thread;
    note.textContent =
      shown === null
        ? "Point at a thread; click or press Enter to follow it."
        : threadWords(film, step, shown);
  };
  const title = `Threads of the block (${rows} warp${rows > 1 ? "s" : ""})`;
  return { node: labelled(title, canvas, note), draw };
}

/** One array; each cell shows the thread that wrote it last. */
export function cellsView(film, clock, array) {
  const { name, space, rows, cols, first } = film.arrays[array];
  const owner = {
    cell: null,
    point(cell, speak = false) {
      owner.cell = cell;
      clock.cell = cell && [array, first + cell[0] * cols + cell[1]];
      clock.changed();
      if (speak) clock.spoken.speak(clock.cellText());
    },
  };
  const canvas = cellCanvas(`${name}, ${space} memory`, rows, cols, owner);
  canvas.style.maxWidth = `${cols * 32}px`;
  const draw = (colours, step, at) => {
    const writers = lastWriters(clock.steps, array, at);
    const racing = new Set(
      film.races
        .filter(([when, which]) => when === step.interval && which === array)
        .map(([, , cell]) => cell),
    );
    const touched = new Set(step.array === array ? step.cells.values() : []);
    const own = step.array === array ? step.cells.get(clock.thread) : undefined;
    drawGrid(canvas, colours, rows, cols, (i, j) => {
      const cell = first + i * cols + j;
      const writer = writers.get(cell);
      return {
        text: writer?.thread,
        filled: writer !== undefined,
        access: touched.has(cell) && (step.write ? "write" : "read"),
        race: racing.has(cell),
        chosen: own === cell,
      };
    });
  };
  return { node: labelled(`${name} (${space})`, canvas, null), draw, array };
}

/** Time from left to right, one row for each array, a fence for each barrier. */
export function timeLine(film, clock) {
  const canvas = h("canvas", { class: "fw-times", role: "img" });
  const count = clock.steps.length;
  const racing = new Set(film.races.map(([when, array]) => `${when} ${array}`));
  canvas.addEventListener("pointerdown", (event) => {
    const box = canvas.getBoundingClientRect();
    const along = (event.clientX - box.left - GUTTER) / (box.width - GUTTER);
    clock.go(Math.floor(along * count));
  });
  const draw = (colours, step, at) => {
    const { ctx, width, height } = pen(canvas, () => film.arrays.length * ROW + 18);
    const x = (n) => GUTTER + (n / count) * (width - GUTTER);
    const per = Math.max((width - GUTTER) / count - 1, 1);
    const floor = film.arrays.length * ROW;
    ctx.font = `12px ${colours.font}`;
    ctx.textBaseline = "middle";
    film.arrays.forEach(({ name }, i) => {
      ctx.fillStyle = i === step.array ? colours.ink : colours.muted;
      ctx.fillText(name.slice(0, 12), 0, i * ROW + ROW / 2);
    });
    clock.steps.forEach(({ array, write, interval }, n) => {
      ctx.fillStyle = write ? colours.plus : colours.minus;
      const top = array * ROW + (write ? 3 : 7);
      ctx.fillRect(x(n), top, per, write ? 14 : 6);
      if (racing.has(`${interval} ${array}`))
        drawCross(ctx, colours, [x(n), array * ROW, Math.max(per, 5), ROW]);
    });
    drawFences(ctx, colours, clock.steps, x, floor);
    ctx.fillStyle = colours.ink;
    ctx.fillRect(x(at) - 1, 0, 2, floor);
    ctx.beginPath();
    ctx.moveTo(x(at) - 6, height);
    ctx.lineTo(x(at) + 6, height);
    ctx.lineTo(x(at), floor + 4);
    ctx.fill();
    canvas.setAttribute(
      "aria-label",
      `Time line: request ${at + 1} of ${count}, ${stepWords(film, step)}`,
    );
  };
  return { node: h("div", { class: "fw-figure" }, canvas), draw };
}

function drawFences(ctx, colours, steps, x, floor) {
  ctx.strokeStyle = colours.ink;
  ctx.lineWidth = 1;
  ctx.setLineDash([4, 3]);
  steps.forEach(({ interval }, n) => {
    if (!n || interval === steps[n - 1].interval) return;
    ctx.beginPath();
    ctx.moveTo(x(n) - 0.5, 0);
    ctx.lineTo(x(n) - 0.5, floor);
    ctx.stroke();
  });
  ctx.setLineDash([]);
}
