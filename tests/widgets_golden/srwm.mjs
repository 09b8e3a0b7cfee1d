// Runs the self-referential matrix on cases that Python made.
export const run = ({ selfRun }, cases) =>
  cases.map(({ W, u, frozen }) => {
    const frames = selfRun(W, u, frozen);
    const read = (name) => frames.slice(1).map((frame) => frame[name]);
    return {
      W: frames.map(({ blocks }) => blocks.flat()),
      y: read("y"),
      q: read("q"),
      k: read("k"),
      rates: read("rates"),
      sides: read("sides").map((sides) => sides.flat()),
    };
  });
