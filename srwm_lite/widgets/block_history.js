// What one block did: requests unpacked, the last writer of every cell, and words.

/** Return the requests; `cells` maps each thread to what it touches. */
export function unpackSteps(film) {
  return film.steps.map(([interval, warp, line, array, write, runs]) => {
    const cells = new Map();
    for (let i = 0; i < runs.length; i += 4) {
      const [thread, cell, n, stride] = runs.slice(i, i + 4);
      for (let j = 0; j < n; j++) cells.set(thread + j, cell + j * stride);
    }
    return { interval, warp, line, array, write: write === 1, cells };
  });
}

/** Who wrote each cell of an array last, the request `until` included. */
export function lastWriters(steps, array, until) {
  const writers = new Map();
  for (const step of steps.slice(0, until + 1)) {
    if (!step.write || step.array !== array) continue;
    for (const [thread, cell] of step.cells)
      writers.set(cell, { thread, line: step.line, interval: step.interval });
  }
  return writers;
}

/** The request that a step of this kind leads to: by instruction, line or barrier. */
export function nextStep(steps, at, unit, way) {
  const unlike = (a, b) =>
    a.interval !== b.interval ||
    (unit === "line" && (a.line !== b.line || a.warp !== b.warp));
  let to = at + way;
  if (unit !== "instruction")
    while (steps[to] && !unlike(steps[to], steps[to - way])) to += way;
  if (unit !== "instruction" && way < 0)
    while (steps[to - 1] && !unlike(steps[to], steps[to - 1])) to -= 1;
  return Math.min(Math.max(to, 0), steps.length - 1);
}

/** Numbers as ranges: 0 to 7, 16. */
function spans(numbers) {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const found = [];
  for (const n of sorted) {
    const last = found.at(-1);
    if (last && n === last[1] + 1) last[1] = n;
    else found.push([n, n]);
  }
  const words = found.map(([a, b]) => (a === b ? `${a}` : `${a} to ${b}`));
  return words.length > 4 ? `${words.slice(0, 3).join(", ")}, …` : words.join(", ");
}

/** Say who does what in a request. */
export function stepWords(film, { line, array, write, cells }) {
  const [threads, touched] = [[...cells.keys()], [...cells.values()]];
  const who = `${threads.length > 1 ? "threads" : "thread"} ${spans(threads)}`;
  const one = new Set(touched).size === 1 && threads.length > 1;
  const does = threads.length > 1 ? (write ? "write" : "read") : write ? "writes" : "reads";
  const what = `${film.arrays[array].name}[${spans(touched)}]`;
  return `line ${line}: ${who} ${does} ${one ? "all " : ""}${what}`;
}

/** What a cell holds and who touches it, in words. */
export function cellWords(film, steps, at, array, cell) {
  const { name, space } = film.arrays[array];
  const writer = lastWriters(steps, array, at).get(cell);
  const start = space === "shared" ? "never written so far" : "as it was given";
  const wrote = writer
    ? `last written by thread ${writer.thread} in line ${writer.line}`
    : start;
  const now = steps[at];
  const threads =
    now.array === array
      ? [...now.cells].filter(([, c]) => c === cell).map(([thread]) => thread)
      : [];
  const does = now.write ? "written" : "read";
  const touch = threads.length
    ? `; now ${does} by thread${threads.length > 1 ? "s" : ""} ${spans(threads)}`
    : "";
  return `${name}[${cell}]: ${wrote}${touch}`;
}

/** What a thread does in this request, in words. */
export function threadWords(film, step, thread) {
  const cell = step.cells.get(thread);
  if (cell === undefined) return `thread ${thread}: waits`;
  const does = step.write ? "writes" : "reads";
  return `thread ${thread}: ${does} ${film.arrays[step.array].name}[${cell}]`;
}

/** The races between the same two barriers as this request, in words. */
export function raceWords(film, { interval }) {
  if (!film.races.length) return "No race in this block.";
  const here = film.races.filter(([when]) => when === interval);
  if (!here.length) return "No race between these barriers.";
  const more = here.length - 1;
  const rest = more ? ` The same in ${more} more cell${more > 1 ? "s" : ""}.` : "";
  return `Race: ${here[0][3]}.${rest}`;
}
