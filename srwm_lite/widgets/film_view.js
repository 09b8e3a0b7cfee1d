// One film: the matrix, what the write did to it, its time line and its answer.
import { cellCanvas } from "./cells.js";
import { chartText, drawChart, stepAt, tapeStep } from "./chart.js";
import { skin } from "./colours.js";
import { h, say } from "./dom.js";
import { drawBars, drawCursor, drawMatrix, drawOuter, pen } from "./draw.js";
import {
  answer,
  distance,
  factor,
  largest,
  lastWrite,
  nearestValue,
  parts,
} from "./film.js";

const named = (film, s) =>
  film.labels[s - 1] ? `step ${s} (${film.labels[s - 1]})` : `step ${s}`;

/** What stands in a cell, and what the step did there. */
export function cellText(film, t, [i, j]) {
  const { W, V, K, v } = film;
  if (i >= V || j >= K) return "no such cell";
  const n = i * K + j;
  const { written, removed } = parts(film, t);
  const did =
    t && v ? `; written ${say(written[n], 2)}, removed ${say(removed[n], 2)}` : "";
  return `row ${i + 1}, column ${j + 1}: ${say(W(t)[n])}${did}`;
}

/** What the matrix answers to a key, in words. */
function answerText(film, t, key, y) {
  if (!film.v || !t) return "Nothing is written yet.";
  if (!y.every(Number.isFinite)) return "The answer is no number any more.";
  const last = lastWrite(film, t, key);
  const near = named(film, nearestValue(film, t, y));
  if (!last)
    return `Nothing was written under this key. Nearest stored value: ${near}.`;
  const wanted = film.v(last);
  const found = film.v(nearestValue(film, t, y));
  const right = distance(found, wanted) < 1e-5 * (1 + film.valueScale);
  return (
    `Wanted: the value of ${named(film, last)}, ${say(distance(y, wanted), 2)} away. ` +
    `Nearest stored value: ${right ? "the right one" : `another one, of ${near}`}.`
  );
}

const figure = (canvas, ...caption) =>
  h("div", { class: "fw-figure" }, canvas, h("p", { class: "fw-note" }, ...caption));

/** The small picture of what was written, removed or changed. */
function partView(film, part, name) {
  const canvas = h("canvas", { role: "img" });
  const draw = (colours, t, scale, values) => {
    const key = film.k && (t ? film.k(t) : new Float32Array(film.K));
    drawOuter(canvas, colours, {
      values,
      rows: film.V,
      cols: film.K,
      scale,
      top: key,
      topScale: film.keyScale,
      side: key && factor(values, key, film.V),
      sideScale: film.valueScale,
    });
    const most = values.some(Boolean)
      ? `largest entry ${say(largest(values), 2)}`
      : "nothing";
    canvas.setAttribute("aria-label", `${name}: ${most}`);
  };
  return { node: figure(canvas, name), part, draw };
}

/** The cell that is pointed at, if this film has it; films may differ in size. */
const held = ({ V, K }, cell) => (cell && cell[0] < V && cell[1] < K ? cell : null);

function pictureView(film, player) {
  const matrix = cellCanvas(`${film.title}, matrix`, film.V, film.K, player);
  const readout = h("span", { class: "fw-readout" });
  const changed = partView(film, "changed", "change");
  const small = film.v
    ? [
        partView(film, "written", "written"),
        partView(film, "removed", "removed"),
        changed,
      ]
    : [changed];
  const node = h(
    "section",
    { class: "fw-film", "aria-label": film.title },
    h("p", { class: "fw-title" }, film.title),
    h(
      "div",
      { class: "fw-pictures" },
      figure(matrix, readout),
      h("div", { class: "fw-parts" }, ...small.map((part) => part.node)),
    ),
  );
  const shape = Math.min(Math.max(film.V / film.K, 0.4), 1.6);
  const draw = (colours, t) => {
    const cell = held(film, player.cell);
    const [scale, writeScale] = player.colourScales(film, t);
    const { ctx, width, height, ratio } = pen(matrix, (w) => w * shape);
    const box = { x: 0, y: 0, w: width, h: height };
    const options = { scale, ratio };
    const tileAt = drawMatrix(ctx, colours, film.W(t), film.V, film.K, box, options);
    if (cell)
      drawCursor(ctx, colours, tileAt(...cell), document.activeElement === matrix);
    readout.textContent = cell ? cellText(film, t, cell) : player.hint;
    const made = parts(film, t);
    small.forEach((part) => part.draw(colours, t, writeScale, made[part.part]));
  };
  return { node, draw };
}

function timeView(film, player) {
  const canvas = h("canvas", { class: "fw-chart", role: "img" });
  const note = h("p", { class: "fw-note" });
  canvas.addEventListener("click", (event) => {
    const asked = tapeStep(canvas, film, player.scale, event);
    if (asked) player.ask(String(asked));
    else player.go(stepAt(canvas, film.T, event.clientX));
  });
  const draw = (colours, t) => {
    drawChart(canvas, colours, film, t, player.scale, player.askedSteps(film));
    note.textContent = chartText(film, t, player.scale);
    const name = `Norm and singular values over time. ${note.textContent}`;
    canvas.setAttribute("aria-label", name);
  };
  return { node: h("div", { class: "fw-time" }, canvas, note), draw };
}

function replyView(film, player) {
  const title = h("p", { class: "fw-title" }, film.title);
  const bars = h("canvas", { class: "fw-bars", role: "img" });
  const note = h("p", { class: "fw-note" });
  const draw = (colours, t) => {
    const key = player.key(film);
    const y = [...answer(film.W(t), key, film.V)];
    const last = lastWrite(film, t, key);
    const wanted = last && film.v ? film.v(last) : null;
    const scale = Math.max(film.valueScale, largest(y));
    const names = y.map((_, i) => String(i + 1));
    drawBars(bars, colours, y, { wanted, scale, names });
    const said = y.map((x) => say(x, 2)).join(", ");
    bars.setAttribute("aria-label", `Answer of ${film.title}: ${said}`);
    note.textContent = answerText(film, t, key, y);
  };
  return { node: h("div", { class: "fw-reply" }, title, bars, note), draw };
}

/** Build the views of one film; `draw` shows the player's step in all of them. */
export function filmView(film, player) {
  const [pictures, time] = [pictureView(film, player), timeView(film, player)];
  const reply = film.k ? replyView(film, player) : null;
  const draw = (root, t) => {
    const colours = skin(root);
    for (const view of [pictures, time, reply]) view?.draw(colours, t);
  };
  return { pictures, time, reply, draw, text: (t) => chartText(film, t, player.scale) };
}
