// Sees, reads and draws what Python sees, reads and draws.
const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function runLesson({ Net }, { file, pictures, labels }) {
  const net = new Net(new DataView(bytesOf(file).buffer));
  const seen = pictures.map((picture) => net.see(picture));
  const states = net.read(seen.slice(0, -1), labels);
  const answers = states.map((state) => net.step(seen.at(-1), null, state));
  states.push(answers.at(-1).states);
  return {
    made: net.made,
    seen: seen.map((x) => [...x]),
    states: states.map((layers) => layers.map((heads) => heads.flat(3))),
    logits: answers.map(({ logits }) => [...logits]),
  };
}

const byHand = ({ bezier, drawnBy }, { control, places, ...hand }) =>
  drawnBy(
    hand,
    control.map((stroke) => places.map((s) => bezier(stroke, s))),
  );

export function run(module, { lessons, drawings, hands, seeds, lists }) {
  const { drawing, inventCharacter, mixedUp, randomFrom } = module;
  return {
    lessons: lessons.map((lesson) => runLesson(module, lesson)),
    drawings: drawings.map((strokes) => [...drawing(strokes, 28)]),
    hands: hands.map((hand) => byHand(module, hand)),
    invented: seeds.map((seed) => inventCharacter(randomFrom(seed))),
    mixed: lists.map((list, seed) => mixedUp(list, randomFrom(seed))),
  };
}
