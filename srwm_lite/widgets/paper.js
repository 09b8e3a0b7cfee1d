// A sheet to draw a character on, by mouse, pen, finger or keyboard.
import { h, voice } from "./dom.js";
import { pen } from "./draw.js";
import { WIDTH } from "./hand_strokes.js";

const STEP = { near: 0.02, far: 0.05 };
const WAYS = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};
const inSheet = (x) => Math.min(Math.max(x, 0), 1);

/** The strokes on a sheet, and what stood there before. */
export class Paper {
  constructor(strokes) {
    [this.strokes, this.past, this.at, this.down] = [strokes, [], [0.5, 0.5], false];
  }

  get empty() {
    return this.strokes.length === 0;
  }

  put(strokes) {
    this.past.push(this.strokes);
    [this.strokes, this.down] = [strokes, false];
  }

  undo() {
    [this.strokes, this.down] = [this.past.pop() ?? [], false];
  }

  begin(point) {
    this.put([...this.strokes, [point]]);
    [this.at, this.down] = [point, true];
  }

  go(point) {
    this.at = point;
    if (!this.down) return;
    const last = [...this.strokes.at(-1), point];
    this.strokes = [...this.strokes.slice(0, -1), last];
  }

  lift() {
    this.down = false;
  }
}

function followPointer(canvas, paper, changed) {
  let drawing = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      inSheet((event.clientX - box.left) / box.width),
      inSheet((event.clientY - box.top) / box.height),
    ];
  };
  const end = () => {
    if (!drawing) return;
    drawing = false;
    paper.lift();
    changed("done");
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true, focusVisible: false });
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    paper.begin(place(event));
    changed("stroke");
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing || !event.isPrimary) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) paper.go(place(one));
    changed("stroke");
  });
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

const placeWords = ([x, y]) =>
  `${Math.round(100 * x)} across, ${Math.round(100 * y)} down`;

function followKeys(canvas, paper, changed, speak) {
  const move = ([x, y], event) => {
    const step = event.shiftKey ? STEP.near : STEP.far;
    paper.go([inSheet(paper.at[0] + x * step), inSheet(paper.at[1] + y * step)]);
    changed(paper.down ? "stroke" : "pen");
    speak(`${paper.down ? "Pen down" : "Pen up"}, ${placeWords(paper.at)}.`);
  };
  const press = () => {
    if (paper.down) paper.lift();
    else paper.begin(paper.at);
    speak(`${paper.down ? "Pen down" : "Pen up"}, ${placeWords(paper.at)}.`);
    changed(paper.down ? "stroke" : "done");
  };
  const back = () => {
    paper.undo();
    changed("done");
  };
  const clear = () => {
    paper.put([]);
    changed("done");
  };
  const does = { " ": press, Backspace: back, Delete: clear };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (WAYS[event.key]) move(WAYS[event.key], event);
    else if (does[event.key]) does[event.key]();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => {
    if (!paper.down) return;
    paper.lift();
    changed("done");
  });
}

function drawStrokes(ctx, skin, strokes, side) {
  ctx.strokeStyle = ctx.fillStyle = skin.ink;
  ctx.lineWidth = 2 * WIDTH * side;
  ctx.lineCap = ctx.lineJoin = "round";
  for (const stroke of strokes) {
    ctx.beginPath();
    ctx.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    stroke.forEach(([x, y]) => ctx.lineTo(x * side, y * side));
    ctx.stroke();
  }
}

function drawPen(ctx, skin, { at: [x, y], down }, side) {
  for (const [colour, size] of [
    [skin.paper, 5],
    [skin.minus, 2.5],
  ]) {
    [ctx.strokeStyle, ctx.lineWidth] = [colour, size];
    ctx.beginPath();
    ctx.arc(x * side, y * side, 0.06 * side, 0, 2 * Math.PI);
    ctx.stroke();
  }
  ctx.fillStyle = skin.minus;
  if (down) ctx.fill();
}

/** The sheet; `changed` hears "stroke", "pen" or "done". */
export function sheet(paper, name, help, changed) {
  const spoken = voice();
  const canvas = h("canvas", {
    class: "fw-sheet",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "drawing sheet",
    "aria-label": name,
    "aria-describedby": help,
  });
  followPointer(canvas, paper, changed);
  followKeys(canvas, paper, changed, spoken.speak);
  for (const event of ["focus", "blur"])
    canvas.addEventListener(event, () => changed("pen"));
  const draw = (skin) => {
    const { ctx, width: side } = pen(canvas, (width) => width);
    if (paper.empty) {
      ctx.fillStyle = skin.muted;
      ctx.font = `13px ${skin.font}`;
      ctx.textAlign = "center";
      ctx.fillText("draw here", side / 2, side / 2 + 4);
    }
    drawStrokes(ctx, skin, paper.strokes, side);
    if (canvas.matches(":focus-visible")) drawPen(ctx, skin, paper, side);
    const n = paper.strokes.length;
    const held = n ? `${n} ${n === 1 ? "stroke" : "strokes"}` : "empty";
    canvas.setAttribute("aria-label", `${name}: ${held}`);
  };
  return { node: canvas, spoken: spoken.node, draw };
}

/** What the network sees, pixel by pixel; paper to ink in the colours of the page. */
export function drawSeen(canvas, skin, picture, size) {
  [canvas.width, canvas.height] = [size, size];
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  const ends = [skin.paper, skin.ink].map((colour) => {
    ctx.fillStyle = colour;
    ctx.fillRect(0, 0, 1, 1);
    return [...ctx.getImageData(0, 0, 1, 1).data];
  });
  const image = new ImageData(size, size);
  picture.forEach((x, n) => {
    const mixed = [0, 1, 2].map((i) => ends[0][i] + (ends[1][i] - ends[0][i]) * x);
    image.data.set([...mixed, 255], 4 * n);
  });
  ctx.putImageData(image, 0, 0);
}
