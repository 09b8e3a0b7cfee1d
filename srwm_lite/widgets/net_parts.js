// The parts of a net that sees: each maps {data, shape} to the same, for one picture.
// `settings` are those of the Python part of the same name, `at(name)` its tensors.

export function dense(data, { weight, bias }) {
  const rows = weight.shape[0];
  const out = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    let sum = bias ? bias.data[i] : 0;
    const first = i * data.length;
    for (let j = 0; j < data.length; j++) sum += weight.data[first + j] * data[j];
    out[i] = sum;
  }
  return out;
}

/** (x - mean) / sqrt(variance + eps), scaled and shifted. */
export function layerNorm(data, { weight, bias }, eps = 1e-5) {
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length;
  const scale = 1 / Math.sqrt(variance + eps);
  return data.map((x, n) => (x - mean) * scale * weight.data[n] + bias.data[n]);
}

/** A norm that has seen all its batches: mean and variance are known. */
function batchNorm({ data, shape }, { eps }, at) {
  const each = data.length / shape[0];
  const [mean, variance] = [at("running_mean").data, at("running_var").data];
  const [scale, shift] = ["weight", "bias"].map((name) => at(name)?.data);
  const slopes = variance.map((x, c) => (scale ? scale[c] : 1) / Math.sqrt(x + eps));
  const out = data.map((x, n) => {
    const c = Math.floor(n / each);
    return (x - mean[c]) * slopes[c] + (shift ? shift[c] : 0);
  });
  return { data: out, shape };
}

/** The sum under a kernel that is laid on one channel; the frame around it is zero. */
function under(kernel, first, size, data, from, [height, width], [top, left]) {
  let sum = 0;
  const stop = Math.min(size, width - left);
  for (let a = Math.max(0, -top); a < Math.min(size, height - top); a++) {
    const [row, weights] = [from + (top + a) * width + left, first + a * size];
    for (let b = Math.max(0, -left); b < stop; b++)
      sum += kernel[weights + b] * data[row + b];
  }
  return sum;
}

/** A convolution with a square kernel. */
function convolution({ data, shape: [channels, ...sides] }, settings, at) {
  const { data: kernel, shape } = at("weight");
  const [[stride], [pad], [count, , size]] = [settings.stride, settings.padding, shape];
  const [rows, cols] = sides.map((n) => Math.floor((n + 2 * pad - size) / stride) + 1);
  const [area, bias] = [sides[0] * sides[1], at("bias")?.data];
  const out = new Float64Array(count * rows * cols);
  for (let o = 0; o < count; o++)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < cols; j++) {
        const corner = [i * stride - pad, j * stride - pad];
        let sum = bias ? bias[o] : 0;
        for (let c = 0; c < channels; c++) {
          const first = (o * channels + c) * size * size;
          sum += under(kernel, first, size, data, c * area, sides, corner);
        }
        out[(o * rows + i) * cols + j] = sum;
      }
  return { data: out, shape: [count, rows, cols] };
}

const flat = (data) => ({ data, shape: [data.length] });
const tensorsOf = (at) => ({ weight: at("weight"), bias: at("bias") });

export const NET_PARTS = {
  Unflatten: ({ data, shape }) => ({ data, shape: [1, ...shape] }),
  Flatten: ({ data }) => flat(data),
  ReLU: ({ data, shape }) => ({ data: data.map((x) => Math.max(x, 0)), shape }),
  Conv2d: convolution,
  BatchNorm1d: batchNorm,
  BatchNorm2d: batchNorm,
  Linear: ({ data }, _, at) => flat(dense(data, tensorsOf(at))),
};
