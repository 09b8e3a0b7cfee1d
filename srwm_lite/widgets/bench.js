// What the bench remembers: the matrix, the stored pairs, and every earlier state.
import {
  apart,
  cosine,
  nearest,
  overwrite,
  read,
  store,
  zeros,
} from "./memory_rules.js";

const same = (a, b) => a.every((x, i) => Math.abs(x - b[i]) < 1e-12);

export class Bench {
  constructor(V, K, preset) {
    [this.V, this.K, this.past] = [V, K, []];
    this.now = this.empty(preset);
  }

  empty(preset) {
    return { W: zeros(this.V, this.K), stored: [], asked: null, words: [], preset };
  }

  act(words, change) {
    this.past.push(this.now);
    this.now = { ...this.now, ...change, words: [...this.now.words, words] };
  }

  remember(name, k, v) {
    const others = this.now.stored.filter((pair) => !same(pair.k, k));
    const known = this.find(k);
    const pair = { name: known?.name ?? name, k, v };
    return others.length < this.now.stored.length
      ? this.now.stored.map((old) => (same(old.k, k) ? pair : old))
      : [...others, pair];
  }

  find(k) {
    return this.now.stored.find((pair) => same(pair.k, k));
  }

  write(name, k, v, settings) {
    const { rule, beta, alpha } = settings;
    const how = [
      rule,
      rule === "delta" ? `β ${beta}` : "",
      alpha < 1 ? `α ${alpha}` : "",
    ];
    this.act(`write ${name} (${how.filter(Boolean).join(", ")})`, {
      W: store(this.now.W, k, v, settings),
      stored: this.remember(name, k, v),
      asked: { name, k },
    });
  }

  overwrite(name, k, v) {
    this.act(`overwrite ${name}`, {
      W: overwrite(this.now.W, k, v),
      stored: this.remember(name, k, v),
      asked: { name, k },
    });
  }

  read(name, k) {
    this.act(`read ${name}`, { asked: { name, k } });
  }

  undo() {
    this.now = this.past.pop() ?? this.now;
  }

  reset(preset) {
    this.past.push(this.now);
    this.now = this.empty(preset);
  }

  /** Per stored pair: how far its answer is off, and whether the nearest value is right. */
  report() {
    const { W, stored } = this.now;
    const values = stored.map(({ v }) => v);
    return stored.map(({ name, k, v }) => {
      const y = read(W, k);
      return { name, error: apart(y, v), right: same(values[nearest(y, values)], v) };
    });
  }

  /** The answer to the key last asked for, and what was wanted. */
  reply() {
    const { W, asked, stored } = this.now;
    if (!asked) return null;
    const y = read(W, asked.k);
    const pair = this.find(asked.k);
    const near = nearest(
      y,
      stored.map(({ v }) => v),
    );
    const like = stored
      .map(({ name, k }) => ({ name, cosine: cosine(k, asked.k) }))
      .filter((other) => other.name !== pair?.name && Math.abs(other.cosine) > 1e-9);
    return {
      ...asked,
      y,
      pair,
      near: stored[near],
      off: pair ? apart(y, pair.v) : null,
      like,
    };
  }
}
