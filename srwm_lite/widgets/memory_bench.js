// A matrix that the reader writes into by hand; all of it happens in the browser.
import { editor, settingsBar } from "./bench_controls.js";
import { accounts, memoryView, replyText } from "./bench_view.js";
import { follow, h, voice } from "./dom.js";
import { Hand } from "./hand.js";

function render({ model, el }) {
  const hand = new Hand(model);
  hand.writeAll(model.get("written"));
  hand.bench.past = [];
  const spoken = voice();
  const parts = [];
  const changed = (words) => {
    parts.forEach((part) => part.draw(root));
    model.set("matrix", hand.bench.now.W);
    model.save_changes();
    const last = hand.bench.now.words.at(-1);
    spoken.speak(
      [typeof words === "string" ? words : last, replyText(hand.bench.reply())]
        .filter(Boolean)
        .join(" "),
    );
  };
  const memory = memoryView(hand);
  parts.push(settingsBar(hand, changed), editor(hand, changed), memory, accounts(hand));
  const [settings, hands, , sums] = parts;
  const root = h(
    "div",
    { class: "fw fw-bench", role: "group", "aria-label": "Memory bench" },
    h("div", { class: "fw-inside" }, settings.node, hands.node, memory.node, sums.node),
    spoken.node,
  );
  memory.connect(root);
  el.append(root);
  return follow(root, () => parts.forEach((part) => part.draw(root)));
}

export default { render };
