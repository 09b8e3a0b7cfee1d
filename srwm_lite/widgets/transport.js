// One clock and one bar for every widget that steps: back, play, forward, scrub, speed.
import { button, field, follow, h, icon, range, select, voice } from "./dom.js";

const PACES = [0.5, 1, 2, 5, 10, 20];

/** The steps 0 to `last` of the trait `step`; who extends it says a step in words. */
export class Clock {
  constructor(model, last, pace) {
    Object.assign(this, { model, last, pace, timer: null });
    this.spoken = voice();
    this.changed = () => {};
  }

  get at() {
    return Math.min(Math.max(this.model.get("step"), 0), this.last);
  }

  get playing() {
    return this.timer !== null;
  }

  /** What stands under the bar. */
  text() {
    return `Step ${this.at} of ${this.last}`;
  }

  /** What is spoken after a step. */
  words() {
    return this.text();
  }

  speak() {
    this.spoken.speak(this.words());
  }

  go(n) {
    this.model.set("step", Math.min(Math.max(n, 0), this.last));
    this.model.save_changes();
  }

  move(way) {
    this.go(this.at + way);
  }

  play(pace = this.pace) {
    this.stop();
    this.pace = pace;
    if (this.at >= this.last) this.go(0);
    this.spoken.hush();
    this.timer = setInterval(() => {
      this.move(1);
      if (this.at >= this.last) this.pause();
    }, 1000 / pace);
    this.changed();
  }

  pause() {
    if (!this.playing) return;
    this.stop();
    this.changed();
    this.speak();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
  }
}

function paceField(clock) {
  const pace = select(
    PACES.map((s) => [s, `${s} / s`]),
    (s) => {
      clock.pace = Number(s);
      if (clock.playing) clock.play();
    },
  );
  pace.value = String(clock.pace);
  return field("Speed", pace);
}

/** The bar; `names` are its words for back, forward and a step, `jumps` more buttons. */
export function transport(clock, names, { jumps = [], choices = [], more = [] } = {}) {
  const play = button("", () => (clock.playing ? clock.pause() : clock.play()), {
    class: "fw-main fw-play",
  });
  const to = (picture, name, go) => button(icon(picture), go, { "aria-label": name });
  const back = to("back", names.back, () => clock.move(-1));
  const forward = to("forward", names.forward, () => clock.move(1));
  const [early, late] = [-1, 1].map((way) =>
    jumps
      .filter((jump) => jump.way === way)
      .map((jump) => to(jump.picture, jump.name, () => clock.go(jump.from(clock.at)))),
  );
  const scrub = range(0, clock.last, 1, clock.at, (n) => clock.go(n));
  const caption = h("p", { class: "fw-step" });
  const node = h(
    "div",
    { class: "fw-transport" },
    h("div", { class: "fw-buttons" }, ...early, back, play, forward, ...late),
    h("div", { class: "fw-scrub" }, field(names.step, scrub)),
    h("div", { class: "fw-choices" }, ...choices, paceField(clock)),
    caption,
    ...more,
  );
  const draw = () => {
    play.replaceChildren(
      icon(clock.playing ? "pause" : "play"),
      clock.playing ? "Pause" : "Play",
    );
    scrub.value = String(clock.at);
    scrub.setAttribute("aria-valuetext", clock.text());
    for (const one of [back, ...early]) one.disabled = clock.at === 0;
    for (const one of [forward, ...late]) one.disabled = clock.at === clock.last;
    caption.textContent = clock.text();
  };
  return { node, draw };
}

/** Put a widget on the page, and draw it at each step, theme and width. */
export function stage({ model, el }, clock, root, redraw, traits = []) {
  const onStep = () => {
    redraw();
    if (!clock.playing) clock.speak();
  };
  const heard = [
    ["change:step", onStep],
    ...traits.map((name) => [`change:${name}`, redraw]),
  ];
  clock.changed = redraw;
  el.append(root);
  heard.forEach(([event, hear]) => model.on(event, hear));
  const stop = follow(root, redraw);
  return () => {
    clock.stop();
    stop();
    heard.forEach(([event, hear]) => model.off(event, hear));
  };
}
