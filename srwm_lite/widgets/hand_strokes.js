// Strokes: how a character is invented, drawn by another hand, and turned into a
// picture. The same as strokes.py; a stroke is a list of places [x, y].

export const WIDTH = 0.035;
const SIDE = 0.72;
const GAP = 0.02;
const POINTS = 24;

/** Random numbers from 0 to 1, the same for the same seed. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));

/** The place at `s`, from 0 to 1, of a cubic Bézier curve with four control points. */
export function bezier(control, s) {
  const r = 1 - s;
  const weights = [r ** 3, 3 * r ** 2 * s, 3 * r * s ** 2, s ** 3];
  return [0, 1].map((i) => weights.reduce((sum, w, n) => sum + w * control[n][i], 0));
}

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const clamped = (point, low, high) => point.map((x) => clamp(x, low, high));

function inventStroke(random) {
  const start = [0, 1].map(() => 0.2 + 0.6 * random());
  const [angle, length] = [2 * Math.PI * random(), 0.35 + 0.4 * random()];
  const ahead = [Math.cos(angle), Math.sin(angle)];
  const end = clamped(
    start.map((x, i) => x + length * ahead[i]),
    0.12,
    0.88,
  );
  const between = [1, 2].map((part) =>
    start.map((x, i) => x + ((end[i] - x) * part) / 3 + 0.3 * normal(random)),
  );
  return [start, ...between, end].map((point) => clamped(point, 0.08, 0.92));
}

/** Invent a character of two to four strokes; some begin in the middle of the last. */
export function inventCharacter(random) {
  const control = times(4, () => inventStroke(random));
  const half = control.map((stroke) => bezier(stroke, 0.5));
  for (let n = 1; n < 4; n++) if (random() < 0.5) control[n][0] = half[n - 1];
  const kept = fitted(control.slice(0, 2 + Math.floor(3 * random())));
  return kept.map((stroke) =>
    times(POINTS, (i) => bezier(stroke, i / (POINTS - 1))),
  );
}

/** What one hand does: it slants and shifts a character, and misses every stroke. */
export const someHand = (strokes, random, hand = 1) => ({
  affine: [0, 1].map((i) =>
    [0, 1].map((j) => Number(i === j) + 0.12 * hand * normal(random)),
  ),
  shift: [0, 1].map(() => 0.5 + 0.04 * hand * normal(random)),
  noise: strokes.map(() =>
    times(4, () => [0, 1].map(() => 0.025 * hand * normal(random))),
  ),
});

/** Draw the same strokes by that hand; its misses bend a stroke as a Bézier curve. */
export const drawnBy = ({ affine, shift, noise }, strokes) =>
  strokes.map((stroke, n) =>
    stroke.map((point, i) => {
      const miss = bezier(noise[n], stroke.length > 1 ? i / (stroke.length - 1) : 0.5);
      const at = point.map((x, j) => x - 0.5 + miss[j]);
      return shift.map((x, j) => x + at[0] * affine[0][j] + at[1] * affine[1][j]);
    }),
  );

/** Move strokes to the middle, as large as every character. */
export function fitted(strokes) {
  if (!strokes.length) return [];
  const bounds = [0, 1].map((i) => {
    const all = strokes.flatMap((stroke) => stroke.map((point) => point[i]));
    return [Math.min(...all), Math.max(...all)];
  });
  const extent = Math.max(...bounds.map(([low, high]) => high - low));
  const scale = extent > 0 ? SIDE / extent : 1;
  const middle = bounds.map(([low, high]) => (low + high) / 2);
  return strokes.map((stroke) =>
    stroke.map((point) => point.map((x, i) => 0.5 + (x - middle[i]) * scale)),
  );
}

/** Add points on the lines between points, so that no line is longer than the gap. */
function withoutGaps(stroke) {
  const points = [stroke[0]];
  for (let p = 1; p < stroke.length; p++) {
    const [a, b] = [stroke[p - 1], stroke[p]];
    const n = Math.max(1, Math.ceil(Math.hypot(b[0] - a[0], b[1] - a[1]) / GAP));
    for (let s = 1; s <= n; s++)
      points.push(a.map((x, i) => x + (b[i] - x) * (s / n)));
  }
  return points;
}

/** Let ink flow from points: exp(-d² / 2 width²), d to the nearest; size by size. */
export function ink(points, size, width = WIDTH) {
  const picture = new Float64Array(size * size);
  const reach = (x) =>
    times(size, (i) => Math.exp(-(((i + 0.5) / size - x) ** 2) / (2 * width ** 2)));
  for (const [x, y] of points) {
    const [across, down] = [reach(x), reach(y)];
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) {
        const n = i * size + j;
        picture[n] = Math.max(picture[n], down[i] * across[j]);
      }
  }
  return picture;
}

/** Turn what was drawn into what the network sees. */
export const drawing = (strokes, size, width = WIDTH) =>
  ink(fitted(strokes).flatMap(withoutGaps), size, width);
