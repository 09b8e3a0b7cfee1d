// Where the reader sets the rule, draws key and value, and acts.
import { patternEditor } from "./cells.js";
import { button, field, h, range, say, select } from "./dom.js";

const RULES = [
  ["sum", "sum: add"],
  ["delta", "delta: correct"],
];
const FADING = { sum: "W ← α W + v ⊗ k", delta: "W ← α W + β (v − α W k) ⊗ k" };
const KEEPING = { sum: "W ← W + v ⊗ k", delta: "W ← W + β (v − W k) ⊗ k" };

export function settingsBar(hand, changed) {
  const { settings } = hand;
  const shown = {};
  const slider = (key, text, top) => {
    shown[key] = h("span", { class: "fw-value" });
    const control = range(0, top, 0.05, settings[key], (x) => {
      settings[key] = x;
      changed();
    });
    return [control, field(text, control, shown[key])];
  };
  const [beta, betaField] = slider("beta", "Write strength β", 2);
  const [, alphaField] = slider("alpha", "Keep α", 1);
  const preset = select(
    hand.presets.map(({ name }) => [name, name]),
    (name) => {
      hand.bench.reset(name);
      hand.take(0);
      changed("New keys; the memory is empty.");
    },
  );
  const rule = select(RULES, (value) => {
    settings.rule = value;
    changed();
  });
  const units = h("input", {
    type: "checkbox",
    onchange: () => {
      hand.unitKeys = units.checked;
      changed(units.checked ? "Keys have length one." : "Keys keep their length.");
    },
  });
  const node = h(
    "div",
    { class: "fw-settings" },
    field("Keys", preset),
    field("Rule", rule),
    betaField,
    alphaField,
    field("Keys of length one", units),
  );
  const draw = () => {
    preset.value = hand.bench.now.preset;
    rule.value = settings.rule;
    units.checked = hand.unitKeys;
    beta.disabled = settings.rule === "sum";
    for (const key of ["beta", "alpha"]) shown[key].textContent = say(settings[key], 2);
  };
  return { node, draw };
}

export function editor(hand, changed) {
  const { V, K } = hand.bench;
  const choose = select([], (n) => {
    hand.take(Number(n));
    changed();
  });
  const key = patternEditor("Key", K, (values) => {
    hand.key = values;
    changed();
  });
  const value = patternEditor("Value", V, (values) => {
    hand.value = values;
    changed();
  });
  const act = (text, does, props) => button(text, () => changed(does()), props);
  const undo = act("Undo", () => {
    hand.bench.undo();
    return "Undone.";
  });
  const buttons = h(
    "div",
    { class: "fw-actions" },
    act("Write", () => hand.write(), { class: "fw-main" }),
    act("Read", () => hand.bench.read(hand.name, hand.k)),
    act("Overwrite", () => hand.bench.overwrite(hand.name, hand.k, hand.value)),
    act("Write all", () => hand.writeAll()),
    undo,
    act("Reset", () => {
      hand.bench.reset(hand.bench.now.preset);
      return "The memory is empty.";
    }),
  );
  const formula = h("p", { class: "fw-note" });
  const node = h(
    "section",
    { class: "fw-editor", "aria-label": "Key and value" },
    field("Pair", choose),
    h(
      "div",
      { class: "fw-patterns" },
      h("div", {}, h("p", { class: "fw-cap" }, "Key"), key.node),
      h("div", {}, h("p", { class: "fw-cap" }, "Value"), value.node),
    ),
    buttons,
    formula,
  );
  let listed = null;
  const draw = () => {
    const { pairs } = hand;
    if (listed !== pairs) {
      choose.replaceChildren(
        ...pairs.keys.map((_, n) => h("option", { value: n }, String(n + 1))),
      );
      listed = pairs;
    }
    choose.value = String(hand.n);
    key.set(hand.key);
    value.set(hand.value);
    undo.disabled = hand.bench.past.length === 0;
    const { rule, alpha } = hand.settings;
    formula.textContent =
      `Write: ${(alpha < 1 ? FADING : KEEPING)[rule]}. ` +
      "Overwrite: the delta rule, strong enough that reading gives exactly v.";
  };
  return { node, draw };
}
