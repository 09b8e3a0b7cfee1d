// A program runs through a fast weight programmer: one clock for source, write,
// matrix and answer; a second column for the model with parts switched off.
import { skin } from "./colours.js";
import { field, h, lessMotion, say, select } from "./dom.js";
import { Story, writeText } from "./program_film.js";
import { changesView, memoryView } from "./program_memory.js";
import { answersView, sourceView, variablesView } from "./program_view.js";
import { Clock, stage, transport } from "./transport.js";

const NAMES = { back: "One token back", forward: "One token forward", step: "Token" };
const SWITCHES = ["writes", "recurrence"];
const TRAITS = ["layer", "matrix", "head", "writes_off", "recurrence_off"];

class ProgramClock extends Clock {
  constructor(model, story) {
    super(model, story.T, lessMotion() ? 1 : 2);
    this.story = story;
  }

  get off() {
    return SWITCHES.filter((name) => this.model.get(`${name}_off`));
  }

  /** The runs on show: as trained, and with what is switched off. */
  get runs() {
    const other = this.story.runWith(this.off);
    return other > 0 ? [0, other] : [0];
  }

  /** The number of the matrix on show, or of the nearest where layers differ. */
  get matrix() {
    const [layer, letter, head] = ["layer", "matrix", "head"].map((n) =>
      this.model.get(n),
    );
    const like = (one) =>
      (one.layer === layer) * 4 + (one.letter === letter) * 2 + (one.head === head);
    const all = this.story.matrices.map(like);
    return all.indexOf(Math.max(...all));
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  text() {
    return this.story.tokenText(this.at);
  }

  words() {
    const { story, at } = this;
    const print = story.prints.findIndex(([, token]) => token === at - 1);
    if (print < 0) return this.text();
    const answers = this.runs.map((run) => story.answerText(run, print));
    return `${[this.text(), ...answers].join(". ")}.`;
  }
}

/** Checkboxes for what can be switched off. */
function switches(clock) {
  const { story } = clock;
  const there = SWITCHES.filter((name) => story.runWith([name]) > 0);
  const boxes = there.map((name) => {
    const box = h("input", {
      type: "checkbox",
      onchange: () => {
        clock.set(`${name}_off`, box.checked);
        clock.spoken.speak(clock.runs.map((run) => story.scoreText(run)).join(". "));
      },
    });
    return {
      name,
      box,
      node: field(`${name[0].toUpperCase()}${name.slice(1)} off`, box),
    };
  });
  const node = h(
    "div",
    { class: "fw-choices fw-switches" },
    ...boxes.map((b) => b.node),
  );
  const draw = () =>
    boxes.forEach(({ name, box }) => {
      box.checked = clock.model.get(`${name}_off`);
    });
  return { node, draw };
}

/** Which matrix is shown: its layer, its letter if there are several, its head. */
function chooser(clock) {
  const { matrices } = clock.story;
  const values = (name) => [...new Set(matrices.map((one) => one[name]))];
  const numbered = (name) => values(name).map((n) => [n, String(n + 1)]);
  const pick = (name, options, read) => {
    const trait = name === "letter" ? "matrix" : name;
    const control = select(options, (value) => {
      clock.set(trait, read(value));
      const { story, matrix, at } = clock;
      clock.spoken.speak(
        writeText(story.film(0, matrix), at, story.matrices[matrix].letter),
      );
    });
    return { control, trait };
  };
  const all = {
    Layer: pick("layer", numbered("layer"), Number),
    Matrix: pick(
      "letter",
      values("letter").map((x) => [x, x]),
      String,
    ),
    Head: pick("head", numbered("head"), Number),
  };
  const useful = Object.entries(all).filter(([, { control }]) => control.length > 1);
  const node = h(
    "div",
    { class: "fw-choices" },
    ...useful.map(([name, { control }]) => field(name, control)),
  );
  const draw = () =>
    useful.forEach(([, { control, trait }]) => {
      control.value = String(clock.model.get(trait));
    });
  return { node, draw };
}

const scalesText = ({ letter, scale, keyScale, writeScale, readScale }) =>
  `full colour, at every token: ${letter} ±${say(scale, 2)}, ` +
  `key and query ${say(keyScale, 2)}, ` +
  `written ±${say(writeScale, 2)}, read ±${say(readScale, 2)}`;

function legend() {
  const text = h("span", {});
  const node = h(
    "p",
    { class: "fw-legend" },
    h("span", {}, "−"),
    h("span", { class: "fw-ramp", "aria-hidden": "true" }),
    h("span", {}, "+"),
    text,
  );
  return { node, text };
}

function render({ model, el }) {
  const story = new Story(model.get("story"), model.get("data"));
  const clock = new ProgramClock(model, story);
  const jump = (way, name) => ({
    way,
    name,
    picture: way < 0 ? "before" : "after",
    from: (at) => story.toPrint(at, way),
  });
  const jumps = [jump(-1, "Previous print"), jump(1, "Next print")];
  const bar = transport(clock, NAMES, { jumps });
  const [off, choose, key] = [switches(clock), chooser(clock), legend()];
  const [source, variables, answers] = [sourceView, variablesView, answersView].map(
    (view) => view(story),
  );
  const memories = [0, 1].map(() => memoryView(story, clock));
  const changes = changesView(story, clock);
  const inside = h(
    "div",
    { class: "fw-inside" },
    bar.node,
    h("div", { class: "fw-tools" }, off.node, choose.node),
    h("div", { class: "fw-code" }, source.node),
    h("div", { class: "fw-told" }, variables.node, answers.node),
    h("div", { class: "fw-films" }, ...memories.map(({ node }) => node)),
    key.node,
    changes.node,
  );
  const root = h(
    "div",
    { class: "fw fw-program", role: "group", "aria-label": model.get("title") },
    inside,
    clock.spoken.node,
  );
  const redraw = () => {
    const [colours, t, at] = [skin(root), clock.at, clock.matrix];
    colours.soft = getComputedStyle(root).getPropertyValue("--fw-soft").trim();
    for (const part of [bar, off, choose]) part.draw();
    inside.toggleAttribute("data-two", clock.runs.length > 1);
    source.draw(t, clock.runs);
    variables.draw(t);
    answers.draw(t, clock.runs);
    memories.forEach((memory, n) => {
      memory.node.hidden = n >= clock.runs.length;
      if (!memory.node.hidden) memory.draw(colours, t, clock.runs[n], at);
    });
    changes.draw(colours, t, clock.runs.at(-1), at);
    key.text.textContent = scalesText(story.matrices[at]);
  };
  return stage({ model, el }, clock, root, redraw, TRAITS);
}

export default { render };
