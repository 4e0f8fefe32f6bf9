// ---- what runs behind the page ------------------------------------------------------------------

const difference = (logits, n, V, [answer, foil]) => logits[(n - 1) * V + answer] - logits[(n - 1) * V + foil];
// The stream before layer l; before n_layers it is what the last one leaves.
const stream_at = (l, n_layers) => (l < n_layers ? `blocks.${l}.hook_resid_pre` : `blocks.${l - 1}.hook_resid_post`);

// Two runs and the metric on them: the logit of the answer less that of the foil, at the last token.
function two_runs({ weights, a, b, metric }) {
  const net = read_model(weights), { d_vocab: V, n_layers } = net.config, n = a.length, tokens = { clean: a, corrupted: b };
  const runs = { clean: forward(net, a, { keep: "all" }), corrupted: forward(net, b, { keep: "all" }) };
  const means = { clean: difference(runs.clean.logits, n, V, metric), corrupted: difference(runs.corrupted.logits, b.length, V, metric) };
  const gap = means.clean - means.corrupted;
  const stream = (base, l) => runs[base].kept[stream_at(l, n_layers)];
  // The metric on one of the two texts when a run of it is interfered with (`how`: as in forward).
  const measured = (base, how) => difference(forward(net, tokens[base], { ...how, last: true }).logits, 1, V, metric);
  // Share of the gap that comes back (denoising) or is lost (noising), as mechlib.reading.patching has it.
  const effect = (direction, how) => {
    const base = direction === "denoising" ? "corrupted" : "clean", moved = measured(base, how) - means[base];
    return direction === "denoising" ? moved / gap : -moved / gap;
  };
  return { net, n, runs, tokens, means, stream, measured, effect };
}
const DIRECTIONS = ["denoising", "noising"];
const others = (direction) => (direction === "denoising" ? ["corrupted", "clean"] : ["clean", "corrupted"]);

const TASKS = {
  // Both maps in both directions: {heads, stream}, each {direction: rows of numbers}; yields after each row.
  *maps(given) {
    const { net, n, runs, stream, effect } = two_runs(given), { n_layers, n_heads, d_model: d } = net.config, found = { heads: {}, stream: {} };
    for (const direction of DIRECTIONS) {
      const [base, other] = others(direction);
      found.heads[direction] = [];
      found.stream[direction] = [];
      for (let layer = 0; layer < n_layers; layer++) {
        const at = `blocks.${layer}.attn.hook_result`, start = { layer, stream: stream(base, layer) };
        found.heads[direction].push(Array.from({ length: n_heads }, (_, head) => effect(direction, { start, interventions: [{ kind: "patch", at, head, value: head_of(runs[other].kept[at], n, n_heads, head, d) }] })));
        yield found;
      }
      for (let layer = 0; layer <= n_layers; layer++) {
        found.stream[direction].push(Array.from({ length: n }, (_, p) => {
          const patched = stream(base, layer).slice();
          patched.set(stream(other, layer).subarray(p * d, (p + 1) * d), p * d);
          return effect(direction, { start: { layer, stream: patched } });
        }));
        yield found;
      }
    }
    return found;
  },
  // One path, in both directions.
  *path({ sender, receiver, reads, ...given }) {
    const { net, runs, tokens, effect } = two_runs(given);
    return Object.fromEntries(DIRECTIONS.map((direction) => {
      const [base, other] = others(direction);
      return [direction, effect(direction, { interventions: [path_patch(net, tokens[base], runs[base].kept, runs[other].kept, sender, receiver, reads)] })];
    }));
  },
  // What a direction, added before a layer, does to the metric on the corrupted text, beside random
  // ones of its norm; to ordinary text; and to a continuation drawn with the same numbers.
  *steer({ layer, direction, scale, draws, seed, ordinary, length, ...given }) {
    const { net, n, tokens, means, stream, measured } = two_runs(given), { d_model: d, d_vocab: V, n_layers, n_ctx } = net.config;
    const next = random(seed), size = Math.hypot(...direction), at = stream_at(layer, n_layers);
    // only what comes after the layer is computed anew
    const added = (before, one, factor) => ({ start: { layer, stream: before.map((x, i) => x + factor * one[i % d]) } });
    const moved = (one, factor) => measured("corrupted", added(stream("corrupted", layer), one, factor)) - means.corrupted;
    const read = forward(net, ordinary, { keep: [at] }), loss = ({ logits }) => mean(token_losses(logits, ordinary, V)), plain = loss(read);
    const harder = (one) => loss(forward(net, ordinary, added(read.kept[at], one, scale))) - plain;
    const effect = moved(direction, scale), null_effects = [], null_losses = [];
    for (let i = 0; i < draws; i++) {
      const one = random_direction(next, d, size);
      null_effects.push(moved(one, scale));
      if (i < 5) null_losses.push(harder(one));
      if (i % 5 === 4) yield null;
    }
    const doses = [-2, -1, -0.5, 0, 0.5, 1, 2].map((f) => [f * scale, moved(direction, f * scale)]);
    const continued = (interventions) => {
      const chance = random(seed), all = tokens.corrupted.slice();
      while (all.length < Math.min(n + length, n_ctx)) all.push(sample(forward(net, all, { interventions, last: true }).logits, 0, V, 0.8, chance()));
      return all.slice(n);
    };
    const p = (1 + null_effects.filter((x) => Math.abs(x) >= Math.abs(effect)).length) / (1 + draws);
    return { effect, null_effects, null_losses, p, doses, size, loss: harder(direction), plain: continued([]), steered: continued([{ kind: "steer", at, direction, scale }]) };
  },
};

// ---- the state in the address -------------------------------------------------------------------

const MARK = "#play&";
const FIELDS = { a: "text", b: "text", answer: "token", foil: "token", kind: "kind", layer: "layer", strength: "strength", draws: "draws", seed: "seed", sender: "head", receiver: "head", reads: "reads" };
// Everything in an address is a stranger's: each value is checked, and one that will not do is left out.
function read_address(hash, allowed) {
  if (!hash.startsWith(MARK)) return null;
  const found = {}, refused = [];
  for (const [name, value] of new URLSearchParams(hash.slice(MARK.length))) {
    if (!Object.hasOwn(FIELDS, name)) { refused.push(name.slice(0, 20)); continue; }
    const checked = allowed[FIELDS[name]](value);
    if (checked === null) refused.push(name);
    else found[name] = checked;
  }
  return { found, refused };
}

function render(context) {
  const { model } = context;
  return mount_live(context, "playground", ["weights", "names", "tokenizer"], [], (root) => {
    const { net, tokenizer, labels } = open_model(model), { n_layers, n_heads, n_ctx, d_vocab: V, d_model: d } = net.config;
    const names = head_names(net.config), most = Math.min(n_ctx, 64), weights = bytes(model.get("weights"));
    const kinds = ["text A − text B, last token", "text A − text B, mean over tokens", "answer − foil, as W_U writes them", ...(net.config.d_mlp ? ["write direction of the strongest neuron"] : [])];
    const within = (list) => (value) => (/^\d+$/.test(value) && Number(value) < list ? Number(value) : null);
    const between = (low, high) => (value) => (value.trim() !== "" && Number(value) >= low && Number(value) <= high ? Number(value) : null);
    const allowed = { text: (v) => v.slice(0, 2000), token: (v) => (v === "" ? "" : within(V)(v)), kind: within(kinds.length), layer: within(n_layers + 1), strength: between(-20, 20),
      draws: (v) => (["19", "49", "99"].includes(v) ? Number(v) : null), seed: (v) => within(1e6)(v), head: within(names.length), reads: (v) => (["q", "k", "v"].includes(v) ? v : null) };
    const start = { a: model.get("a"), b: model.get("b"), answer: "", foil: "", kind: 0, layer: n_layers, strength: 1, draws: 19, seed: 0, sender: 0, receiver: (n_layers - 1) * n_heads, reads: "k" };
    let state = { ...start }, seen = null, job = {}, written = null; // written: an address of ours that the browser has yet to announce

    // -- controls: each knows its field of the state
    const controls = {};
    const changed = (name, value) => { state = { ...state, [name]: value }; draw(); };
    const keep = () => { const text = MARK + new URLSearchParams(Object.entries(state).filter(([k, v]) => v !== start[k]).map(([k, v]) => [k, String(v)])); if (location.hash !== text) location.hash = written = text; };
    const text_box = (name, text) => { const box = make("textarea", { rows: 3, spellcheck: "false", maxlength: 2000, oninput: () => changed(name, box.value), onchange: keep });
      controls[name] = () => { if (document.activeElement !== box || box.value !== state[name]) box.value = state[name]; }; return field(text, box); };
    const choice = (name, text, options, values = options.map((_, i) => i)) => { const one = chooser(text, options, (i) => { changed(name, values[i]); keep(); }); controls[name] = () => one.show(values.indexOf(state[name])); return one.node; };
    const number = (name, text, low, high, step) => { const input = make("input", { type: "number", min: low, max: high, step, onchange: () => { const v = between(low, high)(input.value); if (v === null) { input.value = state[name]; return; } changed(name, v); keep(); } });
      controls[name] = () => { input.value = state[name]; }; return field(text, input); };
    const token = (name, text, hint) => choice(name, text, [hint, ...labels], ["", ...labels.map((_, i) => i)]);

    const said = status(), patch_said = status(), path_said = status(), steer_said = status(), cell = status();
    const line = make("p", { class: "text" }), lens_map = number_map({ name: "logit lens", picked: (i, j) => { cell.textContent = seen.lens_text(i, j); } });
    const heads = names.map((name, h) => button([make("canvas", { "aria-hidden": "true" }), name], () => { head = h; draw(); }));
    let head = n_layers ? (n_layers - 1) * n_heads : -1;
    const big = make("canvas", { class: "big", role: "img" });
    const maps = ["denoising", "noising"].map((direction) => ({ direction, heads: number_map({ name: `${direction}, heads`, picked: (i, j, v) => { patch_said.textContent = `${direction}: L${i}H${j} alone ${fixed(v)}`; } }),
      stream: number_map({ name: `${direction}, stream`, picked: (i, j, v) => { patch_said.textContent = `${direction}: stream ${i < n_layers ? `before layer ${i}` : "at the end"}, position ${j} “${seen ? labels[seen.a[j]] : ""}”: ${fixed(v)}`; } }) }));
    const found_maps = make("div", { hidden: true }, make("div", { class: "panels" }, maps.map((m) => make("div", {}, make("p", { class: "title" }, m.direction), m.heads.node, m.stream.node))));
    const chart = make("div"), python = make("textarea", { rows: 8, readonly: true, "aria-label": "the same in Python", spellcheck: "false" });
    const places = [...Array.from({ length: n_layers }, (_, l) => `before layer ${l}`), "after the last layer"];
    root.append(make("p", { class: "title" }, "1. Two texts"), make("div", { class: "panels" }, text_box("a", "text A, clean"), text_box("b", "text B, corrupted")),
      make("div", { class: "controls" }, token("answer", "answer", "likeliest after A"), token("foil", "foil", "likeliest after B")), said,
      make("p", { class: "title" }, "2. What the model makes of text A"), line, make("div", { class: "heads", role: "group", "aria-label": "heads" }, heads), big,
      make("p", { class: "note" }, "Logit lens: the likeliest next token if the model stopped there, and (in colour) the length of the stream."), lens_map.node, cell,
      part("3. Patch one run into the other", make("p", { class: "note" }, "Metric: logit of the answer less logit of the foil, after the last token. Denoising: clean into corrupted, share of the gap that comes back. Noising: corrupted into clean, share that is lost."),
      make("div", { class: "controls" }, button("patch everything", () => run_maps())), patch_said,
      found_maps,
      make("div", { class: "controls" }, choice("sender", "path from", names), choice("receiver", "to", names), choice("reads", "its", ["queries", "keys", "values"], ["q", "k", "v"]), button("patch this path", () => run_path())), path_said),
      part("4. Steer text B", make("div", { class: "controls" }, choice("kind", "direction", kinds), choice("layer", "added", places), number("strength", "times", -20, 20, 0.25), choice("draws", "random directions", ["19", "49", "99"], [19, 49, 99]), number("seed", "seed", 0, 999999, 1), button("steer", () => run_steer())), steer_said, chart),
      part("5. Take it with you", make("div", { class: "controls" }, button("copy as Python", () => copy()), button("start afresh", () => { state = { ...start }; keep(); draw(); })), python));

    // -- runs
    const given = () => ({ weights, a: seen.a, b: seen.b, metric: seen.metric });
    function together() {
      if (!seen) throw new PlainError("Mend the texts first.");
      if (seen.a.length !== seen.b.length) throw new PlainError(`Text A has ${seen.a.length} tokens and text B ${seen.b.length}: make them equally long, so that each place has its counterpart.`);
      if (Math.abs(seen.gap) < 1e-3) throw new PlainError("The two texts do not differ in the metric, so there is nothing to patch: choose another answer or foil.");
    }
    function work(name, said_here, task, extra, show) {
      job[name]?.stop();
      const begun = performance.now();
      guarded(said_here, () => {
        together();
        said_here.textContent = "working …";
        const mine = (job[name] = behind(model, task, { ...given(), ...extra }, (part) => { if (part && job[name] === mine) show(part, false); }));
        mine.done.then((result) => { if (result && job[name] === mine) { root.dataset[`${name}Ms`] = (performance.now() - begun).toFixed(0); show(result, true); } }, (error) => guarded(said_here, () => { throw error; }));
      });
    }
    function run_maps() {
      work("maps", patch_said, "maps", {}, (found, last) => {
        found_maps.hidden = false;
        for (const m of maps) {
          const by_head = found.heads[m.direction] ?? [], by_place = found.stream[m.direction] ?? [];
          m.heads.show(by_head.map((_, l) => `layer ${l}`), names.slice(0, n_heads).map((_, h) => `H${h}`), by_head);
          m.stream.show(by_place.map((_, l) => (l < n_layers ? `before ${l}` : "end")), seen.b.map((t) => labels[t]), by_place);
        }
        if (last) patch_said.textContent = `Gap ${fixed(seen.gap)} (A ${fixed(seen.means[0])}, B ${fixed(seen.means[1])}). Point at a cell for its number.`;
      });
    }
    const head_at = (h) => [Math.floor(h / n_heads), h % n_heads];
    function run_path() {
      guarded(path_said, () => { if (head_at(state.sender)[0] >= head_at(state.receiver)[0]) throw new PlainError(`${names[state.receiver]} does not come after ${names[state.sender]}: a path leads to a later layer.`);
        work("path", path_said, "path", { sender: head_at(state.sender), receiver: head_at(state.receiver), reads: state.reads }, (found) => {
          path_said.textContent = `${names[state.sender]} to the ${{ q: "queries", k: "keys", v: "values" }[state.reads]} of ${names[state.receiver]}: denoising ${fixed(found.denoising, 3)}, noising ${fixed(found.noising, 3)}`; }); });
    }
    const spot = () => stream_at(state.layer, n_layers);
    function direction() {
      const at = spot(), [x, y] = [seen.run.kept[at], seen.other.kept[at]], out = new Float32Array(d), n = seen.a.length, m = seen.b.length;
      const W_U = net.weights.W_U;
      for (let c = 0; c < d; c++) {
        if (state.kind === 0) out[c] = x[(n - 1) * d + c] - y[(m - 1) * d + c];
        else if (state.kind === 1) { for (let i = 0; i < n; i++) out[c] += x[i * d + c] / n; for (let i = 0; i < m; i++) out[c] -= y[i * d + c] / m; }
        else if (state.kind === 2) out[c] = W_U[c * V + seen.metric[0]] - W_U[c * V + seen.metric[1]];
        else out[c] = strongest_neuron()[c];
      }
      if (!(Math.hypot(...out) > 1e-9)) throw new PlainError("This direction is zero there: the two texts do not differ at this place.");
      return out;
    }
    function strongest_neuron() {
      const l = Math.min(state.layer, n_layers - 1), m = net.config.d_mlp, post = seen.run.kept[`blocks.${l}.mlp.hook_post`].subarray((seen.a.length - 1) * m), j = top_of(Array.from(post.subarray(0, m)), 1)[0];
      return net.weights[`blocks.${l}.mlp.W_out`].subarray(j * d, (j + 1) * d);
    }
    function run_steer() {
      guarded(steer_said, () => {
        together();
        const ordinary = tokens_of(tokenizer, model.get("ordinary"), Math.min(n_ctx, 128)).tokens;
        work("steer", steer_said, "steer", { layer: state.layer, direction: direction(), scale: state.strength, draws: state.draws, seed: state.seed, ordinary, length: 24 }, (found) => {
          const low = Math.min(...found.null_effects), high = Math.max(...found.null_effects), floor = 1 / (1 + state.draws), extra = mean(found.null_losses);
          steer_said.textContent = `The metric on text B moves by ${fixed(found.effect)}; ${state.draws} random directions of the same norm (${fixed(found.size * Math.abs(state.strength))}) move it by ${fixed(low)} to ${fixed(high)}. Two-sided p = ${fixed(found.p, 3)} (it cannot be below ${fixed(floor, 3)}). ` +
            `Ordinary code gets ${fixed(found.loss, 3)} nats a token harder (random directions: ${fixed(extra, 3)}).`;
          chart.replaceChildren(null_picture(found), make("p", { class: "note" }, "text B goes on, from the same random numbers"),
            make("p", { class: "text" }, make("b", {}, "as it is: "), found.plain.map((t) => labels[t]).join("")), make("p", { class: "text" }, make("b", {}, "steered: "), found.steered.map((t) => labels[t]).join("")),
            make("p", { class: "note" }, "dose and response"), line_plot({ label: `metric moved by ${found.doses.map(([s, v]) => `${fixed(v)} at ${fixed(s)}`).join(", ")}`, series: [{ name: "effect", x: found.doses.map(([s]) => s), y: found.doses.map(([, v]) => v) }], width: 320, height: 150, xlabel: "times the direction" }).node);
        });
      });
    }
    function null_picture({ effect, null_effects }) {
      const most = Math.max(...null_effects.map(Math.abs), Math.abs(effect)) * 1.05 || 1, x = (v) => 160 + (v / most) * 150;
      return shape("svg", { viewBox: "0 0 320 46", class: "small", role: "img", "aria-label": `effect ${fixed(effect)} among ${null_effects.length} random ones` },
        shape("line", { x1: 160, x2: 160, y1: 4, y2: 28, stroke: "currentColor", opacity: 0.4 }), null_effects.map((v) => shape("line", { x1: x(v), x2: x(v), y1: 10, y2: 26, stroke: "#8a8a8a", "stroke-width": 1.5 })),
        shape("line", { x1: x(effect), x2: x(effect), y1: 4, y2: 30, stroke: PALETTE[1], "stroke-width": 3 }), shape("text", { x: 160, y: 42, "text-anchor": "middle" }, `this direction ${fixed(effect)}; random ones in grey`));
    }
    function copy() {
      guarded(said, () => {
        together();
        const q = JSON.stringify, [s, r] = [head_at(state.sender), head_at(state.receiver)];
        const way = [`(x[0, -1] - y[0, -1])`, `(x[0].mean(0) - y[0].mean(0))`, `(model.W_U[:, ${seen.metric[0]}] - model.W_U[:, ${seen.metric[1]}]).detach()`, ""][state.kind];
        python.value = ["import torch", "from mechlib import zoo", "from mechlib.reading.patching import TwoRuns, logit_difference", "from mechlib.reading.steering import steered", "from mechlib.text.tokens import load_tokenizer", "",
          `model, tokenizer = zoo.load(${q(model.get("model_name"))}), load_tokenizer(${q(model.get("tokenizer_name"))})`,
          `clean = torch.tensor([[0, *tokenizer.encode(${q(state.a)})]])[:, :${most}]`, `corrupted = torch.tensor([[0, *tokenizer.encode(${q(state.b)})]])[:, :${most}]`,
          `metric = logit_difference(torch.tensor([${seen.metric[0]}]), torch.tensor([${seen.metric[1]}]))`, "two = TwoRuns(model, clean, corrupted, metric)",
          'print(two.head_map("denoising"), two.head_map("noising"), two.position_map("denoising"), sep="\\n")',
          ...(s[0] < r[0] ? [`print(two.path([(${s})], [(${r})], ${q(state.reads)}, "denoising"))`] : []),
          `at = ${q(spot())}`, ...(state.kind < 2 ? ['x, y = two.runs["clean"][at], two.runs["corrupted"][at]'] : []), `direction = ${state.strength} * ${way}`,
          `print(steered(model, corrupted, at, direction, lambda logits: float(metric(logits)), draws=${state.draws}))`].join("\n");
        python.select();
        navigator.clipboard?.writeText(python.value).catch(() => {}); // without leave the text stays selected
      });
    }

    // -- what is seen at once
    function look() {
      const A = tokens_of(tokenizer, state.a, most), B = tokens_of(tokenizer, state.b, most), a = A.tokens, b = B.tokens;
      const run = forward(net, a, { keep: "all" }), other = forward(net, b, { keep: "all" });
      const best = (logits, n, not = -1) => top_of(Array.from(logits.subarray((n - 1) * V, n * V)), 2).find((t) => t !== not);
      const answer = state.answer === "" ? best(run.logits, a.length) : state.answer, foil = state.foil === "" ? best(other.logits, b.length, answer) : state.foil;
      const means = [difference(run.logits, a.length, V, [answer, foil]), difference(other.logits, b.length, V, [answer, foil])];
      const streams = Array.from({ length: n_layers + 1 }, (_, l) => run.kept[stream_at(l, n_layers)]);
      const norms = streams.map((x) => a.map((_, i) => Math.hypot(...x.subarray(i * d, (i + 1) * d)))), guesses = streams.map((x) => { const l = lens(net, x, a.length); return a.map((_, i) => top_of(Array.from(l.subarray(i * V, (i + 1) * V)), 1)[0]); });
      return { a, b, run, other, metric: [answer, foil], means, gap: means[0] - means[1], note: A.note || B.note, norms, guesses,
        lens_text: (i, j) => `${i < n_layers ? `Before layer ${i}` : "At the end"}, position ${j} “${labels[a[j]]}”: the lens says “${labels[guesses[i][j]]}”; length of the stream ${fixed(norms[i][j], 1)}` };
    }
    function draw() {
      for (const show of Object.values(controls)) show();
      guarded(said, () => {
        seen = null;
        seen = look();
        const { a, metric, means } = seen, n = a.length;
        said.textContent = `${seen.note}Answer “${labels[metric[0]]}”, foil “${labels[metric[1]]}”: logit difference ${fixed(means[0])} after A, ${fixed(means[1])} after B.` + (a.length === seen.b.length ? "" : ` A has ${a.length} tokens, B ${seen.b.length}: patching needs as many.`);
        line.replaceChildren(...a.flatMap((t) => [make("code", {}, labels[t]), make("wbr")]));
        const pattern = (h) => { const all = seen.run.kept[`blocks.${Math.floor(h / n_heads)}.attn.hook_pattern`], at = (h % n_heads) * n * n; return (i, j) => (j > i ? NaN : all[at + i * n + j]); };
        heads.forEach((one, h) => { paint(one.firstChild, n, n, pattern(h)); one.setAttribute("aria-pressed", h === head); });
        if (head >= 0) { paint(big, n, n, pattern(head)); big.setAttribute("aria-label", `pattern of ${names[head]} on text A`); }
        // the first position is a resting place, and far longer than the rest
        const longest = Math.max(...seen.norms.flatMap((row) => row.slice(n > 1 ? 1 : 0)));
        const short = (label) => (label.length > 8 ? `${label.slice(0, 7)}…` : label);
        lens_map.show(seen.norms.map((_, i) => (i < n_layers ? `before ${i}` : "end")), a.map((t) => labels[t]), seen.norms, longest * 1.5, 2, seen.guesses.map((row) => row.map((t) => short(labels[t]))));
        cell.textContent = "Point at a cell for its whole token.";
      });
    }

    // -- the address
    function from_address() {
      const read = read_address(location.hash, allowed);
      state = { ...start, ...(read?.found ?? {}) };
      draw();
      if (read?.refused.length) said.textContent = `Parts of the address could not be read and were left out: ${read.refused.join(", ")}. ${said.textContent}`;
    }
    const listen = () => {
      if (!root.isConnected) removeEventListener("hashchange", listen);
      else if (location.hash === written) written = null;
      else from_address();
    };
    addEventListener("hashchange", listen);
    return from_address;
  });
}
export default { render };
