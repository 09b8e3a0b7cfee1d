// The grid with its messages: inputs at the left, answers and errors below.
import { cellCanvas } from "./cells.js";
import { h, say } from "./dom.js";
import { drawCursor, drawMatrix, pen } from "./draw.js";
import { largest } from "./film.js";
import { drawArrow, drawMessages, drawRings, signed } from "./message_grid_flow.js";
import { cellText, inPercent, likeliest, near, sayNear } from "./message_grid_words.js";
import { errorsOf } from "./message_grid_rules.js";

const GAP = 4;
const PLACE = { names: 34, logit: 66, answer: 128, told: 152, error: 190, end: 196 };
const tallOf = (rows) => Math.min(Math.max(Math.round(420 / rows), 24), 40);

/** The cells, to look at and to point at. */
export function gridView(clock) {
  const { cells } = clock;
  const owner = {
    get cell() {
      return clock.cell;
    },
    point(cell, speak = false) {
      if (cell) clock.cell = cell;
      clock.painted();
      if (speak) clock.spoken.speak(cellText(clock));
    },
  };
  const node = cellCanvas("Grid of cells", cells.inputs, cells.classes, owner);
  const draw = (colours) => {
    const [I, O] = [cells.inputs, cells.classes];
    const { ctx, width, height, ratio } = pen(node, () => I * tallOf(I));
    const [now, { phase, at }] = [clock.values(), clock];
    const before = phase < 1 ? clock.values(clock.view, at - 1) : now;
    const mixed = [...now].map((x, n) => phase * x + (1 - phase) * before[n]);
    const box = { x: 0, y: 0, w: width, h: height };
    const options = { scale: clock.scale, ratio, figures: false };
    const tileAt = drawMatrix(ctx, colours, mixed, I, O, box, options);
    drawRings(ctx, colours, clock, tileAt);
    drawMessages(ctx, colours, clock, tileAt, [width, height]);
    drawCursor(ctx, colours, tileAt(...clock.cell), document.activeElement === node);
  };
  return { node, draw };
}

/** The numbers that go into the rows. */
export function inputsView(clock) {
  const { inputs } = clock.cells;
  const node = h("canvas", { role: "img" });
  const top = largest(clock.pictures.flat()) || 1;
  const draw = (colours) => {
    const x = clock.one?.x ?? clock.pictures[clock.picture];
    const { ctx, width, height, ratio } = pen(node, () => inputs * tallOf(inputs));
    const box = { x: 0, y: 0, w: Math.min(44, width * 0.55), h: height };
    drawMatrix(ctx, colours, x, inputs, 1, box, { scale: top, ratio });
    const flows = clock.kind === "arrive";
    x.forEach((value, a) => {
      const y = ((a + 0.5) * height) / inputs;
      const colour = flows ? signed(colours, value) : colours.line;
      const size = flows ? 1 + (3 * Math.abs(value)) / top : 1;
      drawArrow(ctx, [box.w + 3, y, width - 1, y], colour, size);
    });
    const said = x.map((value) => say(value, 2)).join(", ");
    node.setAttribute("aria-label", `Into the rows go: ${said}`);
  };
  return { node, draw };
}

/** Which answers and errors stand below the columns at this moment. */
function belowOf(clock) {
  const { one, kind, cells } = clock;
  const [known, told] = [
    ["answer", "told", "waits"],
    ["told", "waits"],
  ].map((kinds) => kinds.includes(kind));
  const old = one && errorsOf(one.states[0].back);
  const sent = told && !one.writes ? null : told ? one.error : old;
  const last = clock.runs[clock.n - 1];
  const label = told
    ? one.label
    : cells.feed_label && old?.some(Boolean)
      ? last?.label
      : null;
  return { answer: known ? one : null, errors: sent, label, told };
}

function captions(clock, { told, errors }) {
  const waits = clock.kind === "waits" && errors ? "error waits" : "error";
  const before = clock.one && !told && errors?.some(Boolean);
  const error = before ? `error of ${clock.n}` : waits;
  return [
    ["class", PLACE.names - 4],
    ["logit", PLACE.logit - 12],
    ["answer, %", PLACE.answer - 14],
    ["told", PLACE.told - 6],
    [error, PLACE.error - 14],
  ];
}

/** As much of a name as fits. */
function cut(ctx, text, width) {
  for (let n = text.length; n > 1; n--) {
    const short = n < text.length ? `${text.slice(0, n).trim()}…` : text;
    if (ctx.measureText(short).width <= width) return short;
  }
  return text.slice(0, 1);
}

/** One column below the grid: its name, logit, probability, label and error. */
function drawColumn(ctx, colours, clock, found, b, [x, per]) {
  const { answer, errors, label } = found;
  const digits = per >= 36 ? 2 : 1;
  const size = per >= 30 ? 12 : 10;
  const write = (text, y, bold = false, colour = colours.ink) => {
    ctx.font = `${bold ? 700 : 500} ${size}px ${colours.font}`;
    ctx.fillStyle = colour;
    ctx.fillText(text, x, y);
  };
  const strip = (value, most, y) => {
    ctx.fillStyle = colours.colour(value / (most || 1));
    ctx.fillRect(x - per * 0.42, y, per * 0.84, 8);
  };
  if (answer) {
    const p = answer.chances[b];
    const best = likeliest(answer.chances) === b;
    write(sayNear(answer.logits[b], digits), PLACE.logit - 12);
    strip(answer.logits[b], Math.max(largest(answer.logits), 0.1), PLACE.logit - 8);
    ctx.fillStyle = best ? colours.ink : colours.muted;
    ctx.fillRect(x - per * 0.3, PLACE.answer - 2 - 40 * p, per * 0.6, 40 * p + 1);
    write(String(Math.round(100 * p)), PLACE.answer - 6 - 40 * p, best);
  }
  if (label === b) write("●", PLACE.told - 6, true);
  if (errors?.some(Boolean)) {
    write(sayNear(errors[b], digits), PLACE.error - 14);
    strip(errors[b], 1, PLACE.error - 10);
  }
  ctx.lineWidth = 4;
  ctx.strokeStyle = colours.paper;
  ctx.font = `700 ${size}px ${colours.font}`;
  const name = cut(ctx, clock.names[b], per - 4);
  ctx.strokeText(name, x, PLACE.names - 4);
  write(name, PLACE.names - 4, true);
}

/** Arrows between the columns and what stands below them. */
function drawFlows(ctx, colours, clock, { errors, answer }, b, x) {
  const { kind, one } = clock;
  const size = (value, most) => 1 + (2.5 * Math.abs(value)) / (most || 1);
  if (kind === "arrive" && near(errors[b]))
    drawArrow(ctx, [x, PLACE.told, x, 1], signed(colours, errors[b]), size(errors[b], 1));
  if (kind === "waits" && errors && near(errors[b]))
    drawArrow(
      ctx,
      [x, PLACE.told + 8, x, PLACE.told - 3],
      signed(colours, errors[b]),
      1.5,
    );
  if (kind === "answer")
    drawArrow(
      ctx,
      [x, 1, x, 18],
      signed(colours, one.logits[b]),
      size(answer.logits[b], largest(one.logits)),
    );
}

function belowText(clock, { answer, errors, label }) {
  const list = (values, write) =>
    clock.names.map((name, b) => `${name} ${write(values[b])}`).join(", ");
  const parts = [
    answer ? `Answer: ${list(answer.chances, inPercent)}.` : "No answer yet.",
    label === null || label === undefined ? "" : `Told: ${clock.names[label]}.`,
    errors?.some(Boolean) ? `Error: ${list(errors, sayNear)}.` : "No error.",
  ];
  return parts.filter(Boolean).join(" ");
}

/** What comes out of the columns, and what goes back into them. */
export function outputsView(clock, grid) {
  const node = h("canvas", { role: "img" });
  const draw = (colours) => {
    const found = belowOf(clock);
    const { ctx, width } = pen(node, () => PLACE.end);
    const per = grid.getBoundingClientRect().width / clock.cells.classes;
    const left = grid.getBoundingClientRect().left - node.getBoundingClientRect().left;
    ctx.textAlign = "left";
    ctx.font = `12px ${colours.font}`;
    ctx.fillStyle = colours.muted;
    for (const [text, y] of captions(clock, found)) ctx.fillText(text, 0, y, left - GAP);
    ctx.textAlign = "center";
    ctx.fillStyle = colours.line;
    ctx.fillRect(left, PLACE.answer - 1, Math.min(per * clock.names.length, width), 1);
    clock.names.forEach((_, b) => {
      const x = left + (b + 0.5) * per;
      drawFlows(ctx, colours, clock, found, b, x);
      drawColumn(ctx, colours, clock, found, b, [x, per]);
    });
    node.setAttribute("aria-label", belowText(clock, found));
  };
  return { node, draw };
}
