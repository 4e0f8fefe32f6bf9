const TASKS = {}; // one pass takes less than a frame: nothing runs behind the page

function render(context) {
  const { model } = context;
  return mount_live(context, "reading, live", ["weights", "names", "tokenizer", "vectors"], ["text", "concept", "rival", "position"], (root) => {
    const { net, tokenizer, labels } = open_model(model), { d_model: d, n_ctx } = net.config, most = Math.min(n_ctx, model.get("most"));
    const at = model.get("at"), concepts = model.get("concepts"), kinds = model.get("kinds"), rivals = kinds.slice(1);
    const numbers = floats(model.get("vectors")); // for each concept and each kind: a direction, and what is added to the product
    const first = tokenizer.separator === null ? 0 : 1; // the separator is read, and not shown
    let seen = null;

    const box = text_box(model, "your code", 4), concept = chooser("is the model in", concepts, (i) => put(model, { concept: i })), rival = chooser("beside it", rivals, (i) => put(model, { rival: i }));
    const chosen = (position) => put(model, { position }), said = status();
    const lines = ["reading", "beside it"].map((label) => ({ title: make("p", { class: "title" }), line: token_line({ label, chosen }) }));
    root.append(box.node, make("div", { class: "controls" }, concept.node, rival.node), ...lines.flatMap(({ title, line }) => [title, line.node]), said);

    function read(kind) {
      const from = (model.get("concept") * kinds.length + kind) * (d + 1);
      return read_by(seen.stream, numbers.subarray(from, from + d), numbers[from + d]);
    }
    function show() {
      const n = seen.names.length, place = clamp(model.get("position") < 0 ? n - 1 : model.get("position"), 0, n - 1), other = model.get("rival") + 1;
      const scores = [read(0), read(other)];
      lines.forEach(({ title, line }, k) => {
        title.textContent = kinds[k ? other : 0];
        line.show(place, place, (i) => [scores[k][i] / 2, fixed(scores[k][i])]);
      });
      const yes = scores.map((all) => all.filter((x) => x > 0).length);
      said.textContent = `${seen.note}After “${seen.names[place]}” (${place}), ${concepts[model.get("concept")]}: ${fixed(scores[0][place])}; ${kinds[other]}: ${fixed(scores[1][place])}. Above zero is yes: ${yes[0]} of ${n} tokens in the upper line, ${yes[1]} in the lower.`;
    }
    return () => {
      box.show();
      concept.show(model.get("concept"));
      rival.show(model.get("rival"));
      guarded(said, () => {
        const text = model.get("text");
        if (seen?.text !== text) {
          seen = null;
          const { tokens, note } = tokens_of(tokenizer, text, most), { kept } = forward(net, tokens, { keep: [at] });
          seen = { text, note, stream: kept[at].subarray(first * d), names: tokens.slice(first).map((t) => labels[t]) };
          for (const { line } of lines) line.name(seen.names);
        }
        show();
      });
    };
  });
}
export default { render };
