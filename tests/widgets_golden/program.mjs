// What the page makes of a program and its films.
export function run({ Story, writeText }, { story, data }) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const told = new Story(story, new DataView(bytes.buffer));
  const steps = Array.from({ length: told.T + 1 }, (_, t) => t);
  const film = (run, matrix) => {
    const one = told.film(run, matrix);
    return (
      one && {
        W: steps.map((t) => [...one.W(t)]),
        y: steps.slice(1).map((t) => [...one.read(t)]),
        side: steps.slice(1).map((t) => [...one.side(t)]),
        error: steps.slice(1).map((t) => one.error(t)),
        changes: [...one.changes],
        words: steps.map((t) => writeText(one, t, told.matrices[matrix].letter)),
      }
    );
  };
  return {
    films: told.runs.map((_, run) => told.matrices.map((_, at) => film(run, at))),
    tokens: steps.map((t) => told.tokenText(t)),
    lines: steps.map((t) => told.lineAt(t)),
    done: steps.map((t) => told.done(t)),
    last: steps.map((t) => told.lastPrint(t)),
    next: steps.map((t) => told.toPrint(t, 1)),
    before: steps.map((t) => told.toPrint(t, -1)),
    answers: told.runs.map((_, run) =>
      told.prints.map((_, print) => told.answerText(run, print)),
    ),
    scores: told.runs.map((_, run) => told.scoreText(run)),
    with: [[], ["writes"], ["recurrence"], ["writes", "recurrence"]].map((off) =>
      told.runWith(off),
    ),
  };
}
