const TASKS = {}; // one pass takes less than a frame: nothing runs behind the page

function render(context) {
  const { model } = context;
  return mount_live(context, "type your own text", ["weights", "names", "tokenizer"], ["text", "head", "position", "view", "cut"], (root) => {
    const { net, tokenizer, labels } = open_model(model), { n_layers, n_heads, n_ctx, d_vocab, d_model, d_head } = net.config;
    const most = Math.min(n_ctx, model.get("most")), names = head_names(net.config);
    const frozen = new Map(); // head number -> its pattern when it was frozen, and the length of that text
    let seen = null, hovered = null, state = null, turn = 0, looks = ""; // state: the text and the changes that `seen` belongs to

    // -- controls
    const box = text_box(model, "your text", 3), views = chooser("colour the tokens by", ["attention", "attention × value size", "loss"], (view) => put(model, { view }));
    const heads = names.map((name, head) => button([make("canvas", { "aria-hidden": "true" }), make("span", {}, name)], () => put(model, { head })));
    const cut = button("", () => {
      const head = model.get("head"), all = model.get("cut");
      frozen.delete(head);
      put(model, { cut: all.includes(head) ? all.filter((h) => h !== head) : [...all, head].sort((a, b) => a - b) });
    });
    const freeze = button("", () => {
      const head = model.get("head");
      if (frozen.has(head)) frozen.delete(head);
      else frozen.set(head, { pattern: pattern_of(seen, head), n: seen.tokens.length });
      if (model.get("cut").includes(head)) put(model, { cut: model.get("cut").filter((h) => h !== head) });
      else draw();
    });
    const back = button("put all heads back", () => { frozen.clear(); model.get("cut").length ? put(model, { cut: [] }) : draw(); });
    const line = token_line({ label: "tokens", chosen: (position) => put(model, { position }), hovered: (i) => { if (hovered !== i) { hovered = i; show(); } } });
    const map = make("canvas", { class: "big", role: "img" }), said = status(), list = bar_table("", ["next", "probability"]);
    root.append(box.node, make("div", { class: "heads", role: "group", "aria-label": "heads" }, heads),
      make("div", { class: "controls" }, cut, freeze, back, views.node), line.node, said,
      make("div", { class: "columns" }, make("figure", {}, map, make("figcaption", { class: "note" }, "a row for each query, a column for each key")), list.node));

    // -- the pass
    const pattern_of = ({ now, tokens }, head) => {
      const n = tokens.length, at = (head % n_heads) * n * n;
      return now.kept[`blocks.${Math.floor(head / n_heads)}.attn.hook_pattern`].slice(at, at + n * n);
    };
    function changes(n) {
      const found = model.get("cut").map((head) => ({ kind: "ablate", at: `blocks.${Math.floor(head / n_heads)}.attn.hook_z`, head: head % n_heads }));
      for (const [head, { pattern, n: length }] of frozen)
        if (length === n) found.push({ kind: "freeze", layer: Math.floor(head / n_heads), head: head % n_heads, pattern });
        else frozen.delete(head); // a pattern belongs to a text of its length
      return found;
    }
    // A key is answered in two frames: patterns and what comes next first; then what needs the logits of
    // every position, the losses, and the run with every head beside a changed one. Of two runs of a
    // text the second goes on from the first layer that differs: what lies below is as it was.
    const kept_names = Array.from({ length: n_layers }, (_, l) => [`blocks.${l}.attn.hook_pattern`, `blocks.${l}.attn.hook_v`, `blocks.${l}.hook_resid_pre`]).flat();
    let whole = { key: null };
    function run(tokens, interventions, layer, known) {
      const start = known && { layer, stream: known.kept[`blocks.${layer}.hook_resid_pre`] };
      const { stream, kept } = forward(net, tokens, { keep: kept_names.slice(start ? 3 * layer : 0), interventions, start, last: true });
      return { stream, kept: { ...known?.kept, ...kept } };
    }
    function pass() {
      const { tokens, note } = tokens_of(tokenizer, model.get("text"), most), released = frozen.size, interventions = changes(tokens.length);
      const let_go = released > frozen.size ? "The text has another length now, so frozen patterns were let go. " : "", key = tokens.join();
      const changed = interventions.length > 0, layer = Math.min(...interventions.map((change) => change.layer ?? Number(change.at.split(".")[1])));
      const known = whole.key === key ? whole : null, now = known && !changed ? known : run(tokens, interventions, layer, known);
      if (!changed) whole = Object.assign(now, { key });
      return { tokens, note: note + let_go, key, layer, changed, now };
    }
    function complete() {
      if (whole.key !== seen.key) whole = { ...run(seen.tokens, [], seen.layer, seen.now), key: seen.key };
      for (const one of [seen.now, whole]) one.losses ??= [NaN, ...token_losses(lens(net, one.stream, seen.tokens.length), seen.tokens, d_vocab)];
    }
    const place = () => clamp(model.get("position") < 0 ? (seen?.tokens.length ?? 1) - 1 : model.get("position"), 0, (seen?.tokens.length ?? 1) - 1);

    // -- what is seen
    const value_size = (head) => {
      const v = seen.now.kept[`blocks.${Math.floor(head / n_heads)}.attn.hook_v`], wide = n_heads * d_head, h = head % n_heads;
      return seen.tokens.map((_, i) => Math.hypot(...v.subarray(i * wide + h * d_head, i * wide + (h + 1) * d_head)));
    };
    function show() {
      const n = seen.tokens.length, head = Math.min(model.get("head"), names.length - 1), view = model.get("view"), at = hovered ?? place();
      const pattern = head >= 0 ? pattern_of(seen, head) : new Float32Array(n * n), sizes = view === 1 && head >= 0 ? value_size(head) : null;
      const largest = sizes ? Math.max(...sizes) || 1 : 1, weight = (i, j) => pattern[i * n + j] * (sizes ? sizes[j] / largest : 1);
      const row = seen.tokens.map((_, j) => weight(at, j)), strongest = Math.max(...row) || 1;
      line.show(place(), at, (j) => {
        const loss = seen.now.losses?.[j], share = view === 2 ? (Number.isFinite(loss) ? -loss / 8 : 0) : row[j] / strongest;
        return [share, `attention ${fixed(row[j])}, loss ${fixed(loss)} nats`];
      });
      paint(map, n, n, (i, j) => (j > i ? NaN : weight(i, j)));
      map.setAttribute("aria-label", head < 0 ? "no heads" : `pattern of ${names[head]} over ${n} tokens`);
      const best = top_of(row, 3).filter((j) => row[j] > strongest / 20);
      looks = head < 0 ? "" : `${names[head]} at “${labels[seen.tokens[at]]}” (${at}) looks at ${best.map((j) => `“${labels[seen.tokens[j]]}” (${j}) ${fixed(pattern[at * n + j])}`).join(", ")}. `;
      tell(at);
    }
    function tell(at) {
      const total = ({ losses }) => fixed(losses ? mean(losses.slice(1)) : NaN, 3);
      const loss = seen.tokens.length < 2 ? "" : `Mean loss ${total(seen.now)} nats` + (seen.changed ? `, with every head ${total(whole)}.` : ".");
      said.textContent = seen.note + looks + loss;
      const shares = (one) => {
        const logits = lens(net, one.stream.subarray(at * d_model, (at + 1) * d_model), 1), all = log_sum_exp(logits, 0, d_vocab);
        return logits.map((x) => Math.exp(x - all));
      };
      const now = shares(seen.now), before = seen.changed && whole.key === seen.key ? shares(whole) : null;
      list.title(`after “${labels[seen.tokens[at]]}”` + (seen.changed ? ": now, and with every head (grey)" : ""));
      list.show(top_of(now, 6).map((t) => [labels[t], [{ share: now[t], text: fixed(now[t]) },
        ...(seen.changed ? [{ share: before?.[t] ?? 0, text: fixed(before?.[t]), control: true }] : [])]]));
    }
    function draw() {
      box.show();
      views.show(model.get("view"));
      if (!n_layers) cut.hidden = freeze.hidden = back.hidden = true;
      guarded(said, () => {
        const before = seen?.tokens.join(), state_now = JSON.stringify([model.get("text"), model.get("cut"), [...frozen.keys()]]);
        const fresh = state !== state_now;
        if (fresh) { turn++; state = null; root.removeAttribute("aria-busy"); seen = pass(); state = state_now; }
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
        if (model.get("view") === 2) complete();
        show();
        if (!fresh) return;
        const mine = turn;
        root.setAttribute("aria-busy", true);
        requestAnimationFrame(() => requestAnimationFrame(() => {
          if (turn === mine) guarded(said, () => { complete(); tell(hovered ?? place()); root.removeAttribute("aria-busy"); });
        }));
      });
    }
    return draw;
  });
}
export default { render };
