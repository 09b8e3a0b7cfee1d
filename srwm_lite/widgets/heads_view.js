// All heads of one layer side by side, in the four blocks of their rows.
import { h, lessMotion, say } from "./dom.js";
import { drawMatrix, pen } from "./draw.js";

const SIGN_OF = ["y", "q", "k", "β"];
const [EDGE, GAP_BETWEEN, HEAD, TALLEST, LASTS] = [22, 4, 20, 400, 450];
const MOST = 0.995; // entries beyond this share have full colour

/** The number of rows in the blocks y, q, k and beta of a matrix. */
const blockRows = (rows, K) => [rows - 2 * K - 4, K, K, 4];

/** The magnitude that all but a few entries stay below. */
function usual(values) {
  const sizes = Float64Array.from(values, Math.abs).sort();
  return sizes[Math.floor(MOST * (sizes.length - 1))] || 1;
}

/** Where heads and blocks lie, on whole pixels of the screen. */
function places([heads, rows, K], width, ratio) {
  const snap = (x) => Math.round(x * ratio) / ratio;
  const apart = heads > 8 ? 4 : 10;
  const wide = (width - EDGE - apart * (heads - 1)) / heads;
  const cell = Math.min(wide / K, TALLEST / rows);
  const boxes = [];
  let top = HEAD;
  for (const count of blockRows(rows, K)) {
    boxes.push([snap(top), Math.max(snap(count * cell), 2)]);
    top += count * cell + GAP_BETWEEN;
  }
  const left = (n) => snap(EDGE + n * (wide + apart));
  return { boxes, left, wide: snap(wide), height: top - GAP_BETWEEN };
}

function drawNames(ctx, skin, { boxes, left, wide }, heads) {
  ctx.font = `13px ${skin.font}`;
  ctx.fillStyle = skin.muted;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  boxes.forEach(([top, tall], n) => ctx.fillText(SIGN_OF[n], 3, top + tall / 2 + 1));
  ctx.textAlign = "center";
  for (let n = 0; n < heads; n++) {
    const name = heads > 4 ? String(n + 1) : `head ${n + 1}`;
    ctx.fillText(name, left(n) + wide / 2, HEAD / 2 - 1);
  }
}

function drawHeads(canvas, skin, values, shape, scale) {
  const [heads, rows, K] = shape;
  const wanted = canvas.getBoundingClientRect().width;
  const { height } = places(shape, wanted, 1);
  const { ctx, width, ratio } = pen(canvas, () => height);
  const at = places(shape, width, ratio);
  drawNames(ctx, skin, at, heads);
  for (let n = 0; n < heads; n++) {
    let first = n * rows * K;
    blockRows(rows, K).forEach((count, b) => {
      const [y, tall] = at.boxes[b];
      const block = values.subarray(first, first + count * K);
      const box = { x: at.left(n), y, w: at.wide, h: tall };
      drawMatrix(ctx, skin, block, count, K, box, { scale, ratio, figures: false });
      first += count * K;
    });
  }
}

/** Go from what is shown to what is wanted, smoothly unless that is not wanted. */
function glide(show) {
  let [now, frame] = [null, 0];
  return (target, smooth) => {
    cancelAnimationFrame(frame);
    const from = now;
    const still = !smooth || !from || from.length !== target.length || lessMotion();
    const began = performance.now();
    const next = () => {
      const part = still ? 1 : Math.min((performance.now() - began) / LASTS, 1);
      const eased = 1 - (1 - part) ** 3;
      now = part === 1 ? target : target.map((x, n) => from[n] + (x - from[n]) * eased);
      show(now);
      if (part < 1) frame = requestAnimationFrame(next);
    };
    next();
  };
}

const VIEWS = {
  since: "How far the matrix has moved from its start",
  wrote: "What this step wrote",
  whole: "The matrix itself",
};

/** The picture of a layer; `player` says which one, which step and which view. */
export function headsView(lesson, player) {
  const canvas = h("canvas", { class: "fw-heads", role: "img" });
  const title = h("p", { class: "fw-title" });
  const full = h("span", {});
  const legend = h(
    "p",
    { class: "fw-legend" },
    h("span", {}, "−"),
    h("span", { class: "fw-ramp", "aria-hidden": "true" }),
    h("span", {}, "+"),
    full,
  );
  const note = h("p", { class: "fw-note" });
  let paint = () => {};
  const glideTo = glide((values) => paint(values));
  const draw = (skin) => {
    const { layer, at, view, off } = player;
    const { shape } = lesson.net.matrix(layer);
    const last = lesson.matrices(layer, player.last, view === "whole" ? view : "since");
    const scale = usual(last);
    paint = (values) => drawHeads(canvas, skin, values, shape, scale);
    const step = off ? 0 : at;
    glideTo(lesson.matrices(layer, step, view), player.smooth);
    const many = lesson.net.layers.length > 1 ? `, layer ${layer + 1}` : "";
    title.textContent = `${VIEWS[view]}${many}`;
    full.textContent = `full colour: ±${say(scale, 2)} or more`;
    note.textContent = movedText(lesson, layer, step);
    const [heads, rows, K] = shape;
    const size = `${heads} ${heads === 1 ? "head" : "heads"} of ${rows} by ${K}`;
    const words = `${title.textContent}: ${size}. ${note.textContent}`;
    canvas.setAttribute("aria-label", words);
  };
  const node = h("section", { class: "fw-film", "aria-label": "Matrix" });
  node.append(title, canvas, legend, note);
  return { node, draw };
}

/** How far the matrix has moved, and which block most. */
export function movedText(lesson, layer, step) {
  const far = lesson.moved(layer, step);
  if (!far) return "The matrix is as it started.";
  const [heads, rows, K] = lesson.net.matrix(layer).shape;
  const shift = lesson.matrices(layer, step, "since");
  const sums = blockRows(rows, K).map(() => 0);
  const ends = blockRows(rows, K).map((_, n, all) =>
    all.slice(0, n + 1).reduce((a, b) => a + b, 0),
  );
  shift.forEach((x, n) => {
    const row = Math.floor(n / K) % rows;
    sums[ends.findIndex((end) => row < end)] += x * x;
  });
  const most = SIGN_OF[sums.indexOf(Math.max(...sums))];
  const each = heads * rows * K;
  return (
    `The matrix has moved by ${say(100 * far, 2)} % of its length, ` +
    `most in its rows ${most}; ${each} numbers changed.`
  );
}
