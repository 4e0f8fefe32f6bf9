// The network of chapter 1 and what it is shown: mechlib.vision.convnet and strokes, in the page.
// Maps are (unit, y, x), one after another; a figure is a list of points, its ink falls off around it.

const SIZE = 28;

// A convolution with a border of zeros, and a ReLU.
function conv(x, inputs, size, { weight, bias }, reach) {
  const outputs = bias.length, half_reach = (reach - 1) / 2, out = new Float32Array(outputs * size * size);
  for (let o = 0; o < outputs; o++)
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++) {
        let sum = bias[o];
        const top = Math.max(0, half_reach - row), bottom = Math.min(reach, size + half_reach - row), left = Math.max(0, half_reach - column), right = Math.min(reach, size + half_reach - column);
        for (let i = 0; i < inputs; i++)
          for (let r = top; r < bottom; r++) {
            const from = (i * size + row + r - half_reach) * size + column - half_reach, w = ((o * inputs + i) * reach + r) * reach;
            for (let c = left; c < right; c++) sum += x[from + c] * weight[w + c];
          }
        out[(o * size + row) * size + column] = Math.max(sum, 0);
      }
  return out;
}

// The largest of 2 x 2.
function halved(x, units, size) {
  const n = size / 2, out = new Float32Array(units * n * n);
  for (let u = 0; u < units; u++)
    for (let r = 0; r < n; r++)
      for (let c = 0; c < n; c++) {
        const at = (u * size + 2 * r) * size + 2 * c;
        out[(u * n + r) * n + c] = Math.max(x[at], x[at + 1], x[at + size], x[at + size + 1]);
      }
  return out;
}

// Numbers in the order of the network's layers: weight, bias, weight, bias, ...
export function read_convnet(numbers, [one, two, three]) {
  let at = 0;
  const take = (n) => numbers.subarray(at, (at += n)), layer = (outputs, n) => ({ weight: take(outputs * n), bias: take(outputs) });
  return { widths: [one, two, three], layers: [layer(one, 25), layer(two, 25 * one), layer(three, 9 * two)] };
}

// What the units of all three layers answer everywhere.
export function convnet_activations({ widths: [one, two], layers }, image) {
  const first = conv(image, 1, SIZE, layers[0], 5), second = conv(halved(first, one, SIZE), one, SIZE / 2, layers[1], 5);
  return [first, second, conv(halved(second, two, SIZE / 2), two, SIZE / 4, layers[2], 3)];
}

// The largest answer of each unit of layer 3 in the middle of the image (4 x 4 of 7 x 7 places).
export function middle_answers(net, image) {
  const answers = convnet_activations(net, image)[2];
  return Float32Array.from({ length: net.widths[2] }, (_, u) => {
    let top = 0;
    for (let r = 1; r < 5; r++) for (let c = 1; c < 5; c++) top = Math.max(top, answers[(u * 7 + r) * 7 + c]);
    return top;
  });
}

// ---- figures -------------------------------------------------------------------------------------
// Each passes through the origin; at angle 0 an arc bulges to the right, and a corner points there.

const POINTS = 72;
const spaced = (from, to) => Array.from({ length: POINTS }, (_, i) => from + ((to - from) * i) / (POINTS - 1));
function along(corners) {
  return spaced(0, corners.length - 1).map((t) => {
    const end = Math.min(t, corners.length - 1 - 1e-5), i = Math.floor(end), part = end - i;
    return [0, 1].map((k) => corners[i][k] * (1 - part) + corners[i + 1][k] * part);
  });
}
export const FIGURES = {
  arc: (radius) => { const reach = Math.min(0.9, 6 / radius); return spaced(-reach, reach).map((t) => [radius * Math.cos(t) - radius, radius * Math.sin(t)]); },
  line: () => along([[0, -6], [0, 6]]),
  corner: () => along([[-4.5, -4.5], [0, 0], [-4.5, 4.5]]),
};

// The figure turned by `angle` (radians, from right towards down) in the middle of an image.
export function drawn(points, angle, ink) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)], middle = (SIZE - 1) / 2;
  const placed = points.map(([x, y]) => [middle + c * x - s * y, middle + s * x + c * y]);
  return Float32Array.from({ length: SIZE * SIZE }, (_, i) => {
    const x = i % SIZE, y = Math.floor(i / SIZE);
    let nearest = Infinity;
    for (const [px, py] of placed) nearest = Math.min(nearest, (px - x) ** 2 + (py - y) ** 2);
    return ink * Math.exp(-nearest / 2);
  });
}
