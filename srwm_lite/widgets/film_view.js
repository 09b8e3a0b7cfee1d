// One film: the matrix, what the write did to it, its time line and its answer.
import { cellCanvas } from "./cells.js";
import { chartText, drawChart, stepAt, tapeStep } from "./chart.js";
import { h, say } from "./dom.js";
import { skin } from "./colours.js";
import { drawBars, drawCursor, drawMatrix, drawOuter, pen } from "./draw.js";
import { answer, distance, factor, lastWrite, nearestValue, parts } from "./film.js";

const PARTS = [
  ["written", "written"],
  ["removed", "removed"],
  ["changed", "change"],
];

const figure = (canvas, caption) =>
  h("div", { class: "fw-figure" }, canvas, h("p", { class: "fw-note" }, caption));

const named = (film, s) =>
  film.labels[s - 1] ? `step ${s} (${film.labels[s - 1]})` : `step ${s}`;

/** What stands in a cell, and what the step did there. */
export function cellText(film, t, [i, j]) {
  const { W, V, K, v } = film;
  if (i >= V || j >= K) return "";
  const n = i * K + j;
  const { written, removed } = parts(film, t);
  const did =
    t && v ? `; written ${say(written[n], 2)}, removed ${say(removed[n], 2)}` : "";
  return `row ${i + 1}, column ${j + 1}: ${say(W(t)[n])}${did}`;
}

/** What the matrix answers to a key, in words. */
function answerText(film, t, key, y) {
  if (!film.v || !t) return "Nothing is written yet.";
  const last = lastWrite(film, t, key);
  const near = nearestValue(film, t, y);
  if (!last)
    return `Nothing was written under this key. Nearest stored value: ${named(film, near)}.`;
  const right = distance(film.v(near), film.v(last)) < 1e-5 * (1 + film.valueScale);
  const found = right ? "the right one" : `another one, of ${named(film, near)}`;
  return (
    `Wanted: the value of ${named(film, last)}, ${say(distance(y, film.v(last)), 2)} away. ` +
    `Nearest stored value: ${found}.`
  );
}

function timeCanvas(film, player) {
  const canvas = h("canvas", { class: "fw-chart", role: "img" });
  canvas.addEventListener("click", (event) => {
    const asked = tapeStep(canvas, film, player.scale, event);
    if (asked) player.ask(String(asked));
    else player.go(stepAt(canvas, film.T, event.clientX));
  });
  return canvas;
}

/** Build the view of one film; `draw` shows the player's step. */
export function filmView(film, player) {
  const chartScale = player.scale;
  const matrix = cellCanvas(`${film.title}, matrix`, film.V, film.K, player);
  const small = Object.fromEntries(
    PARTS.map(([part]) => [part, h("canvas", { role: "img" })]),
  );
  const chart = timeCanvas(film, player);
  const bars = h("canvas", { class: "fw-bars", role: "img" });
  const cell = h("span", { class: "fw-readout" });
  const chartNote = h("p", { class: "fw-note" });
  const answerNote = h("p", { class: "fw-note" });
  const shown = PARTS.filter(([part]) => film.v || part === "changed");
  const pictures = h(
    "section",
    { class: "fw-film", "aria-label": film.title },
    h("p", { class: "fw-title" }, film.title),
    h(
      "div",
      { class: "fw-pictures" },
      figure(matrix, cell),
      h(
        "div",
        { class: "fw-parts" },
        ...shown.map(([part, text]) => figure(small[part], text)),
      ),
    ),
  );

  function drawPictures(colours, t) {
    const { ctx, width, ratio } = pen(
      matrix,
      (w) => w * Math.min(Math.max(film.V / film.K, 0.4), 1.6),
    );
    const box = { x: 0, y: 0, w: width, h: matrix.clientHeight };
    const tileAt = drawMatrix(ctx, colours, film.W(t), film.V, film.K, box, {
      scale: film.scale,
      ratio,
    });
    if (player.cell)
      drawCursor(
        ctx,
        colours,
        tileAt(...player.cell),
        document.activeElement === matrix,
      );
    cell.textContent = player.cell ? cellText(film, t, player.cell) : player.hint;
    const made = parts(film, t);
    for (const [part, text] of shown)
      drawPart(colours, small[part], made[part], t, text);
  }

  function drawPart(colours, canvas, values, t, text) {
    const key = film.k && t ? film.k(t) : film.k && new Float32Array(film.K);
    drawOuter(canvas, colours, {
      values,
      rows: film.V,
      cols: film.K,
      scale: film.writeScale,
      top: key,
      topScale: film.keyScale,
      side: key && factor(values, key, film.V),
      sideScale: film.valueScale,
    });
    const most = values.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
    canvas.setAttribute(
      "aria-label",
      `${text}: ${most ? `largest entry ${say(most, 2)}` : "nothing"}`,
    );
  }

  function drawAnswer(colours, t) {
    const key = player.key(film);
    if (!key) return;
    const y = answer(film.W(t), key, film.V);
    const last = lastWrite(film, t, key);
    const wanted = last ? film.v(last) : null;
    const scale = Math.max(film.valueScale, ...y.filter(Number.isFinite).map(Math.abs));
    drawBars(bars, colours, [...y], {
      wanted,
      scale,
      names: [...y].map((_, i) => String(i + 1)),
    });
    bars.setAttribute(
      "aria-label",
      `Answer of ${film.title}: ${[...y].map((x) => say(x, 2)).join(", ")}`,
    );
    answerNote.textContent = answerText(film, t, key, y);
  }

  return {
    pictures,
    time: h("div", { class: "fw-time" }, chart, chartNote),
    reply:
      film.k &&
      h(
        "div",
        { class: "fw-reply" },
        h("p", { class: "fw-title" }, film.title),
        bars,
        answerNote,
      ),
    draw(root, t) {
      const colours = skin(root);
      drawPictures(colours, t);
      drawChart(chart, colours, film, t, chartScale, player.askedSteps(film));
      chartNote.textContent = chartText(film, t, chartScale);
      chart.setAttribute(
        "aria-label",
        `Norm and singular values over time. ${chartNote.textContent}`,
      );
      drawAnswer(colours, t);
    },
    text: (t) => chartText(film, t, chartScale),
  };
}
