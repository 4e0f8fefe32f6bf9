function render(context) {
  const { model } = context;
  return mount(context, "measures over training", ["names", "lengths", "curve_steps", "curve_values", "stops", "shape", "frames", "scale", "rows", "columns", "logx", "logy"],
    ["position"], (root) => {
      const axis = model.get("axis") || "training step", names = model.get("names"), lengths = model.get("lengths"), stops = model.get("stops");
      const steps = floats(model.get("curve_steps")), values = floats(model.get("curve_values"));
      const shape_of = model.get("shape"), size = shape_of.reduce((a, b) => a * b, 1);
      let from = 0;
      const series = names.map((name, i) => {
        const [a, b] = [from, (from += lengths[i])];
        return { name, x: steps.slice(a, b), y: values.slice(a, b), color: PALETTE[i % PALETTE.length], dash: i >= PALETTE.length };
      });
      const plot = line_plot({ label: `${names.join(", ")}, by ${axis}`, series, width: room(root), logx: model.get("logx"), logy: model.get("logy"), xlabel: axis });
      // the curves can be dragged over, too: the nearest stop follows
      const over = (event) => put(model, { position: top_of(stops.map((step) => Math.abs(plot.place(step) - plot.at(event))), 1, -1)[0] });
      on_drag(plot.node, over);
      plot.node.style.cssText = "cursor:ew-resize;touch-action:pan-y";
      const along = slider(axis, 0, stops.length - 1, 1, (position) => put(model, { position }));
      let timer = null;
      const stop = () => { clearInterval(timer); timer = null; play.textContent = "play"; };
      const play = button("play", () => {
        if (timer !== null) return stop();
        if (model.get("position") === stops.length - 1) put(model, { position: 0 });
        play.textContent = "pause";
        timer = setInterval(() => {
          if (!root.isConnected || model.get("position") >= stops.length - 1) return stop();
          put(model, { position: model.get("position") + 1 });
        }, Math.max(80, 4000 / stops.length));
      });
      const keys = make("p", { class: "note" });
      const said = status();
      root.append(make("div", { class: "controls" }, along.node, play), plot.node, keys);
      let frame = null, detail = null, cell = [0, 0];
      const frames = shape_of.length ? quantised(model.get("frames"), model.get("scale")) : null;
      const signed = model.get("scale").signed, scale = model.get("scale").scale;
      const name_of = (list, i) => (list.length ? `“${list[i]}”` : String(i));
      if (shape_of.length === 2) {
        frame = heatmap({ divide: model.get("divide"), rows: shape_of[0], columns: shape_of[1], label: model.get("frame_label"), picked: (i, j) => { cell = [i, j]; draw(); } });
        detail = status();
        root.append(make("p", { class: "note" }, model.get("frame_label")), frame.node, detail);
      } else if (shape_of.length === 1) {
        frame = make("div");
        root.append(make("p", { class: "note" }, model.get("frame_label")), frame);
      }
      said.classList.add("sr"); // in sight, the same numbers stand under the curves
      root.append(said);

      // one bar for each number, on axes that stay the same over training
      function bars(row) {
        const width = room(root), height = 130, left = 48, base = signed ? height / 2 : height - 18, unit = signed ? base - 4 : base - 8;
        const each = (width - left - 8) / row.length, columns = model.get("columns"), every = Math.ceil((row.length * 36) / width);
        return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": model.get("frame_label") },
          shape("text", { x: left - 5, y: base - unit + 8, "text-anchor": "end" }, fixed(scale)),
          shape("line", { x1: left, x2: width, y1: base, y2: base, stroke: "currentColor", opacity: 0.5 }),
          Array.from(row, (v, i) => {
            const tall = (Math.abs(v) / scale) * unit;
            return shape("rect", { x: left + i * each + each * 0.1, width: each * 0.8, y: v >= 0 ? base - tall : base, height: tall, fill: v >= 0 ? "#0072b2" : "#d55e00" },
              shape("title", {}, `${name_of(columns, i)}: ${fixed(v, 3)}`));
          }),
          Array.from(row, (_, i) => (i % every ? null : shape("text", { x: left + (i + 0.5) * each, y: height - 4, "text-anchor": "middle" }, columns.length ? columns[i] : String(i)))));
      }
      function draw() {
        const position = model.get("position"), step = stops[position];
        along.show(position, String(step));
        plot.cursor(step);
        // the last value recorded at or before this step
        const now = series.map(({ name, x, y }) => {
          let k = 0;
          while (k + 1 < x.length && x[k + 1] <= step) k++;
          return [name, y[k]];
        });
        keys.replaceChildren(...now.flatMap(([name, v], i) => [make("span", { style: `color:${series[i].color};font-weight:700`, "aria-hidden": "true" }, series[i].dash ? "┅ " : "━ "), `${name} `, make("span", { class: "number", "data-curve": name }, Math.abs(v) >= 1e-3 || v === 0 ? fixed(v, 3) : v.toExponential(2)), "   "]));
        said.textContent = `${axis} ${step}: ` + now.map(([name, v]) => `${name} ${Math.abs(v) >= 1e-3 || v === 0 ? fixed(v, 3) : v.toExponential(2)}`).join(", ");
        if (shape_of.length === 2) {
          const at = (i, j) => frames[position * size + i * shape_of[1] + j];
          frame.show((i, j) => at(i, j) / scale);
          frame.outline(cell[0], cell[1], 1, 1);
          const divide = model.get("divide"), column = divide ? cell[1] % divide : cell[1];
          detail.textContent = `${divide ? `map ${1 + Math.floor(cell[1] / divide)}, ` : ""}row ${name_of(model.get("rows"), cell[0])}, column ${name_of(model.get("columns"), column)}: ${fixed(at(...cell), 3)}`;
        } else if (shape_of.length === 1) frame.replaceChildren(bars(frames.slice(position * size, (position + 1) * size)));
      }
      return draw;
    });
}
export default { render };
