import { readFileSync } from "node:fs";
const raw = (text) => new Uint8Array(Buffer.from(text, "base64"));
const single = (text) => new Float32Array(raw(text).buffer);
const difference = (a, b) => {
  if (a.length !== b.length) throw new Error(`lengths ${a.length} and ${b.length}`);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue; // two minus infinities too
    const gap = Math.abs(a[i] - b[i]);
    if (!(gap <= most)) most = gap; // a NaN is kept
  }
  return Number.isNaN(most) ? 1e9 : most;
};
const best = (x, start, n) => {
  let j = 0;
  for (let i = 1; i < n; i++) if (x[start + i] > x[start + j]) j = i;
  return j;
};

// What the tests ask of the page's modules; each case is a function of what Python gives.
const cases = {};

cases.every_activation = (given) => {
  const model = read_model(raw(given.model));
  const { logits, kept } = forward(model, given.tokens, { keep: "all" });
  return ({
    names: Object.keys(kept),
    gaps: Object.fromEntries(Object.entries(given.trace).map(([name, x]) => [name, difference(kept[name], single(x))])),
    losses: difference(token_losses(logits, given.tokens, model.config.d_vocab), single(given.losses)),
  });
};

cases.stored_models = (given) => {
  return (Object.fromEntries(Object.entries(given).map(([name, one]) => {
    const model = read_model(raw(one.model)), V = model.config.d_vocab;
    const patterns = Object.keys(one.patterns);
    const { logits, kept } = forward(model, one.tokens, { keep: patterns });
    const other = single(one.logits);
    let same = 0;
    for (let i = 0; i < one.tokens.length; i++) same += best(logits, i * V, V) === best(other, i * V, V);
    return [name, { logits: difference(logits, other), same: same / one.tokens.length,
      patterns: Math.max(0, ...patterns.map((p) => difference(kept[p], single(one.patterns[p])))) }];
  })));
};

// The logits when only part of a pass is run, beside those of the whole pass (which torch is held to).
cases.parts = (given) => {
  const model = read_model(raw(given.model)), { n_layers, d_vocab } = model.config, whole = forward(model, given.tokens, { keep: "all" });
  const stream = (layer) => whole.kept[layer < n_layers ? `blocks.${layer}.hook_resid_pre` : `blocks.${layer - 1}.hook_resid_post`];
  return Array.from({ length: n_layers + 1 }, (_, layer) => [false, true].map((last) =>
    difference(forward(model, given.tokens, { start: { layer, stream: stream(layer) }, last }).logits, last ? whole.logits.slice(-d_vocab) : whole.logits))).flat();
};

cases.interventions = (given) => {
  const model = read_model(raw(given.model));
  return (given.cases.map((one) => {
    const change = { ...one.change };
    for (const key of ["value", "pattern", "direction"]) if (change[key] !== undefined) change[key] = single(change[key]);
    return difference(forward(model, given.tokens, { interventions: [change] }).logits, single(one.logits));
  }));
};

cases.read_by = (given) => {
  const model = read_model(raw(given.model)), tokenizer = read_tokenizer(given.tokenizer);
  return given.texts.map((text) => {
    const tokens = [tokenizer.separator, ...tokenizer.encode(text)].slice(0, 128);
    return Array.from(read_by(forward(model, tokens, { keep: [given.at] }).kept[given.at], single(given.direction), given.offset));
  });
};

cases.tokens = (given) => {
  const tokenizer = read_tokenizer(given.json);
  return ({ size: tokenizer.size, names: tokenizer.names,
    wrong: given.texts.map((text, i) => i).filter((i) => JSON.stringify(tokenizer.encode(given.texts[i])) !== JSON.stringify(given.tokens[i])),
    back: given.texts.map((text, i) => i).filter((i) => tokenizer.decode(given.tokens[i]) !== given.texts[i]),
    halves: given.tokens.map((t) => tokenizer.decode(t.slice(0, 3))) });
};

cases.thousand = (given) => {
  const model = read_model(raw(given.model)), V = model.config.d_vocab, tokenizer = read_tokenizer(given.json);
  const refused = [];
  let worst = 0, same = 0, exact = 0, all = 0;
  given.texts.forEach((text, i) => {
    const tokens = tokenizer.encode(text).slice(0, 24);
    let logits;
    try { ({ logits } = forward(model, tokens)); }
    catch (error) { if (!(error instanceof PlainError)) throw error; refused.push(i); return; }
    const spots = given.spots[i], numbers = single(given.logits[i]), tops = given.tops[i];
    spots.forEach((spot, j) => { worst = Math.max(worst, Math.abs(logits[spot] - numbers[j])); });
    tokens.forEach((_, t) => { same += best(logits, t * V, V) === tops[t]; exact += best(logits, t * V, V) === given.exact[i][t]; all += 1; });
  });
  return ({ worst, same: same / all, exact: exact / all, all, refused });
};

cases.refusals = (given) => {
  const blob = raw(given.model), model = read_model(blob);
  const said = (f) => { try { f(); return "nothing"; } catch (error) { return error instanceof PlainError ? error.message : "CRASH " + error; } };
  const altered = blob.slice();
  altered[blob.length - 5] ^= 1;
  return ([
    said(() => read_model(altered)), said(() => read_model(blob.slice(0, blob.length - 8))), said(() => read_model(new Uint8Array(2))),
    said(() => read_model(new Uint8Array(50).fill(200))),
    said(() => forward(model, [])), said(() => forward(model, Array(18).fill(1))), said(() => forward(model, [1, 99])), said(() => forward(model, [1, 0.5])),
    said(() => forward(model, [1], { keep: ["blocks.7.hook_q"] })),
    said(() => forward(model, [1], { interventions: [{ kind: "ablate", at: "nowhere" }] })),
    said(() => forward(model, [1], { interventions: [{ kind: "ablate", at: "hook_embed", head: 1 }] })),
    said(() => forward(model, [1], { interventions: [{ kind: "ablate", at: "blocks.0.attn.hook_z", head: 3 }] })),
    said(() => forward(model, [1, 2], { interventions: [{ kind: "patch", at: "blocks.0.hook_resid_pre", positions: [2], value: 0 }] })),
    said(() => forward(model, [1, 2], { interventions: [{ kind: "patch", at: "blocks.0.hook_resid_pre", value: new Float32Array(7) }] })),
    said(() => forward(model, [1, 2], { interventions: [{ kind: "patch", at: "blocks.0.attn.hook_pattern", positions: [0], value: 0 }] })),
    said(() => read_vocabulary(["to", "be"]).encode("to see")),
  ]);
};

cases.training = (given) => {
  const w = Object.fromEntries(Object.entries(given.weights).map(([name, x]) => [name, single(x)]));
  const task = { P: given.sizes.P, train: Int32Array.from(given.train), test: Int32Array.from(given.test) };
  const run = modular_run(given.sizes, w, task), losses = [];
  const first = modular_gradients(w, run.settings, task.train, answers_of(task.train, task.P)).gradients;
  const gaps = Object.fromEntries(Object.entries(given.gradients).map(([name, g]) => [name, difference(first[name], single(g))]));
  for (let i = 0; i < 50; i++) losses.push(run.step());
  return ({ losses, gaps, measures: modular_measures(run) });
};

cases.bigrams = (given) => {
  const w = { W_E: single(given.W_E), W_U: single(given.W_U) }, losses = [];
  const optimizer = new AdamW(w, { lr: 1e-2, decay: 0.1 });
  for (const [tokens, next] of given.batches) {
    const { loss, gradients } = bigram_gradients(w, given.d_model, given.d_vocab, tokens, next);
    losses.push(loss);
    optimizer.step(gradients);
  }
  return (losses);
};

cases.grokking_run = ({ seed, decay, P, fraction, until }) => {
  const run = modular_run({ P, fraction, seed, decay, lr: 5e-3, d_model: 48, n_heads: 4, d_mlp: 96 });
  while (run.steps < until) {
    run.step();
    if (run.steps % 20 === 0 && modular_measures(run).test_accuracy >= 0.99) return run.steps;
  }
  return null;
};

cases.othello_games = (given) => given.games.map((moves) => moves.map((_, t) => {
  const done = moves.slice(0, t + 1), board = played(done);
  return { board: Array.from(board), legal: legal_moves(board, mover_after(t + 1)) };
}));

cases.othello_refuses = (given) => given.games.map((moves) => {
  try { played(moves); } catch (error) { return error instanceof PlainError ? error.message : `fault: ${error}`; }
  return null;
});

cases.othello_opinions = (given) => {
  const net = read_model(raw(given.model));
  const probe = { after: given.probe_after, weight: single(given.probe_weight), bias: single(given.probe_bias) };
  const push = { after: given.push_after, strength: given.strength, writing: single(given.writing) };
  return given.games.map(({ moves, flipped }) => {
    const board = played(moves), mover = mover_after(moves.length), vector = push_of(push, board, mover, flipped);
    const plain = opinion(net, moves, probe, push), pushed = opinion(net, moves, probe, push, vector, plain.start);
    const legal = legal_moves(board.map((disc, s) => (flipped.includes(s) ? -disc : disc)), mover);
    return { plain: Array.from(plain.logits), pushed: Array.from(pushed.logits), read: Array.from(plain.read), errors: [errors_of(plain.logits, legal), errors_of(pushed.logits, legal)] };
  });
};

cases.toy = (given) => given.runs.map(({ W, b, importance, batches, batch, lr }) => {
  const w = { W: single(W), b: single(b) }, optimizer = toy_optimizer(w, lr), losses = [];
  for (const x of batches) {
    const { loss, gradients } = toy_gradients(w, importance, single(x), batch);
    losses.push(loss);
    optimizer.step(gradients);
  }
  const { lengths, own, kept } = toy_measures(w.W, importance.length);
  return { losses, W: Array.from(w.W), b: Array.from(w.b), lengths, own, kept };
});

cases.toy_trained = (given) => given.map((settings) => {
  let last = null;
  for (const seen of train_toy(settings)) last = seen;
  return { ...last, alone: loss_of_two(importances(settings.features, settings.decay), settings.density) };
});

cases.convnet = (given) => {
  const net = read_convnet(single(given.numbers), given.widths);
  return given.images.map(({ kind, radius, angle, ink, image, maps, middle }) => {
    const seen = drawn(FIGURES[kind](radius), angle, ink);
    return { image: difference(seen, single(image)), maps: convnet_activations(net, seen).map((map, i) => difference(map, single(maps[i]))),
      middle: difference(middle_answers(net, seen), single(middle)) };
  });
};

const { name, given } = JSON.parse(readFileSync(process.argv[2], "utf8"));
process.stdout.write(JSON.stringify(cases[name](given)));
