// Toy models of superposition, as in mechlib.superposition.toys: x' = ReLU(x W W^T + b), W (feature, 2).
// Stands after training.js, whose optimiser it uses.

// Loss, sum over features of importance x squared error (mean over batch and features), and its gradients.
export function toy_gradients({ W, b }, importance, x, batch) {
  const F = b.length, hidden = W.length / F, h = product(x, W, batch, F, hidden), out = right_transposed(h, W, batch, hidden, F);
  const slope = new Float32Array(out.length), g_b = new Float32Array(F);
  let loss = 0;
  for (let i = 0; i < out.length; i++) {
    const f = i % F, before = out[i] + b[f], error = Math.max(before, 0) - x[i];
    loss += importance[f] * error * error;
    slope[i] = before > 0 ? (2 * importance[f] * error) / out.length : 0;
    g_b[f] += slope[i];
  }
  // W is used twice: on the way in (x W) and on the way out (h W^T)
  const way_out = left_transposed(slope, h, batch, F, hidden), way_in = left_transposed(x, product(slope, W, batch, F, hidden), batch, F, hidden);
  return { loss: loss / out.length, gradients: { W: add(way_out, way_in), b: g_b } };
}

export const toy_optimizer = (w, lr) => new AdamW(w, { lr, decay: 0, betas: [0.9, 0.999] });

// Lengths, how much of a dimension each feature has to itself, and how many are kept (longer than 1/2).
export function toy_measures(W, features) {
  const lengths = Array.from({ length: features }, (_, i) => Math.hypot(W[2 * i], W[2 * i + 1]));
  const own = lengths.map((long, i) => {
    let shared = 0;
    for (let j = 0; j < features; j++) shared += ((W[2 * i] * W[2 * j] + W[2 * i + 1] * W[2 * j + 1]) / Math.max(long, 1e-12)) ** 2;
    return long > 1e-6 ? long ** 2 / Math.max(shared, 1e-24) : 0;
  });
  return { lengths, own, kept: lengths.filter((long) => long > 0.5).length };
}

// The rival without superposition: the two most important features exactly, the others by their mean.
// A feature that is there with chance p, and then uniform in [0, 1], has the variance p/3 - p^2/4.
export const loss_of_two = (importance, p) => (importance.slice(2).reduce((a, b) => a + b, 0) * (p / 3 - (p * p) / 4)) / importance.length;

export const importances = (features, decay) => Array.from({ length: features }, (_, i) => decay ** i);

function* train_toy({ features, density, decay, seed, batch, until, every, lr }) {
  const next = random(seed), w = { W: normals(next, 2 * features).map((x) => 0.3 * x), b: new Float32Array(features) };
  const optimizer = toy_optimizer(w, lr), importance = importances(features, decay);
  let sum = 0;
  const seen = (loss) => ({ step: optimizer.steps, loss, W: Array.from(w.W), ...toy_measures(w.W, features) });
  yield seen(null);
  while (optimizer.steps < until) {
    const x = Float32Array.from({ length: batch * features }, () => (next() < density ? next() : 0));
    const { loss, gradients } = toy_gradients(w, importance, x, batch);
    if (!Number.isFinite(loss)) throw new PlainError(`The loss is no longer a number at step ${optimizer.steps}. Begin again.`);
    optimizer.step(gradients);
    sum += loss / every;
    if (optimizer.steps % every === 0) { yield seen(sum); sum = 0; }
  }
  return optimizer.steps;
}
