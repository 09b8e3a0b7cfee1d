// The clock and the question of all films: the step, the key asked with, the cell.
import { scaleOf } from "./chart.js";
import { say, voice } from "./dom.js";
import { largest } from "./film.js";
import { cellText } from "./film_view.js";

export class Player {
  constructor(model, films) {
    this.model = model;
    this.films = films;
    this.T = films[0].T;
    this.asked = "now";
    this.cell = null;
    this.hint = "W after the step. Point at a cell, or use the arrow keys.";
    this.scale = scaleOf(films);
    this.timer = null;
    this.spoken = voice();
  }

  get step() {
    return Math.min(Math.max(this.model.get("step"), 0), this.T);
  }

  get playing() {
    return this.timer !== null;
  }

  go(t) {
    this.model.set("step", Math.min(Math.max(t, 0), this.T));
    this.model.save_changes();
  }

  ask(asked) {
    this.asked = asked;
    this.changed();
    this.spoken.speak(this.views.map(({ reply }) => reply.node.textContent).join(" "));
  }

  point(cell, speak = false) {
    this.cell = cell;
    this.changed();
    if (speak)
      this.spoken.speak(
        this.films.map((f) => `${f.title}, ${cellText(f, this.step, cell)}`).join("; "),
      );
  }

  key({ k, q }) {
    if (!k) return null;
    if (this.asked === "query" && q) return q(Math.max(this.step, 1));
    return k(Number(this.asked) || Math.max(this.step, 1));
  }

  /** What full colour means for W and for the small pictures, at step t. */
  colourScales(film, t) {
    if (!this.scale.log) return [film.scale, film.writeScale];
    const most = largest(film.W(t)) || 1;
    return [most, Math.max(most, t ? largest(film.W(t - 1)) : 0)];
  }

  askedSteps({ k, T }) {
    if (!k || this.asked === "query") return [];
    return [Number(this.asked) || Math.max(this.step, 1)].filter((t) => t <= T);
  }

  stepText() {
    const [t, film] = [this.step, this.films[0]];
    const label = t && film.labels[t - 1] ? ` · ${film.labels[t - 1]}` : "";
    const beta =
      t && film.v
        ? this.films.map((f) => (f.hasBeta ? `β = ${say(f.beta(t), 2)}` : ""))
        : [];
    return [
      t ? `Step ${t} of ${this.T}${label}` : `Before the first step of ${this.T}`,
      ...new Set(beta.filter(Boolean)),
    ].join(" · ");
  }

  play(speed) {
    this.pause();
    if (this.step >= this.T) this.go(0);
    this.spoken.hush();
    this.timer = setInterval(() => {
      this.go(this.step + 1);
      if (this.step >= this.T) this.pause();
    }, 1000 / speed);
    this.changed();
  }

  pause() {
    if (!this.playing) return;
    clearInterval(this.timer);
    this.timer = null;
    this.changed();
    this.speakStep();
  }

  speakStep() {
    this.spoken.speak(
      [
        this.stepText(),
        ...this.views.map(
          (view, i) => `${this.films[i].title}: ${view.text(this.step)}`,
        ),
      ].join(". "),
    );
  }
}
