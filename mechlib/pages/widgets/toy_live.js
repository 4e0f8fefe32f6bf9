const TASKS = { train_toy };

// Arrows from the middle, one for each feature, numbered at their tips; the less important are thinner.
function arrows(W, importance, size) {
  const F = importance.length, reach = Math.max(1.25, ...Array.from(W, Math.abs)) * 1.12, at = (v) => (v * size) / 2 / reach;
  return shape("svg", { viewBox: `${-size / 2} ${-size / 2} ${size} ${size}`, role: "img", style: "max-width:20rem",
    "aria-label": `columns as arrows: ${importance.map((_, i) => `feature ${i} length ${fixed(Math.hypot(W[2 * i], W[2 * i + 1]))} at ${Math.round((Math.atan2(W[2 * i + 1], W[2 * i]) * 180) / Math.PI)} degrees`).join(", ")}` },
    shape("circle", { r: at(1), fill: "none", stroke: "currentColor", opacity: 0.3, "stroke-dasharray": "3 3" }),
    importance.map((weight, i) => {
      const [x, y] = [at(W[2 * i]), -at(W[2 * i + 1])], long = Math.hypot(x, y), color = PALETTE[i % PALETTE.length];
      return [shape("line", { x2: x.toFixed(1), y2: y.toFixed(1), stroke: color, "stroke-width": (1 + 2.5 * Math.sqrt(weight)).toFixed(1), "stroke-linecap": "round" }),
        shape("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 3, fill: color }),
        long > at(0.15) ? shape("text", { x: (x * (1 + 12 / long)).toFixed(1), y: (y * (1 + 12 / long) + 4).toFixed(1), "text-anchor": "middle" }, String(i)) : null];
    }));
}

function render(context) {
  const { model } = context;
  return mount_live(context, "a toy model of superposition, live", ["shares"], ["features", "density", "decay", "seed"], (root) => {
    const until = model.get("until"), every = 20, shares = model.get("shares");
    const said = status(), measured = make("div", { class: "columns" }), plot = make("div");
    const given = () => ({ features: model.get("features"), density: model.get("density"), decay: model.get("decay"), seed: model.get("seed"), batch: 256, until, every, lr: 5e-3 });
    const guesses = ["two, one on each axis", "three", "four", "five", "more than five"];
    const trainer = trainer_of(model, { every, guesses, status: said, show, changed: told, given: () => ["train_toy", given()] });
    const number = (...all) => number_field(model, said, trainer.reset, ...all);
    const fields = [number("features", "features", 3, 20, 1), number("chance that a feature is there", "density", 0.01, 1, 0.01),
      number("each next feature matters, times", "decay", 0.3, 1, 0.05), number("seed", "seed", 0, 9999, 1)];
    const table = heatmap_table();
    root.append(make("div", { class: "controls" }, fields.map((f) => f.node)), trainer.node, said, measured, plot);

    function heatmap_table() {
      return number_map({ name: "W W^T: a row for each feature, what it adds to the reading of each", picked: (i, j, value) => { cell.textContent = `Feature ${i} adds ${fixed(value)} of itself to the reading of feature ${j}.`; } });
    }
    const cell = status();
    function told() {
      const m = trainer.seen.at(-1), p = model.get("density"), F = model.get("features"), importance = importances(F, model.get("decay"));
      said.classList.remove("wrong");
      if (!trainer.guessed()) { said.textContent = "Guess first: how many of these features will the two dimensions keep? Then press start."; return; }
      if (!m) { said.textContent = "Press start. The first arrows are random and short."; return; }
      const share = shares[p.toFixed(2)], stored = F === 5 && model.get("decay") === 1 && share !== undefined;
      const result = clamp(m.kept - 2, 0, 4), done = m.step >= until;
      said.textContent = `Step ${m.step} of ${until}: ${m.kept} of ${F} features are kept (longer than a half). ` +
        (m.loss === null ? "" : `Loss ${fixed(1000 * m.loss, 2)} thousandths; two features kept exactly and no superposition: ${fixed(1000 * loss_of_two(importance, p), 2)}. `) +
        (done ? (result === trainer.guess() ? "As you guessed. " : `You had guessed: ${guesses[trainer.guess()]}. `) : "") +
        (done && F === 5 ? (m.own.every((d) => Math.abs(d - 0.4) < 0.02) ? "A pentagon. " : "No pentagon. ") : "") +
        (done && stored ? `Of 64 stored starts with these settings ${fixed(100 * share, 0)} % are pentagons.` : "");
    }
    function show() {
      told();
      const m = trainer.seen.at(-1);
      if (!m) { measured.replaceChildren(); plot.replaceChildren(); return; }
      const F = m.lengths.length, importance = importances(F, model.get("decay")), names = m.lengths.map((_, i) => String(i));
      const dot = (i, j) => m.W[2 * i] * m.W[2 * j] + m.W[2 * i + 1] * m.W[2 * j + 1];
      table.show(names, names, names.map((_, i) => names.map((_, j) => dot(i, j))), 1.5, 1);
      measured.replaceChildren(make("figure", {}, arrows(m.W, importance, 300), make("figcaption", { class: "note" }, "where each feature goes; dashed, length 1")),
        make("figure", {}, table.node, cell, make("figcaption", { class: "note" }, "W Wᵀ: what each feature adds to the reading of each other one")));
      const later = trainer.seen.filter((s) => s.loss !== null);
      if (later.length < 2) { plot.replaceChildren(); return; }
      const x = later.map((s) => s.step), alone = loss_of_two(importance, model.get("density"));
      const line = line_plot({ label: `loss, now ${later.at(-1).loss.toExponential(2)}; without superposition ${alone.toExponential(2)}`, width: room(root), height: 150, logy: true, xlabel: "steps",
        series: [{ name: "loss", x, y: later.map((s) => 1000 * s.loss) }, { name: "two features only", x, y: x.map(() => 1000 * alone), dash: true, color: "#8a8a8a" }] });
      plot.replaceChildren(line.node, make("p", { class: "note" }, "Blue: loss, in thousandths. Grey, dashed: the two most important features kept exactly, the others answered by their mean."));
    }
    return () => { fields.forEach((f) => f.show()); show(); };
  });
}
export default { render };
