// What the page makes of a packed block.
export function run(module, { film, array, until }) {
  const steps = module.unpackSteps(film);
  const shared = film.arrays.findIndex(({ space }) => space === "shared");
  const writers = module.lastWriters(steps, Math.max(shared, array), until);
  return {
    cells: steps.map(({ cells }) => [...cells]),
    writers: [...writers].map(([cell, { thread }]) => [cell, thread]),
    barriers: [
      module.nextStep(steps, 0, "barrier", 1),
      module.nextStep(steps, 4, "barrier", 1),
      module.nextStep(steps, 4, "barrier", -1),
    ],
    words: steps.map((step) => module.stepWords(film, step)),
  };
}
