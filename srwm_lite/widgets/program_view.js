// The program: its lines with their answers, its variables, and the last print.
import { h } from "./dom.js";
import { percent, shown } from "./program_film.js";

const mark = (right) => (right ? "✓" : "✗");

function sourceRow(story, line, columns) {
  const [start, stop] = story.lines[line];
  const pieces = story.pieces.slice(start, stop).map((piece) => {
    const [, before, core, after] = piece.match(/^( *)(.*?)( *)$/);
    const token = h("span", { class: piece === ";" ? "fw-end" : false }, core);
    return { token, all: [before, token, after] };
  });
  const tokens = pieces.map(({ token }) => token);
  const cells = columns.map(() => h("td", { class: "fw-said" }));
  const node = h(
    "tr",
    {},
    h("th", { scope: "row", class: "fw-number" }, String(line + 1)),
    h("td", {}, h("code", {}, ...pieces.flatMap(({ all }) => all))),
    ...cells,
  );
  return { node, tokens, cells, print: story.printOfLine(line) };
}

const heard = (text) => h("span", { class: "fw-heard" }, text);
const seen = (text) => h("span", { "aria-hidden": "true" }, text);

/** Write an answer into a cell: short for who sees it, in words for who hears it. */
function fill(cell, word, right = null) {
  const brief = word === "_" ? "–" : shown(word);
  const [sign, said] =
    right === null ? ["", ""] : [` ${mark(right)}`, right ? ", right" : ", wrong"];
  cell.replaceChildren(
    ...(word ? [seen(`${brief}${sign}`), heard(`${shown(word)}${said}`)] : []),
  );
  cell.toggleAttribute("data-wrong", right === false);
}

/** A table: a line of the program, what it prints, what each run answers. */
export function sourceView(story) {
  const columns = ["prints", "as trained", ""];
  const heads = columns.map((name) => h("th", { scope: "col" }, name));
  const rows = story.lines.map((_, line) => sourceRow(story, line, columns));
  const table = h(
    "table",
    {},
    h(
      "caption",
      { class: "fw-heard" },
      "The program, and what is answered at its prints",
    ),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, heard("line")),
        h("th", { scope: "col" }, "program"),
        ...heads,
      ),
    ),
    h("tbody", {}, ...rows.map(({ node }) => node)),
  );
  const node = h(
    "div",
    { class: "fw-source", tabindex: "0", role: "group", "aria-label": "Program" },
    table,
  );
  const draw = (t, runs) => {
    const two = runs.length > 1;
    const title = two ? story.runs[runs[1]].title : "";
    heads[2].textContent = title.replace("recurrence", "recur\u00adrence");
    for (const cell of [heads[2], ...rows.map(({ cells }) => cells[2])])
      cell.hidden = !two;
    rows.forEach((row, line) => drawRow(story, row, line, t, runs));
    keepInSight(node, rows[story.lineAt(t)]?.node);
  };
  return { node, draw };
}

function drawRow(story, { node, tokens, cells, print }, line, t, runs) {
  const [start, stop] = story.lines[line];
  const now = start < t && t <= stop;
  node.classList.toggle("fw-now", now);
  if (now) node.setAttribute("aria-current", "true");
  else node.removeAttribute("aria-current");
  tokens.forEach((token, n) =>
    token.classList.toggle("fw-token", now && start + n === t - 1),
  );
  if (print < 0) return;
  const due = t >= stop;
  fill(cells[0], due ? story.prints[print][2] : "");
  [0, 1].forEach((n) => {
    const run = runs[n];
    if (!due || run === undefined) return fill(cells[n + 1], "");
    const { says, right } = story.answer(run, print);
    return fill(cells[n + 1], says, right);
  });
}

/** Keep the current line in sight, without moving the page. */
function keepInSight(box, row) {
  if (!row) {
    box.scrollTop = 0;
    return;
  }
  const head = box.querySelector("thead").offsetHeight;
  const [top, bottom] = [row.offsetTop - head, row.offsetTop + row.offsetHeight];
  if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight)
    box.scrollTop = top - box.clientHeight / 2 + head;
}

/** What the variables hold, says Python. */
export function variablesView(story) {
  const boxes = story.names.map((name) => {
    const value = h("dd", {});
    const node = h("div", { class: "fw-variable" }, h("dt", {}, name), value);
    return { node, value };
  });
  const node = h(
    "div",
    { class: "fw-variables" },
    h("p", { class: "fw-title" }, "Variables, says Python"),
    h("dl", {}, ...boxes.map((box) => box.node)),
  );
  const draw = (t) => {
    const done = story.done(t);
    const [now, before] = [story.values[done], story.values[done - 1]];
    boxes.forEach((box, n) => {
      const fresh = story.ends(t) && before && now[n] !== before[n];
      box.value.textContent = now[n] === null ? "–" : shown(String(now[n]));
      box.node.toggleAttribute("data-fresh", fresh);
      if (fresh && before[n] !== null)
        box.value.append(h("small", {}, ` was ${before[n]}`.replace("-", "−")));
    });
  };
  return { node, draw };
}

function bar([word, p], due, first) {
  const right = word === due;
  return h(
    "li",
    { class: first ? "fw-first" : false },
    h("span", { class: "fw-word" }, shown(word)),
    h(
      "span",
      { class: "fw-bar", "aria-hidden": "true" },
      h("i", { style: `width: ${100 * p}%` }),
    ),
    h("span", { class: "fw-chance" }, percent(p)),
    h("span", { class: "fw-mark" }, ...(right ? [seen("✓"), heard("right")] : [])),
  );
}

function card(story, run, print) {
  const { says, right, top } = story.answer(run, print);
  const due = story.prints[print][2];
  return h(
    "section",
    { class: "fw-card", "data-wrong": !right },
    h("p", { class: "fw-note" }, story.runs[run].title),
    h(
      "p",
      { class: "fw-verdict" },
      h("b", { "aria-hidden": "true" }, mark(right)),
      ` ${shown(says)}: ${right ? "right" : `wrong, right is ${shown(due)}`}`,
    ),
    h("ol", {}, ...top.map((pair, n) => bar(pair, due, n === 0))),
  );
}

/** The last print, and the likeliest answers of each run. */
export function answersView(story) {
  const title = h("p", { class: "fw-title" });
  const cards = h("div", { class: "fw-cards" });
  const scores = h("p", { class: "fw-note fw-scores" });
  const node = h("div", { class: "fw-answers" }, title, cards, scores);
  const draw = (t, runs) => {
    const print = story.lastPrint(t);
    const [line] = story.prints[print] ?? [];
    title.textContent =
      print < 0
        ? "No print is reached yet"
        : `Line ${line + 1} ${story.lines[line][2].split(":")[0]}; the model says`;
    cards.replaceChildren(
      ...(print < 0 ? [] : runs.map((run) => card(story, run, print))),
    );
    const all = runs.map((run) => story.scoreText(run)).join("; ");
    scores.textContent = `In the whole program, ${all}.`;
  };
  return { node, draw };
}
