// What the reader sees: the memory, its answer, and the accounts of all pairs.
import { blockColumns, cellCanvas } from "./cells.js";
import { h, say, voice } from "./dom.js";
import { skin } from "./colours.js";
import { drawBars, drawCursor, drawMatrix, pen } from "./draw.js";

export function replyText(reply) {
  if (!reply) return "Write a pair, or read with a key.";
  const { name, pair, near, off, like } = reply;
  const alike = like.length
    ? ` Overlap with other keys (cosine): ${like
        .slice(0, 4)
        .map((o) => `${say(o.cosine, 2)} with ${o.name}`)
        .join(", ")}${like.length > 4 ? ", …" : ""}`
    : "";
  if (!near) return `Key ${name}: nothing is stored.`;
  if (!pair)
    return `Key ${name} was never written. Nearest stored value: ${near.name}.${alike}`;
  const found = near.v.every((x, i) => x === pair.v[i])
    ? "right"
    : `that of ${near.name}, not right`;
  return `Key ${name}: the answer is ${say(off, 2)} off; the nearest stored value is ${found}.${alike}`;
}

export function memoryView(hand) {
  const { bench } = hand;
  const owner = { cell: null };
  const spoken = voice();
  const matrix = cellCanvas("Memory matrix W", bench.V, bench.K, owner);
  const note = h("p", { class: "fw-note" });
  const grids = ["wanted", "answer"].map((name) => [
    name,
    h("canvas", { role: "img" }),
  ]);
  const reply = h("p", { class: "fw-note fw-reply-text" });
  const node = h(
    "section",
    { class: "fw-memory", "aria-label": "Memory" },
    h("div", { class: "fw-w" }, h("p", { class: "fw-cap" }, "Memory W"), matrix, note),
    h(
      "div",
      { class: "fw-answer" },
      ...grids.map(([name, canvas]) =>
        h(
          "div",
          {},
          h("p", { class: "fw-cap" }, name === "wanted" ? "Wanted v" : "Answer W k"),
          canvas,
        ),
      ),
    ),
    reply,
    spoken.node,
  );
  const cellWords = ([i, j]) =>
    `row ${i + 1}, column ${j + 1}: ${say(bench.now.W[i][j])}`;

  function drawW(colours) {
    const flat = bench.now.W.flat();
    const scale = Math.max(1, ...flat.filter(Number.isFinite).map(Math.abs));
    const { ctx, width, height, ratio } = pen(matrix, (w) => (w * bench.V) / bench.K);
    const tileAt = drawMatrix(
      ctx,
      colours,
      flat,
      bench.V,
      bench.K,
      { x: 0, y: 0, w: width, h: height },
      { scale, ratio },
    );
    if (owner.cell)
      drawCursor(
        ctx,
        colours,
        tileAt(...owner.cell),
        document.activeElement === matrix,
      );
    note.textContent = owner.cell
      ? cellWords(owner.cell)
      : `Full colour: ±${say(scale, 2)}`;
  }

  function drawReply(colours) {
    const now = bench.reply();
    const shown = { wanted: now?.pair?.v, answer: now?.y };
    const cols = blockColumns(bench.V);
    for (const [name, canvas] of grids) {
      const values = shown[name] ?? Array(bench.V).fill(0);
      const { ctx, width, height, ratio } = pen(
        canvas,
        (w) => (w * bench.V) / cols / cols,
      );
      const scale = Math.max(1, ...values.filter(Number.isFinite).map(Math.abs));
      drawMatrix(
        ctx,
        colours,
        values,
        bench.V / cols,
        cols,
        { x: 0, y: 0, w: width, h: height },
        { scale, ratio },
      );
      const words = shown[name]
        ? values.map((x) => say(x, 2)).join(", ")
        : "nothing yet";
      canvas.setAttribute("aria-label", `${name}: ${words}`);
    }
    reply.textContent = replyText(now);
  }

  const draw = (root) => {
    const colours = skin(root);
    drawW(colours);
    drawReply(colours);
  };
  const connect = (root) => {
    owner.point = (cell, speak) => {
      owner.cell = cell;
      drawW(skin(root));
      if (speak) spoken.speak(cellWords(cell));
    };
  };
  return { node, draw, connect };
}

export function accounts(hand) {
  const { bench } = hand;
  const bars = h("canvas", { class: "fw-bars", role: "img" });
  const note = h("p", { class: "fw-note" });
  const slots = h("div", { class: "fw-slots", "aria-hidden": "true" });
  const count = h("p", { class: "fw-note" });
  const list = h("ol", {
    class: "fw-history",
    tabindex: "0",
    role: "list",
    "aria-label": "History",
  });
  const node = h(
    "div",
    { class: "fw-accounts" },
    h(
      "section",
      { "aria-label": "Crosstalk" },
      h("p", { class: "fw-cap" }, "Crosstalk: error of each pair"),
      bars,
      note,
    ),
    h(
      "section",
      { "aria-label": "Capacity" },
      h("p", { class: "fw-cap" }, `Capacity: pairs against K = ${bench.K}`),
      slots,
      count,
    ),
    h(
      "section",
      { "aria-label": "History" },
      h("p", { class: "fw-cap" }, "History"),
      list,
    ),
  );
  const draw = (root) => {
    const report = bench.report();
    const errors = report.map(({ error }) => error);
    const scale = Math.max(1, ...errors.filter(Number.isFinite));
    drawBars(bars, skin(root), errors.length ? errors : [0], {
      scale,
      names: report.map(({ name }) => name),
      rising: true,
      height: 108,
    });
    const wrong = report.filter(({ right }) => !right).map(({ name }) => name);
    note.textContent = report.length
      ? `Mean error ${say(errors.reduce((a, b) => a + b, 0) / errors.length, 2)}. Nearest value right for ${report.length - wrong.length} of ${report.length}${wrong.length ? `; wrong: ${wrong.join(", ")}` : ""}.`
      : "No pair is stored.";
    bars.setAttribute(
      "aria-label",
      `Error per pair: ${report.map(({ name, error }) => `${name}: ${say(error, 2)}`).join(", ") || "none"}`,
    );
    const n = report.length;
    slots.replaceChildren(
      ...Array.from({ length: Math.max(n, bench.K) }, (_, i) =>
        h("i", { "data-state": i >= bench.K ? "over" : i < n ? "full" : "free" }),
      ),
    );
    count.textContent =
      n > bench.K
        ? `${n} written: ${n - bench.K} more than can be orthogonal.`
        : `${n} written; at most ${bench.K} keys can be orthogonal.`;
    list.replaceChildren(...bench.now.words.map((words) => h("li", {}, words)));
    list.scrollTop = list.scrollHeight;
  };
  return { node, draw };
}
