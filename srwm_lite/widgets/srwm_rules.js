// The arithmetic of the self-referential matrix, with the names and the order of
// srwm_lite.self_reference. The matrix is kept as its four blocks of rows.
import { read, write } from "./memory_rules.js";

export const BLOCKS = ["y", "q", "k", "beta"];

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

export function softmax(x) {
  const top = Math.max(...x);
  const powers = x.map((a) => Math.exp(a - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

/** The rows y, q, k and beta of a list of V + 2 K + 4 rows. */
export function splitRows(W) {
  const [rows, K] = [W.length, W[0].length];
  const starts = [0, rows - 2 * K - 4, rows - K - 4, rows - 4, rows];
  return BLOCKS.map((_, n) => W.slice(starts[n], starts[n + 1]));
}

/** y, q, k, b = W u, then X + b_X (X q - X k) ⊗ k; a frozen block stays the same. */
export function selfStep(blocks, u, frozen = []) {
  const [y, queries, keys, strengths] = blocks.map((X) => read(X, u));
  const [q, k, rates] = [softmax(queries), softmax(keys), strengths.map(sigmoid)];
  const between = q.map((x, j) => x - k[j]);
  const stays = BLOCKS.map((name) => frozen.includes(name));
  const sides = blocks.map((X, n) =>
    stays[n] ? X.map(() => 0) : read(X, between).map((x) => rates[n] * x),
  );
  const next = blocks.map((X, n) => (stays[n] ? X : write(X, k, sides[n])));
  return { u, y, q, k, rates, sides, blocks: next };
}

/** The start, and the frame after each step: what was read, what was written. */
export function selfRun(W, inputs, frozen = []) {
  const frames = [{ blocks: splitRows(W) }];
  for (const u of inputs) frames.push(selfStep(frames.at(-1).blocks, u, frozen));
  return frames;
}

export const difference = (X, Y) => X.map((row, i) => row.map((x, j) => x - Y[i][j]));

const size = (X) => Math.hypot(...X.flat());

/** ‖X - Y‖ / ‖start‖; rows of zeros never move. */
export const distanceMoved = (X, Y, start) =>
  size(start) === 0 ? 0 : size(difference(X, Y)) / size(start);
