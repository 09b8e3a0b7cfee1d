// A grid of cells: one clock, pictures to show, messages that go forward and come back.
import { skin } from "./colours.js";
import { button, field, h, say, select } from "./dom.js";
import { GridClock } from "./message_grid_clock.js";
import { historyView, picturesView, stateView } from "./message_grid_strip.js";
import { gridView, inputsView, outputsView } from "./message_grid_view.js";
import { momentText, toldText } from "./message_grid_words.js";
import { stage, transport } from "./transport.js";

const BAR_NAMES = { back: "One moment back", forward: "One moment on", step: "Moment" };
const JUMPS = { back: "Example before", forward: "Example after" };
const COLOUR_NOTES = {
  weight:
    "Implied weight: the derivative of the column’s logit by the row’s input, carried " +
    "along through the ticks. Once the label is told: for the same picture, shown next.",
  vote: "Vote: what the cell says forward. The column takes the mean of its votes.",
  change: "Change: the norm of how far c and h have moved since this example came.",
};

/** The clock, and what it says. */
class SpeakingClock extends GridClock {
  text() {
    return momentText(this);
  }

  words() {
    if (this.kind === "waits") return toldText(this);
    return `${momentText(this)}. ${toldText(this)}`;
  }
}

function viewsOf(size) {
  const entries = (part) =>
    Array.from({ length: size }, (_, n) => [
      `${part}${n + 1}`,
      `${part}, number ${n + 1}`,
    ]);
  return [
    ["weight", "implied weight"],
    ["vote", "vote for the column"],
    ["change", "change of the state"],
    ...entries("c"),
    ...entries("h"),
  ];
}

/** The label to tell, and the button that shows. */
function askTools(clock) {
  const names = clock.names.map((name, n) => [n, name]);
  const label = select(names, (n) => {
    clock.label = Number(n);
    clock.changed();
  });
  const show = button("Show", () => clock.show(), { class: "fw-main" });
  const back = button("Take back", () => {
    clock.takeBack();
    clock.speak();
  });
  const next = h("p", { class: "fw-note fw-next" });
  const node = h("div", { class: "fw-tools" }, field("told as", label), show, back, next);
  const draw = () => {
    label.value = String(clock.label);
    show.disabled = clock.full;
    back.disabled = !clock.last;
    const told = clock.names[clock.label];
    const place = `${clock.model.get("shown").length + 1} of ${clock.pairs.length}`;
    next.textContent = clock.full
      ? "The strip is full: take an example back, or restart."
      : `Next: picture ${clock.picture + 1} told as ${told}` +
        (clock.follows ? `, ${place} of the script.` : ".");
  };
  return { node, draw };
}

/** Scripts, the switch, and the way back to the start. */
function scriptTools(clock) {
  const scripts = clock.model.get("scripts").map(([name], n) => [n, name]);
  const choose = select(scripts, (n) => {
    clock.script = Number(n);
    clock.prepare();
    clock.changed();
  });
  const play = button("Play script", () => clock.playScript());
  const restart = button("Restart", () => {
    clock.restart();
    clock.speak();
  });
  const box = h("input", {
    type: "checkbox",
    onchange: () => {
      clock.set("writes", box.checked);
      const how = box.checked ? "come back" : "do not come back";
      clock.spoken.speak(`From the next example on, errors ${how}.`);
    },
  });
  const toggle = field("errors come back", box);
  const node = h(
    "div",
    { class: "fw-tools" },
    field("Script", choose),
    play,
    restart,
    toggle,
  );
  const draw = () => {
    choose.value = String(clock.script);
    box.checked = clock.model.get("writes");
  };
  return { node, draw };
}

function legend(clock) {
  const choose = select(viewsOf(clock.cells.size), (view) => clock.set("view", view));
  const scale = h("span", {});
  const note = h("p", { class: "fw-note" });
  const ramp = h("span", { class: "fw-ramp", "aria-hidden": "true" });
  const line = h(
    "p",
    { class: "fw-legend" },
    h("span", {}, "−"),
    ramp,
    h("span", {}, "+"),
    scale,
  );
  const node = h("div", { class: "fw-figure" }, field("Colour", choose), line, note);
  const draw = () => {
    choose.value = clock.view;
    scale.textContent = `full colour ±${say(clock.scale, 2)}`;
    note.textContent =
      COLOUR_NOTES[clock.view] ?? "One of the numbers of each cell’s state.";
  };
  return { node, draw };
}

function messagesNote(joined) {
  return h(
    "p",
    { class: "fw-note" },
    "Forward, from left to right and down: the input goes into the rows, the cells vote, " +
      `and each column takes the ${joined}. Backward, from below: the error of an example ` +
      "comes back up its column with the next example. Orange is +, blue is −.",
  );
}

function render({ model, el }) {
  const clock = new SpeakingClock(model);
  const jumps = [-1, 1].map((way) => ({
    way,
    picture: way < 0 ? "before" : "after",
    name: way < 0 ? JUMPS.back : JUMPS.forward,
    from: () => (clock.n + (way < 0 ? 0 : 2)) * clock.moments,
  }));
  const bar = transport(clock, BAR_NAMES, { jumps });
  const scrub = bar.node.querySelector("input");
  const [grid, inputs] = [gridView(clock), inputsView(clock)];
  const outputs = outputsView(clock, grid.node);
  const [pictures, history, state] = [picturesView, historyView, stateView].map((view) =>
    view(clock),
  );
  const [ask, script, colour] = [askTools, scriptTools, legend].map((tool) =>
    tool(clock),
  );
  const told = h("p", { class: "fw-told" });
  const joined = clock.cells.reduce === "mean" ? "mean" : "sum";
  const cells_ = h("div", { class: "fw-stage" }, inputs.node, grid.node, outputs.node);
  const inside = h(
    "div",
    { class: "fw-inside", style: `--cols: ${clock.cells.classes}` },
    h("div", { class: "fw-ask" }, pictures.node, ask.node, script.node),
    bar.node,
    told,
    h("div", { class: "fw-figure" }, cells_, messagesNote(joined)),
    h("div", { class: "fw-aside" }, colour.node, state.node),
    history.node,
  );
  const root = h(
    "div",
    { class: "fw fw-messages", role: "group", "aria-label": model.get("title") },
    inside,
    clock.spoken.node,
  );
  clock.painted = () => {
    const colours = skin(root);
    for (const view of [inputs, grid, outputs, state]) view.draw(colours);
  };
  const redraw = () => {
    clock.update();
    scrub.max = String(clock.last);
    for (const part of [bar, ask, script, colour]) part.draw();
    for (const view of [pictures, history]) view.draw(skin(root));
    told.textContent = toldText(clock);
    clock.painted();
  };
  return stage({ model, el }, clock, root, redraw, ["shown", "writes", "view"]);
}

export default { render };
