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
import { button, field, follow, h, icon, range, select, voice } from "./dom.js";

const PACES = [0.5, 1, 2, 5, 10];
const UNITS = [
  ["instruction", "instruction"],
  ["line", "line"],
  ["barrier", "barrier"],
];

class Clock {
  constructor(model, film) {
    this.model = model;
    this.film = film;
    this.steps = unpackSteps(film);
    this.last = this.steps.length - 1;
    this.unit = "instruction";
    this.pace = 2;
    this.thread = null;
    this.cell = null;
    this.timer = null;
    this.spoken = voice();
    this.changed = () => {};
  }

  get at() {
    return Math.min(Math.max(this.model.get("step"), 0), this.last);
  }

  get step() {
    return this.steps[this.at];
  }

  get playing() {
    return this.timer !== null;
  }

  go(n) {
    this.model.set("step", Math.min(Math.max(n, 0), this.last));
    this.model.save_changes();
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

  speak() {
    const race = raceWords(this.film, this.step);
    this.spoken.speak(`${this.text()}. ${race.startsWith("Race") ? race : ""}`);
  }

  play() {
    if (this.at >= this.last) this.go(0);
    this.spoken.hush();
    this.timer = setInterval(() => {
      this.move(1);
      if (this.at >= this.last) this.pause();
    }, 1000 / this.pace);
    this.changed();
  }

  pause() {
    if (!this.playing) return;
    clearInterval(this.timer);
    this.timer = null;
    this.changed();
    this.speak();
  }
}

function controls(clock) {
  const play = button("", () => (clock.playing ? clock.pause() : clock.play()), {
    class: "fw-main fw-play",
  });
  const back = button(icon("back"), () => clock.move(-1), { "aria-label": "Back" });
  const forward = button(icon("forward"), () => clock.move(1), {
    "aria-label": "Forward",
  });
  const scrub = range(0, clock.last, 1, clock.at, (n) => clock.go(n));
  const unit = select(UNITS, (name) => {
    clock.unit = name;
  });
  const pace = select(
    PACES.map((s) => [s, `${s} / s`]),
    (s) => {
      clock.pace = Number(s);
      if (!clock.playing) return;
      clearInterval(clock.timer);
      clock.play();
    },
  );
  pace.value = String(clock.pace);
  const caption = h("p", { class: "fw-step" });
  const race = h("p", { class: "fw-race" });
  const node = h(
    "div",
    { class: "fw-transport" },
    h("div", { class: "fw-buttons" }, back, play, forward),
    h("div", { class: "fw-choices" }, field("Step by", unit), field("Speed", pace)),
    h("div", { class: "fw-scrub" }, field("Request", scrub)),
    caption,
    race,
  );
  const draw = (at) => {
    play.replaceChildren(
      icon(clock.playing ? "pause" : "play"),
      clock.playing ? "Pause" : "Play",
    );
    scrub.value = String(at);
    scrub.setAttribute("aria-valuetext", clock.text());
    back.disabled = at === 0;
    forward.disabled = at === clock.last;
    caption.textContent = clock.text();
    race.textContent = raceWords(clock.film, clock.step);
    race.toggleAttribute("data-race", race.textContent.startsWith("Race"));
  };
  return { node, draw };
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
  const clock = new Clock(model, film);
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
    bar.draw(at);
    choose.draw();
    readout.textContent = clock.cellText();
    arrays.forEach((view) => {
      view.node.hidden = !shown(view);
    });
    source.draw(clock.step);
    for (const view of [...views, ...arrays.filter(shown)])
      view.draw(colours, clock.step, at);
  };
  clock.changed = redraw;
  const onStep = () => {
    redraw();
    if (!clock.playing) clock.speak();
  };
  el.append(root);
  model.on("change:step", onStep);
  model.on("change:array", redraw);
  const stop = follow(root, redraw);
  return () => {
    clearInterval(clock.timer);
    stop();
    model.off("change:step", onStep);
    model.off("change:array", redraw);
  };
}

export default { render };
