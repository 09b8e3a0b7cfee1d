// A few-shot net from a file: it sees pictures, reads them with their labels, and its
// self-referential matrices rewrite themselves.
import { NET_PARTS, dense, layerNorm } from "./net_parts.js";
import { readTensors } from "./safetensors.js";
import { selfStep, softmax, splitRows } from "./srwm_rules.js";

const add = (a, b) => a.map((x, n) => x + b[n]);

/** The rows of every head, in its blocks y, q, k and beta. */
function inBlocks({ data, shape: [heads, rows, K] }) {
  const row = (n) => [...data.subarray(n * K, (n + 1) * K)];
  const list = (n, make) => Array.from({ length: n }, (_, i) => make(i));
  return list(heads, (h) => splitRows(list(rows, (i) => row(h * rows + i))));
}

export class Net {
  constructor(view) {
    const { tensors, metadata } = readTensors(view);
    this.tensors = tensors;
    this.is = JSON.parse(metadata.net);
    this.made = JSON.parse(metadata.made);
    this.layers = Array.from({ length: this.is.num_layers }, (_, n) => n);
    this.start = this.layers.map((n) => inBlocks(this.matrix(n)));
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
      const steps = this.rewrite(states[n], this.inner(n, x));
      x = this.block(n, x, Float64Array.from(steps.flatMap(({ y }) => y)));
      return steps.map(({ blocks }) => blocks);
    });
    x = layerNorm(x, this.of("mixer.read_out.0"));
    return { logits: dense(x, this.of("mixer.read_out.1")), states: next };
  }

  /** What the matrices of a layer read. */
  inner(n, x) {
    const on = this.is.srwm.norm_on === "layer";
    return on ? layerNorm(x, this.of(`mixer.blocks.${n}.norm`)) : x;
  }

  /** Let every head read its part of the input, and rewrite itself. */
  rewrite(heads, x) {
    const K = x.length / heads.length;
    return heads.map((blocks, h) => {
      const u = x.subarray(h * K, (h + 1) * K);
      return selfStep(blocks, this.is.srwm.input_softmax ? softmax(u) : u);
    });
  }

  /** The rest of a block, from what its matrices put out. */
  block(n, x, y) {
    const of = (name) => this.of(`mixer.blocks.${n}.${name}`);
    const normed = this.is.srwm.norm_on === "residual" ? layerNorm(x, of("norm")) : x;
    const sum = add(normed, dense(y, of("layer.out")));
    const inner = dense(
      layerNorm(sum, of("feed_forward.0")),
      of("feed_forward.1"),
    ).map((value) => Math.max(value, 0));
    return add(sum, dense(inner, of("feed_forward.3")));
  }

  /** Read pictures (or nothing, null) one by one: the matrices after 0, 1, 2, ... */
  read(shown, labels) {
    const states = [this.start];
    shown.forEach((features, n) => {
      const before = states[n];
      states.push(features ? this.step(features, labels[n], before).states : before);
    });
    return states;
  }
}
