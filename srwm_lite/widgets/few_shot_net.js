// A few-shot net from a file: it sees pictures, reads them with their labels, and its
// self-referential matrices rewrite themselves.
import { NET_PARTS, dense, layerNorm } from "./net_parts.js";
import { readTensors } from "./safetensors.js";

const add = (a, b) => a.map((x, n) => x + b[n]);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

export function softmax(values) {
  const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = values.map((x) => Math.exp(x - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / sum);
}

/** The number of rows in the blocks y, q, k and beta of a matrix. */
export const blockRows = (rows, K) => [rows - 2 * K - 4, K, K, 4];

const readRows = (W, first, rows, x) => {
  const out = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    const start = first + i * x.length;
    for (let j = 0; j < x.length; j++) sum += W[start + j] * x[j];
    out[i] = sum;
  }
  return out;
};

/** Read all from one head of W, then let what was read rewrite it; returns y. */
export function selfReferenceStep(W, first, rows, u) {
  const K = u.length;
  const V = rows - 2 * K - 4;
  const all = readRows(W, first, rows, u);
  const [q, k] = [V, V + K].map((n) => softmax(all.subarray(n, n + K)));
  const rates = all.subarray(rows - 4).map(sigmoid);
  const shift = readRows(
    W,
    first,
    rows,
    q.map((x, j) => x - k[j]),
  );
  const block = blockRows(rows, K).flatMap((n, which) => Array(n).fill(which));
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < K; j++)
      W[first + i * K + j] += rates[block[i]] * shift[i] * k[j];
  return all.subarray(0, V);
}

export class Net {
  constructor(view) {
    const { tensors, metadata } = readTensors(view);
    this.tensors = tensors;
    this.is = JSON.parse(metadata.net);
    this.made = JSON.parse(metadata.made);
    this.layers = Array.from({ length: this.is.num_layers }, (_, n) => n);
    this.start = this.layers.map((n) => this.matrix(n).data);
  }

  /** The tensors of a part, as {weight, bias}. */
  of(name) {
    const [weight, bias] = ["weight", "bias"].map((x) => this.tensors[`${name}.${x}`]);
    return { weight, bias };
  }

  /** The matrices of a layer before anything is read, shape (heads, rows, K). */
  matrix(layer) {
    return this.tensors[`mixer.blocks.${layer}.layer.W`];
  }

  /** The features of a picture. */
  see(picture) {
    const { size, stem } = this.is;
    const first = { data: Float64Array.from(picture), shape: [size, size] };
    const read = (x, settings, n) => {
      const at = (name) => this.tensors[`stem.${n}.${name}`];
      return NET_PARTS[settings.part](x, settings, at);
    };
    return stem.reduce(read, first).data;
  }

  /** Read a picture by its features; `label` may be null. Nothing given is changed. */
  step(features, label, states) {
    const told = Array.from({ length: this.is.ways }, (_, n) => Number(n === label));
    let x = dense(Float64Array.from([...features, ...told]), this.of("mixer.embed"));
    const next = this.layers.map((n) => {
      const W = Float64Array.from(states[n]);
      x = this.block(n, x, W);
      return W;
    });
    x = layerNorm(x, this.of("mixer.read_out.0"));
    return { logits: dense(x, this.of("mixer.read_out.1")), states: next };
  }

  block(n, x, W) {
    const of = (name) => this.of(`mixer.blocks.${n}.${name}`);
    const { norm_on: on } = this.is.srwm;
    const normed = on === "none" ? x : layerNorm(x, of("norm"));
    const y = dense(this.mix(n, on === "layer" ? normed : x, W), of("layer.out"));
    const sum = add(on === "residual" ? normed : x, y);
    const inner = dense(
      layerNorm(sum, of("feed_forward.0")),
      of("feed_forward.1"),
    ).map((value) => Math.max(value, 0));
    return add(sum, dense(inner, of("feed_forward.3")));
  }

  /** Let every head read its part of the input, and rewrite itself. */
  mix(layer, x, W) {
    const [heads, rows, K] = this.matrix(layer).shape;
    const out = [];
    for (let h = 0; h < heads; h++) {
      const part = x.subarray(h * K, (h + 1) * K);
      const u = this.is.srwm.input_softmax ? softmax(part) : part;
      out.push(...selfReferenceStep(W, h * rows * K, rows, u));
    }
    return Float64Array.from(out);
  }

  /**
   * Read pictures (or nothing, null) with their labels, one after the other, and ask
   * about another one after each. `states[n]` are the matrices after n pictures,
   * `logits[n]` is the answer from there. An answer is read before anything is
   * written, so `logits[0]` is the answer with writes off.
   */
  lesson(shown, labels, asked) {
    const states = [this.start];
    shown.forEach((features, n) => {
      const before = states[n];
      states.push(features ? this.step(features, labels[n], before).states : before);
    });
    const answers = asked ? states.map((state) => this.step(asked, null, state)) : [];
    if (asked) states.push(answers.at(-1).states);
    return { states, logits: answers.map(({ logits }) => logits) };
  }
}
