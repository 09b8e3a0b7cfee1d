// What the grid says in words: the moment, the example, the cell.
import { say } from "./dom.js";
import { errorsOf } from "./message_grid_rules.js";

export const inPercent = (p) => `${Math.round(100 * p)} %`;
export const likeliest = (chances) => chances.indexOf(Math.max(...chances));
export const isRight = ({ chances, label }) => likeliest(chances) === label;

/** To two places, for what is near one; 0 for what would not be seen. */
export const near = (x, digits = 2) => Number(x.toFixed(digits));
export const sayNear = (x, digits = 2) => say(near(x, digits), digits);

const MOMENTS = {
  arrive: "messages arrive",
  answer: "the answer",
  told: "the label is told",
  waits: "the error waits",
};

const listOf = (names, values) =>
  names.map((name, b) => `${name} ${sayNear(values[b])}`).join(", ");

/** Where the clock stands. */
export function momentText(clock) {
  const { runs, n, at, cells } = clock;
  if (!runs.length) return "Nothing is shown yet";
  if (!at) return `Before the first of ${runs.length} examples`;
  const moment = clock.momentOf(at);
  const what = MOMENTS[clock.kind] ?? `the cells tick, ${moment} of ${cells.ticks}`;
  return `Example ${n + 1} of ${runs.length} · ${moment + 1} of ${clock.moments}: ${what}`;
}

/** An example from its picture to its error. */
export function exampleText({ names }, one, n) {
  const { picture, label, chances, error, writes } = one;
  const best = likeliest(chances);
  const verdict =
    best === label ? "right" : `wrong, ${names[label]} had ${inPercent(chances[label])}`;
  return (
    `Example ${n + 1}, picture ${picture + 1} told as ${names[label]}: answered ` +
    `${names[best]} with ${inPercent(chances[best])}, ${verdict}. ` +
    (writes
      ? `Error: ${error.some((x) => near(x)) ? listOf(names, error) : "nearly 0"}.`
      : "No error comes back: errors are switched off.")
  );
}

function arrivalText({ n, names }, { picture, states: [{ back }] }) {
  const first = `The numbers of picture ${picture + 1} go into the rows, forward. `;
  const errors = errorsOf(back);
  if (errors.some(Boolean))
    return `${first}The error of example ${n} comes back up the columns: ${listOf(names, errors)}.`;
  return (
    first + (n ? "No error comes back." : "Nothing comes back: no error is known yet.")
  );
}

function tickText(clock, one) {
  const { at, cells } = clock;
  const changes = [...clock.cells.changes(one.states[0], clock.stateAt(at))];
  const most = changes.indexOf(Math.max(...changes));
  const [a, b] = [Math.floor(most / cells.classes), most % cells.classes];
  return (
    "Every cell has heard its row and its column, and changes its state (rings). The " +
    `most so far: row ${a + 1}, column ${clock.names[b]}, by ${say(changes[most], 2)}.`
  );
}

/** What happens at this moment. */
export function toldText(clock) {
  const { one, names, n } = clock;
  if (!one) return "Pick a picture and the label it will be told, and press Show.";
  const best = likeliest(one.chances);
  const joined = clock.cells.reduce === "mean" ? "mean" : "sum";
  const texts = {
    arrive: () => arrivalText(clock, one),
    tick: () => tickText(clock, one),
    answer: () =>
      `Each column takes the ${joined} of what its cells say: logits ` +
      `${listOf(names, one.logits)}. The answer: ${names[best]} with ` +
      `${inPercent(one.chances[best])}.`,
    told: () =>
      `The label is ${names[one.label]}; it had ${inPercent(one.chances[one.label])}. ` +
      `Error = answer − label: ${listOf(names, one.error)}.`,
    waits: () =>
      exampleText(clock, one, n) +
      (one.writes ? " It waits, and comes back with the next example." : ""),
  };
  return texts[clock.kind]();
}

/** The cell that is pointed at. */
export function cellText(clock) {
  const { cell, cells, names, at, one } = clock;
  const n = cell[0] * cells.classes + cell[1];
  const value = (view) => say(clock.values(view, at)[n], 2);
  const error = one && errorsOf(one.states[0].back)[cell[1]];
  const heard = one
    ? `It heard ${say(one.x[cell[0]], 2)} from its row and the error ` +
      `${sayNear(error)} from its column. `
    : "";
  return (
    `Row ${cell[0] + 1}, column ${names[cell[1]]}. ${heard}Implied weight ` +
    `${value("weight")}, vote ${value("vote")}, change of its state ${value("change")}.`
  );
}

/** The numbers of one part of its state, now and before the example. */
export function numbersOf(clock, part) {
  const { cell, cells, one, at } = clock;
  const first = (cell[0] * cells.classes + cell[1]) * cells.size;
  const cut = (state) => [...state[part].slice(first, first + cells.size)];
  return { now: cut(clock.stateAt(at)), before: cut(one?.states[0] ?? clock.start) };
}
