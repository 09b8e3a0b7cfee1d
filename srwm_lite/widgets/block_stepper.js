// One block of a kernel: one clock, the source, the threads, the cells, the races.
import {
  cellWords,
  nextStep,
  raceWords,
  stepWords,
  unpackSteps,
} from "./block_history.js";
import { cellsView, sourceView, threadsView, timeLine } from "./block_view.js";
import { skin } from "./colours.js";
import { field, h, select } from "./dom.js";
import { Clock, stage, transport } from "./transport.js";

const NAMES_OF_MOVES = { back: "Back", forward: "Forward", step: "Request" };
const UNITS = [
  ["instruction", "instruction"],
  ["line", "line"],
  ["barrier", "barrier"],
];

class BlockClock extends Clock {
  constructor(model, film) {
    const steps = unpackSteps(film);
    super(model, steps.length - 1, 2);
    Object.assign(this, { film, steps, unit: "instruction", thread: null, cell: null });
  }

  get step() {
    return this.steps[this.at];
  }

  move(way) {
    this.go(nextStep(this.steps, this.at, this.unit, way));
  }

  follow(thread) {
    this.thread = thread;
    this.changed();
  }

  text() {
    const { interval, warp } = this.step;
    const warps = this.film.threads > 32 ? ` · warp ${warp}` : "";
    const fences = `after ${interval} barrier${interval === 1 ? "" : "s"}`;
    const words = stepWords(this.film, this.step);
    return `Request ${this.at + 1} of ${this.last + 1} · ${fences}${warps} · ${words}`;
  }

  cellText() {
    if (!this.cell) return "Point at a cell, or use the arrow keys.";
    return cellWords(this.film, this.steps, this.at, ...this.cell);
  }

  words() {
    const race = raceWords(this.film, this.step);
    return `${this.text()}. ${race.startsWith("Race") ? race : ""}`;
  }
}

function controls(clock) {
  const unit = select(UNITS, (name) => {
    clock.unit = name;
  });
  const race = h("p", { class: "fw-race" });
  const parts = { choices: [field("Step by", unit)], more: [race] };
  const bar = transport(clock, NAMES_OF_MOVES, parts);
  const draw = () => {
    bar.draw();
    race.textContent = raceWords(clock.film, clock.step);
    race.toggleAttribute("data-race", race.textContent.startsWith("Race"));
  };
  return { node: bar.node, draw };
}

function key() {
  const sign = (kind, text) =>
    h("span", { class: "fw-key" }, h("i", { class: `fw-sign fw-${kind}` }), text);
  return h(
    "p",
    { class: "fw-legend" },
    sign("reads", "reads"),
    sign("writes", "writes"),
    sign("fences", "barrier"),
    h("span", { class: "fw-key" }, "✕ race"),
    h("span", { class: "fw-key" }, "number in a cell: the thread that wrote it last"),
  );
}

function choices(model, film, clock) {
  const given = film.arrays.filter(({ space }) => space === "global");
  const array = select(
    given.map(({ name }) => [name, name]),
    (name) => {
      model.set("array", name);
      model.save_changes();
    },
  );
  const threads = Array.from({ length: film.threads }, (_, n) => [n, `thread ${n}`]);
  const thread = select([["", "none"], ...threads], (n) =>
    clock.follow(n === "" ? null : Number(n)),
  );
  const node = h(
    "div",
    { class: "fw-choices" },
    field("Follow", thread),
    given.length ? field("Argument", array) : null,
  );
  const draw = () => {
    array.value = model.get("array");
    thread.value = clock.thread === null ? "" : String(clock.thread);
  };
  return { node, draw };
}

function render({ model, el }) {
  const film = model.get("film");
  const clock = new BlockClock(model, film);
  const bar = controls(clock);
  const choose = choices(model, film, clock);
  const source = sourceView(film);
  const views = [threadsView(film, clock), timeLine(film, clock)];
  const arrays = film.arrays.map((_, n) => cellsView(film, clock, n));
  const shown = ({ array }) =>
    film.arrays[array].space === "shared" ||
    film.arrays[array].name === model.get("array");
  const readout = h("p", { class: "fw-note fw-readout" });
  const inside = h(
    "div",
    { class: "fw-inside" },
    bar.node,
    h(
      "div",
      { class: "fw-memory" },
      views[0].node,
      ...arrays.map(({ node }) => node),
      readout,
      choose.node,
    ),
    h("div", { class: "fw-when" }, views[1].node, key()),
    h("div", { class: "fw-text" }, source.node),
  );
  const root = h(
    "div",
    { class: "fw fw-stepper", role: "group", "aria-label": model.get("title") },
    inside,
    clock.spoken.node,
  );
  const redraw = () => {
    const [colours, at] = [skin(root), clock.at];
    colours.soft = getComputedStyle(root).getPropertyValue("--fw-soft").trim();
    bar.draw();
    choose.draw();
    readout.textContent = clock.cellText();
    arrays.forEach((view) => {
      view.node.hidden = !shown(view);
    });
    source.draw(clock.step);
    for (const view of [...views, ...arrays.filter(shown)])
      view.draw(colours, clock.step, at);
  };
  return stage({ model, el }, clock, root, redraw, ["array"]);
}

export default { render };
