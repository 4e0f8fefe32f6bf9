const TASKS = {}; // one pass takes less than a frame: nothing runs behind the page

function render(context) {
  const { model } = context;
  return mount_live(context, "type your own text", ["weights", "names", "tokenizer"], ["text", "head", "position", "view", "cut"], (root) => {
    const { net, tokenizer, labels } = open_model(model), { n_layers, n_heads, n_ctx, d_vocab, d_head } = net.config;
    const most = Math.min(n_ctx, model.get("most")), names = head_names(net.config);
    const frozen = new Map(); // head number -> its pattern when it was frozen, and the length of that text
    let seen = null, hovered = null, state = null; // state: the text and the changes that `seen` belongs to

    // -- controls
    const box = make("textarea", { rows: 3, spellcheck: "false", autocapitalize: "off", autocomplete: "off", maxlength: 20000,
      oninput: () => put(model, { text: box.value }) });
    const views = chooser("colour the tokens by", ["attention", "attention × value size", "loss"], (view) => put(model, { view }));
    const heads = names.map((name, head) => make("button", { type: "button", onclick: () => put(model, { head }) },
      make("canvas", { "aria-hidden": "true" }), make("span", {}, name)));
    const cut = make("button", { type: "button", onclick: () => {
      const head = model.get("head"), all = model.get("cut");
      frozen.delete(head);
      put(model, { cut: all.includes(head) ? all.filter((h) => h !== head) : [...all, head].sort((a, b) => a - b) });
    } });
    const freeze = make("button", { type: "button", onclick: () => {
      const head = model.get("head");
      if (frozen.has(head)) frozen.delete(head);
      else frozen.set(head, { pattern: pattern_of(seen, head), n: seen.tokens.length });
      if (model.get("cut").includes(head)) put(model, { cut: model.get("cut").filter((h) => h !== head) });
      else draw();
    } });
    const back = make("button", { type: "button", onclick: () => { frozen.clear(); model.get("cut").length ? put(model, { cut: [] }) : draw(); } }, "put all heads back");
    const line = token_line({ label: "tokens", chosen: (position) => put(model, { position }), hovered: (i) => { if (hovered !== i) { hovered = i; show(); } } });
    const map = make("canvas", { class: "big", role: "img" }), said = status(), list = bar_table("", ["next", "probability"]);
    root.append(field("your text", box), make("div", { class: "heads", role: "group", "aria-label": "heads" }, heads),
      make("div", { class: "controls" }, cut, freeze, back, views.node), line.node, said,
      make("div", { class: "columns" }, make("figure", {}, map, make("figcaption", { class: "note" }, "a row for each query, a column for each key")), list.node));

    // -- the pass
    const pattern_of = ({ kept, tokens }, head) => {
      const n = tokens.length, all = kept[`blocks.${Math.floor(head / n_heads)}.attn.hook_pattern`], at = (head % n_heads) * n * n;
      return all.slice(at, at + n * n);
    };
    function changes(n) {
      const found = model.get("cut").map((head) => ({ kind: "ablate", at: `blocks.${Math.floor(head / n_heads)}.attn.hook_z`, head: head % n_heads }));
      for (const [head, { pattern, n: length }] of frozen)
        if (length === n) found.push({ kind: "freeze", layer: Math.floor(head / n_heads), head: head % n_heads, pattern });
        else frozen.delete(head); // a pattern belongs to a text of its length
      return found;
    }
    // The run with every head is made once for each text, the changed run once for each change, and
    // from the first layer that a change touches: what lies below is as it was.
    const kept_names = Array.from({ length: n_layers }, (_, l) => [`blocks.${l}.attn.hook_pattern`, `blocks.${l}.attn.hook_v`, `blocks.${l}.hook_resid_pre`]).flat();
    const losses = (run, tokens) => [NaN, ...token_losses(run.logits, tokens, d_vocab)];
    let whole = { key: null };
    function pass() {
      const { tokens, note } = tokens_of(tokenizer, model.get("text"), most), released = frozen.size, interventions = changes(tokens.length);
      const let_go = released > frozen.size ? "The text has another length now, so frozen patterns were let go. " : "", key = tokens.join();
      if (whole.key !== key) {
        const run = forward(net, tokens, { keep: kept_names });
        whole = { key, ...run, losses: losses(run, tokens) };
      }
      let now = whole;
      if (interventions.length) {
        const layer = Math.min(...interventions.map((change) => change.layer ?? Number(change.at.split(".")[1])));
        const run = forward(net, tokens, { keep: kept_names.slice(3 * layer), interventions, start: { layer, stream: whole.kept[`blocks.${layer}.hook_resid_pre`] } });
        now = { logits: run.logits, kept: { ...whole.kept, ...run.kept }, losses: losses(run, tokens) };
      }
      return { tokens, note: note + let_go, logits: now.logits, whole: whole.logits, kept: now.kept, changed: interventions.length > 0, losses: now.losses, losses_whole: whole.losses };
    }
    const place = () => clamp(model.get("position") < 0 ? (seen?.tokens.length ?? 1) - 1 : model.get("position"), 0, (seen?.tokens.length ?? 1) - 1);

    // -- what is seen
    const value_size = (head) => {
      const v = seen.kept[`blocks.${Math.floor(head / n_heads)}.attn.hook_v`], wide = n_heads * d_head, h = head % n_heads;
      return seen.tokens.map((_, i) => Math.hypot(...v.subarray(i * wide + h * d_head, i * wide + (h + 1) * d_head)));
    };
    function show() {
      const n = seen.tokens.length, head = Math.min(model.get("head"), names.length - 1), view = model.get("view"), at = hovered ?? place();
      const pattern = head >= 0 ? pattern_of(seen, head) : new Float32Array(n * n), sizes = view === 1 && head >= 0 ? value_size(head) : null;
      const largest = sizes ? Math.max(...sizes) || 1 : 1, weight = (i, j) => pattern[i * n + j] * (sizes ? sizes[j] / largest : 1);
      const row = seen.tokens.map((_, j) => weight(at, j)), strongest = Math.max(...row) || 1;
      line.show(place(), at, (j) => {
        const loss = seen.losses[j], share = view === 2 ? (Number.isFinite(loss) ? -loss / 8 : 0) : row[j] / strongest;
        return [share, `attention ${fixed(row[j])}, loss ${fixed(loss)} nats`];
      });
      paint(map, n, n, (i, j) => (j > i ? NaN : weight(i, j)));
      map.setAttribute("aria-label", head < 0 ? "no heads" : `pattern of ${names[head]} over ${n} tokens`);
      const total = (losses) => losses.slice(1).reduce((a, b) => a + b, 0) / Math.max(n - 1, 1);
      const best = top_of(row, 3).filter((j) => row[j] > strongest / 20);
      const looks = head < 0 ? "" : `${names[head]} at “${labels[seen.tokens[at]]}” (${at}) looks at ${best.map((j) => `“${labels[seen.tokens[j]]}” (${j}) ${fixed(pattern[at * n + j])}`).join(", ")}. `;
      const loss = n < 2 ? "" : `Mean loss ${fixed(total(seen.losses), 3)} nats` + (seen.changed ? `, with every head ${fixed(total(seen.losses_whole), 3)}.` : ".");
      said.textContent = seen.note + looks + loss;
      const here = (logits) => logits.subarray(at * d_vocab, (at + 1) * d_vocab), now = here(seen.logits);
      const p = (logits, t) => Math.exp(here(logits)[t] - log_sum_exp(here(logits), 0, d_vocab));
      list.node.querySelector("caption").textContent = `after “${labels[seen.tokens[at]]}”` + (seen.changed ? ": now, and with every head (grey)" : "");
      list.show(top_of(now, 6).map((t) => [labels[t], [{ share: p(seen.logits, t), text: fixed(p(seen.logits, t)) },
        ...(seen.changed ? [{ share: p(seen.whole, t), text: fixed(p(seen.whole, t)), control: true }] : [])]]));
    }
    function draw() {
      if (document.activeElement !== box && box.value !== model.get("text")) box.value = model.get("text");
      views.show(model.get("view"));
      if (!n_layers) cut.hidden = freeze.hidden = back.hidden = true;
      const begun = performance.now();
      guarded(said, () => {
        const before = seen?.tokens.join(), state_now = JSON.stringify([model.get("text"), model.get("cut"), [...frozen.keys()]]);
        const fresh = state !== state_now;
        if (fresh) { seen = pass(); state = state_now; }
        const n = seen.tokens.length;
        if (before !== seen.tokens.join()) line.name(seen.tokens.map((t) => labels[t]));
        heads.forEach((button, head) => {
          const how = model.get("cut").includes(head) ? "cut" : frozen.has(head) ? "frozen" : "", pattern = fresh && pattern_of(seen, head);
          if (fresh) paint(button.firstChild, n, n, (i, j) => (j > i ? NaN : pattern[i * n + j]));
          button.setAttribute("aria-pressed", head === model.get("head"));
          button.lastChild.textContent = names[head] + (how ? ` ${how}` : "");
          button.classList.toggle("cut", how === "cut");
        });
        const head = Math.min(model.get("head"), names.length - 1), is_cut = model.get("cut").includes(head);
        cut.textContent = `cut ${names[head]}`;
        cut.setAttribute("aria-pressed", is_cut);
        freeze.textContent = `freeze the pattern of ${names[head]}`;
        freeze.setAttribute("aria-pressed", frozen.has(head));
        show();
      });
      root.dataset.ms = (performance.now() - begun).toFixed(1);
    }
    return draw;
  });
}
export default { render };
