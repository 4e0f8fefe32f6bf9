// A zero-layer model that learns pairs drawn from a language, behind the page. Yields what is drawn.
const TASKS = {
  *learn({ language: { stationary, table, words }, width, seed, batch, until, every, lr }) {
    const V = words, next = random(seed), scale = 1 / Math.sqrt(width);
    const w = { W_E: normals(next, V * width).map((x) => x * scale), W_U: normals(next, width * V).map((x) => x / Math.sqrt(V)) };
    const optimizer = new AdamW(w, { lr, decay: 0, betas: [0.9, 0.98] });
    const cumulated = (row) => { let sum = 0; return row.map((p) => (sum += p)); };
    const firsts = cumulated(stationary), seconds = table.map(cumulated);
    const draw = (sums) => { const u = next() * sums.at(-1); return sums.findIndex((s) => u < s); };
    yield bigram_measures(w, width, stationary, table, 0, null);
    while (optimizer.steps < until) {
      const tokens = Int32Array.from({ length: batch }, () => draw(firsts)), after = tokens.map((t) => draw(seconds[t]));
      const { loss, gradients } = bigram_gradients(w, width, V, tokens, after);
      if (!Number.isFinite(loss)) throw new PlainError(`The loss is no longer a number at step ${optimizer.steps}. Begin again.`);
      optimizer.step(gradients, 0.5 + 0.5 * Math.cos((Math.PI * optimizer.steps) / until));
      if (optimizer.steps % every === 0) yield bigram_measures(w, width, stationary, table, optimizer.steps, loss);
    }
    return optimizer.steps;
  },
};

// The learned table as probabilities, each row's distance from the true one (KL, nats), and their mean.
function bigram_measures(w, width, stationary, table, step, loss) {
  const V = stationary.length, logits = product(w.W_E, w.W_U, V, width, V), learned = [];
  const rows = table.map((truth, a) => {
    const total = log_sum_exp(logits, a * V, V);
    learned.push(Array.from(logits.subarray(a * V, (a + 1) * V), (x) => Math.exp(x - total)));
    return truth.reduce((sum, p, b) => (p > 0 ? sum + p * (Math.log(p) - (logits[a * V + b] - total)) : sum), 0);
  });
  return { step, loss, learned, rows, distance: rows.reduce((sum, kl, a) => sum + stationary[a] * kl, 0) };
}

function render(context) {
  const { model } = context;
  return mount_live(context, "a table of bigrams being learned", ["words", "table"], ["width", "seed", "row"], (root) => {
    const words = model.get("words"), V = words.length, widths = model.get("widths"), until = model.get("until");
    const flat = floats(model.get("table")), stationary = Array.from(floats(model.get("stationary")));
    const table = Array.from({ length: V }, (_, a) => Array.from(flat.subarray(a * V, (a + 1) * V)));
    const alone = table.reduce((sum, row, a) => sum + stationary[a] * row.reduce((s, p, b) => (p > 0 ? s + p * Math.log(p / stationary[b]) : s), 0), 0);
    const said = status(), told = status(), plot = make("div"), list = bar_table("", ["next", "learned", "true"]);
    let finished = {};
    const width = chooser("dimensions of the stream", widths.map(String), (i) => { trainer.reset(); put(model, { width: widths[i] }); });
    const row = chooser("row", words, (i) => put(model, { row: i }));
    const maps = ["learned", "true"].map((name) => heatmap({ rows: V, columns: V, width: "15rem", label: `${name} probabilities: a row for each word, a column for the next`, picked: (i) => put(model, { row: i }) }));
    const guesses = widths.map((d) => `${d} dimensions will do`);
    const trainer = trainer_of(model, { every: 10, guesses, status: said, show, changed: told_now,
      given: () => ["learn", { language: { stationary, table, words: V }, width: model.get("width"), seed: model.get("seed"), batch: 512, until, every: 10, lr: 2e-2 }] });
    root.append(make("div", { class: "controls" }, width.node, row.node), trainer.node, said,
      make("div", { class: "columns" }, maps.map((map, i) => make("figure", {}, map.node, make("figcaption", { class: "note" }, ["learned, now", "the true table"][i]))), list.node), plot, told);
    function told_now() {
      const m = trainer.seen.at(-1);
      if (!trainer.guessed()) { said.textContent = "Guess first: how few dimensions are enough to come within 0.05 nats of the truth? Then press start."; return; }
      if (!m) { said.textContent = "Press start. The first table is random."; return; }
      if (m.step >= until) finished = { ...finished, [model.get("width")]: m.distance };
      said.textContent = `Step ${m.step} of ${until}, ${model.get("width")} dimensions: ${fixed(m.distance, 3)} nats from the true table; knowing only how often each word comes, ${fixed(alone, 3)}.`;
      const done = Object.keys(finished).map(Number).sort((a, b) => a - b), enough = done.find((d) => finished[d] < 0.05);
      told.textContent = done.length ? `Trained so far: ${done.map((d) => `${d} dimensions ${fixed(finished[d], 3)} nats`).join(", ")}. ` +
        (enough === undefined ? "None of them is within 0.05 nats." : `${enough} were enough; you had guessed: ${guesses[trainer.guess()]}.`) : "";
    }
    function show() {
      told_now();
      const m = trainer.seen.at(-1), at = model.get("row");
      maps[0].show((i, j) => (m ? m.learned[i][j] : 0));
      maps[1].show((i, j) => table[i][j]);
      maps.forEach((map) => map.outline(at, 0, 1, V, [at, 0]));
      const best = top_of(table[at], 6);
      list.title(`after “${words[at]}”` + (m ? ` (${fixed(m.rows[at], 3)} nats from the truth)` : ""));
      list.show(best.map((b) => [words[b], [{ share: m ? m.learned[at][b] : 0, text: m ? fixed(m.learned[at][b], 3) : "–" }, { share: table[at][b], text: fixed(table[at][b], 3), control: true }]]));
      if (!m) { plot.replaceChildren(); return; }
      const x = trainer.seen.map((s) => s.step), drawn = line_plot({ label: `distance from the true table, now ${fixed(m.distance, 3)} nats; word frequencies alone ${fixed(alone, 3)}`, height: 160, width: room(root), logy: true, xlabel: "steps",
        series: [{ x, y: trainer.seen.map((s) => s.distance) }, { x: [0, until], y: [alone, alone], color: "#8a8a8a", dash: true }] });
      plot.replaceChildren(make("p", { class: "title" }, "nats from the true table (dashed: word frequencies alone)"), drawn.node);
    }
    return () => {
      width.show(widths.indexOf(model.get("width")));
      row.show(model.get("row"));
      show();
    };
  });
}
export default { render };
