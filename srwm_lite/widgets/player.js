// The clock and the question of all films: the step, the key asked with, the cell.
import { scaleOf } from "./chart.js";
import { lessMotion, say } from "./dom.js";
import { largest } from "./film.js";
import { cellText } from "./film_view.js";
import { Clock } from "./transport.js";

export class Player extends Clock {
  constructor(model, films) {
    const { T } = films[0];
    super(model, T, lessMotion() ? 1 : T > 40 ? 10 : 2);
    this.films = films;
    this.T = T;
    this.asked = "now";
    this.cell = null;
    this.hint = "W after the step. Point at a cell, or use the arrow keys.";
    this.scale = scaleOf(films);
  }

  get step() {
    return this.at;
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

  text() {
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

  words() {
    const said = this.views.map(
      (view, i) => `${this.films[i].title}: ${view.text(this.step)}`,
    );
    return [this.text(), ...said].join(". ");
  }
}
