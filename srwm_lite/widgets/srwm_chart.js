// The four learning rates, or the four clocks, over time.
import { drawAxes, drawDot, drawLine, FOOT, frame, stepAt, TOP } from "./chart.js";
import { h, say } from "./dom.js";
import { pen } from "./draw.js";
import { SIGNS } from "./srwm_clock.js";
import { BLOCKS } from "./srwm_rules.js";

const DASHES = [[], [7, 3], [2, 2], [7, 2, 2, 2]];
const INKS = ["ink", "plus", "minus", "muted"];
const TALL = 96;

/** Push the names of the lines apart, so that none covers another. */
function spreadOut(places, gap) {
  const order = places.map((_, n) => n).sort((a, b) => places[a] - places[b]);
  const found = [...places];
  order.forEach((n, rank) => {
    if (rank) found[n] = Math.max(found[n], found[order[rank - 1]] + gap);
  });
  order.reverse().reduce((floor, n) => {
    found[n] = Math.min(found[n], floor);
    return found[n] - gap;
  }, TOP + TALL);
  return found;
}

function drawLines(canvas, colours, lines, t, top) {
  const T = lines[0].length - 1;
  const { ctx } = pen(canvas, () => TOP + TALL + FOOT);
  const area = frame(canvas, T);
  const y = (value) => TOP + TALL * (1 - value / top);
  drawAxes(ctx, colours, area, { tall: TALL, top, low: 0 }, T, TOP + TALL + FOOT);
  ctx.fillStyle = colours.line;
  ctx.fillRect(area.x(t) - 0.75, TOP - 4, 1.5, TALL + 8);
  const names = spreadOut(
    lines.map((line) => y(line.at(-1))),
    12,
  );
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.lineJoin = "round";
  lines.forEach((line, n) => {
    ctx.strokeStyle = colours[INKS[n]];
    ctx.setLineDash(DASHES[n]);
    drawLine(ctx, area, y, line, 1, 2);
    ctx.setLineDash([]);
    ctx.fillStyle = colours[INKS[n]];
    if (Number.isFinite(line[t])) drawDot(ctx, colours, area.x(t), y(line[t]));
    ctx.font = `600 12px ${colours.font}`;
    ctx.fillText(SIGNS[BLOCKS[n]], area.x(T) + 8, names[n]);
  });
}

/** A chart of four lines; `linesOf` gives them, `topOf` the value at its upper edge. */
export function linesView(clock, name, linesOf, topOf) {
  const canvas = h("canvas", { class: "fw-lines", role: "img" });
  canvas.addEventListener("click", (event) =>
    clock.go(stepAt(canvas, clock.last, event.clientX)),
  );
  const draw = (colours) => {
    const [lines, t] = [linesOf(), clock.at];
    drawLines(canvas, colours, lines, t, topOf(lines) || 1);
    const said = (at) =>
      BLOCKS.map((b, n) => `${SIGNS[b]} ${say(lines[n][at], 2)}`).join(", ");
    const now = Number.isFinite(lines[0][t]) ? ` at step ${t}: ${said(t)};` : "";
    canvas.setAttribute("aria-label", `${name},${now} at the end: ${said(clock.last)}`);
  };
  const title = h("p", { class: "fw-title" }, name);
  return { node: h("div", { class: "fw-figure" }, title, canvas), draw };
}
