// Pictures of matrices, on a canvas as sharp as the screen.
import { light } from "./colours.js";
import { say } from "./dom.js";

/** Fit a canvas to whole pixels of the screen and return a pen in CSS pixels. */
export function pen(canvas, heightOf) {
  const ratio = window.devicePixelRatio || 1;
  canvas.style.width = "";
  canvas.width = Math.floor(canvas.getBoundingClientRect().width * ratio);
  const width = canvas.width / ratio;
  canvas.height = Math.round(heightOf(width) * ratio);
  const height = canvas.height / ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  return { ctx, width, height, ratio };
}

/** Where the cells of a matrix lie: tiles on whole device pixels, with thin gaps. */
function tiles(box, rows, cols, ratio) {
  const wide = Math.min(box.w / cols, box.h / rows) >= 9;
  const gap = wide ? Math.max(1, Math.round(1.5 * ratio)) / ratio : 0;
  const snap = (x) => Math.round(x * ratio) / ratio;
  const edge = (start, size, n, i) => snap(start + (size * i) / n);
  return (i, j) => {
    const x = edge(box.x, box.w, cols, j);
    const y = edge(box.y, box.h, rows, i);
    return [
      x,
      y,
      edge(box.x, box.w, cols, j + 1) - x - gap,
      edge(box.y, box.h, rows, i + 1) - y - gap,
    ];
  };
}

const printed = (x) => {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
  return say(Math.abs(x) >= 10 ? x : Number(x.toFixed(2)));
};

/** The size of figures that fits every cell, or 0 when they would be too small. */
function figureSize(ctx, skin, values, cell) {
  const longest = values.reduce(
    (a, x) => (printed(x).length > a.length ? printed(x) : a),
    "0",
  );
  for (let size = Math.min(15, cell * 0.48); size >= 8.5; size -= 0.5) {
    ctx.font = `500 ${size}px ${skin.font}`;
    if (ctx.measureText(longest).width <= cell - 4) return size;
  }
  return 0;
}

function drawFigure(ctx, skin, x, scale, [left, top, w, tall]) {
  const L = light(skin.tint(x / scale));
  ctx.fillStyle = 1.05 / (L + 0.05) > (L + 0.05) / 0.056 ? "#fff" : "#14181f";
  if (Math.abs(x) < 0.005) ctx.globalAlpha = 0.65;
  ctx.fillText(printed(x), left + w / 2, top + tall / 2 + 0.5);
  ctx.globalAlpha = 1;
}

function drawMinus(ctx, skin, x, scale, [left, top, w, tall]) {
  const L = light(skin.tint(x / scale));
  ctx.fillStyle = L < 0.25 ? "rgb(255 255 255 / .8)" : "rgb(10 20 40 / .7)";
  ctx.fillRect(left + w * 0.3, top + tall / 2 - 0.5, w * 0.4, 1);
}

/** Small cells, without gaps or figures: one picture, enlarged. */
function drawFine(ctx, skin, values, rows, cols, box, scale) {
  const image = new ImageData(cols, rows);
  values.forEach((x, n) => image.data.set([...skin.tint(x / scale), 255], 4 * n));
  const small = Object.assign(document.createElement("canvas"), {
    width: cols,
    height: rows,
  });
  small.getContext("2d").putImageData(image, 0, 0);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(small, box.x, box.y, box.w, box.h);
}

/** Draw `values` (row by row) into a box; figures where they fit, else marks for minus. */
export function drawMatrix(
  ctx,
  skin,
  values,
  rows,
  cols,
  box,
  { scale, ratio, figures = true },
) {
  const cellAt = tiles(box, rows, cols, ratio);
  const cell = Math.min(box.w / cols, box.h / rows);
  if (cell < 9) {
    drawFine(ctx, skin, values, rows, cols, box, scale);
    return cellAt;
  }
  const size =
    figures && cell >= 16 && scale > 0.2 ? figureSize(ctx, skin, [...values], cell) : 0;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  if (size) ctx.font = `500 ${size}px ${skin.font}`;
  values.forEach((x, n) => {
    const tile = cellAt(Math.floor(n / cols), n % cols);
    ctx.fillStyle = skin.colour(x / scale);
    ctx.fillRect(...tile);
    if (size) drawFigure(ctx, skin, x, scale, tile);
    else if (x / scale < -0.08) drawMinus(ctx, skin, x, scale, tile);
  });
  return cellAt;
}

export function drawCursor(ctx, skin, [x, y, w, tall], strong) {
  ctx.lineWidth = strong ? 4 : 3;
  ctx.strokeStyle = skin.paper;
  ctx.strokeRect(x, y, w, tall);
  ctx.lineWidth = strong ? 2 : 1.5;
  ctx.strokeStyle = skin.ink;
  ctx.strokeRect(x, y, w, tall);
}

/** A matrix that is one vector times another: key on top, factor at the side. */
export function drawOuter(
  canvas,
  skin,
  { values, rows, cols, side, top, scale, sideScale, topScale },
) {
  const shape = Math.min(Math.max(rows / cols, 0.4), 2.2);
  const stripOf = (width) => Math.max(6, Math.round(width * 0.09));
  const { ctx, width, height, ratio } = pen(canvas, (w) => {
    const around = stripOf(w) + 4;
    return (w - around) * shape + around;
  });
  const strip = stripOf(width);
  const box = {
    x: strip + 4,
    y: strip + 4,
    w: width - strip - 4,
    h: height - strip - 4,
  };
  const plain = { ratio, figures: false };
  drawMatrix(ctx, skin, values, rows, cols, box, { scale, ratio });
  if (!top) return;
  drawMatrix(
    ctx,
    skin,
    top,
    1,
    cols,
    { ...box, y: 0, h: strip },
    { scale: topScale, ...plain },
  );
  drawMatrix(
    ctx,
    skin,
    side,
    rows,
    1,
    { ...box, x: 0, w: strip },
    { scale: sideScale, ...plain },
  );
}

/** Bars for `values`, ticks for what was `wanted`; both readable without colour. */
export function drawBars(
  canvas,
  skin,
  values,
  { wanted, scale, names, rising, height = 116, label = "answer" },
) {
  const { ctx, width } = pen(canvas, () => height);
  const figures = (width - (rising ? 0 : 52)) / values.length >= 30;
  const left = figures && !rising ? 52 : 0;
  const per = Math.min((width - left) / values.length, 46);
  const roof = rising ? 16 : 4;
  const floor = height - (left ? 36 : names.length ? 18 : 2);
  const mid = rising ? floor : (floor + roof) / 2;
  const tall = (x) => Math.max(-1, Math.min(1, (x || 0) / scale)) * (mid - roof);
  values.forEach((x, i) => {
    const at = left + i * per;
    ctx.fillStyle = x < 0 ? skin.minus : skin.plus;
    ctx.fillRect(
      at + per * 0.2,
      Math.min(mid, mid - tall(x)),
      per * 0.6,
      Math.abs(tall(x)),
    );
    if (wanted) {
      ctx.fillStyle = skin.ink;
      ctx.fillRect(at + per * 0.06, mid - tall(wanted[i]) - 1, per * 0.88, 2);
    }
  });
  ctx.fillStyle = skin.muted;
  ctx.fillRect(left, Math.round(mid) - 0.5, per * values.length, 1);
  const write = (text, i, y, colour) => {
    ctx.fillStyle = colour;
    ctx.fillText(text, left + (i + 0.5) * per, y);
  };
  ctx.font = `12px ${skin.font}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "alphabetic";
  const wide = Math.max(...names.map((name) => ctx.measureText(name).width)) + 3;
  const every = [1, 2, 5, 10].find((n) => n * per >= wide) ?? names.length;
  names.forEach((name, i) => {
    if ((i + 1) % every === 0) write(name, i, floor + 14, skin.muted);
  });
  if (!figures) return;
  values.forEach((x, i) =>
    write(printed(x), i, rising ? mid - tall(x) - 4 : height - 4, skin.ink),
  );
  if (!left) return;
  ctx.textAlign = "left";
  ctx.fillText(label, 0, height - 4);
  ctx.fillStyle = skin.muted;
  ctx.fillText("row", 0, floor + 14);
}
