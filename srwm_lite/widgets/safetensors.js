// The safetensors format: eight bytes with the length of a JSON header, the header,
// and the numbers of all tensors one after the other.

/** The number that sixteen bits stand for. */
function fromHalf(bits) {
  const [sign, power, rest] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (power === 31) return rest ? NaN : sign * Infinity;
  return sign * (power ? 2 ** (power - 15) * (1 + rest / 1024) : rest * 2 ** -24);
}

const NUMBERS = {
  F32: [4, (view, at) => view.getFloat32(at, true)],
  F16: [2, (view, at) => fromHalf(view.getUint16(at, true))],
};

/** Return the tensors of a file, by name, and its metadata. */
export function readTensors(view) {
  const length = Number(view.getBigUint64(0, true));
  const header = new Uint8Array(view.buffer, view.byteOffset + 8, length);
  const { __metadata__: metadata, ...listed } = JSON.parse(
    new TextDecoder().decode(header),
  );
  const read = ({ dtype, shape, data_offsets: [start, stop] }) => {
    const [size, number] = NUMBERS[dtype];
    const first = 8 + length + start;
    const data = new Float64Array((stop - start) / size);
    for (let n = 0; n < data.length; n++) data[n] = number(view, first + n * size);
    return { shape, data };
  };
  const tensors = Object.entries(listed).map(([name, one]) => [name, read(one)]);
  return { tensors: Object.fromEntries(tensors), metadata };
}
