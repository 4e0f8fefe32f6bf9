function render(context) {
  const { model } = context;
  return mount(context, "softmax of scores", ["tokens", "scores"], ["temperature", "causal", "query"], (root) => {
    const tokens = model.get("tokens"), n = tokens.length, scores = floats(model.get("scores"));
    // the slider runs over the logarithm, from a tenth to ten
    const heat = slider("temperature", -1, 1, 0.02, (log) => put(model, { temperature: clamp(Number((10 ** log).toFixed(3)), 0.1, 10) }));
    const mask = make("input", { type: "checkbox", onchange: () => put(model, { causal: mask.checked }) });
    const rows = chooser("query", tokens.map((token, i) => `${token} (${i})`), (query) => put(model, { query }));
    const map = heatmap({ rows: n, columns: n, label: "pattern: a row for each query, a column for each key", picked: (query) => put(model, { query }) });
    const list = bar_table("", ["key", "score", "attention"]), said = status();
    root.append(make("div", { class: "controls" }, heat.node, field("causal mask", mask), rows.node),
      said, make("div", { class: "columns" }, map.node, list.node));
    return () => {
      const t = model.get("temperature"), causal = model.get("causal"), query = model.get("query");
      heat.show(Math.log10(t), fixed(t));
      mask.checked = causal;
      rows.show(query);
      const pattern = new Float64Array(n * n);
      let entropy = 0;
      for (let q = 0; q < n; q++) {
        const seen = causal ? q + 1 : n, row = pattern.subarray(q * n, q * n + seen);
        let most = -Infinity, total = 0;
        for (let k = 0; k < seen; k++) most = Math.max(most, scores[q * n + k] / t);
        for (let k = 0; k < seen; k++) total += row[k] = Math.exp(scores[q * n + k] / t - most);
        for (let k = 0; k < seen; k++) {
          row[k] /= total;
          if (row[k] > 0) entropy -= row[k] * Math.log(row[k]);
        }
      }
      map.show((q, k) => (causal && k > q ? NaN : pattern[q * n + k]));
      map.outline(query, 0, 1, n, [query, 0]);
      list.title(`what “${tokens[query]}” looks at`);
      const reach = Math.max(...scores.subarray(query * n, (query + 1) * n).map(Math.abs)) || 1;
      list.show(tokens.map((token, k) => {
        const score = scores[query * n + k], p = pattern[query * n + k];
        return [`${token} (${k})`, causal && k > query
          ? [{ share: 0, text: "masked" }, { share: 0, text: fixed(0, 3) }]
          : [{ share: score / reach, text: fixed(score) }, { share: p, text: fixed(p, 3) }]];
      }));
      said.textContent = `mean entropy of a row ${fixed(entropy / n, 4)} nats`;
    };
  });
}
export default { render };
