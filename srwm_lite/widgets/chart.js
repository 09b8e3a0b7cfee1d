// Time from left to right: norm and singular values as lines, the keys as a tape.
import { say } from "./dom.js";
import { drawMatrix, pen } from "./draw.js";

export const TOP = 12;
export const FOOT = 20;

/** Where the time axis lies; the first frame is t = 0. */
export function frame(canvas, T) {
  const [left, right] = [44, 18];
  const width = canvas.getBoundingClientRect().width - left - right;
  return { left, right, width, x: (t) => left + (T ? (width * t) / T : 0) };
}

/** The step under the pointer. */
export function stepAt(canvas, T, clientX) {
  const { left, width } = frame(canvas, T);
  const at = (clientX - canvas.getBoundingClientRect().left - left) / width;
  return Math.round(Math.min(Math.max(at, 0), 1) * T);
}

/** Linear, unless the film grows so much that a line would show only its end. */
export function scaleOf(films) {
  const all = films.flatMap(({ norm }) => [...norm]);
  const sizes = all.filter((x) => Number.isFinite(x) && x > 0).sort((a, b) => a - b);
  const middle = sizes[Math.floor(sizes.length / 2)] ?? 1;
  const top = sizes.at(-1) ?? 1;
  const tall = films.length > 1 ? 104 : 168;
  const log = top > 2e4 * middle || !all.every(Number.isFinite);
  if (!log) return { log, tall, top, low: 0, at: (x) => x / top };
  const low = sizes.find((x) => x > 1e-6 * all.find((y) => y > 0));
  const span = Math.log(top / low) || 1;
  const at = (x) => (x > 0 ? Math.max(0, Math.log(x / low) / span) : 0);
  return { log, tall, top, low, at };
}

export function drawLine(ctx, area, y, values, step, size) {
  ctx.beginPath();
  let drawing = false;
  for (let t = 0; t < values.length / step; t++) {
    const value = values[t * step];
    if (!Number.isFinite(value)) {
      drawing = false;
      continue;
    }
    if (drawing) ctx.lineTo(area.x(t), y(value));
    else ctx.moveTo(area.x(t), y(value));
    drawing = true;
  }
  ctx.lineWidth = size;
  ctx.stroke();
}

export function drawAxes(ctx, skin, area, scale, T, bottom) {
  ctx.strokeStyle = skin.line;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const y of [TOP + 0.5, TOP + scale.tall + 0.5]) {
    ctx.moveTo(area.left, y);
    ctx.lineTo(area.left + area.width, y);
  }
  ctx.stroke();
  ctx.fillStyle = skin.muted;
  ctx.font = `12px ${skin.font}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  ctx.fillText(say(scale.top, 2), area.left - 6, TOP + 1);
  ctx.fillText(say(scale.low, 2), area.left - 6, TOP + scale.tall);
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = "center";
  ctx.fillText("0", area.x(0), bottom - 4);
  ctx.textAlign = "right";
  if (T) ctx.fillText(`t = ${T}`, area.x(T) + 14, bottom - 4);
}

function drawTape(ctx, skin, film, area, asked, top, height, ratio) {
  const { k, T, K } = film;
  const per = area.width / T;
  const values = Float64Array.from(
    { length: T * K },
    (_, n) => k((n % T) + 1)[Math.floor(n / T)],
  );
  const box = { x: area.left, y: top, w: area.width, h: height };
  drawMatrix(ctx, skin, values, K, T, box, {
    scale: film.keyScale,
    ratio,
    figures: false,
  });
  ctx.fillStyle = skin.ink;
  for (const t of asked)
    ctx.fillRect(area.left + (t - 1) * per + per / 2 - 2, top - 6, 4, 4);
  ctx.fillStyle = skin.muted;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  ctx.fillText("keys", area.left - 6, top + height / 2);
}

export const tapeHeight = ({ K }) => Math.min(Math.max(K * 6, 24), 64);

/** The time panel of one film; `asked` are the steps whose key is being asked for. */
export function drawChart(canvas, skin, film, t, scale, asked) {
  const { T, norm, sigma, rank, k } = film;
  const tape = k ? tapeHeight(film) + 16 : 0;
  const bottom = TOP + scale.tall + FOOT;
  const { ctx, ratio } = pen(canvas, () => bottom + tape);
  const area = frame(canvas, T);
  const y = (value) => TOP + scale.tall * (1 - scale.at(value));
  drawAxes(ctx, skin, area, scale, T, bottom);
  ctx.lineJoin = "round";
  ctx.strokeStyle = skin.muted;
  ctx.setLineDash([4, 3]);
  for (let r = 0; r < rank; r++) drawLine(ctx, area, y, sigma.subarray(r), rank, 1.25);
  ctx.setLineDash([]);
  ctx.strokeStyle = skin.ink;
  drawLine(ctx, area, y, norm, 1, 2.25);
  if (k) drawTape(ctx, skin, film, area, asked, bottom + 12, tape - 16, ratio);
  ctx.fillStyle = skin.ink;
  ctx.fillRect(area.x(t) - 0.75, TOP - 4, 1.5, scale.tall + 8);
  if (Number.isFinite(norm[t])) drawDot(ctx, skin, area.x(t), y(norm[t]));
}

export function drawDot(ctx, skin, x, y) {
  ctx.beginPath();
  ctx.arc(x, y, 4.5, 0, 2 * Math.PI);
  ctx.fill();
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = skin.paper;
  ctx.stroke();
}

/** The step whose key lies under the pointer, or 0 above the tape. */
export function tapeStep(canvas, film, scale, { clientX, clientY }) {
  const down = clientY - canvas.getBoundingClientRect().top;
  if (!film.k || down < TOP + scale.tall + FOOT) return 0;
  const { left, width } = frame(canvas, film.T);
  const at = (clientX - canvas.getBoundingClientRect().left - left) / width;
  return at >= 0 && at <= 1 ? Math.min(Math.floor(at * film.T) + 1, film.T) : 0;
}

export function chartText({ norm, sigma, rank }, t, { log }) {
  if (!Number.isFinite(norm[t])) return "W is no longer finite.";
  const values = [...sigma.subarray(t * rank, (t + 1) * rank)].slice(0, 4);
  const names = values.length > 1 ? "singular values" : "singular value";
  const more = rank > 4 ? " and smaller" : "";
  return (
    `Norm ${say(norm[t])}; ${names} ${values.map((x) => say(x, 2)).join(", ")}${more}.` +
    (log ? " Scale: logarithmic." : "")
  );
}
