function render(context) {
  const { model } = context;
  return mount(context, "attention pattern", ["data", "tokens", "views", "head_names"],
    ["head", "position", "direction", "view"], (root) => {
      const tokens = model.get("tokens"), n = tokens.length, names = model.get("head_names");
      const views = model.get("views"), size = names.length * n * n, raw = bytes(model.get("data"));
      const numbers = views.map((view, v) => quantised(raw.slice(v * size, (v + 1) * size).buffer, view));
      let hovered = null; // a position under the pointer, shown until it leaves
      const move = (position) => put(model, { position: clamp(position, 0, n - 1) });

      const views_chooser = views.length > 1 ? chooser("show", views.map((v) => v.name), (view) => put(model, { view })) : null;
      const directions = [["from", "where it looks"], ["to", "what looks at it"]].map(([direction, text]) =>
        button(text, () => put(model, { direction }), { "data-direction": direction }));
      const heads = names.map((name, head) => button([make("canvas", { "aria-hidden": "true" }), name], () => put(model, { head })));
      const line = token_line({ label: "tokens", chosen: move, hovered: (i) => { hovered = i; draw(); } });
      line.name(tokens);
      const map = heatmap({ rows: n, columns: n, label: "pattern: a row for each query, a column for each key",
        picked: (i, j) => move(model.get("direction") === "from" ? i : j) });
      const said = status(), list = bar_table("", ["token", "value"]);
      root.append(make("div", { class: "controls" }, make("span", { class: "field" }, directions), views_chooser?.node),
        make("div", { class: "heads", role: "group", "aria-label": "head" }, heads), line.node, said,
        make("div", { class: "columns" }, map.node, list.node));

      function draw() {
        const [head, view] = [model.get("head"), model.get("view")], from = model.get("direction") === "from";
        const at = hovered ?? model.get("position"), scale = views[view].scale;
        const value = (h, q, k) => numbers[view][(h * n + q) * n + k];
        const share = (h) => (q, k) => (k > q && value(h, q, k) === 0 ? NaN : value(h, q, k) / scale);
        heads.forEach((one, h) => {
          one.setAttribute("aria-pressed", h === head);
          paint(one.firstChild, n, n, share(h));
        });
        directions.forEach((one) => one.setAttribute("aria-pressed", one.dataset.direction === model.get("direction")));
        views_chooser?.show(view);
        const row = Array.from(tokens, (_, i) => (from ? value(head, at, i) : value(head, i, at)));
        // strength relative to the strongest in this row or column, so that faint ones can be seen
        const strongest = Math.max(...row.map(Math.abs)) || 1;
        line.show(model.get("position"), at, (i) => [row[i] / strongest, fixed(row[i])]);
        map.show(share(head));
        const cell = [model.get("position"), model.get("position")];
        if (from) map.outline(at, 0, 1, n, cell);
        else map.outline(0, at, n, 1, cell);
        const best = top_of(row.map(Math.abs), 8).filter((i) => Math.abs(row[i]) > strongest / 255);
        const verb = from ? "looks at" : "is looked at by";
        said.textContent = `${names[head]}: “${tokens[at]}” (position ${at}) ${verb} ` +
          (best.slice(0, 3).map((i) => `“${tokens[i]}” (${i}) ${fixed(row[i])}`).join(", ") || "nothing");
        list.title(`${views[view].name}, strongest first`);
        list.show(best.map((i) => [`${tokens[i]} (${i})`, [{ share: row[i] / strongest, text: fixed(row[i]) }]]));
      }
      return draw;
    });
}
export default { render };
