// Unpacks a film as the player does and says what its frames and steps hold.
export const run = (
  { decode, parts, lastWrite, nearestValue, answer, distinctKeys },
  { films, data },
) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return decode(films, new DataView(bytes.buffer)).map((film) => ({
    W: Array.from({ length: film.T + 1 }, (_, t) => [...film.W(t)]),
    parts: Array.from({ length: film.T + 1 }, (_, t) => {
      const { written, removed, changed } = parts(film, t);
      return {
        written: written && [...written],
        removed: removed && [...removed],
        changed: [...changed],
      };
    }),
    last: film.k && lastWrite(film, film.T, film.k(1)),
    nearest:
      film.k &&
      film.v &&
      nearestValue(film, film.T, answer(film.W(film.T), film.k(1), film.V)),
    keys: film.k && distinctKeys(film).map(({ steps }) => steps),
    norm: [...film.norm],
  }));
};
