// Messages on their way: arrows, dots that move, and the marks they leave on the cells.
import { largest } from "./film.js";
import { near } from "./message_grid_words.js";
import { errorsOf } from "./message_grid_rules.js";

export const signed = (colours, x) => (x < 0 ? colours.minus : colours.plus);

/** A line with a head, thicker for a larger message. */
export function drawArrow(ctx, [x0, y0, x1, y1], colour, size) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  const head = 4 + 1.5 * size;
  Object.assign(ctx, { strokeStyle: colour, fillStyle: colour, lineWidth: size });
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1 - head * Math.cos(angle), y1 - head * Math.sin(angle));
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  for (const turn of [-0.45, 0.45])
    ctx.lineTo(x1 - head * Math.cos(angle + turn), y1 - head * Math.sin(angle + turn));
  ctx.fill();
}

function drawDots(ctx, colours, places, values) {
  const most = largest(values) || 1;
  ctx.strokeStyle = colours.paper;
  ctx.lineWidth = 1.5;
  places.forEach(([x, y], n) => {
    if (!values[n]) return;
    ctx.fillStyle = signed(colours, values[n]);
    ctx.beginPath();
    ctx.arc(x, y, 3 + (3 * Math.abs(values[n])) / most, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
  });
}

/** Small triangles at the edge of every tile that a message has reached. */
function drawHeads(ctx, colours, tile, way, value, most) {
  const [x, y, w, tall] = tile;
  const size = 3 + (4 * Math.abs(value)) / (most || 1);
  const [cx, cy] = way === "right" ? [x + 1, y + tall / 2] : [x + w / 2, y + tall - 1];
  const points = {
    right: [
      [cx, cy - size],
      [cx + size, cy],
      [cx, cy + size],
    ],
    up: [
      [cx - size, cy],
      [cx, cy - size],
      [cx + size, cy],
    ],
    down: [
      [cx - size, cy - size],
      [cx, cy],
      [cx + size, cy - size],
    ],
  };
  ctx.beginPath();
  points[way].forEach((point, n) => (n ? ctx.lineTo(...point) : ctx.moveTo(...point)));
  ctx.closePath();
  Object.assign(ctx, {
    fillStyle: signed(colours, value),
    strokeStyle: colours.paper,
    lineWidth: 1,
  });
  ctx.fill();
  ctx.stroke();
}

/** A ring in every cell that thinks: the larger, the further its state has moved. */
export function drawRings(ctx, colours, clock, tileAt) {
  if (clock.kind !== "tick") return;
  const { classes } = clock.cells;
  const changes = clock.values("change");
  const most =
    largest(clock.cells.changes(clock.one.states[0], clock.one.states.at(-1))) || 1;
  changes.forEach((change, n) => {
    const [x, y, w, tall] = tileAt(Math.floor(n / classes), n % classes);
    for (const [colour, size] of [
      [colours.paper, 3.5],
      [colours.ink, 1.5],
    ]) {
      Object.assign(ctx, { strokeStyle: colour, lineWidth: size });
      ctx.beginPath();
      const radius = (0.42 * Math.min(w, tall) * change * clock.phase) / most;
      ctx.arc(x + w / 2, y + tall / 2, Math.max(radius, 0.5), 0, 2 * Math.PI);
      ctx.stroke();
    }
  });
}

/** The messages on their way over the tiles. */
export function drawMessages(ctx, colours, clock, tileAt, [width, height]) {
  const { kind, one, phase, cells, at } = clock;
  const [I, O] = [cells.inputs, cells.classes];
  const [x, errors] = one ? [one.x, errorsOf(one.states[0].back)] : [[], []];
  const mostX = largest(x);
  const votes = kind === "answer" ? clock.values("vote", at) : [];
  for (let n = 0; n < I * O; n++) {
    const [a, b] = [Math.floor(n / O), n % O];
    const head = (...rest) => drawHeads(ctx, colours, tileAt(a, b), ...rest);
    if (kind === "arrive" && b < phase * O && near(x[a])) head("right", x[a], mostX);
    if (kind === "arrive" && I - a <= phase * I && near(errors[b]))
      head("up", errors[b], 1);
    if (kind === "answer" && a < phase * I) head("down", votes[n], largest(votes));
  }
  if (phase === 1) return;
  const [rows, columns] = [
    (a) => ((a + 0.5) * height) / I,
    (b) => ((b + 0.5) * width) / O,
  ];
  if (kind === "arrive") {
    drawDots(
      ctx,
      colours,
      x.map((_, a) => [phase * width, rows(a)]),
      x,
    );
    const places = errors.map((_, b) => [columns(b), (1 - phase) * height]);
    drawDots(ctx, colours, places, errors);
  }
  if (kind === "answer")
    drawDots(
      ctx,
      colours,
      one.logits.map((_, b) => [columns(b), phase * height]),
      one.logits,
    );
}
