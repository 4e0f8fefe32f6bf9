function render(context) {
  const { model } = context;
  return mount(context, "Kronecker product", ["A", "W", "shapes"], ["cell"], (root) => {
    const [[qs, ks], [rs, cs]] = model.get("shapes"), A = floats(model.get("A")), W = floats(model.get("W"));
    const reach = (M) => Math.max(...M.map(Math.abs)) || 1, [most_A, most_W] = [reach(A), reach(W)];
    const pick = (cell) => put(model, { cell });
    const at = () => {
      const [i, j] = model.get("cell");
      return { q: Math.floor(i / rs), k: Math.floor(j / cs), r: i % rs, c: j % cs };
    };
    const maps = [
      heatmap({ hover: true, rows: qs, columns: ks, label: "A", width: "9rem", picked: (q, k) => { const { r, c } = at(); pick([q * rs + r, k * cs + c]); } }),
      heatmap({ hover: true, rows: rs, columns: cs, label: "W", width: "9rem", picked: (r, c) => { const { q, k } = at(); pick([q * rs + r, k * cs + c]); } }),
      heatmap({ hover: true, rows: qs * rs, columns: ks * cs, label: "A ⊗ W", width: "20rem", picked: (i, j) => pick([i, j]) }),
    ];
    const said = status();
    root.append(make("div", { class: "columns" }, ["A (position, position)", "W (feature, feature)", "A ⊗ W"].map((name, i) =>
      make("div", { style: "flex:0 1 auto" }, make("p", { class: "note" }, name), maps[i].node))), said);
    maps[2].node.style.width = "min(80vw,20rem)";
    for (const map of maps.slice(0, 2)) map.node.style.width = "9rem";
    return () => {
      const { q, k, r, c } = at(), a = A[q * ks + k], w = W[r * cs + c];
      maps[0].show((i, j) => A[i * ks + j] / most_A);
      maps[1].show((i, j) => W[i * cs + j] / most_W);
      maps[2].show((i, j) => (A[Math.floor(i / rs) * ks + Math.floor(j / cs)] * W[(i % rs) * cs + (j % cs)]) / (most_A * most_W));
      maps[0].outline(q, k, 1, 1);
      maps[1].outline(r, c, 1, 1);
      maps[2].outline(q * rs + r, k * cs + c, 1, 1);
      said.textContent = `(A ⊗ W)[${q * rs + r}, ${k * cs + c}] = A[${q}, ${k}] × W[${r}, ${c}] = ${fixed(a, 3)} × ${fixed(w, 3)} = ${fixed(a * w, 3)}`;
    };
  });
}
export default { render };
