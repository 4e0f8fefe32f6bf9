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
        make("button", { type: "button", "data-direction": direction, onclick: () => put(model, { direction }) }, text));
      const heads = names.map((name, head) => {
        const canvas = make("canvas", { width: n, height: n, "aria-hidden": "true" });
        return make("button", { type: "button", onclick: () => put(model, { head }) }, canvas, name);
      });
      const buttons = tokens.map((token, i) => make("button", { type: "button", onclick: () => move(i),
        onpointerenter: (event) => { if (event.pointerType === "mouse") { hovered = i; draw(); } } }, token));
      const text = make("div", { class: "text", role: "group", "aria-label": "tokens; arrow keys move",
        onpointerleave: () => { hovered = null; draw(); },
        onkeydown: (event) => {
          const p = model.get("position");
          const to = { ArrowLeft: p - 1, ArrowUp: p - 1, ArrowRight: p + 1, ArrowDown: p + 1, Home: 0, End: n - 1 }[event.key];
          if (to === undefined) return;
          event.preventDefault();
          move(to);
          buttons[model.get("position")].focus();
        } }, buttons.map((button, i) => [button, make(tokens[i].endsWith("⏎") ? "br" : "wbr")]));
      const map = heatmap({ rows: n, columns: n, label: "pattern: a row for each query, a column for each key",
        picked: (i, j) => move(model.get("direction") === "from" ? i : j) });
      const said = status(), list = bar_table("", ["token", "value"]);
      root.append(make("div", { class: "controls" }, make("span", { class: "field" }, directions), views_chooser?.node),
        make("div", { class: "heads", role: "group", "aria-label": "head" }, heads), text, said,
        make("div", { class: "columns" }, map.node, list.node));

      function draw() {
        const [head, view] = [model.get("head"), model.get("view")], from = model.get("direction") === "from";
        const at = hovered ?? model.get("position"), scale = views[view].scale;
        const value = (h, q, k) => numbers[view][(h * n + q) * n + k];
        const share = (h) => (q, k) => (k > q && value(h, q, k) === 0 ? NaN : value(h, q, k) / scale);
        heads.forEach((button, h) => {
          button.setAttribute("aria-pressed", h === head);
          const context = button.firstChild.getContext("2d");
          context.clearRect(0, 0, n, n);
          for (let q = 0; q < n; q++)
            for (let k = 0; k < n; k++) {
              context.fillStyle = `rgba(${rgb(value(h, q, k))},${Math.abs(value(h, q, k)) / scale})`;
              context.fillRect(k, q, 1, 1);
            }
        });
        directions.forEach((button) => button.setAttribute("aria-pressed", button.dataset.direction === model.get("direction")));
        views_chooser?.show(view);
        const row = Array.from(tokens, (_, i) => (from ? value(head, at, i) : value(head, i, at)));
        // strength relative to the strongest in this row or column, so that faint ones can be seen
        const strongest = Math.max(...row.map(Math.abs)) || 1;
        buttons.forEach((button, i) => {
          button.style.background = tint(row[i] / strongest);
          button.classList.toggle("present", i === at);
          button.tabIndex = i === model.get("position") ? 0 : -1;
          button.title = `${tokens[i]}: ${fixed(row[i])}`;
        });
        map.show(share(head));
        const cell = [model.get("position"), model.get("position")];
        if (from) map.outline(at, 0, 1, n, cell);
        else map.outline(0, at, n, 1, cell);
        const best = top_of(row.map(Math.abs), 8).filter((i) => Math.abs(row[i]) > strongest / 255);
        const verb = from ? "looks at" : "is looked at by";
        said.textContent = `${names[head]}: “${tokens[at]}” (position ${at}) ${verb} ` +
          (best.slice(0, 3).map((i) => `“${tokens[i]}” (${i}) ${fixed(row[i])}`).join(", ") || "nothing");
        list.node.querySelector("caption").textContent = `${views[view].name}, strongest first`;
        list.show(best.map((i) => [`${tokens[i]} (${i})`, [{ share: row[i] / strongest, text: fixed(row[i]) }]]));
      }
      return draw;
    });
}
export default { render };
