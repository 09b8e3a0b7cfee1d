// Shows a layer of cells what Python showed it.
const bytesFrom = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

export const run = ({ Cells }, cases) =>
  cases.map(({ file, examples }) => {
    const cells = new Cells(new DataView(bytesFrom(file).buffer));
    const found = { logits: [], h: [], c: [], back: [], before: [], after: [] };
    let state = cells.begin();
    for (const [x, label, writes] of examples) {
      const before = cells.implied(state, x);
      const { logits, next } = cells.example(state, x, label, writes);
      state = next;
      const all = { logits, ...next, before, after: cells.implied(state, x) };
      for (const name of Object.keys(found)) found[name].push([...all[name]].map(plain));
    }
    return found;
  });

const plain = (x) => (typeof x === "number" ? x : [...x]);
