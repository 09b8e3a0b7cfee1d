// The arithmetic of srwm_lite.vsml and srwm_lite.vsml_learner for one layer of cells.
// The state of cell (a, b) stands at (a O + b) N in h and in c, lists of I O N numbers.
import { readTensors } from "./safetensors.js";
import { softmax } from "./srwm_rules.js";

const [SLOT_IN, SLOT_ERROR] = [0, 0]; // the input forward, the error back
const [SLOT_OUT, SLOT_LABEL] = [1, 1]; // the answer forward, the label back
const MOST_SURE = 100;

const logistic = (x) => 1 / (1 + Math.exp(-x));

/** Columns `first` to `first + x.length` of W times x. */
function timesPart({ data, shape: [rows, cols] }, first, x) {
  const out = new Float64Array(rows);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < x.length; j++) out[i] += data[i * cols + first + j] * x[j];
  return out;
}

/** What one tick makes of the four gates; with `slope`, its derivatives, too. */
function tickOne({ i, f, g, o, c }, shifts, slope = null) {
  const [keep, take] = [logistic(f + shifts[1]), logistic(i + shifts[0])];
  const [value, open] = [Math.tanh(g), logistic(o)];
  const next = keep * c + take * value;
  const seen = Math.tanh(next);
  if (!slope) return [next, open * seen];
  const kept = keep * (1 - keep) * slope.f * c + keep * slope.c;
  const taken = take * (1 - take) * slope.i * value + take * (1 - value ** 2) * slope.g;
  const moves = kept + taken;
  const opened = open * (1 - open) * slope.o * seen;
  return [next, open * seen, moves, opened + open * (1 - seen ** 2) * moves];
}

/** The four gates of number j of a state, and that number. */
function gatesOf(all, j, c) {
  const [i, f, g, o] = [0, 1, 2, 3].map((k) => all[(k * all.length) / 4 + j]);
  return { i, f, g, o, c };
}

export class Cells {
  constructor(view) {
    const { tensors, metadata } = readTensors(view);
    Object.assign(this, tensors, JSON.parse(metadata.grid));
    [this.inputs, this.classes, this.size] = this.start.shape;
    this.slots = this.forward_bias.shape[0];
    this.count = this.inputs * this.classes;
    const { data, shape } = this.forward_weight;
    this.vote = data.subarray(SLOT_OUT * shape[1], (SLOT_OUT + 1) * shape[1]);
    this.scale = this.reduce === "mean" ? 1 / this.inputs : 1;
  }

  /** The network that knows nothing yet. */
  begin() {
    const c = Float64Array.from(this.start.data);
    return { h: new Float64Array(c.length), c, back: this.messages(this.classes) };
  }

  messages(count) {
    return Array.from({ length: count }, () => new Float64Array(this.slots));
  }

  /** What each cell hears: A x + C e + b. */
  heard(x, back) {
    const { weight, bias, slots, size, classes } = this;
    const rows = [...x].map((value) => {
      const message = new Float64Array(slots);
      message[SLOT_IN] = value;
      return timesPart(weight, 0, message);
    });
    const columns = back.map((message) => timesPart(weight, slots, message));
    const all = new Float64Array(this.count * 4 * size);
    return all.map((_, n) => {
      const [cell, k] = [Math.floor(n / (4 * size)), n % (4 * size)];
      const [a, b] = [Math.floor(cell / classes), cell % classes];
      return rows[a][k] + columns[b][k] + bias.data[k];
    });
  }

  /** The gates of cell `n`: what it hears, and R h. */
  gates(n, heard, h) {
    const { size, slots } = this;
    const own = timesPart(this.weight, 2 * slots, h.subarray(n * size, (n + 1) * size));
    return own.map((x, k) => x + (heard ? heard[n * 4 * size + k] : 0));
  }

  /** One tick of all cells; with `slopes`, those of h and c by the input of the row. */
  tick({ h, c }, heard, slopes = null) {
    const { size, count, shifts } = this;
    const made = [c, h, c, h].map(({ length }) => new Float64Array(length));
    const inward = slopes && this.inward;
    for (let n = 0; n < count; n++) {
      const gates = this.gates(n, heard, h);
      const turns = slopes && this.gates(n, null, slopes.h).map((x, k) => x + inward[k]);
      for (let j = 0; j < size; j++) {
        const at = n * size + j;
        const slope = slopes && gatesOf(turns, j, slopes.c[at]);
        tickOne(gatesOf(gates, j, c[at]), shifts, slope).forEach((x, k) => {
          made[k][at] = x;
        });
      }
    }
    return { c: made[0], h: made[1], slopes: { c: made[2], h: made[3] } };
  }

  /** How the gates change with the input. */
  get inward() {
    const one = new Float64Array(this.slots);
    one[SLOT_IN] = 1;
    return timesPart(this.weight, 0, one);
  }

  /** What each cell says forward, of the I O cells. */
  votes(h) {
    return this.said(h).map((x) => x + this.forward_bias.data[SLOT_OUT]);
  }

  /** How far the state of each cell has moved. */
  changes(before, after) {
    const { count, size } = this;
    const out = new Float64Array(count);
    for (const part of ["h", "c"])
      after[part].forEach((x, n) => {
        out[Math.floor(n / size)] += (x - before[part][n]) ** 2;
      });
    return out.map(Math.sqrt);
  }

  said(h) {
    const { size, vote } = this;
    return Float64Array.from({ length: this.count }, (_, n) =>
      vote.reduce((sum, w, j) => sum + w * h[n * size + j], 0),
    );
  }

  /** The mean (or the sum) of each column. */
  joined(votes) {
    const { classes, scale } = this;
    const sums = Array(classes).fill(0);
    votes.forEach((x, n) => {
      sums[n % classes] += scale * x;
    });
    return sums;
  }

  /** Answer one example, then be told; nothing that is given is changed. */
  example(state, x, label, writes = true) {
    const heard = this.heard(x, state.back);
    const states = [state];
    for (let n = 0; n < this.ticks; n++) states.push(this.tick(states[n], heard));
    const votes = this.votes(states.at(-1).h);
    const logits = this.joined(votes).map(
      (sum) => MOST_SURE * Math.tanh(sum / MOST_SURE),
    );
    const chances = softmax(logits);
    const error = chances.map((p, b) => p - Number(b === label));
    const back = this.messages(this.classes);
    back.forEach((message, b) => {
      if (writes) message[SLOT_ERROR] = error[b];
      if (writes && this.feed_label) message[SLOT_LABEL] = Number(b === label);
    });
    const { h, c } = states.at(-1);
    return { x, label, writes, states, logits, chances, error, next: { h, c, back } };
  }

  /** The derivative of the logit of column b by the input of row a, for all cells. */
  implied(state, x) {
    const heard = this.heard(x, state.back);
    const still = new Float64Array(state.h.length);
    let now = { ...state, slopes: { h: still, c: still } };
    for (let n = 0; n < this.ticks; n++) now = this.tick(now, heard, now.slopes);
    const flat = this.joined(this.votes(now.h)).map(
      (sum) => 1 - Math.tanh(sum / MOST_SURE) ** 2,
    );
    return this.said(now.slopes.h).map((x, n) => x * this.scale * flat[n % this.classes]);
  }
}

/** The errors of a message that comes back, and the labels. */
export const errorsOf = (back) => back.map((message) => message[SLOT_ERROR]);
