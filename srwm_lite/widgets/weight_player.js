// The film of a fast weight matrix: one clock for all films, and one question.
import { field, h, say, select } from "./dom.js";
import { decode, distinctKeys } from "./film.js";
import { filmView } from "./film_view.js";
import { Player } from "./player.js";
import { stage, transport } from "./transport.js";

const NAMES = { back: "One step back", forward: "One step forward", step: "Step" };

function keyChoices(film) {
  const steps = distinctKeys(film).map(({ steps: [first, ...rest] }) => {
    const name = film.labels[first - 1] ? `: ${film.labels[first - 1]}` : "";
    return [
      String(first),
      `key of step ${first}${name}${rest.length ? " (and later)" : ""}`,
    ];
  });
  const query = film.q ? [["query", "the query of this step"]] : [];
  return [["now", "the key of this step"], ...query, ...steps];
}

function legend({ films, scale }) {
  const most = (name) => say(Math.max(...films.map((film) => film[name])), 2);
  const writes = films.some((film) => film.writeScale !== film.scale)
    ? `; small pictures ±${most("writeScale")}`
    : "";
  const full = scale.log
    ? "the largest entry of each step"
    : `W ±${most("scale")}${writes}`;
  return h(
    "p",
    { class: "fw-legend" },
    h("span", {}, "−"),
    h("span", { class: "fw-ramp", "aria-hidden": "true" }),
    h("span", {}, "+"),
    h("span", {}, `full colour: ${full}`),
    h("span", { class: "fw-key" }, h("i", { class: "fw-solid" }), "norm"),
    h("span", { class: "fw-key" }, h("i", { class: "fw-dashed" }), "singular values"),
  );
}

function question(player) {
  if (!player.films.every(({ k }) => k)) return null;
  const choose = select(keyChoices(player.films[0]), (asked) => player.ask(asked), {
    class: "fw-choose",
  });
  const node = h(
    "div",
    { class: "fw-ask" },
    field("Ask W with", choose),
    h(
      "p",
      { class: "fw-note" },
      "Bars: the answer W k. Ticks: the value last written under this key. A click on the tape of keys asks too.",
    ),
  );
  return {
    node,
    draw: () => {
      choose.value = nearestOption(choose, player);
    },
  };
}

/** A click on the tape may name a later write under a key that is listed once. */
function nearestOption(choose, player) {
  const values = [...choose.options].map(({ value }) => value);
  if (values.includes(player.asked)) return player.asked;
  const group = distinctKeys(player.films[0]).find(({ steps }) =>
    steps.includes(Number(player.asked)),
  );
  return String(group?.steps[0] ?? "now");
}

function render({ model, el }) {
  const films = decode(model.get("films"), model.get("data"));
  const player = new Player(model, films);
  player.views = films.map((film) => filmView(film, player));
  const bar = transport(player, NAMES);
  const ask = question(player);
  const row = (kind, nodes) =>
    h("div", { class: `fw-row ${kind}`, "data-films": films.length }, ...nodes);
  const inside = h(
    "div",
    { class: "fw-inside", "data-films": films.length },
    row(
      "fw-films",
      player.views.map(({ pictures }) => pictures.node),
    ),
    bar.node,
    row(
      "fw-times",
      player.views.map(({ time }) => time.node),
    ),
    legend(player),
    ask?.node,
    ask &&
      row(
        "fw-replies",
        player.views.map(({ reply }) => reply.node),
      ),
  );
  const root = h(
    "div",
    { class: "fw fw-player", role: "group", "aria-label": model.get("title") },
    inside,
    player.spoken.node,
  );
  const redraw = () => {
    bar.draw();
    ask?.draw();
    player.views.forEach((view) => view.draw(root, player.step));
  };
  return stage({ model, el }, player, root, redraw);
}

export default { render };
