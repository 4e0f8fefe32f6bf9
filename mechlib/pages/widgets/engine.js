// The course's transformer, in the page: one text at a time, every activation by the name that
// mechlib.model.Transformer gives it, every intervention of mechlib.interventions.
//
// Row vectors as in Python: a stream is (position, d_model), multiplied from the right. A matrix is
// a Float32Array, row after row; sums run in double precision. Shapes of what is kept:
//   stream (pos, d_model); q, k, v, z (pos, head, d_head); result (pos, head, d_model);
//   attn_scores and pattern (head, query, key); logits (pos, d_vocab).

// ---- weights ------------------------------------------------------------------------------------

// FNV-1a, 32 bits: enough to notice a blob that was cut short or altered on its way.
export function checksum(data) {
  let hash = 0x811c9dc5;
  for (const byte of data) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

// A blob as mechlib.pages.widgets.weights.pack writes it: length of the header, header (JSON), numbers.
export function read_model(blob) {
  let header, at;
  try {
    const length = new DataView(blob.buffer, blob.byteOffset).getUint32(0, true);
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(blob.subarray(4, 4 + length)));
    at = 4 + length;
  } catch {
    throw new PlainError("The model's weights are damaged: their header cannot be read. Reload the page.");
  }
  const numbers = blob.slice(at);
  if (checksum(numbers) !== header.checksum)
    throw new PlainError("The model's weights are damaged: their checksum is not the one on record. Reload the page.");
  const kinds = {
    float32: [4, (part) => new Float32Array(part)],
    float16: [2, (part) => Float32Array.from(new Uint16Array(part), half)],
    int8: [1, (part, width) => by_row(new Uint8Array(part), width)],
  };
  const [bytes_each, read] = kinds[header.dtype], weights = {};
  let place = 0;
  for (const [name, shape] of header.tensors) {
    const size = shape.reduce((a, b) => a * b, 1), scales = header.dtype === "int8" ? (4 * size) / shape.at(-1) : 0, length = size * bytes_each + scales;
    weights[name] = read(numbers.buffer.slice(place, place + length), shape.at(-1));
    place += scales ? 4 * Math.ceil(length / 4) : length;
  }
  return new_model(header.config, weights);
}

export function new_model(config, weights) {
  const { n_layers, n_heads, d_model, d_head } = config;
  const wide = Array.from({ length: n_layers }, (_, l) => Object.fromEntries(["W_Q", "W_K", "W_V"].map((name) =>
    [name, side_by_side(weights[`blocks.${l}.attn.${name}`], n_heads, d_model, d_head)])));
  return { config, weights, wide };
}

// ---- arithmetic ---------------------------------------------------------------------------------

// Centre each row and divide it by its standard deviation, as torch's layer_norm without gain or bias.
function layer_norm(x, rows, d) {
  const out = new Float32Array(x.length);
  for (let i = 0; i < rows; i++) {
    let mean = 0, variance = 0;
    for (let j = 0; j < d; j++) mean += x[i * d + j] / d;
    for (let j = 0; j < d; j++) variance += (x[i * d + j] - mean) ** 2 / d;
    const scale = 1 / Math.sqrt(variance + 1e-5);
    for (let j = 0; j < d; j++) out[i * d + j] = (x[i * d + j] - mean) * scale;
  }
  return out;
}

// The error function to 1.2e-7 (Press et al., Numerical Recipes, "erfc").
function erf(x) {
  const t = 1 / (1 + Math.abs(x) / 2);
  const c = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277];
  const tail = t * Math.exp(-x * x + c.reduceRight((sum, a) => sum * t + a, 0));
  return x >= 0 ? 1 - tail : tail - 1;
}
const ACTIVATIONS = { relu: (x) => (x > 0 ? x : 0), gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)) };

// ---- names --------------------------------------------------------------------------------------

export function activation_names({ n_layers, d_mlp, norm, positions }) {
  const normed = norm === "layernorm", names = ["hook_embed", ...(positions === "none" ? [] : ["hook_pos_embed"])];
  for (let l = 0; l < n_layers; l++) {
    const block = ["hook_resid_pre", ...(normed ? ["ln1.hook_normalized"] : []),
      ...["q", "k", "v", "attn_scores", "pattern", "z", "result"].map((x) => `attn.hook_${x}`), "hook_attn_out",
      ...(d_mlp ? ["hook_resid_mid", ...(normed ? ["ln2.hook_normalized"] : []), "mlp.hook_pre", "mlp.hook_post", "hook_mlp_out"] : []),
      "hook_resid_post"];
    names.push(...block.map((name) => `blocks.${l}.${name}`));
  }
  return [...names, ...(normed ? ["ln_final.hook_normalized"] : []), "hook_logits"];
}

// ---- interventions ------------------------------------------------------------------------------
// {kind: "ablate", at, head?, value?}   zero, or `value`, in the place of an activation or one head
// {kind: "patch", at, value, head?, positions?}   `value` has the shape of the part it replaces
// {kind: "freeze", layer, pattern, head?}
// {kind: "steer", at, direction, scale?, positions?}   add scale * direction

const PER_HEAD = ["hook_q", "hook_k", "hook_v", "hook_z", "hook_result"];
const MATRICES = ["hook_attn_scores", "hook_pattern"];
const last = (at) => at.split(".").at(-1);

// The places of an activation that an intervention is aimed at, in order.
function places(at, shape, head, positions) {
  const heads = MATRICES.includes(last(at)) ? shape[0] : PER_HEAD.includes(last(at)) ? shape[1] : null;
  if (head !== undefined && head !== null && heads === null) throw new PlainError(`${at} has no heads`);
  if (head !== undefined && head !== null && !(head >= 0 && head < heads)) throw new PlainError(`${at} has heads 0 to ${heads - 1}, not ${head}`);
  if (MATRICES.includes(last(at))) {
    if (positions) throw new PlainError(`${at} has two position axes; patch the whole matrix`);
    const size = shape[1] * shape[2], [from, to] = head === undefined || head === null ? [0, heads * size] : [head * size, (head + 1) * size];
    return Array.from({ length: to - from }, (_, i) => from + i);
  }
  const row = shape.slice(1).reduce((a, b) => a * b, 1), width = shape.at(-1), found = [];
  const [from, to] = head === undefined || head === null ? [0, row] : [head * width, (head + 1) * width];
  for (const p of positions ?? Array.from({ length: shape[0] }, (_, i) => i)) {
    const position = p < 0 ? p + shape[0] : p;
    if (!(position >= 0 && position < shape[0])) throw new PlainError(`position ${p} is outside the ${shape[0]} of this text`);
    for (let i = from; i < to; i++) found.push(position * row + i);
  }
  return found;
}

function changed(activation, shape, change, at) {
  const out = activation.slice(), spots = places(at, shape, change.head, change.positions);
  const value = change.kind === "freeze" ? change.pattern : change.kind === "steer" ? change.direction : change.value;
  const one = value === undefined || typeof value === "number";
  if (!one && (value.length === 0 || spots.length % value.length)) throw new PlainError(`value: ${value.length} numbers do not fit the ${spots.length} places of ${at}`);
  spots.forEach((spot, i) => {
    const v = one ? value ?? 0 : value[i % value.length]; // a shorter value is repeated, as torch broadcasts it
    out[spot] = change.kind === "steer" ? activation[spot] + (change.scale ?? 1) * v : v;
  });
  return out;
}

class Tape {
  constructor(changes, keep, known) {
    this.keep = keep === "all" ? new Set(known) : new Set(keep);
    this.kept = {};
    this.by_name = new Map();
    for (const change of changes) {
      const at = change.kind === "freeze" ? `blocks.${change.layer}.attn.hook_pattern` : change.at;
      if (!known.includes(at)) throw new PlainError(`this model has no activation called ${at}`);
      this.by_name.set(at, [...(this.by_name.get(at) ?? []), change]);
    }
    for (const name of this.keep) if (!known.includes(name)) throw new PlainError(`this model has no activation called ${name}`);
  }
  wants(name) { return this.keep.has(name) || this.by_name.has(name); }
  show(name, activation, shape) {
    for (const change of this.by_name.get(name) ?? []) activation = changed(activation, shape, change, name);
    if (this.keep.has(name)) this.kept[name] = activation;
    return activation;
  }
}

// ---- the forward pass ---------------------------------------------------------------------------

export function check_tokens({ config }, tokens) {
  if (!tokens.length) throw new PlainError("There is no token to read: the text is empty.");
  if (tokens.length > config.n_ctx) throw new PlainError(`${tokens.length} tokens, but the model's context holds ${config.n_ctx}.`);
  for (const t of tokens) if (!(Number.isInteger(t) && t >= 0 && t < config.d_vocab)) throw new PlainError(`Token ${t} is not one of the ${config.d_vocab} that the model knows.`);
}

// {logits, kept}: logits of the next token at every position, and the activations named in `keep`
// ("all" for every one). `start`: {layer, stream} begins with a stream that is known already, which
// saves the layers before a patched one; from layer n_layers only the unembedding is left. `last`:
// logits of the last position alone, and the stream for `lens` to read the others from.
export function forward(model, tokens, { interventions = [], keep = [], start = null, last = false } = {}) {
  check_tokens(model, tokens);
  const { config, weights } = model, { d_model: d, d_vocab, n_layers, norm } = config, n = tokens.length;
  const tape = new Tape(interventions, keep, activation_names(config));
  let x = new Float32Array(n * d), position = null;
  tokens.forEach((t, i) => x.set(weights.W_E.subarray(t * d, (t + 1) * d), i * d));
  x = tape.show("hook_embed", x, [n, d]);
  if (config.positions !== "none") {
    position = tape.show("hook_pos_embed", weights.W_pos.slice(0, n * d), [n, d]);
    if (config.positions === "stream") [x, position] = [add(x, position), null];
  }
  if (start) x = start.stream;
  for (let l = start?.layer ?? 0; l < n_layers; l++) x = block(model, l, x, position, n, tape);
  if (last) return { logits: lens(model, x.subarray((n - 1) * d), 1), stream: x, kept: tape.kept };
  if (norm === "layernorm") x = tape.show("ln_final.hook_normalized", layer_norm(x, n, d), [n, d]);
  return { logits: tape.show("hook_logits", product(x, weights.W_U, n, d, d_vocab), [n, d_vocab]), kept: tape.kept };
}

function block(model, l, x, position, n, tape) {
  const { config, weights } = model, { d_model: d, d_mlp, norm } = config, name = `blocks.${l}`;
  const normed = (stream, which) => norm === "layernorm" ? tape.show(`${name}.${which}.hook_normalized`, layer_norm(stream, n, d), [n, d]) : stream;
  x = tape.show(`${name}.hook_resid_pre`, x, [n, d]);
  const read = normed(x, "ln1"), where = position ? add(read, position) : read;
  x = add(x, tape.show(`${name}.hook_attn_out`, attention(model, l, read, where, n, tape), [n, d]));
  if (d_mlp) {
    x = tape.show(`${name}.hook_resid_mid`, x, [n, d]);
    const pre = product(normed(x, "ln2"), weights[`${name}.mlp.W_in`], n, d, d_mlp);
    const b_in = weights[`${name}.mlp.b_in`], b_out = weights[`${name}.mlp.b_out`];
    for (let i = 0; i < pre.length; i++) pre[i] += b_in[i % d_mlp];
    const post = tape.show(`${name}.mlp.hook_pre`, pre, [n, d_mlp]).map(ACTIVATIONS[config.act]);
    const out = product(tape.show(`${name}.mlp.hook_post`, post, [n, d_mlp]), weights[`${name}.mlp.W_out`], n, d_mlp, d);
    for (let i = 0; i < out.length; i++) out[i] += b_out[i % d];
    x = add(x, tape.show(`${name}.hook_mlp_out`, out, [n, d]));
  }
  return tape.show(`${name}.hook_resid_post`, x, [n, d]);
}

function attention(model, l, read, where, n, tape) {
  const { n_heads: H, d_head: dh, d_model: d } = model.config, name = `blocks.${l}.attn`, wide = H * dh;
  const { W_Q, W_K, W_V } = model.wide[l], W_O = model.weights[`${name}.W_O`], smear = model.weights[`${name}.smear`];
  const show = (what, x, shape) => tape.show(`${name}.hook_${what}`, x, shape);
  const q = show("q", product(where, W_Q, n, d, wide), [n, H, dh]);
  let k = product(where, W_K, n, d, wide);
  if (smear) k = smeared(k, smear, n, H, dh);
  k = show("k", k, [n, H, dh]);
  const v = show("v", product(read, W_V, n, d, wide), [n, H, dh]);
  const scores = show("attn_scores", causal_scores(q, k, n, H, dh), [H, n, n]);
  const pattern = show("pattern", causal_softmax(scores, n, H), [H, n, n]);
  const z = new Float32Array(n * wide);
  for (let h = 0; h < H; h++) set_head(z, product(pattern.subarray(h * n * n, (h + 1) * n * n), head_of(v, n, H, h, dh), n, n, dh), n, H, h, dh);
  const mixed = show("z", z, [n, H, dh]);
  if (!tape.wants(`${name}.hook_result`)) return product(mixed, W_O, n, wide, d);
  const result = show("result", head_results(mixed, W_O, n, H, dh, d), [n, H, d]), out = new Float32Array(n * d);
  for (let i = 0; i < n; i++) for (let h = 0; h < H; h++) for (let c = 0; c < d; c++) out[i * d + c] += result[(i * H + h) * d + c];
  return out;
}

// One head's part of an activation (pos, head, width) by itself, (pos, width); and back to its place.
export function head_of(x, n, H, head, width) {
  const own = new Float32Array(n * width);
  for (let i = 0; i < n; i++) own.set(x.subarray((i * H + head) * width, (i * H + head + 1) * width), i * width);
  return own;
}
function set_head(x, own, n, H, head, width) {
  for (let i = 0; i < n; i++) x.set(own.subarray(i * width, (i + 1) * width), (i * H + head) * width);
}

function causal_scores(q, k, n, H, dh) {
  const scores = new Float32Array(H * n * n).fill(-Infinity), scale = 1 / Math.sqrt(dh);
  for (let h = 0; h < H; h++) { // whole matrices in blocks are sooner done than half of them number by number
    const all = product(head_of(q, n, H, h, dh), transpose(head_of(k, n, H, h, dh), n, dh), n, dh, n);
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) scores[(h * n + i) * n + j] = all[i * n + j] * scale;
  }
  return scores;
}

function causal_softmax(scores, n, H) {
  const pattern = new Float32Array(scores.length);
  for (let row = 0; row < H * n; row++) {
    const start = row * n, end = start + (row % n) + 1;
    let top = -Infinity, sum = 0;
    for (let i = start; i < end; i++) if (scores[i] > top) top = scores[i];
    for (let i = start; i < end; i++) sum += pattern[i] = Math.exp(scores[i] - top);
    for (let i = start; i < end; i++) pattern[i] /= sum;
  }
  return pattern;
}

// Each key mixed with the one before it; position 0 has only itself.
function smeared(k, smear, n, H, dh) {
  const out = k.slice(), wide = H * dh;
  for (let i = 1; i < n; i++)
    for (let c = 0; c < wide; c++) {
      const own = 1 / (1 + Math.exp(-smear[Math.floor(c / dh)]));
      out[i * wide + c] = own * k[i * wide + c] + (1 - own) * k[(i - 1) * wide + c];
    }
  return out;
}

function head_results(z, W_O, n, H, dh, d) {
  const result = new Float32Array(n * H * d);
  for (let h = 0; h < H; h++) set_head(result, product(head_of(z, n, H, h, dh), W_O.subarray(h * dh * d, (h + 1) * dh * d), n, dh, d), n, H, h, d);
  return result;
}

// ---- what is read off a pass --------------------------------------------------------------------

// Cross-entropy in nats of each next token: tokens[i + 1] under the logits at i.
export function token_losses(logits, tokens, d_vocab) {
  return Float32Array.from({ length: tokens.length - 1 }, (_, i) =>
    log_sum_exp(logits, i * d_vocab, d_vocab) - logits[i * d_vocab + tokens[i + 1]]);
}

// The logit lens: the unembedding (after the final LayerNorm, applied to *this* stream) of any stream.
export function lens({ config, weights }, stream, n) {
  const { d_model: d, d_vocab, norm } = config;
  return product(norm === "layernorm" ? layer_norm(stream, n, d) : stream, weights.W_U, n, d, d_vocab);
}

// What a direction reads at every position of a stream: the product with it, and an offset.
export function read_by(stream, direction, offset) {
  const d = direction.length;
  return product(stream, direction, stream.length / d, d, 1).map((x) => x + offset);
}

// The effect of one path alone, from a head to what another head, of a later layer, reads with (its
// "q", "k" or "v"): the sender's result is that of another run, everything between is as it was.
// Gives the intervention to be used on the base run.
export function path_patch(model, tokens, base, other, [from_layer, from_head], [to_layer, to_head], reads) {
  const { n_heads: H, d_model: d, d_mlp } = model.config, n = tokens.length;
  const result = `blocks.${from_layer}.attn.hook_result`, at = `blocks.${to_layer}.attn.hook_${reads}`;
  const held = [];
  for (let l = from_layer; l < to_layer; l++) {
    if (l > from_layer) held.push(`blocks.${l}.hook_attn_out`);
    if (d_mlp) held.push(`blocks.${l}.hook_mlp_out`);
  }
  const interventions = [{ kind: "patch", at: result, head: from_head, value: head_of(other[result], n, H, from_head, d) }, ...held.map((name) => ({ kind: "patch", at: name, value: base[name] }))];
  const key = forward(model, tokens, { interventions, keep: [at] }).kept[at];
  return { kind: "patch", at, head: to_head, value: head_of(key, n, H, to_head, model.config.d_head) };
}

// ---- chance -------------------------------------------------------------------------------------

// A direction drawn at random, of a given length.
export function random_direction(next, d, length) {
  const x = normals(next, d), norm = Math.hypot(...x);
  return x.map((v) => (v / norm) * length);
}

// One token drawn from softmax(logits / temperature), by a number in [0, 1) from outside: the same
// number makes two runs comparable.
export function sample(logits, start, n, temperature, u) {
  const scaled = Float32Array.from({ length: n }, (_, i) => logits[start + i] / temperature), total = log_sum_exp(scaled, 0, n);
  let sum = 0;
  for (let i = 0; i < n; i++) if ((sum += Math.exp(scaled[i] - total)) > u) return i;
  return n - 1;
}
