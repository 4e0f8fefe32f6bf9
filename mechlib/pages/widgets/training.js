// Training in the page: the modular-addition transformer, exactly and fast (see
// mechlib.grokking.modular, whose forward pass this is, with its gradient written out), the
// zero-layer model, and AdamW as torch has it. Needs arrays.js in front of it.

// ---- AdamW --------------------------------------------------------------------------------------

export class AdamW {
  constructor(weights, { lr, decay, betas = [0.9, 0.98], eps = 1e-8 }) {
    Object.assign(this, { weights, lr, decay, betas, eps, steps: 0 });
    this.first = mapped(weights, (w) => new Float32Array(w.length));
    this.second = mapped(weights, (w) => new Float32Array(w.length));
  }
  // factor: of the learning rate, for a warm-up. Weight decay is decoupled and acts on everything.
  step(gradients, factor = 1) {
    const [b1, b2] = this.betas, lr = this.lr * factor, keep = 1 - lr * this.decay;
    this.steps++;
    const rate = lr / (1 - b1 ** this.steps), spread = Math.sqrt(1 - b2 ** this.steps);
    for (const name of Object.keys(this.weights)) {
      const w = this.weights[name], g = gradients[name], m = this.first[name], s = this.second[name];
      for (let i = 0; i < w.length; i++) {
        m[i] = b1 * m[i] + (1 - b1) * g[i];
        s[i] = b2 * s[i] + (1 - b2) * g[i] * g[i];
        w[i] = keep * w[i] - (rate * m[i]) / (Math.sqrt(s[i]) / spread + this.eps);
      }
    }
  }
}
const mapped = (object, f) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, f(value)]));

// ---- products of transposes ---------------------------------------------------------------------

// A^T B for A (n, k), B (n, m); A B^T for A (n, k), B (m, k).
const left_transposed = (A, B, n, k, m) => product(transpose(A, n, k), B, k, n, m);
const right_transposed = (A, B, n, k, m) => product(A, transpose(B, m, k), n, k, m);

function add_outer(G, left, right, factor = 1) {
  for (let i = 0; i < left.length; i++) for (let j = 0; j < right.length; j++) G[i * right.length + j] += factor * left[i] * right[j];
}
function add_into(G, H) { for (let i = 0; i < G.length; i++) G[i] += H[i]; }
function column_sums(A, rows, columns) {
  const out = new Float32Array(columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j] += A[i * columns + j];
  return out;
}

// ---- the loss -----------------------------------------------------------------------------------

// Cross-entropy of every row and, in `slope`, its derivative by the logits over the number of rows.
// Written as log(1 + sum over wrong answers of exp(logit - right logit)), which holds tiny losses.
export function exact_cross_entropy(logits, answers, width, slope = null) {
  const rows = answers.length, losses = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    const start = i * width, right = logits[start + answers[i]];
    let top = -Infinity, total = 0;
    for (let j = 0; j < width; j++) if (j !== answers[i] && logits[start + j] - right > top) top = logits[start + j] - right;
    for (let j = 0; j < width; j++) if (j !== answers[i]) total += Math.exp(logits[start + j] - right - top);
    const wrong = Math.log(total) + top, chance = 1 / (1 + Math.exp(-wrong));
    losses[i] = wrong > 0 ? wrong + Math.log1p(Math.exp(-wrong)) : Math.log1p(Math.exp(wrong));
    if (!slope) continue;
    const share = chance / total / rows;
    for (let j = 0; j < width; j++) slope[start + j] = j === answers[i] ? -chance / rows : Math.exp(logits[start + j] - right - top) * share;
  }
  return losses;
}

// ---- modular addition ---------------------------------------------------------------------------

// All pairs (a, b) in order, their answers, and a random split: indices of the training pairs.
export function modular_task({ P, fraction, seed }) {
  const next = random(seed + 1), order = Array.from({ length: P * P }, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const count = Math.floor(fraction * P * P), by_number = (a, b) => a - b;
  return { P, train: Int32Array.from(order.slice(0, count).sort(by_number)), test: Int32Array.from(order.slice(count).sort(by_number)) };
}

// The starting weights: normal, as mechlib.model.Transformer begins.
export function modular_start({ P, d_model: d, n_heads: H, d_mlp: M, seed }) {
  const next = random(seed), draw = (count, scale) => normals(next, count).map((x) => x * scale), dh = d / H, s = 1 / Math.sqrt(d);
  return { W_E: draw((P + 1) * d, s), W_pos: draw(3 * d, s), W_Q: draw(d * d, s), W_K: draw(d * d, s), W_V: draw(d * d, s),
    W_O: draw(H * dh * d, s), W_in: draw(d * M, s), b_in: new Float32Array(M), W_out: draw(M * d, s), b_out: new Float32Array(d),
    W_U: draw(d * (P + 1), 1 / Math.sqrt(P + 1)) };
}

// What every pair shares: 2P + 1 rows (a number at place 0, a number at place 1, "="), and the
// products of neighbouring matrices. W_Q, W_K and W_V are (head, d_model, d_head).
function modular_tables(w, { P, d_model: d, n_heads: H, d_mlp: M }) {
  const dh = d / H, rows = 2 * P + 1, x = new Float32Array(rows * d);
  for (let r = 0; r < rows; r++) {
    const place = r < P ? 0 : r < 2 * P ? 1 : 2, number = place === 2 ? P : r % P;
    for (let c = 0; c < d; c++) x[r * d + c] = w.W_E[number * d + c] + w.W_pos[place * d + c];
  }
  const equals = x.subarray(2 * P * d), query = new Float32Array(H * dh), readers = new Float32Array(d * H);
  for (let h = 0; h < H; h++) {
    query.set(product(equals, w.W_Q.subarray(h * d * dh, (h + 1) * d * dh), 1, d, dh), h * dh);
    for (let i = 0; i < d; i++) {
      let sum = 0;
      for (let c = 0; c < dh; c++) sum += w.W_K[(h * d + i) * dh + c] * query[h * dh + c];
      readers[i * H + h] = sum / Math.sqrt(dh);
    }
  }
  const V = side_by_side(w.W_V, H, d, dh), scores = product(x, readers, rows, d, H), values = product(x, V, rows, d, d);
  const e = new Float64Array(rows * H); // exp(score - the head's largest): the ratio in the softmax is the same
  for (let h = 0; h < H; h++) {
    let top = -Infinity;
    for (let r = 0; r < rows; r++) top = Math.max(top, scores[r * H + h]);
    for (let r = 0; r < rows; r++) e[r * H + h] = Math.exp(scores[r * H + h] - top);
  }
  return { x, equals, query, readers, V, values, e, rows, dh,
    M1: product(w.W_O, w.W_in, d, d, M), M2: product(w.W_O, w.W_U, d, d, P + 1), M3: product(w.W_out, w.W_U, M, d, P + 1) };
}

// z at "=" for pairs given as indices a P + b: the three rows' values, weighted by attention.
function modular_z(t, pairs, { P, d_model: d, n_heads: H }) {
  const z = new Float32Array(pairs.length * d), below = new Float64Array(pairs.length * H), { e, values, dh } = t;
  for (let i = 0; i < pairs.length; i++) {
    const a = Math.floor(pairs[i] / P), b = P + (pairs[i] % P), q = 2 * P;
    for (let h = 0; h < H; h++) {
      const ea = e[a * H + h], eb = e[b * H + h], eq = e[q * H + h], sum = ea + eb + eq;
      below[i * H + h] = sum;
      for (let c = h * dh; c < (h + 1) * dh; c++) z[i * d + c] = (ea * values[a * d + c] + eb * values[b * d + c] + eq * values[q * d + c]) / sum;
    }
  }
  return { z, below };
}

export function modular_forward(w, sizes, pairs) {
  const { P, d_model: d, d_mlp: M } = sizes, n = pairs.length, width = P + 1;
  const t = modular_tables(w, sizes), { z, below } = modular_z(t, pairs, sizes);
  const first = product(t.equals, w.W_in, 1, d, M), skip = product(add(t.equals, w.b_out), w.W_U, 1, d, width);
  const hidden = product(z, t.M1, n, d, M), logits = product(z, t.M2, n, d, width);
  for (let i = 0; i < n; i++) for (let j = 0; j < M; j++) {
    const pre = hidden[i * M + j] + first[j] + w.b_in[j];
    hidden[i * M + j] = pre > 0 ? pre : 0;
  }
  const through = product(hidden, t.M3, n, M, width);
  for (let i = 0; i < n; i++) for (let j = 0; j < width; j++) logits[i * width + j] += through[i * width + j] + skip[j];
  return { logits, hidden, z, below, t };
}

// Mean loss over the pairs and its gradient by every weight.
export function modular_gradients(w, sizes, pairs, answers) {
  const { P, d_model: d, n_heads: H, d_mlp: M } = sizes, n = pairs.length, width = P + 1;
  const { logits, hidden, z, below, t } = modular_forward(w, sizes, pairs), { x, equals, dh, rows } = t;
  const G = new Float32Array(n * width), losses = exact_cross_entropy(logits, answers, width, G);

  // back through the logits: z M2 + hidden M3 + skip, hidden = relu(z M1 + first)
  const zT = transpose(z, n, d), dM2 = product(zT, G, d, n, width), dM3 = left_transposed(hidden, G, n, M, width);
  const d_skip = column_sums(G, n, width), d_pre = right_transposed(G, t.M3, n, width, M);
  for (let i = 0; i < d_pre.length; i++) if (hidden[i] === 0) d_pre[i] = 0;
  const dM1 = product(zT, d_pre, d, n, M), d_first = column_sums(d_pre, n, M);
  const dz = right_transposed(G, t.M2, n, width, d);
  add_into(dz, right_transposed(d_pre, t.M1, n, M, d));

  // the products of neighbours
  const g = { W_O: right_transposed(dM1, w.W_in, d, M, d), W_in: left_transposed(w.W_O, dM1, d, d, M), b_in: d_first,
    W_U: left_transposed(w.W_O, dM2, d, d, width), W_out: right_transposed(dM3, w.W_U, M, width, d), b_out: product(w.W_U, d_skip, d, width, 1) };
  add_into(g.W_O, right_transposed(dM2, w.W_U, d, width, d));
  add_into(g.W_U, left_transposed(w.W_out, dM3, M, d, width));
  add_outer(g.W_in, equals, d_first);
  add_outer(g.W_U, add(equals, w.b_out), d_skip);
  const dx = new Float32Array(rows * d), dx_equals = dx.subarray(2 * P * d);
  add_into(dx_equals, product(w.W_in, d_first, d, M, 1));
  add_into(dx_equals, g.b_out);

  // back through the mixture z = sum(e v) / sum(e), into the tables of 2P + 1 rows
  const d_values = new Float32Array(rows * d), d_scores = new Float64Array(rows * H);
  for (let i = 0; i < n; i++) {
    const three = [Math.floor(pairs[i] / P), P + (pairs[i] % P), 2 * P];
    for (let h = 0; h < H; h++)
      for (let k = 0; k < 3; k++) {
        const r = three[k], share = t.e[r * H + h] / below[i * H + h];
        let sum = 0;
        for (let c = h * dh; c < (h + 1) * dh; c++) {
          const slope = dz[i * d + c];
          d_values[r * d + c] += share * slope;
          sum += slope * (t.values[r * d + c] - z[i * d + c]);
        }
        d_scores[r * H + h] += share * sum;
      }
  }

  // and through the tables to the embedding and the heads
  const ds = Float32Array.from(d_scores), d_readers = left_transposed(x, ds, rows, d, H);
  add_into(dx, right_transposed(d_values, t.V, rows, d, d));
  add_into(dx, right_transposed(ds, t.readers, rows, H, d));
  const dV = left_transposed(x, d_values, rows, d, d);
  g.W_Q = new Float32Array(d * d);
  g.W_K = new Float32Array(d * d);
  g.W_V = new Float32Array(d * d);
  for (let h = 0; h < H; h++) {
    const own = slice_of(h, d * dh), reader = Float32Array.from({ length: d }, (_, i) => d_readers[i * H + h] / Math.sqrt(dh));
    const query = t.query.subarray(h * dh, (h + 1) * dh), d_query = product(reader, w.W_K.subarray(...own), 1, d, dh);
    add_outer(g.W_K.subarray(...own), reader, query);
    add_outer(g.W_Q.subarray(...own), equals, d_query);
    add_into(dx_equals, product(w.W_Q.subarray(...own), d_query, d, dh, 1));
    for (let i = 0; i < d; i++) for (let c = 0; c < dh; c++) g.W_V[(h * d + i) * dh + c] = dV[i * d + h * dh + c];
  }
  g.W_E = new Float32Array((P + 1) * d);
  g.W_pos = new Float32Array(3 * d);
  for (let r = 0; r < rows; r++) {
    const place = r < P ? 0 : r < 2 * P ? 1 : 2, number = place === 2 ? P : r % P;
    for (let c = 0; c < d; c++) { g.W_E[number * d + c] += dx[r * d + c]; g.W_pos[place * d + c] += dx[r * d + c]; }
  }
  return { loss: mean(losses), gradients: g };
}
const slice_of = (h, size) => [h * size, (h + 1) * size];

export const answers_of = (pairs, P) => Int32Array.from(pairs, (i) => (Math.floor(i / P) + (i % P)) % P);

// {step(), measure()} of one run. settings: P, fraction, seed, decay, lr, d_model, n_heads, d_mlp.
export function modular_run(settings, start = modular_start(settings), task = modular_task(settings)) {
  const answers = answers_of(task.train, settings.P), optimizer = new AdamW(start, settings);
  return {
    weights: start, task, settings,
    get steps() { return optimizer.steps; },
    // one update; gives the loss before it. The rate rises over the first ten steps.
    step() {
      const { loss, gradients } = modular_gradients(start, settings, task.train, answers);
      if (!Number.isFinite(loss)) throw new PlainError(`The loss is no longer a number at step ${optimizer.steps}: the run has diverged. Try a smaller decay or another seed.`);
      optimizer.step(gradients, Math.min(1, (optimizer.steps + 1) / 10));
      return loss;
    },
  };
}

// ---- what is measured while it trains -----------------------------------------------------------

// Loss and accuracy on the pairs at some places of the P x P grid.
function scored(logits, places, P, width) {
  const rows = new Float32Array(places.length * width), answers = answers_of(places, P);
  places.forEach((place, i) => rows.set(logits.subarray(place * width, (place + 1) * width), i * width));
  let right = 0;
  for (let i = 0; i < places.length; i++) {
    let best = 0;
    for (let j = 1; j < width; j++) if (rows[i * width + j] > rows[i * width + best]) best = j;
    right += best === answers[i];
  }
  return { loss: mean(exact_cross_entropy(rows, answers, width)), accuracy: right / places.length };
}

// Energy of W_E in each frequency 0 ... (P - 1) / 2, over the numbers (cosine and sine together).
export function spectrum(W_E, P, d) {
  const energy = new Float64Array((P - 1) / 2 + 1);
  for (let k = 0; k < energy.length; k++)
    for (let c = 0; c < d; c++) {
      let re = 0, im = 0;
      for (let a = 0; a < P; a++) {
        re += W_E[a * d + c] * Math.cos((2 * Math.PI * k * a) / P);
        im += W_E[a * d + c] * Math.sin((2 * Math.PI * k * a) / P);
      }
      energy[k] += ((k ? 2 : 1) * (re * re + im * im)) / P;
    }
  return energy;
}

// Frequencies that together hold `share` of the energy without the constant, strongest first, at most `most`.
export function key_frequencies(energy, share = 0.8, most = 6) {
  const order = Array.from(energy.keys()).slice(1).sort((i, j) => energy[j] - energy[i] || i - j);
  const total = order.reduce((sum, k) => sum + energy[k], 0), found = [];
  let held = 0;
  for (const k of order) {
    if (found.length >= most || held >= share * total) break;
    found.push(k);
    held += energy[k];
  }
  return found;
}

// Logits with only the sums' waves cos w(a+b), sin w(a+b) of the frequencies (and the constant):
// the mean over all pairs of one sum, then the wave of that mean. "kept" and "rest" add up to all.
function split_by_frequency(logits, P, width, frequencies) {
  const waves = new Float64Array(P * width), kept = new Float32Array(logits.length), rest = new Float32Array(logits.length), constant = new Float64Array(width);
  for (let a = 0; a < P; a++) for (let b = 0; b < P; b++) for (let c = 0; c < width; c++) {
    const value = logits[(a * P + b) * width + c];
    waves[((a + b) % P) * width + c] += value / P;
    constant[c] += value / (P * P);
  }
  const parts = new Float64Array(P * width);
  for (const k of frequencies) for (let c = 0; c < width; c++) {
    let re = 0, im = 0;
    for (let s = 0; s < P; s++) { const w = (2 * Math.PI * k * s) / P; re += waves[s * width + c] * Math.cos(w); im += waves[s * width + c] * Math.sin(w); }
    for (let s = 0; s < P; s++) { const w = (2 * Math.PI * k * s) / P; parts[s * width + c] += (2 / P) * (re * Math.cos(w) + im * Math.sin(w)); }
  }
  for (let a = 0; a < P; a++) for (let b = 0; b < P; b++) for (let c = 0; c < width; c++) {
    const i = (a * P + b) * width + c, wave = parts[((a + b) % P) * width + c];
    kept[i] = constant[c] + wave;
    rest[i] = logits[i] - wave;
  }
  return { kept, rest };
}

// Everything that the page draws, at one moment of a run. Restricted loss: all pairs, the key
// frequencies of *now* alone. Excluded loss: training pairs, without them. "=" is no answer.
export function modular_measures(run) {
  const { P, d_model: d } = run.settings, all = Int32Array.from({ length: P * P }, (_, i) => i), width = P;
  const wide = modular_forward(run.weights, run.settings, all).logits, logits = new Float32Array(P * P * P);
  for (let i = 0; i < P * P; i++) logits.set(wide.subarray(i * (P + 1), i * (P + 1) + P), i * P);
  const train = scored(logits, run.task.train, P, width), test = scored(logits, run.task.test, P, width);
  const energy = spectrum(run.weights.W_E, P, d), keys = key_frequencies(energy), { kept, rest } = split_by_frequency(logits, P, width, keys);
  return { step: run.steps, train_loss: train.loss, test_loss: test.loss, train_accuracy: train.accuracy, test_accuracy: test.accuracy,
    restricted: scored(kept, all, P, width).loss, excluded: scored(rest, run.task.train, P, width).loss,
    energy: Array.from(energy), keys, circles: keys.slice(0, 3).map((k) => circle(run.weights.W_E, P, d, k)) };
}

// The embedding seen in the plane that holds the most of frequency k: P points (x, y).
export function circle(W_E, P, d, k) {
  const re = new Float64Array(d), im = new Float64Array(d);
  for (let a = 0; a < P; a++) for (let c = 0; c < d; c++) {
    re[c] += W_E[a * d + c] * Math.cos((2 * Math.PI * k * a) / P);
    im[c] += W_E[a * d + c] * Math.sin((2 * Math.PI * k * a) / P);
  }
  const one = Math.hypot(...re) || 1, along = re.reduce((sum, x, c) => sum + x * im[c], 0) / one ** 2;
  const other = im.map((x, c) => x - along * re[c]), two = Math.hypot(...other) || 1;
  return Array.from({ length: P }, (_, a) => {
    let x = 0, y = 0;
    for (let c = 0; c < d; c++) { x += (W_E[a * d + c] * re[c]) / one; y += (W_E[a * d + c] * other[c]) / two; }
    return [x, y];
  });
}

// ---- the zero-layer model -----------------------------------------------------------------------

// Mean loss over pairs (token, next) and its gradient: logits = W_E[token] W_U.
export function bigram_gradients(w, d_model, d_vocab, tokens, next) {
  const n = tokens.length, x = new Float32Array(n * d_model);
  tokens.forEach((t, i) => x.set(w.W_E.subarray(t * d_model, (t + 1) * d_model), i * d_model));
  const G = new Float32Array(n * d_vocab), losses = exact_cross_entropy(product(x, w.W_U, n, d_model, d_vocab), next, d_vocab, G);
  const dx = right_transposed(G, w.W_U, n, d_vocab, d_model), W_E = new Float32Array(w.W_E.length);
  tokens.forEach((t, i) => { for (let c = 0; c < d_model; c++) W_E[t * d_model + c] += dx[i * d_model + c]; });
  return { loss: mean(losses), gradients: { W_E, W_U: left_transposed(x, G, n, d_model, d_vocab) } };
}
