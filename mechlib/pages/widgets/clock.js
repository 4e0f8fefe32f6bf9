// A stem for each answer: there is nothing between 3 and 4.
function stems(logits, right, width) {
  const height = 120, left = 34, base = height - 22, top = Math.max(...logits, 0), low = Math.min(...logits, 0), unit = (base - 8) / (top - low || 1);
  const x = (c) => left + ((c + 0.5) * (width - left)) / logits.length, y = (v) => 8 + (top - v) * unit, marks = [0, right, logits.length - 1];
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "logit of each answer c" },
    shape("line", { x1: left, x2: width, y1: y(0), y2: y(0), stroke: "currentColor", opacity: 0.4 }),
    [top, low].map((v) => shape("text", { x: left - 4, y: y(v) + 4, "text-anchor": "end" }, fixed(v, 1))),
    Array.from(logits, (v, c) => shape("line", { x1: x(c), x2: x(c), y1: y(0), y2: y(v), stroke: c === right ? "#d55e00" : "#0072b2", "stroke-width": Math.max(1, (0.6 * (width - left)) / logits.length) })),
    marks.map((c) => shape("text", { x: x(c), y: height - 6, "text-anchor": x(c) > width - 24 ? "end" : "middle", "font-weight": c === right ? 700 : 400 }, c === right ? `c = ${c}` : Math.abs(c - right) < logits.length / 10 ? "" : String(c))));
}

function render(context) {
  const { model } = context;
  return mount(context, "addition by rotation", ["P", "frequencies", "amplitudes"], ["a", "b", "active"], (root) => {
    const P = model.get("P"), frequencies = model.get("frequencies"), amplitudes = model.get("amplitudes");
    const turn = (2 * Math.PI) / P;
    let hand_held = "a";
    const sliders = ["a", "b"].map((name) => slider(name, 0, P - 1, 1, (value) => put(model, { [name]: value })));
    // a clock: the hand for a (blue), on from there by b (vermillion) to the hand for a + b
    const clocks = frequencies.map((k, i) => {
      const hand = (color, wide) => shape("line", { x1: 0, y1: 0, stroke: color, "stroke-width": wide, "stroke-linecap": "round" });
      const [first, second, sum] = [hand("#0072b2", 2.5), hand("#d55e00", 2.5), hand("currentColor", 3.5)];
      const dots = P <= 60 ? Array.from({ length: P }, (_, c) => shape("circle", { cx: 40 * Math.cos(turn * c), cy: -40 * Math.sin(turn * c), r: 0.8, fill: "currentColor" })) : [];
      const box = make("input", { type: "checkbox", onchange: () => put(model, { active: model.get("active").map((on, j) => (j === i ? box.checked : on)) }) });
      // the nearer of the two hands follows the pointer, to the number whose place on this clock is nearest
      const held = (event) => {
        const box = face.getBoundingClientRect(), angle = Math.atan2(box.top + box.height / 2 - event.clientY, event.clientX - box.left - box.width / 2);
        const away = (n) => 1 - Math.cos(turn * k * n - angle);
        if (event.type === "pointerdown") hand_held = away(model.get("a")) <= away(model.get("b")) ? "a" : "b";
        const nearest = top_of(Float64Array.from({ length: P }, (_, n) => away(n)), 1, -1)[0];
        if (nearest !== model.get(hand_held)) put(model, { [hand_held]: nearest });
      };
      const face = shape("svg", { viewBox: "-46 -46 92 92", role: "img", style: "max-width:8rem;touch-action:none;cursor:grab" },
        shape("circle", { r: 40, fill: "none", stroke: "currentColor", opacity: 0.4 }), dots, first, second, sum);
      on_drag(face, held);
      return { k, box, face, hands: [first, second, sum], node: make("div", { style: "flex:0 1 8rem" }, face, field(`frequency ${k}`, box)) };
    });
    const plot = make("div"), said = status();
    root.append(make("div", { class: "controls" }, sliders.map((s) => s.node)), said, plot,
      make("div", { class: "columns clocks" }, clocks.map((c) => c.node)),
      make("p", { class: "note" }, "Blue: a turned to its angle. Vermillion: b. Thick: both turns one after the other, the angle of a + b. Take a hand and turn it."));
    return () => {
      const [a, b, active] = [model.get("a"), model.get("b"), model.get("active")];
      [a, b].forEach((value, i) => sliders[i].show(value));
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
      plot.replaceChildren(stems(logits, (a + b) % P, room(root)));
      said.textContent = active.some(Boolean)
        ? `${a} + ${b} = ${(a + b) % P} (mod ${P}). Largest logit ${fixed(logits[best], 3)} at c = ${best}; next ${fixed(logits[rival], 3)} at c = ${rival}, a margin of ${fixed(logits[best] - logits[rival], 3)}.`
        : "No clock counts: every logit is 0.";
    };
  });
}
export default { render };
