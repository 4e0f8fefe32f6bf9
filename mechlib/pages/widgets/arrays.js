// Numbers: half precision, matrices as Float32Arrays row after row, sums in double precision.
// What the engine, the training and the widgets compute with.

export class PlainError extends Error {} // its message is written for the reader

export const half = (h) => {
  const sign = h & 0x8000 ? -1 : 1, exponent = (h >> 10) & 31, fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

// One scale for each row (single precision), then signed bytes, row after row, `width` in each.
export function by_row(raw, width) {
  const rows = raw.length / (4 + width), scales = new Float32Array(raw.buffer, 0, rows);
  return Float32Array.from(new Int8Array(raw.buffer, 4 * rows), (b, i) => b * scales[Math.floor(i / width)]);
}

// A (n, k) times B (k, m). Blocks of four rows by four columns keep their sixteen sums in registers.
export function product(A, B, n, k, m) {
  const C = new Float32Array(n * m);
  const n4 = n - (n % 4), m4 = m - (m % 4);
  for (let j = 0; j < m4; j += 4)
    for (let i = 0; i < n4; i += 4) {
      let a = i * k, b = j;
      let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
      let c20 = 0, c21 = 0, c22 = 0, c23 = 0, c30 = 0, c31 = 0, c32 = 0, c33 = 0;
      for (let p = 0; p < k; p++, a++, b += m) {
        const b0 = B[b], b1 = B[b + 1], b2 = B[b + 2], b3 = B[b + 3];
        let x = A[a];
        c00 += x * b0; c01 += x * b1; c02 += x * b2; c03 += x * b3;
        x = A[a + k];
        c10 += x * b0; c11 += x * b1; c12 += x * b2; c13 += x * b3;
        x = A[a + 2 * k];
        c20 += x * b0; c21 += x * b1; c22 += x * b2; c23 += x * b3;
        x = A[a + 3 * k];
        c30 += x * b0; c31 += x * b1; c32 += x * b2; c33 += x * b3;
      }
      let c = i * m + j;
      C[c] = c00; C[c + 1] = c01; C[c + 2] = c02; C[c + 3] = c03;
      c += m;
      C[c] = c10; C[c + 1] = c11; C[c + 2] = c12; C[c + 3] = c13;
      c += m;
      C[c] = c20; C[c + 1] = c21; C[c + 2] = c22; C[c + 3] = c23;
      c += m;
      C[c] = c30; C[c + 1] = c31; C[c + 2] = c32; C[c + 3] = c33;
    }
  const cell = (i, j) => {
    let sum = 0;
    for (let p = 0, b = j; p < k; p++, b += m) sum += A[i * k + p] * B[b];
    C[i * m + j] = sum;
  };
  for (let i = 0; i < n4; i++) for (let j = m4; j < m; j++) cell(i, j);
  for (let i = n4; i < n; i++) for (let j = 0; j < m; j++) cell(i, j);
  return C;
}

export function transpose(A, rows, columns) {
  const out = new Float32Array(A.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = A[i * columns + j];
  return out;
}

export function add(A, B) {
  const out = new Float32Array(A.length);
  for (let i = 0; i < A.length; i++) out[i] = A[i] + B[i];
  return out;
}

export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// log of the sum of exp(x[start .. start + n - 1])
export function log_sum_exp(x, start, n) {
  let top = -Infinity, sum = 0;
  for (let i = start; i < start + n; i++) if (x[i] > top) top = x[i];
  for (let i = start; i < start + n; i++) sum += Math.exp(x[i] - top);
  return top + Math.log(sum);
}

// Heads side by side: (head, d_model, d_head) as Python holds it -> (d_model, head * d_head).
export function side_by_side(W, heads, rows, columns) {
  const out = new Float32Array(W.length);
  for (let h = 0; h < heads; h++)
    for (let i = 0; i < rows; i++)
      out.set(W.subarray((h * rows + i) * columns, (h * rows + i + 1) * columns), (i * heads + h) * columns);
  return out;
}

// A small seeded generator (Steele, Lea and Flood 2014, "splitmix", 32 bits): uniform in [0, 1).
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
  return next;
}

// Standard normal numbers, by Box and Muller.
export function normals(next, count) {
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));
}
