// The arithmetic of the bench, with the names and the order of srwm_lite:
// outer_product.write and read, delta_rule.delta_step and gated_delta_step.
// A matrix is a list of V rows with K numbers each.

export const zeros = (V, K) => Array.from({ length: V }, () => Array(K).fill(0));

/** W + v ⊗ k */
export const write = (W, k, v) => W.map((row, i) => row.map((w, j) => w + v[i] * k[j]));

/** W q */
export const read = (W, q) =>
  W.map((row) => row.reduce((sum, w, j) => sum + w * q[j], 0));

/** alpha W */
export const decay = (W, alpha) => W.map((row) => row.map((w) => alpha * w));

/** W + beta (v - W k) ⊗ k, then y = W q */
export function deltaStep(W, q, k, v, beta) {
  const old = read(W, k);
  const next = write(
    W,
    k,
    v.map((x, i) => beta * (x - old[i])),
  );
  return { W: next, y: read(next, q) };
}

/** The delta step on alpha W */
export const gatedDeltaStep = (W, q, k, v, beta, alpha) =>
  deltaStep(decay(W, alpha), q, k, v, beta);

/** What the bench does when the reader writes. */
export const store = (W, k, v, { rule, beta, alpha }) =>
  rule === "sum"
    ? write(decay(W, alpha), k, v)
    : gatedDeltaStep(W, k, k, v, beta, alpha).W;

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** The delta step that makes W k = v exactly, whatever the length of k. */
export function overwrite(W, k, v) {
  const length = dot(k, k);
  return length === 0 ? W : deltaStep(W, k, k, v, 1 / length).W;
}

export function unit(k) {
  const length = Math.sqrt(dot(k, k));
  return length === 0 ? k : k.map((x) => x / length);
}

export const cosine = (a, b) => dot(unit(a), unit(b));

/** Root of the mean squared difference. */
export const apart = (a, b) =>
  Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0) / a.length);

/** The index of the candidate closest to y, or -1 if there is none. */
export const nearest = (y, candidates) =>
  candidates.reduce(
    (best, c, i) => (best < 0 || apart(y, c) < apart(y, candidates[best]) ? i : best),
    -1,
  );
