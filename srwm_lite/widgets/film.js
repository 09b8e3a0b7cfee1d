// A film of fast weights: unpack the frames, and ask them questions.

const KINDS = { float32: Float32Array, int16: Int16Array, int8: Int8Array };

export function unpack(view, { kind, shape, offset }) {
  const size = shape.reduce((a, b) => a * b, 1);
  const Kind = KINDS[kind];
  const start = view.byteOffset + offset;
  return new Kind(view.buffer.slice(start, start + size * Kind.BYTES_PER_ELEMENT));
}

/** Add up what changed from frame to frame; the sender fed its rounding errors back. */
export function addUp(codes, scales, size) {
  const frames = new Float32Array(codes.length);
  codes.forEach((code, n) => {
    frames[n] = (n < size ? 0 : frames[n - size]) + scales[Math.floor(n / size)] * code;
  });
  return frames;
}

/** Return the films with `W(t)`, `k(t)`, ... as flat arrays; t runs from 0 (the start). */
export function decode(films, view) {
  return films.map((film) => {
    const { V, K, T } = film;
    const get = (name) => (film.arrays[name] ? unpack(view, film.arrays[name]) : null);
    const scales = get("scales");
    const frames = scales ? addUp(get("W"), scales, V * K) : get("W");
    const rows = (name, n) => {
      const all = get(name);
      return all && ((t) => all.subarray((t - 1) * n, t * n));
    };
    const [beta, norm, sigma] = ["beta", "norm", "sigma"].map(get);
    return {
      ...film,
      norm,
      sigma,
      grain: (t) => (scales ? (scales[t] + (scales[t - 1] ?? 0)) / 2 : 0),
      beta: (t) => (beta ? beta[t - 1] : 1),
      hasBeta: beta !== null,
      W: (t) => frames.subarray(t * V * K, (t + 1) * V * K),
      k: rows("k", K),
      v: rows("v", V),
      q: rows("q", K),
    };
  });
}

/** The largest finite magnitude; 0 if there is none. */
export const largest = (values) =>
  values.reduce(
    (most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most),
    0,
  );

/** W k for a flat W. */
export const answer = (W, k, V) =>
  Float64Array.from({ length: V }, (_, i) =>
    k.reduce((sum, x, j) => sum + W[i * k.length + j] * x, 0),
  );

/** What stood in the matrix, what was written, what it removed, what changed at step t. */
export function parts({ W, k, v, beta, grain, V, K }, t) {
  const none = new Float64Array(V * K);
  if (t === 0) return { written: none, removed: none, changed: none };
  const [before, after] = [W(t - 1), W(t)];
  const changed = none.map((_, n) => after[n] - before[n]);
  if (!k || !v) return { written: null, removed: null, changed };
  const [key, value, strength] = [k(t), v(t), beta(t)];
  const written = none.map((_, n) => strength * value[Math.floor(n / K)] * key[n % K]);
  // Rounding leaves dust; a removal that small is no removal.
  const most = Math.max(...before.map(Math.abs), ...written.map(Math.abs));
  const dust = Math.max(4e-6 * most, 1.01 * grain(t));
  const removed = changed.map((x, n) =>
    Math.abs(x - written[n]) < dust ? 0 : x - written[n],
  );
  return { written, removed, changed };
}

/** The side of M = side ⊗ k. */
export function factor(M, k, V) {
  const length = k.reduce((sum, x) => sum + x * x, 0);
  return answer(M, k, V).map((x) => (length ? x / length : 0));
}

const close = (a, b) =>
  a.every((x, i) => Math.abs(x - b[i]) <= 1e-5 * (1 + Math.abs(x)));

/** The last step up to t that wrote under this key, or 0. */
export function lastWrite({ k }, t, key) {
  for (let s = t; s > 0; s--) if (close(k(s), key)) return s;
  return 0;
}

export const distance = (a, b) =>
  Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0));

/** The step up to t whose value lies closest to y (the latest of equals), or 0. */
export function nearestValue({ v }, t, y) {
  let best = 0;
  for (let s = 1; s <= t; s++)
    if (!best || distance(y, v(s)) <= distance(y, v(best))) best = s;
  return best;
}

/** The keys of the film, each once, with the steps that write under it. */
export function distinctKeys({ k, T }) {
  const found = [];
  for (let t = 1; t <= T; t++) {
    const known = found.find(({ steps }) => close(k(steps[0]), k(t)));
    if (known) known.steps.push(t);
    else found.push({ steps: [t] });
  }
  return found;
}
