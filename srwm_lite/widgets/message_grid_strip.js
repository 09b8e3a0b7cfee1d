// Pictures to pick, the strip of what was shown, and the state of one cell.
import { button, h, say } from "./dom.js";
import { drawBars, drawMatrix, pen } from "./draw.js";
import { largest } from "./film.js";
import {
  cellText,
  exampleText,
  inPercent,
  isRight,
  numbersOf,
} from "./message_grid_words.js";

const heard = (text) => h("span", { class: "fw-heard" }, text);
const unseen = (tag, name, ...children) =>
  h(tag, { class: name, "aria-hidden": "true" }, ...children);
const stateNames = (count) => Array.from({ length: count }, (_, n) => String(n + 1));

/** A picture: a square if it is one, else bars. */
function drawSmall(canvas, colours, x, scale) {
  const { ctx, width, height, ratio } = pen(canvas, (w) => w);
  const side = Math.round(Math.sqrt(x.length));
  if (side * side === x.length) {
    const box = { x: 0, y: 0, w: width, h: height };
    drawMatrix(ctx, colours, x, side, side, box, { scale, ratio, figures: false });
    return;
  }
  const [per, mid] = [width / x.length, height / 2];
  x.forEach((value, n) => {
    const tall = (mid - 1) * (value / scale);
    ctx.fillStyle = value < 0 ? colours.minus : colours.plus;
    ctx.fillRect(
      n * per + 0.5,
      Math.min(mid, mid - tall),
      Math.max(per - 1, 1),
      Math.abs(tall),
    );
  });
  ctx.fillStyle = colours.muted;
  ctx.fillRect(0, mid - 0.5, width, 1);
}

/** One button for each picture. */
export function picturesView(clock) {
  const scale = largest(clock.pictures.flat()) || 1;
  const [usual, names] = [clock.model.get("labels"), clock.names];
  const cards = clock.pictures.map((x, n) => {
    const canvas = unseen("canvas", "fw-small");
    const pick = () => {
      clock.pick(n);
      clock.changed();
      clock.spoken.speak(`Picture ${n + 1} is picked, usually ${names[usual[n]]}.`);
    };
    const card = button("", pick, { class: "fw-card" });
    card.append(canvas, h("span", {}, heard("Picture "), String(n + 1)));
    card.append(h("span", { class: "fw-usual" }, `usually ${names[usual[n]]}`));
    return { card, draw: (colours) => drawSmall(canvas, colours, x, scale) };
  });
  const node = h(
    "div",
    { class: "fw-cards", role: "group", "aria-label": "Next picture" },
    ...cards.map(({ card }) => card),
  );
  const draw = (colours) =>
    cards.forEach(({ card, draw: paint }, n) => {
      card.setAttribute("aria-pressed", String(n === clock.picture));
      paint(colours);
    });
  return { node, draw };
}

/** One example of the past: its picture, the label told, and how likely that was. */
function pastItem(clock, n, press) {
  const canvas = unseen("canvas", "fw-small");
  const [fill, mark] = [unseen("i", ""), unseen("b", "")];
  const [told, chance, spoken] = ["fw-name", "fw-chance", "fw-heard"].map((name) =>
    h("span", { class: name }),
  );
  const card = button("", press, { class: "fw-past" });
  card.append(canvas, told, unseen("span", "fw-track", fill), chance, mark, spoken);
  let seen = "";
  const draw = (colours, scale) => {
    const one = clock.runs[n];
    const [p, right] = [one.chances[one.label], isRight(one)];
    const now = `${one.picture} ${colours.paper} ${window.devicePixelRatio}`;
    if (now !== seen) drawSmall(canvas, colours, one.x, scale);
    seen = now;
    told.textContent = clock.names[one.label];
    fill.style.height = `${100 * p}%`;
    chance.textContent = inPercent(p);
    mark.textContent = right ? "✓" : "✗";
    spoken.textContent = `. ${exampleText(clock, one, n)}`;
    card.toggleAttribute("data-right", right);
    card.toggleAttribute("data-deaf", !one.writes);
    if (n === clock.n) card.setAttribute("aria-current", "step");
    else card.removeAttribute("aria-current");
    card.tabIndex = n === Math.max(clock.n, 0) ? 0 : -1;
  };
  return { node: h("li", {}, card), card, draw };
}

/** All examples shown so far; arrow keys go from one to the next. */
export function historyView(clock) {
  const scale = largest(clock.pictures.flat()) || 1;
  const list = h("ol", { class: "fw-strip" });
  const title = h("p", { class: "fw-title" });
  const note = h("p", { class: "fw-note" });
  const items = [];
  const look = (n) => clock.go((n + 1) * clock.moments);
  list.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const n = items.findIndex(({ card }) => card === event.target) + way;
    if (!way || !items[n]) return;
    event.preventDefault();
    look(n);
    items[n].card.focus();
  });
  const draw = (colours) => {
    const { runs } = clock;
    for (const { node } of items.splice(runs.length)) node.remove();
    while (items.length < runs.length) {
      const n = items.length;
      items.push(pastItem(clock, n, () => look(n)));
      list.append(items[n].node);
    }
    items.forEach((item) => item.draw(colours, scale));
    const right = runs.filter(isRight).length;
    title.textContent = `Shown so far: ${runs.length}, answered right: ${right}`;
    note.textContent = runs.length
      ? "Picture, label told, and how likely that label was before it was told. " +
        "Dashed: its error does not come back."
      : "Nothing yet. The cells stand at their start, the same for every restart.";
  };
  return { node: h("div", { class: "fw-figure" }, title, list, note), draw };
}

/** The state of the cell that is pointed at, as bars and in words. */
export function stateView(clock) {
  const { size } = clock.cells;
  const parts = ["c", "h"].map((part) => ({
    part,
    canvas: h("canvas", { role: "img" }),
  }));
  const title = h("p", { class: "fw-title" });
  const text = h("p", { class: "fw-note fw-words" });
  const node = h("div", { class: "fw-figure fw-state" }, title, text);
  for (const { part, canvas } of parts) {
    const what = part === "c" ? "c, its memory" : "h, what it speaks from";
    node.append(h("p", { class: "fw-note" }, what), canvas);
  }
  node.append(h("p", { class: "fw-note" }, "Ticks: before this example."));
  const draw = (colours) => {
    title.textContent = `Cell: row ${clock.cell[0] + 1}, column ${clock.names[clock.cell[1]]}`;
    text.textContent = cellText(clock);
    for (const { part, canvas } of parts) {
      const { now, before } = numbersOf(clock, part);
      const scale = part === "h" ? 1 : largest([...now, ...before]) || 1;
      const names = stateNames(size);
      drawBars(canvas, colours, now, {
        wanted: before,
        scale,
        names,
        height: 84,
        label: part,
      });
      canvas.setAttribute(
        "aria-label",
        `${part}: ${now.map((x) => say(x, 2)).join(", ")}`,
      );
    }
  };
  return { node, draw };
}
