function render(context) {
  const { model } = context;
  return mount(context, "next-token probabilities", ["tokens", "next_tokens", "learned", "true", "distance"], ["token"], (root) => {
    const tokens = model.get("tokens"), width = model.get("shown"), both = model.get("has_true");
    const next = indices(model.get("next_tokens")), learned = halves(model.get("learned"));
    const truth = halves(model.get("true")), distance = floats(model.get("distance"));
    const step = (by) => put(model, { token: (model.get("token") + by + tokens.length) % tokens.length });
    const picker = token_chooser("after the token", tokens, (token) => put(model, { token }));
    const list = bar_table("probability of the next token", both ? ["next", "learned", "true"] : ["next", "learned"]);
    const said = status();
    root.append(make("div", { class: "controls" }, picker.node,
      button("◀", () => step(-1), { "aria-label": "previous token" }),
      button("▶", () => step(1), { "aria-label": "next token" })), said, list.node);
    return () => {
      const token = model.get("token"), start = token * width;
      picker.show(token);
      const rows = Array.from({ length: width }, (_, i) => ({ name: tokens[next[start + i]], p: Math.exp(learned[start + i]), q: Math.exp(truth[start + i]) }))
        .filter((row, i) => i < 3 || Math.max(row.p, row.q) >= 0.0005);
      const bar = (p, control) => ({ share: p, text: fixed(p, 3), control });
      list.show(rows.map((row) => [row.name, both ? [bar(row.p), bar(row.q, true)] : [bar(row.p)]]));
      said.textContent = `After “${tokens[token]}” the likeliest is “${tokens[next[start + top_of(Array.from(learned.slice(start, start + width)), 1)[0]]]}”` +
        (both ? `; the learned row is ${fixed(distance[token], 4)} nats from the true one` : "");
    };
  });
}
export default { render };
