// What the matrix says about the query: one bar for each label.
import { field, h } from "./dom.js";
import { share } from "./lesson.js";
import { drawSeen } from "./paper.js";

const nameOf = (lesson, label) => lesson.names[label].trim() || String(label + 1);
const topOf = (chances) => chances.indexOf(Math.max(...chances));

/** The whole result in one or two sentences. */
export function resultText(lesson, player) {
  if (!lesson.drawn) return "Draw five characters, then a sixth as the query.";
  if (!lesson.asked) return "Draw the query: one of your characters once more.";
  const [now, without] = [lesson.chances(player.at), lesson.chances(0)];
  const name = (n) => nameOf(lesson, n);
  if (player.off) {
    const n = topOf(without);
    return (
      `Writes are off: the matrix stays as it started and says ${name(n)}, ` +
      `${share(without[n])}, whatever you teach. Over many lessons that is right ` +
      `by chance, in ${share(1 / lesson.ways)} of them.`
    );
  }
  const n = topOf(now);
  const early =
    player.at < lesson.ways ? `After ${player.at} of ${lesson.ways} pictures t` : "T";
  return (
    `${early}he matrix says: ${name(n)}, ${share(now[n])}; ` +
    `with writes off, ${name(n)} gets ${share(without[n])}.` +
    truthText(lesson, n, name)
  );
}

/** What an exam has found. */
export function scoreText({ score, ways }) {
  if (!score) return "";
  return (
    `Of ${score.asked} drawings by other hands it names ${score.right} right; with ` +
    `writes off ${score.without}, and by chance about ${score.asked / ways}.`
  );
}

/** Whether the answer is right, where that is known. */
function truthText(lesson, n, name) {
  if (lesson.meant < 0) return "";
  const wanted = lesson.labels[lesson.meant];
  if (n === wanted) return " Right.";
  return ` Wrong: another hand drew ${name(wanted)}.`;
}

function barRow(n) {
  const [name, fill, off, said, without] = ["b", "i", "s", "span", "span"].map((tag) =>
    h(tag, {}),
  );
  said.className = "fw-chance";
  without.className = "fw-heard";
  name.className = "fw-word";
  const track = h("span", { class: "fw-bar", "aria-hidden": "true" }, fill, off);
  const node = h("li", { "data-label": n + 1 }, name, track, said, without);
  const draw = (text, chance, start, first) => {
    name.textContent = text;
    fill.style.width = `${100 * chance}%`;
    off.style.left = `${100 * start}%`;
    said.textContent = share(chance);
    without.textContent = `, with writes off ${share(start)}`;
    node.toggleAttribute("data-first", first);
  };
  return { node, draw };
}

/** The query as it is seen, and in large letters what it is called. */
function verdictView(lesson) {
  const seen = h("canvas", { class: "fw-seen", "aria-hidden": "true" });
  const arrow = h("span", { class: "fw-arrow", "aria-hidden": "true" }, "→");
  const [word, sure] = ["fw-says", "fw-sure"].map((name) => h("span", { class: name }));
  const node = h("p", { class: "fw-verdict" }, seen, arrow, word, sure);
  const draw = (skin, chances, n) => {
    const name = lesson.asked ? nameOf(lesson, n) : "?";
    drawSeen(seen, skin, lesson.seen[lesson.ways].picture, lesson.size);
    node.dataset.label = lesson.asked ? n + 1 : 0;
    word.textContent = name;
    word.toggleAttribute("data-long", name.length > 3);
    sure.textContent = lesson.asked ? share(chances[n]) : "";
  };
  return { node, draw };
}

/** The verdict and the bars; before there is a query, all labels are as likely. */
export function answerView(lesson, player) {
  const verdict = verdictView(lesson);
  const rows = lesson.names.map((_, n) => barRow(n));
  const list = h("ol", { class: "fw-answers" }, ...rows.map(({ node }) => node));
  const key = h(
    "p",
    { class: "fw-note fw-off-key" },
    h("i", { "aria-hidden": "true" }),
    "the answer with writes off",
  );
  const off = h("input", {
    type: "checkbox",
    onchange: () => {
      player.set("writes_off", off.checked);
      player.speak();
    },
  });
  const text = h("p", { class: "fw-result" });
  const score = h("p", { class: "fw-score" });
  const node = h("section", { class: "fw-answer", "aria-label": "Answer" });
  node.append(verdict.node, list, key, text, score, field("Writes off", off));
  const draw = (skin) => {
    off.checked = player.off;
    const even = lesson.names.map(() => 1 / lesson.ways);
    const without = lesson.chances(0) ?? even;
    const now = (player.off ? without : lesson.chances(player.at)) ?? even;
    const n = topOf(now);
    rows.forEach((row, label) =>
      row.draw(
        nameOf(lesson, label),
        now[label],
        without[label],
        lesson.asked && label === n,
      ),
    );
    verdict.draw(skin, now, n);
    text.textContent = resultText(lesson, player);
    score.textContent = scoreText(lesson);
  };
  return { node, draw };
}
