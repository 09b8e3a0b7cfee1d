// The clock of the grid: which examples were shown, and the moments of each.
import { lessMotion } from "./dom.js";
import { largest } from "./film.js";
import { Cells } from "./message_grid_rules.js";
import { Clock } from "./transport.js";

const GLIDE = 420; // milliseconds that a message needs, where it may move
const FULL = 60;

export class GridClock extends Clock {
  constructor(model) {
    super(model, 0, lessMotion() ? 1 : 2);
    this.cells = new Cells(model.get("weights"));
    this.pictures = model.get("pictures");
    this.names = model.get("names");
    this.start = this.cells.begin();
    const usual = model.get("labels")[0];
    const fresh = { runs: [], known: new Map(), cell: [0, 0], phase: 1, script: 0 };
    Object.assign(this, fresh, { picture: 0, label: usual, painted: () => {} });
    this.update();
    this.prepare();
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  get view() {
    return this.model.get("view");
  }

  get pairs() {
    return this.model.get("scripts")[this.script][1];
  }

  get full() {
    return this.model.get("shown").length >= FULL;
  }

  /** Arrive, tick, ..., answer, told, waits. */
  get moments() {
    return this.cells.ticks + 4;
  }

  /** Compute what is shown, from the first example that is new. */
  update() {
    const shown = this.model.get("shown");
    const known = this.runs.findIndex(({ pair }, n) => pair !== String(shown[n]));
    const kept = known < 0 ? this.runs.length : known;
    if (kept === shown.length && kept === this.runs.length) return;
    this.runs = this.runs.slice(0, kept);
    for (const pair of shown.slice(kept)) this.runs.push(this.answer(pair));
    this.last = shown.length * this.moments;
    this.known.clear();
  }

  answer(pair) {
    const [picture, label, writes] = pair;
    const state = this.runs.at(-1)?.next ?? this.start;
    const made = this.cells.example(state, this.pictures[picture], label, writes);
    return { ...made, picture, pair: String(pair) };
  }

  /** Which example is seen, from 0; -1 before the first. */
  get n() {
    return Math.ceil(this.at / this.moments) - 1;
  }

  get one() {
    return this.runs[this.n] ?? null;
  }

  /** Where in its example a step stands. */
  momentOf(step) {
    return step ? (step - 1) % this.moments : -1;
  }

  kindOf(step) {
    const moment = this.momentOf(step);
    if (moment < 1) return moment < 0 ? "start" : "arrive";
    const { ticks } = this.cells;
    return moment <= ticks ? "tick" : ["answer", "told", "waits"][moment - ticks - 1];
  }

  get kind() {
    return this.kindOf(this.at);
  }

  /** The states of all cells at a step. */
  stateAt(step) {
    const one = this.runs[Math.ceil(step / this.moments) - 1];
    return one ? one.states[Math.min(this.momentOf(step), this.cells.ticks)] : this.start;
  }

  /** What the cells show at a step, a number for each. */
  values(view = this.view, step = this.at) {
    const [one, state] = [
      this.runs[Math.ceil(step / this.moments) - 1],
      this.stateAt(step),
    ];
    if (view === "weight") return this.weights(one, this.kindOf(step));
    if (view === "vote") return this.cells.votes(state.h);
    if (view === "change") return this.cells.changes(one?.states[0] ?? state, state);
    const [part, j] = [view[0], Number(view.slice(1)) - 1];
    return state[part].filter((_, n) => n % this.cells.size === j);
  }

  /** Implied weights: those of this answer; once it is told, those of the next. */
  weights(one, kind) {
    const { cells, picture, pictures } = this;
    if (!one) return cells.implied(this.start, pictures[picture]);
    if (kind === "told" || kind === "waits") {
      one.after ??= cells.implied(one.next, one.x);
      return one.after;
    }
    one.before ??= cells.implied(one.states[0], one.x);
    return one.before;
  }

  /** The largest value of all examples shown: full colour. */
  get scale() {
    return this.keep(`${this.view} ${this.last ? "" : this.picture}`, () => {
      const steps = this.runs.flatMap((_, n) =>
        [1, this.moments].map((m) => n * this.moments + m),
      );
      return (
        largest([0, ...steps].map((step) => largest(this.values(this.view, step)))) || 1
      );
    });
  }

  keep(name, compute) {
    if (!this.known.has(name)) this.known.set(name, compute());
    return this.known.get(name);
  }

  /** The next example of the script, as long as nothing else was shown. */
  get ahead() {
    const [pairs, shown] = [this.pairs, this.model.get("shown")];
    const same = ([p, label], n) => p === pairs[n]?.[0] && label === pairs[n][1];
    return shown.every(same) ? pairs[shown.length] : undefined;
  }

  /** Whether what is picked is what the script shows next. */
  get follows() {
    const [picture, label] = this.ahead ?? [];
    return picture === this.picture && label === this.label;
  }

  /** Pick what the script shows next. */
  prepare() {
    if (this.ahead) [this.picture, this.label] = this.ahead;
  }

  pick(picture) {
    [this.picture, this.label] = [picture, this.model.get("labels")[picture]];
  }

  /** Show what is picked; the clock stays where it is. */
  add() {
    const pair = [this.picture, this.label, this.model.get("writes")];
    this.set("shown", [...this.model.get("shown"), pair]);
    this.update();
    this.prepare();
  }

  show() {
    if (this.full) return;
    const first = this.last + 1;
    this.stop();
    this.add();
    if (lessMotion()) return this.go(this.last);
    this.every(() => this.byMoment());
    this.go(first);
  }

  takeBack() {
    const shown = this.model.get("shown");
    [this.picture, this.label] = shown.at(-1);
    this.keepShown(shown.slice(0, -1));
  }

  restart() {
    this.keepShown([]);
    this.prepare();
    this.changed();
  }

  keepShown(shown) {
    this.stop();
    this.set("shown", shown);
    this.update();
    this.go(this.last);
  }

  playScript() {
    if (!this.ahead) this.restart();
    const next = () => {
      this.prepare();
      this.add();
      this.go(this.last);
      if (!this.ahead) this.pause();
    };
    this.every(next);
    next();
  }

  play(pace = this.pace) {
    if (!this.last) return this.show();
    const advance = this.playing ? this.advance : () => this.byMoment();
    if (!this.playing && this.at >= this.last) this.go(this.last - this.moments);
    return this.every(advance, pace);
  }

  byMoment() {
    this.move(1);
    if (this.at >= this.last) this.pause();
  }

  every(advance, pace = this.pace) {
    this.stop();
    this.spoken.hush();
    Object.assign(this, { pace, advance, timer: setInterval(advance, 1000 / pace) });
    this.changed();
  }

  /** A step forward is seen to move, unless the reader wants less motion. */
  go(n) {
    const glides = n === this.at + 1 && this.pace <= 2 && !lessMotion();
    cancelAnimationFrame(this.gliding);
    this.phase = glides ? 0 : 1;
    super.go(n);
    if (glides) this.glide(performance.now());
  }

  glide(begun) {
    this.gliding = requestAnimationFrame((now) => {
      this.phase = Math.min(Math.max((now - begun) / GLIDE, 0), 1);
      this.painted();
      if (this.phase < 1) this.glide(begun);
    });
  }
}
