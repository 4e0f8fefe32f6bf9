function render(context) {
  const { model } = context;
  return mount(context, "addition by rotation", ["P", "frequencies", "amplitudes"], ["a", "b", "active"], (root) => {
    const P = model.get("P"), frequencies = model.get("frequencies"), amplitudes = model.get("amplitudes");
    const turn = (2 * Math.PI) / P;
    const sliders = ["a", "b"].map((name) => {
      const input = make("input", { type: "range", min: 0, max: P - 1, step: 1, oninput: () => put(model, { [name]: Number(input.value) }) });
      const out = make("output");
      const node = field(name, input);
      node.append(out);
      return { name, input, out, node };
    });
    // a clock: the hand for a (blue), on from there by b (vermillion) to the hand for a + b
    const clocks = frequencies.map((k, i) => {
      const hand = (color, wide) => shape("line", { x1: 0, y1: 0, stroke: color, "stroke-width": wide, "stroke-linecap": "round" });
      const [first, second, sum] = [hand("#0072b2", 2.5), hand("#d55e00", 2.5), hand("currentColor", 3.5)];
      const dots = P <= 60 ? Array.from({ length: P }, (_, c) => shape("circle", { cx: 40 * Math.cos(turn * c), cy: -40 * Math.sin(turn * c), r: 0.8, fill: "currentColor" })) : [];
      const box = make("input", { type: "checkbox", onchange: () => put(model, { active: model.get("active").map((on, j) => (j === i ? box.checked : on)) }) });
      const face = shape("svg", { viewBox: "-46 -46 92 92", role: "img", style: "max-width:8rem" },
        shape("circle", { r: 40, fill: "none", stroke: "currentColor", opacity: 0.4 }), dots, first, second, sum);
      return { k, box, face, hands: [first, second, sum], node: make("div", { style: "flex:0 1 8rem" }, face, field(`frequency ${k}`, box)) };
    });
    const plot = make("div"), said = status();
    root.append(make("div", { class: "controls" }, sliders.map((s) => s.node)),
      make("p", { class: "note" }, "Blue: a turned to its angle. Vermillion: b. Thick: both turns one after the other, the angle of a + b."),
      make("div", { class: "columns" }, clocks.map((c) => c.node)), plot, said);
    return () => {
      const [a, b, active] = [model.get("a"), model.get("b"), model.get("active")];
      for (const { name, input, out } of sliders) {
        input.value = model.get(name);
        out.textContent = String(model.get(name));
      }
      clocks.forEach(({ k, box, face, hands, node }, i) => {
        box.checked = active[i];
        node.style.opacity = active[i] ? 1 : 0.45;
        hands.forEach((hand, h) => {
          const angle = turn * k * [a, b, a + b][h], long = [38, 38, 30][h];
          hand.setAttribute("x2", (long * Math.cos(angle)).toFixed(2));
          hand.setAttribute("y2", (-long * Math.sin(angle)).toFixed(2));
        });
        face.setAttribute("aria-label", `frequency ${k}: a at ${Math.round(((k * a) % P) * 360 / P)} degrees, b at ${Math.round(((k * b) % P) * 360 / P)}, sum at ${Math.round(((k * (a + b)) % P) * 360 / P)}`);
      });
      const logits = Float64Array.from({ length: P }, (_, c) =>
        frequencies.reduce((sum, k, i) => sum + (active[i] ? amplitudes[i] * Math.cos(turn * k * (a + b - c)) : 0), 0));
      const [best, rival] = top_of(logits, 2);
      const x = Float64Array.from({ length: P }, (_, c) => c);
      const drawn = line_plot({ label: "logit of each answer c", series: [{ x, y: logits }], width: room(root), height: 170, xlabel: "answer c" });
      drawn.cursor((a + b) % P);
      plot.replaceChildren(drawn.node);
      said.textContent = active.some(Boolean)
        ? `${a} + ${b} = ${(a + b) % P} (mod ${P}). Largest logit ${fixed(logits[best], 3)} at c = ${best}; next ${fixed(logits[rival], 3)} at c = ${rival}, a margin of ${fixed(logits[best] - logits[rival], 3)}.`
        : "No clock counts: every logit is 0.";
    };
  });
}
export default { render };
