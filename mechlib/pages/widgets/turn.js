const STEPS = 24; // a tuning curve has a point every 15 degrees

function render(context) {
  const { model } = context;
  return mount_live(context, "a figure to be turned", ["names", "numbers", "units", "best"], ["which", "figure", "radius", "angle", "ink"], (root) => {
    const names = model.get("names"), widths = model.get("widths"), all = halves(model.get("numbers")), each = all.length / names.length;
    const nets = names.map((_, i) => read_convnet(all.subarray(i * each, (i + 1) * each), widths));
    const kinds = Object.keys(FIGURES), inks = [[0.8, -0.8], [0.8], [-0.8]], radians = (degrees) => (degrees * Math.PI) / 180;
    const points = () => FIGURES[kinds[model.get("figure")]](model.get("radius"));
    const color = (i) => PALETTE[i % PALETTE.length];

    const choosers = [["network", "which", names], ["figure", "figure", kinds], ["ink", "ink", ["either, the larger answer", "darker than the paper", "lighter"]]]
      .map(([text, name, list]) => ({ ...chooser(text, list, (i) => put(model, { [name]: i })), name }));
    const turn = slider("turned by", 0, 355, 5, (angle) => put(model, { angle })), radius = slider("radius of the arc", 3, 16, 1, (radius) => put(model, { radius }));
    const picture = make("canvas", { class: "big", width: SIZE, height: SIZE, role: "img", style: "width:15rem;background:#fff;cursor:grab;touch-action:none" });
    // the arc bulges to where the pointer is
    const held = (event) => {
      const box = picture.getBoundingClientRect(), angle = Math.atan2(event.clientY - box.top - box.height / 2, event.clientX - box.left - box.width / 2);
      put(model, { angle: (5 * Math.round((angle * 180) / Math.PI / 5) + 360) % 360 });
    };
    on_drag(picture, held);
    const said = status(), list = bar_table("answers, as a share of the unit's best arc", ["unit", "answer"]), plot = make("div"), key = make("p", { class: "note" });
    root.append(make("div", { class: "controls" }, choosers.map((c) => c.node)), make("div", { class: "controls" }, turn.node, radius.node),
      make("div", { class: "columns" }, make("figure", { style: "flex:0 1 15rem" }, picture, make("figcaption", { class: "note" }, "take the figure and turn it")), list.node), said, plot, key);

    let curves = null, shown_for = "", line = null;
    // a unit's answers, as shares of its best arc, to a figure in the ink that is chosen
    function shares(figure, angle) {
      const which = model.get("which"), best = model.get("best")[which];
      const all_answers = inks[model.get("ink")].map((ink) => middle_answers(nets[which], drawn(figure, radians(angle), ink)));
      return model.get("units")[which].map((unit, i) => Math.max(...all_answers.map((answers) => answers[unit])) / best[i]);
    }
    // how every unit answers to this figure at every angle; made anew only for another figure, and
    // once a slider has come to rest
    let later = null;
    function curves_now() {
      const which = model.get("which");
      const now = ["which", "figure", "radius", "ink"].map((name) => model.get(name)).join();
      if (now === shown_for) return;
      clearTimeout(later);
      later = setTimeout(() => { shown_for = now; draw_curves(which); line.cursor(model.get("angle")); }, line ? 80 : 0);
    }
    function draw_curves(which) {
      const degrees = Array.from({ length: STEPS + 1 }, (_, i) => (360 * i) / STEPS), figure = points();
      curves = degrees.map((angle) => shares(figure, angle));
      const series = model.get("units")[which].map((unit, i) => ({ name: `unit ${unit}`, x: degrees, y: curves.map((row) => row[i]), color: color(i), dash: i >= PALETTE.length }));
      line = line_plot({ label: `answers over the angle: ${series.map((s) => `${s.name} largest at ${degrees[top_of(s.y, 1)[0]]} degrees`).join(", ")}`, series, width: room(root), height: 170, low: 0, high: 1.25, xlabel: "angle, degrees" });
      plot.replaceChildren(line.node);
      key.replaceChildren(...series.map((s) => [make("span", { style: `color:${s.color}`, "aria-hidden": "true" }, s.dash ? "┄ " : "━ "), `${s.name}  `]).flat());
    }
    return () => {
      const which = model.get("which"), angle = model.get("angle"), kind = kinds[model.get("figure")], units = model.get("units")[which];
      choosers.forEach((c) => c.show(model.get(c.name)));
      turn.show(angle, `${angle}°`);
      radius.show(model.get("radius"), `${model.get("radius")} pixels`);
      radius.node.style.display = kind === "arc" ? "" : "none";
      const image = drawn(points(), radians(angle), inks[model.get("ink")][0]), now = shares(points(), angle), order = top_of(now, now.length);
      const pixels = picture.getContext("2d"), data = pixels.createImageData(SIZE, SIZE);
      image.forEach((x, i) => data.data.set([0, 1, 2].map(() => 128 - 127 * x).concat(255), 4 * i));
      pixels.putImageData(data, 0, 0);
      picture.setAttribute("aria-label", `${kind}, turned by ${angle} degrees`);
      curves_now();
      line?.cursor(angle);
      list.show(units.map((unit, i) => [`unit ${unit}`, [{ share: now[i], text: fixed(now[i]) }]]));
      const loud = order.filter((i) => now[i] > 0.5);
      said.textContent = `${kind}${kind === "arc" ? ` of radius ${model.get("radius")}` : ""} at ${angle}°: ${loud.length ? `${loud.map((i) => `unit ${units[i]} (${fixed(now[i])})`).join(", ")} ${loud.length > 1 ? "answer" : "answers"} with more than half of ${loud.length > 1 ? "their" : "its"} best arc` : "no unit answers with half of its best arc"}; ${now.filter((x) => x < 0.1).length} of ${units.length} are nearly silent.`;
    };
  });
}
export default { render };
