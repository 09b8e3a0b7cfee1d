// The clock of the self-referential matrix: the run as frozen, and the free run.
import { lessMotion, say } from "./dom.js";
import { largest } from "./film.js";
import { apart } from "./memory_rules.js";
import { BLOCKS, difference, distanceMoved, selfRun } from "./srwm_rules.js";
import { Clock } from "./transport.js";

export const SIGNS = { y: "y", q: "q", k: "k", beta: "β" };

const listed = (values) =>
  BLOCKS.map((name, n) => `${SIGNS[name]} ${say(values[n], 2)}`).join(", ");

export class SelfClock extends Clock {
  constructor(model) {
    const [W, u] = [model.get("W"), model.get("u")];
    super(model, u.length, lessMotion() ? 0.5 : 1);
    Object.assign(this, { W, u, K: u[0].length, cell: null, known: new Map() });
  }

  /** Compute once. */
  keep(name, compute) {
    if (!this.known.has(name)) this.known.set(name, compute());
    return this.known.get(name);
  }

  get frozen() {
    return BLOCKS.filter((name) => this.model.get("frozen").includes(name));
  }

  /** The whole sequence, computed from the start with what is frozen. */
  run(frozen) {
    return this.keep(`run ${frozen}`, () => selfRun(this.W, this.u, frozen));
  }

  get frames() {
    return this.run(this.frozen);
  }

  get free() {
    return this.run([]);
  }

  get frame() {
    return this.frames[this.at];
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  /** What block n shows at step t: its rows, their change, or their shift. */
  rows(frames, n, t, view = this.model.get("view")) {
    const X = frames[t].blocks[n];
    if (view === "matrix") return X;
    return difference(X, frames[view === "change" ? Math.max(t - 1, 0) : 0].blocks[n]);
  }

  /** The largest entry over all steps, frozen or not: full colour of block n. */
  scale(n) {
    const view = this.model.get("view");
    const most = (frames) =>
      largest(frames.map((_, t) => largest(this.rows(frames, n, t, view).flat())));
    return this.keep(`scale ${this.frozen} ${n} ${view}`, () =>
      Math.max(most(this.free), most(this.frames)),
    );
  }

  /** The largest entry of a vector over all steps, frozen or not. */
  reach(name, frames = [...this.free, ...this.frames].filter(({ u }) => u)) {
    return this.keep(`reach ${this.frozen} ${name}`, () =>
      largest(frames.map((frame) => largest(frame[name].flat()))),
    );
  }

  /** The same for what is written into the rows of block n. */
  sideScale(n) {
    const written = [...this.free, ...this.frames].filter(({ u }) => u);
    return this.keep(`side ${this.frozen} ${n}`, () =>
      largest(written.map(({ sides }) => largest(sides[n]))),
    );
  }

  /** How far block n stands from its start, step by step. */
  moved(n, frames = this.frames) {
    const start = frames[0].blocks[n];
    return frames.map(({ blocks }) => distanceMoved(blocks[n], start, start));
  }

  /** How far y is from the y of the free run. */
  get off() {
    const n = Math.sqrt(this.frame.y.length);
    return n * apart(this.frame.y, this.free[this.at].y);
  }

  text() {
    const { at, last } = this;
    if (!at) return `Before the first step of ${last}`;
    const label = this.model.get("labels")[at - 1];
    return `Step ${at} of ${last}${label ? ` · ${label}` : ""}`;
  }

  /** What the step read and wrote, in words. */
  told() {
    const signs = this.frozen.map((name) => SIGNS[name]).join(", ");
    const stays = signs ? ` Frozen rows: ${signs}.` : "";
    if (!this.at) return `Nothing is read and nothing is written yet.${stays}`;
    const { frames, at } = this;
    const step = BLOCKS.map((_, n) => {
      const [now, before, start] = [at, at - 1, 0].map((t) => frames[t].blocks[n]);
      return distanceMoved(now, before, start);
    });
    const sofar = BLOCKS.map((_, n) => this.moved(n)[at]);
    return (
      `Learning rates: ${listed(frames[at].rates)}. ` +
      `The rows moved in this step: ${listed(step)}; ` +
      `since the start: ${listed(sofar)}.${stays}`
    );
  }

  words() {
    return `${this.text()}. ${this.told()}`;
  }

  cellText() {
    if (!this.cell) return "Point at a cell, or use the arrow keys.";
    const [n, [i, j]] = this.cell;
    const [X, change, shift] = ["matrix", "change", "shift"].map(
      (view) => this.rows(this.frames, n, this.at, view)[i][j],
    );
    return (
      `${SIGNS[BLOCKS[n]]} row ${i + 1}, column ${j + 1}: ${say(X)}; ` +
      `in this step ${say(change, 2)}, since the start ${say(shift, 2)}`
    );
  }
}
