// A matrix that rewrites itself: one clock, four blocks of rows, four locks.
import { skin } from "./colours.js";
import { field, h, select } from "./dom.js";
import { largest } from "./film.js";
import { linesView } from "./srwm_chart.js";
import { SelfClock, SIGNS } from "./srwm_clock.js";
import { BLOCKS } from "./srwm_rules.js";
import { answerView, barsView, blockView, inputView, outputView } from "./srwm_view.js";
import { stage, transport } from "./transport.js";

const MOVES_OF_SELF = {
  back: "One step back",
  forward: "One step forward",
  step: "Step",
};
const VIEWS = [
  ["matrix", "the matrix"],
  ["change", "change in this step"],
  ["shift", "shift from the start"],
];

function checkbox(name, onchange) {
  const box = h("input", { type: "checkbox", onchange: () => onchange(box.checked) });
  return { box, node: field(name, box) };
}

/** Checkboxes that freeze a block of rows, or all of them. */
function locks(clock) {
  const freeze = (frozen) => {
    clock.set("frozen", frozen);
    clock.spoken.speak(clock.words());
  };
  const rows = BLOCKS.map((name) =>
    checkbox(SIGNS[name], (on) =>
      freeze(BLOCKS.filter((b) => (b === name ? on : clock.frozen.includes(b)))),
    ),
  );
  const all = checkbox("writes off", (on) => freeze(on ? [...BLOCKS] : []));
  const node = h(
    "div",
    { class: "fw-choices fw-locks", role: "group", "aria-label": "Freeze rows" },
    h("span", { class: "fw-cap", "aria-hidden": "true" }, "Freeze rows"),
    ...[...rows, all].map((one) => one.node),
  );
  const draw = () => {
    rows.forEach(({ box }, n) => {
      box.checked = clock.frozen.includes(BLOCKS[n]);
    });
    all.box.checked = clock.frozen.length === BLOCKS.length;
  };
  return { node, draw };
}

function chooser(clock) {
  const control = select(VIEWS, (view) => clock.set("view", view));
  const draw = () => {
    control.value = clock.model.get("view");
  };
  return { node: field("Show", control), draw };
}

function charts(clock) {
  const none = BLOCKS.map(() => NaN);
  const rates = () =>
    BLOCKS.map((_, n) => clock.frames.map((f) => (f.rates ?? none)[n]));
  const moved = () => BLOCKS.map((_, n) => clock.moved(n));
  const top = (lines) =>
    largest([...lines.flat(), ...BLOCKS.flatMap((_, n) => clock.moved(n, clock.free))]);
  return [
    linesView(clock, "Learning rates", rates, () => 1),
    linesView(clock, "Moved from the start", moved, top),
  ];
}

const legend = () =>
  h(
    "p",
    { class: "fw-legend" },
    h("span", {}, "−"),
    h("span", { class: "fw-ramp", "aria-hidden": "true" }),
    h("span", {}, "+"),
    h(
      "span",
      {},
      "A step adds to each block the strip at its right times the key k. " +
        "Strip: learning rate × (X q − X k). Moved: ‖X − start‖ / ‖start‖.",
    ),
  );

function render({ model, el }) {
  const clock = new SelfClock(model);
  const [bar, lock, choose] = [transport(clock, MOVES_OF_SELF), locks(clock), chooser(clock)];
  const told = h("p", { class: "fw-told" });
  const stack = [
    inputView(clock),
    barsView(clock, "q", "the query: X q is the new value"),
    barsView(clock, "k", "the key: X k is the old value"),
    ...BLOCKS.map((_, n) => blockView(clock, n)),
  ];
  const aside = [
    outputView(clock),
    ...(model.get("read_out").length ? [answerView(clock)] : []),
    ...charts(clock),
  ];
  const readout = h("p", { class: "fw-note fw-readout" });
  const nodes = (views) => views.map(({ node }) => node);
  const inside = h(
    "div",
    { class: "fw-inside", style: `--cols: ${clock.K}` },
    bar.node,
    h("div", { class: "fw-tools" }, lock.node, choose.node),
    told,
    h("div", { class: "fw-stack" }, ...nodes(stack), readout),
    h("div", { class: "fw-aside" }, ...nodes(aside), legend()),
  );
  const root = h(
    "div",
    { class: "fw fw-srwm", role: "group", "aria-label": model.get("title") },
    inside,
    clock.spoken.node,
  );
  const redraw = () => {
    const colours = skin(root);
    for (const view of [bar, lock, choose, ...stack, ...aside]) view.draw(colours);
    told.textContent = clock.told();
    readout.textContent = clock.cellText();
  };
  return stage({ model, el }, clock, root, redraw, ["frozen", "view"]);
}

export default { render };
