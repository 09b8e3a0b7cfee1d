// Teach it in the page: five drawings with labels, a query, and a matrix that rewrites
// itself while it reads them. All of it is computed where it is shown.
import { answerView, resultText, scoreText } from "./answer_view.js";
import { skin } from "./colours.js";
import { button, field, h, select } from "./dom.js";
import { headsView, movedText } from "./heads_view.js";
import { Lesson, share } from "./lesson.js";
import { cardsView } from "./lesson_cards.js";
import { Clock, stage, transport } from "./transport.js";

const NAMES = { back: "One step back", forward: "One step forward", step: "Step" };
const VIEW_NAMES = [
  ["since", "change since the start"],
  ["wrote", "what this step wrote"],
  ["whole", "the matrix itself"],
];
const HELP =
  "Draw with mouse, pen or finger. With the keyboard: arrow keys move the pen, space " +
  "puts it down and lifts it, Shift makes small steps, Backspace undoes, Delete wipes.";

/** Reads the pictures one by one; the last step reads the query. */
class LessonClock extends Clock {
  constructor(model, lesson) {
    super(model, lesson.ways + 1, 1);
    [this.lesson, this.view, this.smooth] = [lesson, "since", true];
  }

  get layer() {
    return Math.min(this.model.get("layer"), this.lesson.net.layers.length - 1);
  }

  get off() {
    return this.model.get("writes_off");
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  text() {
    const { lesson, at } = this;
    if (at === 0) return "Start: nothing is read";
    const name =
      at > lesson.ways ? "the query" : `picture ${at}, ${lesson.nameOf(at - 1)},`;
    const read = lesson.papers[at - 1].empty ? "is empty, nothing is read" : "is read";
    return `Step ${at} of ${this.last}: ${name} ${read}`;
  }

  words() {
    const moved = this.off ? "" : ` ${movedText(this.lesson, this.layer, this.at)}`;
    return `${this.text()}. ${resultText(this.lesson, this)}${moved}`;
  }
}

/** Buttons for the whole lesson, and what is shown of it. */
function toolbar(lesson, clock, changedAll) {
  const every = (does, words) => () => {
    does();
    changedAll(words);
  };
  const exam = button("Ask 50 times", () => {
    lesson.examine();
    clock.changed();
    clock.spoken.speak(scoreText(lesson));
  });
  const all = lesson.papers.map((_, n) => n);
  const fresh = () => {
    all.slice(0, lesson.ways).forEach((n) => lesson.invent(n));
    lesson.ask();
  };
  const empty = () =>
    all.forEach((n) => {
      lesson.papers[n].put([]);
      lesson.changed(n);
    });
  const view = select(VIEW_NAMES, (value) => {
    clock.view = value;
    clock.changed();
  });
  const layers = lesson.net.layers.map((n) => [n, String(n + 1)]);
  const layer = select(layers, (n) => clock.set("layer", Number(n)));
  const node = h(
    "div",
    { class: "fw-lesson-tools" },
    button(
      "Shuffle the labels",
      every(() => lesson.shuffle(), "The labels are shuffled."),
    ),
    button("Five new characters", every(fresh, "Five new characters and a query.")),
    button("Clear all", every(empty, "All sheets are empty.")),
    exam,
  );
  const shown = h(
    "div",
    { class: "fw-choices" },
    field("Show", view),
    layers.length > 1 ? field("Layer", layer) : null,
  );
  const draw = () => {
    layer.value = String(clock.layer);
    exam.disabled = lesson.drawn < lesson.ways;
  };
  return { node, shown, draw };
}

function render({ model, el }) {
  const lesson = new Lesson(model);
  const clock = new LessonClock(model, lesson);
  const help = h("p", { class: "fw-note", id: `fw-help-${Math.random()}` }, HELP);
  const about = h("p", { class: "fw-note" });
  let redraw = () => {};
  const refresh = (smooth) => {
    clock.smooth = smooth;
    redraw();
    clock.smooth = true;
  };
  const changed = (n, how) => {
    if (how === "pen") return refresh(true);
    if (how === "stroke" || how === "done") lesson.changed(n);
    if (how !== "name" && clock.at !== n + 1) clock.go(n + 1);
    refresh(how === "drawn");
    if (how !== "stroke") clock.speak();
    return undefined;
  };
  const changedAll = (words) => {
    clock.go(clock.last);
    refresh(true);
    clock.spoken.speak(`${words} ${resultText(lesson, clock)}`);
  };
  const cards = cardsView(lesson, clock, help.id, changed);
  const heads = headsView(lesson, clock);
  const answer = answerView(lesson, clock);
  const tools = toolbar(lesson, clock, changedAll);
  const bar = transport(clock, NAMES, { choices: [tools.shown] });
  const inside = h(
    "div",
    { class: "fw-inside" },
    cards.node,
    tools.node,
    heads.node,
    answer.node,
    bar.node,
    help,
    about,
  );
  const root = h(
    "div",
    { class: "fw fw-teach", role: "group", "aria-label": model.get("title") },
    inside,
    clock.spoken.node,
  );
  redraw = () => {
    const colours = skin(root);
    for (const part of [tools, bar]) part.draw();
    for (const part of [cards, heads, answer]) part.draw(colours);
    root.toggleAttribute("data-off", clock.off);
    about.textContent = aboutText(lesson);
    root.dataset.milliseconds = lesson.milliseconds ?? "";
  };
  return stage({ model, el }, clock, root, redraw, ["writes_off", "layer"]);
}

const count = (tensors) =>
  Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);

function aboutText({ net: { tensors, made }, milliseconds }) {
  const numbers = String(count(tensors)).replace(/\B(?=(\d{3})+$)/g, " ");
  const took = milliseconds ? ` in ${Math.ceil(milliseconds)} ms` : "";
  return (
    `${numbers} numbers answer${took}, here: nothing is sent. They were trained on ` +
    `${made.data}, and name ${share(made.score)} of new characters right.`
  );
}

export default { render };
