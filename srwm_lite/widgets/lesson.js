// The lesson: what is drawn, what it is called, and what the matrix makes of it.
import { Net } from "./few_shot_net.js";
import {
  drawing,
  drawnBy,
  fitted,
  inventCharacter,
  randomFrom,
  someHand,
} from "./hand_strokes.js";
import { Paper } from "./paper.js";
import { softmax } from "./srwm_rules.js";

export const share = (p) => `${Math.round(100 * p)} %`;
const norm = (values) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
const largestAt = (values) => values.indexOf(Math.max(...values));
const EACH = 10; // drawings of every character in an exam

/** Another order, in which nothing stays where it was. */
export function mixedUp(list, random) {
  const turn = 1 + Math.floor(random() * (list.length - 1));
  const order = list.map((_, n) => n);
  for (let n = order.length - 1; n > 0; n--) {
    const m = Math.floor(random() * (n + 1));
    [order[n], order[m]] = [order[m], order[n]];
  }
  const next = [...list];
  order.forEach((from, n) => {
    next[from] = list[order[(n + turn) % order.length]];
  });
  return next;
}

export class Lesson {
  constructor(model) {
    this.net = new Net(model.get("weights"));
    ({ ways: this.ways, size: this.size } = this.net.is);
    this.random = randomFrom(model.get("seed"));
    this.papers = model.get("strokes").map((strokes) => new Paper(strokes));
    this.names = [...model.get("names")];
    this.labels = this.names.map((_, n) => n);
    this.meant = model.get("meant");
    this.seen = [];
    this.papers.forEach((_, n) => this.look(n));
    this.read();
  }

  get asked() {
    return this.seen[this.ways].features;
  }

  get drawn() {
    return this.papers.slice(0, this.ways).filter(({ empty }) => !empty).length;
  }

  /** The name of the label that picture n carries. */
  nameOf(n) {
    return this.names[this.labels[n]].trim() || String(this.labels[n] + 1);
  }

  look(n) {
    const { strokes, empty } = this.papers[n];
    const picture = drawing(strokes, this.size);
    this.seen[n] = { picture, features: empty ? null : this.net.see(picture) };
  }

  read() {
    const shown = this.seen.slice(0, this.ways).map(({ features }) => features);
    this.states = this.net.read(shown, this.labels);
    [this.answers, this.score] = [[], null];
  }

  /**
   * What is read of the query after n pictures, and what that writes. Reading comes
   * before writing, so the answer after 0 pictures is the answer with writes off.
   */
  answer(n) {
    this.answers[n] ??= this.net.step(this.asked, null, this.states[n]);
    return this.answers[n];
  }

  /** Take note of a change on sheet n. */
  changed(n) {
    const before = performance.now();
    if (n === this.ways || n === this.meant) this.meant = -1;
    this.look(n);
    if (n === this.ways) this.answers = [];
    else this.read();
    this.chances(this.ways);
    this.milliseconds = performance.now() - before;
  }

  invent(n) {
    this.papers[n].put(this.byHand(inventCharacter(this.random)));
    this.changed(n);
  }

  /** The same strokes by another hand, on the middle of the sheet. */
  byHand(strokes) {
    return fitted(drawnBy(someHand(strokes, this.random), strokes));
  }

  /** Let another hand draw one of the characters as the query. */
  ask() {
    const there = this.labels.map((_, n) => n).filter((n) => !this.papers[n].empty);
    const n = there[Math.floor(this.random() * there.length)];
    this.papers[this.ways].put(this.byHand(this.papers[n].strokes));
    this.changed(this.ways);
    this.meant = n;
  }

  shuffle() {
    this.labels = mixedUp(this.labels, this.random);
    this.read();
  }

  /** The chances of all labels after `step` steps. */
  chances(step) {
    return this.asked && softmax(this.answer(Math.min(step, this.ways)).logits);
  }

  /** The matrices of a layer: as they are, since the start, or what a step changed. */
  matrices(layer, step, view) {
    const after = (n) => {
      if (n <= this.ways) return this.states[n];
      return this.asked ? this.answer(this.ways).states : this.states[this.ways];
    };
    const at = (n) => Float64Array.from(after(n)[layer].flat(3));
    if (view === "whole") return at(step);
    const before = view === "since" ? at(0) : at(Math.max(step - 1, 0));
    return at(step).map((x, n) => x - before[n]);
  }

  /** Let other hands draw every character again, and count the right answers. */
  examine() {
    const score = { asked: 0, right: 0, without: 0 };
    const states = { right: this.states[this.ways], without: this.states[0] };
    this.papers.slice(0, this.ways).forEach(({ strokes, empty }, n) => {
      for (let i = 0; i < (empty ? 0 : EACH); i++) {
        const features = this.net.see(drawing(this.byHand(strokes), this.size));
        score.asked++;
        for (const [name, from] of Object.entries(states)) {
          const { logits } = this.net.step(features, null, from);
          score[name] += Number(largestAt(logits) === this.labels[n]);
        }
      }
    });
    this.score = score;
  }

  /** How far a layer has moved, as a share of its size. */
  moved(layer, step) {
    const start = norm(this.matrices(layer, 0, "whole"));
    return norm(this.matrices(layer, step, "since")) / start;
  }
}
