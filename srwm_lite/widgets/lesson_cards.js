// Five cards to teach with, and a sixth to ask with: label, sheet, what is seen.
import { button, h, icon } from "./dom.js";
import { drawSeen, sheet } from "./paper.js";

const small = (picture, name, onclick) =>
  button(icon(picture), onclick, {
    "aria-label": name,
    title: name,
    class: "fw-small",
  });

function labelField(lesson, n, renamed) {
  const input = h("input", {
    type: "text",
    class: "fw-name",
    maxlength: 12,
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": `Label of picture ${n + 1}`,
    oninput: () => {
      lesson.names[lesson.labels[n]] = input.value;
      renamed();
    },
  });
  return input;
}

/** One card; `changed` hears which sheet has changed and how. */
function card(lesson, n, help, changed) {
  const query = n === lesson.ways;
  const name = query ? "Query" : `Picture ${n + 1}`;
  const label = query
    ? h("p", { class: "fw-name" }, "What is it?")
    : labelField(lesson, n, () => changed(n, "name"));
  const paper = lesson.papers[n];
  const page = sheet(paper, `${name}, drawing sheet`, help, (how) => changed(n, how));
  const seen = h("canvas", { class: "fw-seen", role: "img" });
  const act = (does) => () => {
    does();
    changed(n, "done");
  };
  const undo = small("undo", `Undo, ${name}`, act(() => paper.undo()));
  const clear = small("clear", `Clear, ${name}`, act(() => paper.put([])));
  const invent = query
    ? button("Another hand", () => (lesson.ask(), changed(n, "drawn")))
    : button("Draw one", () => (lesson.invent(n), changed(n, "drawn")), {
        "aria-label": `Draw one, ${name}`,
      });
  const tools = h("div", { class: "fw-tools" }, seen, undo, clear);
  const node = h(
    "section",
    { class: `fw-card${query ? " fw-query" : ""}`, "aria-label": name },
    label,
    page.node,
    tools,
    invent,
    page.spoken,
  );
  const draw = (skin, now) => {
    node.toggleAttribute("data-now", now);
    if (!query) {
      node.dataset.label = lesson.labels[n] + 1;
      if (document.activeElement !== label)
        label.value = lesson.names[lesson.labels[n]];
    }
    undo.disabled = paper.past.length === 0;
    clear.disabled = paper.empty;
    if (query) invent.disabled = lesson.drawn === 0;
    page.draw(skin);
    drawSeen(seen, skin, lesson.seen[n].picture, lesson.size);
    const inked = lesson.seen[n].picture.filter((x) => x > 0.5).length;
    const size = `${lesson.size} by ${lesson.size}`;
    const said = `${name} as the network sees it: ${size} pixels, ${inked} dark`;
    seen.setAttribute("aria-label", said);
  };
  return { node, draw };
}

/** All cards; the card of the current step stands out. */
export function cardsView(lesson, player, help, changed) {
  const cards = lesson.papers.map((_, n) => card(lesson, n, help, changed));
  const node = h("div", { class: "fw-cards" }, ...cards.map((one) => one.node));
  const draw = (skin) => cards.forEach((one, n) => one.draw(skin, n + 1 === player.at));
  return { node, draw };
}
