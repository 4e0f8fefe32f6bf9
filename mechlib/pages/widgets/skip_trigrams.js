function render(context) {
  const { model } = context;
  return mount(context, "skip-trigrams", ["tokens", "head_names", "ranks", "destinations", "sources", "values", "outputs"], ["head", "source_token"], (root) => {
    const tokens = model.get("tokens"), n = tokens.length, names = model.get("head_names");
    const [rank_qk, rank_ov] = model.get("ranks"), shown = model.get("shown");
    const [destinations, sources, values, outputs] = ["destinations", "sources", "values", "outputs"].map((name) => halves(model.get(name)));
    let lowest = false;
    const heads = chooser("head", names, (head) => put(model, { head }));
    const picker = token_chooser("source token", tokens, (source_token) => put(model, { source_token }));
    const flip = make("input", { type: "checkbox", onchange: () => { lowest = flip.checked; draw(); } });
    const where = bar_table("destinations that look for it (QK)", ["destination", "score"]);
    const what = bar_table("outputs it makes likelier (OV)", ["output", "logit"]);
    const said = status();
    root.append(make("div", { class: "controls" }, names.length > 1 ? heads.node : null, picker.node, field("lowest outputs", flip)),
      said, make("div", { class: "columns" }, where.node, what.node),
      make("p", { class: "note" }, `Computed here from ${(2 * n * (rank_qk + rank_ov)).toLocaleString("en")} numbers for each head; the two tables themselves would hold ${(2 * n * n).toLocaleString("en")}.`));

    // one row of A B': a token's thin row against every token's thin row
    function row(rows, token, against, rank, head) {
      const base = head * n * rank, mine = rows.subarray(base + token * rank, base + (token + 1) * rank), out = new Float32Array(n);
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += mine[r] * against[base + i * rank + r];
        out[i] = sum;
      }
      return out;
    }
    const ranked = (list, numbers, sign) => {
      const best = top_of(numbers, shown, sign), reach = Math.max(...best.map((i) => Math.abs(numbers[i]))) || 1;
      list.show(best.map((i) => [tokens[i], [{ share: numbers[i] / reach, text: fixed(numbers[i]) }]]));
      return best[0];
    };
    function draw() {
      const head = model.get("head"), token = model.get("source_token");
      heads.show(head);
      picker.show(token);
      const from = ranked(where, row(sources, token, destinations, rank_qk, head), 1);
      const out = ranked(what, row(values, token, outputs, rank_ov, head), lowest ? -1 : 1);
      what.node.querySelector("caption").textContent = lowest ? "outputs it makes less likely (OV)" : "outputs it makes likelier (OV)";
      said.textContent = `“${tokens[token]}” … “${tokens[from]}” → “${tokens[out]}”`;
    }
    return draw;
  });
}
export default { render };
