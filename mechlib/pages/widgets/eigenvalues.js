// Spectra and composition scores, computed in Python; here they are looked at, pair by pair.
function render(context) {
  const { model } = context;
  return mount_live(context, "eigenvalues and composition", ["models", "spectra", "rival", "composition"], ["which", "head", "eigenvalue", "pair"], (root) => {
    const models = model.get("models"), names = model.get("head_names"), { heads, values } = model.get("sizes"), H = names.length;
    const spectra = floats(model.get("spectra")), rival = floats(model.get("rival")), words = model.get("words"), decades = 3;
    const of = (which, h) => Array.from({ length: values }, (_, k) => { const i = 2 * ((which * heads + h) * values + k); return [spectra[i], spectra[i + 1]]; });
    const untrained = Array.from({ length: rival.length / 2 }, (_, k) => [rival[2 * k], rival[2 * k + 1]]);
    const score = (list) => list.reduce((sum, [re]) => sum + re, 0) / (list.reduce((sum, z) => sum + Math.hypot(...z), 0) || 1);
    const chosen = chooser("model", models, (which) => put(model, { which, eigenvalue: 0 }));
    const buttons = names.map((name, head) => button("", () => put(model, { head, eigenvalue: 0 })));
    const plane = make("div", { class: "plane", tabindex: 0, role: "group", "aria-label": "eigenvalues, the largest first; arrow keys go through them" });
    on_arrows(plane, (down, right) => put(model, { eigenvalue: clamp(model.get("eigenvalue") + down + right, 0, values - 1) }));
    const beside = make("input", { type: "checkbox", onchange: () => draw() }), said = status(), told = status();
    root.append(make("div", { class: "controls" }, models.length > 1 ? chosen.node : null, make("div", { class: "heads", role: "group", "aria-label": "heads and their scores" }, buttons)),
      make("div", { class: "columns" }, make("div", { class: "half" }, plane, untrained.length ? field("a head before training, in grey", beside) : null), make("div", {}, said)));

    // the angle is the eigenvalue's own, the radius its size on a logarithmic scale of three decades
    const spot = ([re, im], largest) => {
      const size = Math.hypot(re, im), r = size === 0 ? 0 : 100 * clamp(1 + Math.log10(size / largest) / decades, 0, 1), angle = Math.atan2(im, re);
      return [r * Math.cos(angle), -r * Math.sin(angle)];
    };
    function draw_plane(list, at, largest) {
      const dot = (z, extra) => { const [cx, cy] = spot(z, largest); return shape("circle", { cx: cx.toFixed(1), cy: cy.toFixed(1), ...extra }); };
      plane.replaceChildren(shape("svg", { viewBox: "-128 -118 256 236", role: "img", "aria-label": `${values} eigenvalues; score ${fixed(score(list))}` },
        [0, 1, 2].map((d) => shape("circle", { r: 100 - (100 * d) / decades, fill: "none", stroke: "currentColor", opacity: 0.25 })),
        shape("line", { x1: -104, x2: 104, stroke: "currentColor", opacity: 0.25 }), shape("line", { y1: -104, y2: 104, stroke: "currentColor", opacity: 0.25 }),
        shape("text", { x: 126, y: -106, "text-anchor": "end" }, "copies →"), shape("text", { x: -126, y: -106 }, "← anti-copies"),
        beside.checked ? untrained.map((z) => dot(z, { r: 3, fill: "#8a8a8a" })) : [],
        list.map((z, k) => dot(z, { r: 4.2, fill: z[0] >= 0 ? "#0072b2" : "#d55e00", style: "cursor:pointer", onpointerdown: () => put(model, { eigenvalue: k }) })),
        dot(list[at], { r: 8, fill: "none", stroke: "currentColor", "stroke-width": 2, "pointer-events": "none" })));
    }

    // -- which head of a later layer reads which of an earlier one
    const kinds = ["Q", "K", "V"], { early, late } = model.get("pairs"), scores = floats(model.get("composition")), { mean, std } = model.get("baseline");
    const value = (which, kind, i, j) => scores[((which * 3 + kind) * early.length + i) * late.length + j];
    const maps = early.length ? kinds.map((kind) => number_map({ name: `${kind}-composition, spreads above chance`, picked: (i, j) => { if (String(model.get("pair")) !== `${i},${j}`) put(model, { pair: [i, j] }); } })) : [];
    const bars = bar_table("", ["reading", "score"]);
    if (maps.length) root.append(make("div", { class: "columns" }, maps.map((map, k) => make("div", {}, make("p", { class: "title" }, `${kinds[k]}-composition`), map.node)),
      make("p", { class: "note" }, `Rows write, columns read. Numbers: how many spreads above the mean of random matrices of the same shapes (${fixed(mean, 3)}, spread ${fixed(std, 3)}).`)), bars.node, told);
    function draw_pair(which) {
      const [i, j] = model.get("pair"), above = kinds.map((_, k) => early.map((_, a) => late.map((_, b) => (value(which, k, a, b) - mean) / std)));
      const reach = Math.max(...above.flat(2).map(Math.abs)) || 1;
      maps.forEach((map, k) => { map.show(early, late, above[k], reach, 0); map.mark(i, j); });
      const largest = Math.max(mean, ...kinds.map((_, k) => value(which, k, i, j)));
      bars.title(`${late[j]} reads what ${early[i]} wrote`);
      bars.show([...kinds.map((kind, k) => [kind, [{ share: value(which, k, i, j) / largest, text: fixed(value(which, k, i, j), 3) }]]), ["chance", [{ share: mean / largest, text: fixed(mean, 3), control: true }]]]);
      const best = top_of(kinds.map((_, k) => above[k][i][j]), 1)[0], most = above[best][i][j];
      told.textContent = most > 3 ? `${late[j]} reads ${early[i]} most in its ${["queries", "keys", "values"][best]}: ${fixed(most, 0)} spreads above chance.` : `${late[j]} reads ${early[i]} in none of the three ways by more than three spreads above chance.`;
    }
    function draw() {
      const which = model.get("which"), head = model.get("head"), at = model.get("eigenvalue"), list = of(which, head);
      chosen.show(which);
      buttons.forEach((button, h) => { button.setAttribute("aria-pressed", h === head); button.textContent = `${names[h]}  ${fixed(score(of(which, h)))}`; });
      const largest = Math.max(...of(which, head).map((z) => Math.hypot(...z)), ...(beside.checked ? untrained.map((z) => Math.hypot(...z)) : [])) || 1, [re, im] = list[at];
      draw_plane(list, at, largest);
      const angle = Math.abs((Math.atan2(im, re) * 180) / Math.PI), real = Math.abs(im) < 1e-6 * Math.hypot(re, im), tokens = words[which]?.[head]?.[at] ?? [];
      const does = angle < 45 ? "its tokens raise themselves" : angle > 135 ? "its tokens lower themselves" : "its tokens raise others";
      said.textContent = `${names[head]}: copying score ${fixed(score(list))}. Eigenvalue ${at + 1} of ${values} by size: ${fixed(re, 1)}${real ? "" : ` ${im < 0 ? "−" : "+"} ${fixed(Math.abs(im), 1)}i, at ${fixed(angle, 0)}°`}; ${does}` + (tokens.length ? `: ${tokens.map((w) => `“${w}”`).join(" ")}.` : ".");
      if (maps.length) draw_pair(which);
    }
    return draw;
  });
}
export default { render };
