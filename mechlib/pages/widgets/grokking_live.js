// One run of training, behind the page: yields what is drawn, every `every` steps.
const TASKS = {
  *train({ settings, every, until }) {
    const run = modular_run(settings);
    yield modular_measures(run);
    while (run.steps < until) {
      run.step();
      if (run.steps % every === 0) yield modular_measures(run);
    }
    return run.steps;
  },
};

function render(context) {
  const { model } = context;
  return mount_live(context, "grokking, live", ["stored"], ["P", "fraction", "decay", "seed"], (root) => {
    const settings = () => ({ P: model.get("P"), fraction: model.get("fraction"), decay: model.get("decay"), seed: model.get("seed"), lr: 5e-3, d_model: 48, n_heads: 4, d_mlp: 96 });
    const every = 10, until = model.get("until"), stored = model.get("stored");

    const said = status(), panels = make("div", { class: "panels" }), place = make("p", { class: "note" });
    const sizes = [23, 29, 31, 37, 43, 53, 59];
    const P = chooser("numbers modulo", sizes.map(String), (i) => { reset(); put(model, { P: sizes[i] }); });
    const number = (...all) => number_field(model, said, () => reset(), ...all);
    const fields = [number("share of the pairs to learn from", "fraction", 0.2, 0.9, 0.05), number("weight decay", "decay", 0, 5, 0.1), number("seed", "seed", 0, 9999, 1)];
    const guesses = ["it will not learn the pairs it never saw", "it learns them by step 500", "between step 500 and 1,000", "after step 1,000"];
    const trainer = trainer_of(model, { every, guesses, status: said, show: () => show(), changed: () => told(), given: () => ["train", { settings: settings(), every, until }] }), { seen, reset } = trainer;
    root.append(make("div", { class: "controls" }, P.node, fields.map((f) => f.node)), trainer.node, said, panels, place);

    const memorised_at = () => seen.find((m) => m.train_accuracy >= 0.99)?.step ?? null;
    function told() {
      const m = seen.at(-1), grokked = seen.find((m) => m.test_accuracy >= 0.99), at = grokked?.step ?? null, guess = trainer.guess();
      said.classList.remove("wrong");
      if (!trainer.guessed()) { said.textContent = "Guess first: will it learn the pairs that it never sees, and when? Then press start."; return; }
      if (!m) { said.textContent = `Your guess: ${guesses[guess]}. Press start.`; return; }
      const percent = (x) => `${(100 * x).toFixed(0)} %`;
      const result = at === null ? (m.step >= until ? 0 : null) : at <= 500 ? 1 : at <= 1000 ? 2 : 3;
      said.textContent = `Step ${m.step}: ${percent(m.train_accuracy)} of the training pairs and ${percent(m.test_accuracy)} of the unseen pairs are right. ` +
        (memorised_at() === null ? "" : `Memorised at step ${memorised_at()}. `) + (at === null ? "" : `Grokked (99 %) at step ${at}, after ${fixed(grokked.seconds, 0)} s. `) +
        (result === null ? "" : result === guess ? "As you guessed." : `You had guessed: ${guesses[guess]}.`);
      root.dataset.grokked = at ?? "";
      const like = stored.filter((r) => r.P === model.get("P") && Math.abs(r.fraction - model.get("fraction")) < 1e-9 && Math.abs(r.decay - model.get("decay")) < 1e-9);
      const steps = like.map((r) => r.grokked).filter((s) => s !== null), mine = at === null ? "" : ` Yours: ${at}; ${steps.filter((s) => s < at).length} of them were faster.`;
      place.textContent = like.length ? `${like.length} stored runs with these settings and other seeds: 99 % of the unseen pairs at step ${steps.join(", ") || "–"}` +
        `${like.length > steps.length ? `; ${like.length - steps.length} of them not within ${like.find((r) => r.grokked === null).until} steps` : ""}.${mine}` : "No runs with these settings are stored to compare with: 43, a share of 0.5 and a decay of 2, 1 or 0 have some.";
    }
    function show() {
      told();
      const m = seen.at(-1);
      if (!m) { panels.replaceChildren(); place.textContent = ""; return; }
      const x = seen.map((s) => s.step), curve = (name, key, extra = {}) => ({ name, x, y: seen.map((s) => s[key]), ...extra });
      const plot = (title, series, options) => make("div", {}, make("p", { class: "title" }, title), legend(series), line_plot({ label: `${title}; ${series.map((s) => `${s.name} now ${fixed(s.y.at(-1), 3)}`).join(", ")}`, series, width: 300, height: 170, xlabel: "steps", ...options }).node);
      const drawn = {
        answers: () => plot("right answers", [curve("training pairs", "train_accuracy"), curve("unseen pairs", "test_accuracy")], { low: 0, high: 1 }),
        losses: () => plot("loss, nats", [curve("training", "train_loss"), curve("unseen", "test_loss"), curve("restricted", "restricted", { dash: true }), curve("excluded", "excluded", { dash: true })], { logy: true }),
        spectrum: () => spectrum_plot(m),
        circles: () => circles_plot(m),
      };
      panels.replaceChildren(...model.get("views").map((view) => drawn[view]()));
    }
    const legend = (series) => make("p", { class: "note" }, series.map((s, i) => [make("span", { style: `color:${s.color || PALETTE[i]}`, "aria-hidden": "true" }, s.dash ? "┄ " : "━ "), `${s.name}  `]));
    function spectrum_plot({ energy, keys }) {
      const total = energy.slice(1).reduce((a, b) => a + b, 0) || 1, n = energy.length - 1, w = 300, h = 150, step = (w - 20) / n;
      return make("div", {}, make("p", { class: "title" }, "energy of W_E in each frequency"), shape("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `strongest frequencies ${keys.join(", ")}` },
        energy.slice(1).map((e, i) => shape("rect", { x: 10 + i * step, width: Math.max(step - 1.5, 1), y: h - 20 - (e / total) * 2.2 * (h - 30), height: Math.max((e / total) * 2.2 * (h - 30), 0.5), fill: keys.includes(i + 1) ? PALETTE[0] : "#8a8a8a" })),
        keys.map((k) => shape("text", { x: 10 + (k - 0.5) * step, y: h - 6, "text-anchor": "middle" }, String(k)))));
    }
    function circles_plot({ circles, keys }) {
      const w = 100, P = model.get("P");
      return make("div", {}, make("p", { class: "title" }, "the numbers, in the plane of each of the strongest frequencies"), shape("svg", { viewBox: `0 0 300 ${w + 16}`, class: "small", role: "img", "aria-label": `embedding in the planes of frequencies ${keys.slice(0, 3).join(", ")}` },
        circles.map((points, i) => {
          const size = Math.max(...points.map(([x, y]) => Math.hypot(x, y))) || 1, at = ([x, y]) => [i * w + w / 2 + (x / size) * 42, w / 2 + (y / size) * 42];
          return [points.map((p, a) => { const [x, y] = at(p); return shape("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 2.2, fill: `hsl(${Math.round((360 * ((a * keys[i]) % P)) / P)} 60% 50%)` }); }),
            shape("text", { x: i * w + w / 2, y: w + 10, "text-anchor": "middle" }, `k = ${keys[i]}`)];
        })));
    }
    return () => {
      P.show(sizes.indexOf(model.get("P")));
      fields.forEach((f) => f.show());
      show();
    };
  });
}
export default { render };
