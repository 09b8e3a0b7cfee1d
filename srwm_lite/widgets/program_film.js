// A program, and what a model did with it: the films written again, and their words.
import { say } from "./dom.js";
import { answer, unpack } from "./film.js";

/** Write a matrix again from what was recorded; t runs from 0 (the start) to T. */
export function replay({ V, K }, arrays, view) {
  const get = (name) =>
    arrays[name] &&
    Float64Array.from(unpack(view, arrays[name]), (code) => code * arrays[name].grain);
  const [q, k, v, beta, alpha] = ["q", "k", "v", "beta", "alpha"].map(get);
  const T = k.length / K;
  const row = (all, t, n) => all.subarray((t - 1) * n, t * n);
  const frames = new Float64Array((T + 1) * V * K);
  const W = (t) => frames.subarray(t * V * K, (t + 1) * V * K);
  const sides = new Float64Array(T * V);
  const errors = new Float64Array(T);
  for (let t = 1; t <= T; t++) {
    const [before, after, key, side] = [W(t - 1), W(t), row(k, t, K), row(sides, t, V)];
    const keep = alpha ? alpha[t - 1] : 1;
    const held = beta
      ? answer(before, key, V).map((x) => keep * x)
      : new Float64Array(V);
    const error = row(v, t, V).map((x, i) => x - held[i]);
    errors[t - 1] = Math.hypot(...error);
    side.set(error.map((x) => (beta ? beta[t - 1] : 1) * x));
    after.forEach((_, n) => {
      after[n] = keep * before[n] + side[Math.floor(n / K)] * key[n % K];
    });
  }
  return {
    ...{ V, K, T, W, sum: !beta },
    q: (t) => row(q, t, K),
    k: (t) => row(k, t, K),
    side: (t) => row(sides, t, V),
    read: (t) => answer(W(t), row(q, t, K), V),
    beta: (t) => (beta ? beta[t - 1] : 1),
    strongest: Math.max(1, ...(beta ?? [])),
    error: (t) => errors[t - 1],
    changes: Float64Array.from({ length: T }, (_, t) =>
      Math.hypot(...W(t + 1).map((x, n) => x - W(t)[n])),
    ),
  };
}

/** A word of the answers as a reader sees it. */
export const shown = (word) => (word === "_" ? "nothing" : word.replace("-", "−"));
export const percent = (p) => {
  if (p < 0.005) return "< 1 %";
  return p > 0.995 ? "> 99 %" : `${Math.round(100 * p)} %`;
};

/** The program with everything that was recorded while it ran. */
export class Story {
  constructor(story, data) {
    Object.assign(this, story, { data });
    this.T = story.pieces.length;
    this.films = new Map();
  }

  /** The film of a matrix in a run, or null where it was not kept. */
  film(run, matrix) {
    const name = `${run} ${matrix}`;
    const arrays = this.runs[run].films[matrix];
    if (!arrays) return null;
    if (!this.films.has(name))
      this.films.set(name, replay(this.matrices[matrix], arrays, this.data));
    return this.films.get(name);
  }

  /** The line that the token read last belongs to; -1 before the first. */
  lineAt(t) {
    return this.lines.findIndex(([start, stop]) => start < t && t <= stop);
  }

  /** Whether the line of this token ends with it. */
  ends(t) {
    return this.lines.some(([, stop]) => stop === t);
  }

  /** How many lines are done. */
  done(t) {
    return this.lines.filter(([, stop]) => stop <= t).length;
  }

  /** The number of the last print that is due, or -1. */
  lastPrint(t) {
    return this.prints.filter(([, token]) => token < t).length - 1;
  }

  printOfLine(line) {
    return this.prints.findIndex(([at]) => at === line);
  }

  /** The step at which the next print, or the one before, is answered. */
  toPrint(t, way) {
    const steps = this.prints.map(([, token]) => token + 1);
    return way > 0
      ? (steps.find((step) => step > t) ?? this.T)
      : (steps.findLast((step) => step < t) ?? 0);
  }

  runWith(off) {
    return this.runs.findIndex((run) => run.off.join() === off.join());
  }

  /** What a run answers to a print. */
  answer(run, print) {
    const { top, right } = this.runs[run];
    const [[says, p]] = top[print];
    return { says, p, right: right[print], top: top[print] };
  }

  /** The token under the pen, and what its line did if it ends here. */
  tokenText(t) {
    if (!t) return `Before the first of ${this.T} tokens`;
    const line = this.lineAt(t);
    const did = this.ends(t) ? ` · ${this.lines[line][2]}` : "";
    const token = this.ends(t) ? "its end" : `“${this.pieces[t - 1].trim()}”`;
    return `Token ${t} of ${this.T} · line ${line + 1}, ${token}${did}`;
  }

  answerText(run, print) {
    const { says, p, right } = this.answer(run, print);
    const due = right ? "" : `; right is ${shown(this.prints[print][2])}`;
    const verdict = right ? "right" : "wrong";
    return `${this.runs[run].title}: ${shown(says)}, ${verdict}, ${percent(p)}${due}`;
  }

  scoreText(run) {
    const { title, right, stray } = this.runs[run];
    const hits = right.filter(Boolean).length;
    const more = stray ? `, and ${stray} answers where no print ends` : "";
    return `${title}: ${hits} of ${right.length} prints right${more}`;
  }
}

const peak = (x) =>
  x.reduce((at, _, n) => (Math.abs(x[n]) > Math.abs(x[at]) ? n : at), 0);

/** What was written with the last token, in words. */
export function writeText(film, t, letter) {
  if (!t) return "Nothing is read and nothing is written yet.";
  const [k, beta, change] = [film.k(t), film.beta(t), say(film.changes[t - 1], 2)];
  if (beta === 0) return "Nothing is written: β = 0.";
  const at = peak(k);
  const error = `Error v\u00a0−\u00a0${letter}\u00a0k`;
  const under = `a key whose largest entry is column ${at + 1} (${say(k[at], 2)})`;
  if (film.sum) return `Added under ${under}. Change of ${letter}: ${change}.`;
  return (
    `Written with β = ${say(beta, 2)} under ${under}. ${error}: length ` +
    `${say(film.error(t), 2)}; change of ${letter}: ${change}.`
  );
}
