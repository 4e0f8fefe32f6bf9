// One row or one column of a table at a time, from thin factors: no V x V table is built, not even here.
// A head's factors are rows of d_head numbers: of queries and keys (QK), of values and outputs (OV).
function thin_tables(model) {
  const { tokens: n, d_model: d, d_head, n_heads } = model.get("sizes");
  const rows = (name, width) => by_row(bytes(model.get(name)), width);
  const E = rows("embedding", d), U = rows("unembedding", d), base = floats(model.get("base")), made = new Map();
  const matrices = n_heads ? ["W_Q", "W_K", "W_V"].map((name) => rows(name, d_head)).concat(rows("W_O", d)) : [];
  const factors = (h) => {
    if (made.has(h)) return made.get(h);
    const size = d * d_head, own = matrices.map((W) => W.subarray(h * size, (h + 1) * size));
    const [Q, K, V] = own.slice(0, 3).map((W) => product(E, W, n, d, d_head));
    const found = { Q, K, V, O: product(U, transpose(own[3], d_head, d), n, d, d_head) };
    made.set(h, found);
    return found;
  };
  const dot = (A, i, B, j, width) => {
    let sum = 0;
    for (let c = 0; c < width; c++) sum += A[i * width + c] * B[j * width + c];
    return sum;
  };
  const among = model.get("among");
  const look = (h, t, s) => { const { Q, K } = factors(h); return dot(Q, t, K, s, d_head) - base[h * n + t]; };
  return { n,
    look,
    // the attention that one source gets among so many ordinary tokens
    attention: (h, t, s) => 1 / (1 + among * Math.exp(-look(h, t, s))),
    raised: (h, s, o) => { const { V, O } = factors(h); return dot(V, s, O, o, d_head); },
    direct: (t, o) => dot(E, t, U, o, d) - (n_heads ? 0 : base[t]) };
}

// A column of numbers, one for each token, as bars: the largest (or the smallest), and the chosen one in any case.
function ranked(list, tokens, numbers, chosen, shown, text = fixed, sign = 1) {
  const best = top_of(numbers, shown, sign), reach = Math.max(...best.map((i) => Math.abs(numbers[i]))) || 1;
  const rows = best.includes(chosen) ? best : [...best, chosen];
  list.show(rows.map((i) => [(i === chosen ? "▸ " : "") + tokens[i], [{ share: numbers[i] / reach, text: text(numbers[i]) }]]));
}
const place_of = (numbers, i) => 1 + numbers.filter((x) => x > numbers[i]).length;

function render(context) {
  const { model } = context, head_names = model.get("head_names"), heads = head_names.length;
  const settings = ["destination", "out", ...(heads ? ["head", "source", "rival_destination", "rival_out"] : [])];
  return mount_live(context, heads ? "tables of a head" : "table of next tokens", ["tokens", "embedding", "base"], settings, (root) => {
    const tokens = model.get("tokens"), presets = model.get("presets"), shown = model.get("shown");
    const t = thin_tables(model), column = (f) => Float64Array.from({ length: t.n }, (_, i) => f(i)), at = (name) => model.get(name);
    const picker = (text, name) => [name, token_chooser(text, tokens, (i) => put(model, { [name]: i }))];
    const preset = make("select", { onchange: () => { if (preset.selectedIndex) put(model, presets[preset.selectedIndex - 1].state); } },
      ["choose one", ...presets.map((p) => p.name)].map((name) => make("option", {}, name)));
    const head = chooser("head", head_names, (i) => put(model, { head: i })), said = status();
    const mine = Object.fromEntries(heads ? [picker("source", "source"), picker("destination", "destination"), picker("out", "out")]
      : [picker("token", "destination"), picker("next", "out")]);
    const flips = [heads ? "show what the destination looks at" : "", heads ? "lowest outs" : "least likely"].map((text) => {
      const box = make("input", { type: "checkbox", onchange: () => draw() });
      return { box, node: text ? field(text, box) : null };
    });
    const lists = [bar_table("", ["token", heads ? "attention" : "probability"]), bar_table("", ["token", heads ? "logit" : "probability"])];
    root.append(make("div", { class: "controls" }, presets.length ? field("try", preset) : null, heads > 1 ? head.node : null, Object.values(mine).map((p) => p.node)), said,
      make("div", { class: "columns" }, lists.map((list, i) => make("div", {}, list.node, flips[i].node))));
    const quoted = (name) => `“${tokens[at(name)]}”`, sum = (f) => head_names.reduce((all, _, h) => all + f(h), 0);

    function next_tokens() {
      const [a, b] = [at("destination"), at("out")], p = (i, j) => Math.exp(t.direct(i, j)), percent = (x) => `${fixed(100 * x)} %`;
      const after = column((o) => p(a, o)), before = column((i) => p(i, b));
      ranked(lists[0], tokens, after, b, shown, percent, flips[1].box.checked ? -1 : 1);
      ranked(lists[1], tokens, before, a, shown, percent);
      [`after ${quoted("destination")} comes`, `${quoted("out")} is likeliest after`].forEach((text, i) => { lists[i].title(text); });
      said.textContent = `After ${quoted("destination")} the model expects ${quoted("out")} with ${percent(after[b])}: number ${place_of(after, b)} of ${t.n}. Of all tokens ${quoted("destination")} is number ${place_of(before, a)} in making ${quoted("out")} likely.`;
    }
    function one_head() {
      const h = at("head"), [s, d, o] = ["source", "destination", "out"].map(at), name = head_names[h], by_destination = flips[0].box.checked;
      const where = column(by_destination ? (i) => t.attention(h, d, i) : (i) => t.attention(h, i, s)), what = column((i) => t.raised(h, s, i));
      ranked(lists[0], tokens, where, by_destination ? s : d, shown, (x) => fixed(x, 3));
      ranked(lists[1], tokens, what, o, shown, fixed, flips[1].box.checked ? -1 : 1);
      lists[0].title(by_destination ? `QK: where ${name} looks from ${quoted("destination")}` : `QK: destinations that look for ${quoted("source")}`);
      lists[1].title(flips[1].box.checked ? `OV: outs that ${quoted("source")} lowers` : `OV: outs that ${quoted("source")} raises`);
      said.textContent = `${quoted("source")} … ${quoted("destination")} → ${quoted("out")}. Standing on ${quoted("destination")}, ${name} gives ${quoted("source")} ${fixed(t.attention(h, d, s), 3)} of its attention among ${at("among")} ordinary tokens; ` +
        `looking there adds ${fixed(what[o])} to the logit of ${quoted("out")} (number ${place_of(what, o)} of ${t.n}). Together ${fixed(t.attention(h, d, s) * what[o])}, all heads together ${fixed(sum((g) => t.attention(g, d, s) * t.raised(g, s, o)))}, the direct path ${fixed(t.direct(d, o))}.`;
    }

    // -- the error that one head cannot avoid: two destinations, two outs, one source
    const rivals = heads ? Object.fromEntries([picker("another destination", "rival_destination"), picker("another out", "rival_out")]) : {};
    const verdict = status(), grids = ["", "all heads together"].map((name) => number_map({ name: name || "this head", picked: () => {} }));
    const titles = grids.map(() => make("p", { class: "title" }));
    if (heads) root.append(part("Make a bug: cross two skip-trigrams of this source", make("div", { class: "controls" }, Object.values(rivals).map((p) => p.node)),
      make("div", { class: "columns" }, grids.map((grid, i) => make("div", {}, titles[i], grid.node))), verdict));
    function crossing() {
      const h = at("head"), s = at("source"), ds = ["destination", "rival_destination"].map(at), os = ["out", "rival_out"].map(at);
      const added = [(d, o) => t.attention(h, d, s) * t.raised(h, s, o), (d, o) => sum((g) => t.attention(g, d, s) * t.raised(g, s, o))];
      const leans = added.map((f, i) => {
        const numbers = ds.map((d) => os.map((o) => f(d, o)));
        grids[i].show(ds.map((d) => tokens[d]), os.map((o) => tokens[o]), numbers, Math.max(...numbers.flat().map(Math.abs)) || 1);
        return numbers.map(([one, two]) => one - two);
      });
      titles[0].textContent = `logits that ${head_names[h]} adds`;
      titles[1].textContent = "all heads together";
      if (os[0] === os[1] || ds[0] === ds[1]) { verdict.textContent = "Choose another destination and another out, different from the first ones."; return; }
      const [one, all] = leans, first = one[0] >= 0 ? "out" : "rival_out", second = one[0] >= 0 ? "rival_out" : "out";
      verdict.textContent = `${head_names[h]} pushes ${quoted(first)} above ${quoted(second)} after both: by ${fixed(Math.abs(one[0]))} after ${quoted("destination")}, by ${fixed(Math.abs(one[1]))} after ${quoted("rival_destination")}. ` +
        `It cannot do otherwise: the destination says how much it looks, never what it moves. ` +
        (all[0] * all[1] >= 0 ? "All heads together lean to one side too." : "All heads together lean one way after the one and the other way after the other: several heads can tell them apart.");
    }
    function draw() {
      for (const [name, p] of Object.entries({ ...mine, ...rivals })) p.show(at(name));
      preset.selectedIndex = 1 + presets.findIndex((p) => Object.entries(p.state).every(([name, value]) => at(name) === value));
      if (!heads) return next_tokens();
      head.show(at("head"));
      one_head();
      crossing();
    }
    return draw;
  });
}
export default { render };
