// One fast matrix: the write at its top and left, the read at its foot and right.
import { cellCanvas } from "./cells.js";
import { h, say } from "./dom.js";
import { drawCursor, drawMatrix, pen } from "./draw.js";
import { writeText } from "./program_film.js";

const FOOT = 14;

const picture = (kind) => h("canvas", { class: `fw-strip fw-in-${kind}`, role: "img" });
const listed = (x) => [...x].map((one) => say(one, 2)).join(", ");

/** What stands in a cell, and what the last token did there. */
function cellText(film, t, [i, j]) {
  const n = i * film.K + j;
  const change = t ? film.W(t)[n] - film.W(t - 1)[n] : 0;
  const did = t ? `; this token: ${change > 0 ? "+" : ""}${say(change, 2)}` : "";
  return `row ${i + 1}, column ${j + 1}: ${say(film.W(t)[n])}${did}`;
}

/** A matrix with its key, its write, its query and its answer; `run` names it. */
export function memoryView(story, clock) {
  const title = h("p", { class: "fw-title" });
  const box = h("div", { class: "fw-around" });
  const note = h("p", { class: "fw-note fw-wrote" });
  const readout = h("p", { class: "fw-note fw-readout" });
  const level = h("i", {});
  const strength = h("span", { class: "fw-chance" });
  const meter = h(
    "div",
    { class: "fw-meter" },
    h("span", { class: "fw-word" }, "β"),
    h("span", { class: "fw-bar", "aria-hidden": "true" }, level),
    strength,
  );
  const node = h("section", { class: "fw-film" }, title, box, readout, meter, note);
  const owner = {
    cell: null,
    film: null,
    point(cell, speak = false) {
      owner.cell = cell;
      clock.changed();
      if (speak && owner.film) clock.spoken.speak(cellText(owner.film, clock.at, cell));
    },
  };
  let [made, matrix, strips] = ["", null, null];
  const make = (spec, name, wrote) => {
    if (made === `${spec.V} ${spec.K} ${name}`) return;
    made = `${spec.V} ${spec.K} ${name}`;
    owner.cell = null;
    matrix = cellCanvas(name, spec.V, spec.K, owner);
    strips = Object.fromEntries(
      ["key", "write", "read", "query"].map((s) => [s, picture(s)]),
    );
    const { key, write, read, query } = strips;
    const label = (kind, text) => h("p", { class: `fw-label fw-at-${kind}` }, text);
    const sides = h("p", { class: "fw-label fw-at-sides" });
    sides.append(
      h("span", {}, `↑ written: ${wrote}`),
      h("span", {}, `read: ${spec.letter} q ↑`),
    );
    box.replaceChildren(
      label("key", "written under the key k"),
      ...[key, write, matrix, read, query],
      label("query", "read with the query q"),
      sides,
    );
  };
  const draw = (colours, t, run, at) => {
    const [spec, film] = [story.matrices[at], story.film(run, at)];
    owner.film = film;
    const place = `layer ${spec.layer + 1}, head ${spec.head + 1}`;
    title.textContent = `${spec.letter} of ${place}: ${story.runs[run].title}`;
    box.hidden = meter.hidden = readout.hidden = !film;
    if (!film) {
      note.textContent =
        "The film of this run is not in the page: it would be too long.";
      return;
    }
    const wrote = film.sum ? "v" : `β (v − ${spec.letter}\u00a0k)`;
    make(spec, `Matrix ${spec.letter}, ${story.runs[run].title}`, wrote);
    drawAll(colours, { matrix, ...strips }, spec, film, t, owner.cell);
    readout.textContent = owner.cell
      ? cellText(film, t, owner.cell)
      : "Point at a cell, or use the arrow keys.";
    const beta = t ? film.beta(t) : 0;
    level.style.width = `${(100 * beta) / film.strongest}%`;
    strength.textContent = t ? say(beta, 2) : "–";
    note.textContent = writeText(film, t, spec.letter);
  };
  return { node, draw };
}

function drawStrip(canvas, colours, values, { wide, scale, height, name }) {
  const [rows, cols] = wide ? [1, values.length] : [values.length, 1];
  const { ctx, width, height: tall, ratio } = pen(canvas, () => height);
  const box = { x: 0, y: 0, w: width, h: tall };
  drawMatrix(ctx, colours, values, rows, cols, box, { scale, ratio, figures: false });
  canvas.setAttribute("aria-label", `${name}: ${listed(values)}`);
}

function drawAll(colours, { matrix, key, write, read, query }, spec, film, t, cell) {
  const { V, K } = film;
  const shape = Math.min(Math.max(V / K, 0.4), 1.6);
  const { ctx, width, height, ratio } = pen(matrix, (w) => w * shape);
  const box = { x: 0, y: 0, w: width, h: height };
  const options = { scale: spec.scale, ratio };
  const tileAt = drawMatrix(ctx, colours, film.W(t), V, K, box, options);
  if (cell)
    drawCursor(ctx, colours, tileAt(...cell), document.activeElement === matrix);
  const [across, down] = [new Float64Array(K), new Float64Array(V)];
  const lying = { wide: true, height: FOOT, scale: spec.keyScale };
  const standing = { wide: false, height };
  drawStrip(key, colours, t ? film.k(t) : across, { ...lying, name: "key" });
  drawStrip(query, colours, t ? film.q(t) : across, { ...lying, name: "query" });
  const { writeScale, readScale } = spec;
  const written = t ? film.side(t) : down;
  drawStrip(write, colours, written, {
    ...standing,
    scale: writeScale,
    name: "written",
  });
  const answer = t ? film.read(t) : down;
  drawStrip(read, colours, answer, { ...standing, scale: readScale, name: "read" });
}

const TALL = 44;
const BELOW = 16;

/** How much every token changes the matrix, from left to right; prints below. */
export function changesView(story, clock) {
  const canvas = h("canvas", { class: "fw-changes", role: "img" });
  const title = h("p", { class: "fw-title" });
  const node = h(
    "div",
    { class: "fw-figure" },
    title,
    canvas,
    h(
      "p",
      { class: "fw-note" },
      "▲ print answered right, ✗ wrong. A click goes to the token.",
    ),
  );
  canvas.addEventListener("pointerdown", (event) => {
    const box = canvas.getBoundingClientRect();
    clock.go(Math.ceil(((event.clientX - box.left) / box.width) * story.T));
  });
  const draw = (colours, t, run, at) => {
    const film = story.film(run, at);
    node.hidden = !film;
    if (!film) return;
    const most = Math.max(...film.changes);
    const { letter } = story.matrices[at];
    title.textContent = `Change of ${letter}, token by token: ${story.runs[run].title}`;
    const { ctx, width } = pen(canvas, () => TALL + BELOW);
    const per = width / story.T;
    ctx.fillStyle = colours.soft;
    const now = story.lines[story.lineAt(t)];
    if (now) ctx.fillRect(now[0] * per, 0, (now[1] - now[0]) * per, TALL);
    film.changes.forEach((x, n) => {
      ctx.fillStyle = n === t - 1 ? colours.plus : colours.muted;
      const tall = most ? (x / most) * (TALL - 4) : 0;
      ctx.fillRect(n * per, TALL - tall, Math.max(per - 1, 0.6), tall);
    });
    ctx.fillStyle = colours.line;
    ctx.fillRect(0, TALL, width, 1);
    ctx.textAlign = "center";
    ctx.font = `11px ${colours.font}`;
    story.prints.forEach(([, token], n) => {
      const { right } = story.answer(run, n);
      ctx.fillStyle = right ? colours.muted : colours.ink;
      ctx.fillText(right ? "▲" : "✗", (token + 0.5) * per, TALL + 13);
    });
    const first = film.changes.indexOf(most);
    const where = most
      ? `largest at token ${first + 1} in line ${story.lineAt(first + 1) + 1}`
      : "nothing changes";
    canvas.setAttribute("aria-label", `Change of ${letter} by token: ${where}`);
  };
  return { node, draw };
}
