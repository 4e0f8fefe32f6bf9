// What the widgets that run a model share: reading it, tokens as labels, patterns as pictures,
// plain sentences instead of crashes, and work behind the page. Stands after engine.js.

// ---- the model that the widget's state holds ----------------------------------------------------

function open_model(model) {
  const names = model.get("names");
  const tokenizer = model.get("tokenizer") ? read_tokenizer(model.get("tokenizer")) : read_vocabulary(names, model.get("level"));
  return { net: read_model(bytes(model.get("weights"))), tokenizer, labels: tokenizer.names.map(label) };
}

// A token as text that can be seen, as mechlib.pages.figures.token_label writes it.
function label(text) {
  const inner = text.replace(/^ +| +$/g, ""), left = text.length - text.replace(/^ +/, "").length;
  const right = inner ? text.length - text.replace(/ +$/, "").length : 0;
  const seen = Array.from(inner, (c) => ({ "\n": "⏎", "\r": "↵", "\t": "⇥" })[c] ?? (/[\p{C}\p{Z}]/u.test(c) ? `\\x${c.codePointAt(0).toString(16).padStart(2, "0")}` : c)).join("");
  return text === "" ? "∅" : "␣".repeat(left) + seen + "␣".repeat(right);
}
// A box for the model's `text`, which is left alone while the reader types into it.
function text_box(model, name, rows) {
  const box = make("textarea", { rows, spellcheck: "false", autocapitalize: "off", autocomplete: "off", maxlength: 20000, oninput: () => put(model, { text: box.value }) });
  return { node: field(name, box), show: () => { if (document.activeElement !== box && box.value !== model.get("text")) box.value = model.get("text"); } };
}
const head_names = ({ n_layers, n_heads }) => Array.from({ length: n_layers * n_heads }, (_, i) => `L${Math.floor(i / n_heads)}H${i % n_heads}`);

// The tokens of a text, at most `most`, and a sentence when some were left out.
function tokens_of(tokenizer, text, most, start = true) {
  const found = tokenizer.encode(text), all = start && tokenizer.separator !== null ? [tokenizer.separator, ...found] : found;
  if (!found.length) throw new PlainError("The box is empty: type something.");
  return { tokens: all.slice(0, most), note: all.length > most ? `Only the first ${most} of ${all.length} tokens are read. ` : "" };
}

// ---- pictures -----------------------------------------------------------------------------------

// A grid of numbers with names at its sides: a table for screen readers, colours for eyes.
// show(row names, column names, values (row, column), scale). Arrow keys move; what stands in the
// chosen cell is told to `picked`; mark(i, j) outlines one without telling.
function number_map({ name, picked }) {
  const node = make("div", { class: "map", tabindex: 0, role: "group", "aria-label": `${name}; arrow keys move` });
  let rows = [], columns = [], values = [], at = [0, 0], cells = [];
  const mark = (i, j) => {
    at = [clamp(i, 0, rows.length - 1), clamp(j, 0, columns.length - 1)];
    cells.forEach((row, r) => row.forEach((cell, c) => cell.classList.toggle("present", r === at[0] && c === at[1])));
  };
  const go = (i, j) => {
    if (!rows.length) return;
    mark(i, j);
    picked(...at, values[at[0]][at[1]]);
  };
  on_arrows(node, (down, right) => go(at[0] + down, at[1] + right));
  // texts: what stands in the cells in place of the numbers
  return { node, mark, show(row_names, column_names, numbers, scale = 1, digits = 2, texts = null) {
    [rows, columns, values] = [row_names, column_names, numbers];
    cells = numbers.map((row, i) => row.map((value, j) => make("td", { style: `background:${tint(Number.isFinite(value) ? value / scale : 0)}`,
      title: `${rows[i]}, ${columns[j]}: ${fixed(value)}`, onpointerdown: () => go(i, j), onpointerenter: (e) => e.pointerType === "mouse" && go(i, j) },
      texts ? make("span", { class: "token" }, texts[i][j]) : make("span", { class: columns.length > 12 ? "sr" : "" }, fixed(value, digits)))));
    node.replaceChildren(make("table", {}, make("caption", { class: "sr" }, name),
      make("thead", {}, make("tr", {}, make("td", {}), columns.map((c) => make("th", { scope: "col" }, make("span", {}, c))))),
      make("tbody", {}, rows.map((r, i) => make("tr", {}, make("th", { scope: "row" }, r), cells[i])))));
  } };
}

// A part of a widget under its title; on a phone it is folded until it is asked for.
const part = (title, ...inside) => make("details", { open: innerWidth > 600 }, make("summary", { class: "title" }, title), inside);

// ---- sentences ----------------------------------------------------------------------------------

// Runs f; what a reader can mend is said in a sentence, anything else is a fault of ours and said too.
function guarded(said, f) {
  try {
    const done = f();
    said.classList.remove("wrong");
    return done;
  } catch (error) {
    said.classList.add("wrong");
    said.textContent = error instanceof PlainError ? error.message : `Something went wrong here: ${error}`;
    if (!(error instanceof PlainError)) console.error(error);
    return null;
  }
}

// As `mount` in shared.js; a widget that cannot start says why.
function mount_live(context, title, data, settings, build) {
  return mount(context, title, data, settings, (root) => {
    const said = status();
    let draw = null;
    guarded(said, () => { draw = build(root); });
    if (draw === null) root.append(said);
    return draw ?? (() => {});
  });
}

// ---- work behind the page -----------------------------------------------------------------------

// TASKS: name -> generator function. behind(model, task, given, seen) runs one in a worker made from
// the widget's own source, so that the page stays free; where the browser makes no worker it runs
// here, a slice at a time. `seen` gets what the generator yields, and the next slice is asked for
// only then, so that pause(true) stops the work as well. Gives {done: promise, pause, stop}.
function behind(model, task, given, seen) {
  let paused = false, stopped = false, waiting = false, worker = null, ask = () => {}, settle;
  const done = new Promise((resolve, reject) => { settle = { resolve, reject }; });
  const next = () => { if (!stopped) { waiting = paused; if (!paused) ask(); } };
  const taken = (value) => { seen(value); next(); };
  const here = () => {
    const steps = TASKS[task](given);
    ask = () => setTimeout(() => {
      if (stopped) return;
      try {
        const { value, done: last } = steps.next();
        if (last) settle.resolve(value);
        else taken(value);
      } catch (error) { settle.reject(error); }
    }, 0);
    next();
  };
  try {
    if (!model.get("_esm")) throw new Error("no source to make a worker from");
    const address = URL.createObjectURL(new Blob([model.get("_esm"), "\nserve(TASKS);"], { type: "text/javascript" }));
    worker = new Worker(address, { type: "module" });
    let begun = false;
    const close = () => { worker.terminate(); URL.revokeObjectURL(address); };
    worker.onmessage = ({ data }) => {
      begun = true;
      if ("seen" in data) return taken(data.seen);
      close();
      if ("wrong" in data) settle.reject(data.plain ? new PlainError(data.wrong) : new Error(data.wrong));
      else settle.resolve(data.result);
    };
    worker.onerror = (event) => { close(); begun ? settle.reject(new Error(event.message)) : here(); };
    worker.postMessage({ task, given });
    ask = () => worker.postMessage({});
    next();
  } catch { here(); }
  return { done, pause(yes) { paused = yes; if (!yes && waiting) next(); }, stop() { stopped = true; worker?.terminate(); settle.resolve(null); } };
}

// The worker's side: a first message says what to do, each further one asks for the next slice.
function serve(tasks) {
  let steps = null;
  onmessage = ({ data }) => {
    try {
      if (data.task) { steps = tasks[data.task](data.given); return; }
      const { value, done } = steps.next();
      postMessage(done ? { result: value } : { seen: value });
    } catch (error) { postMessage({ wrong: error.message, plain: error instanceof PlainError }); }
  };
}

// What the widgets that train share: a guess first, then start, pause, a few steps, begin again.
// given() -> [task, its data]; every: steps between two pictures; show() draws `seen`, changed() speaks.
function trainer_of(model, { every, guesses, given, status, show, changed }) {
  let job = null, waiting = false, one = false, due = 0, begun = 0;
  const seen = [];
  const guesser = make("select", { onchange: () => { start.disabled = stepper.disabled = guesser.selectedIndex < 1; changed(); } },
    ["choose your guess first", ...guesses].map((g) => make("option", {}, g)));
  const start = button("", () => (job && !waiting ? pause(true) : go()), { disabled: true });
  const stepper = button(`${every} steps`, () => { one = true; go(); }, { disabled: true });
  const again = button("begin again", () => { reset(); show(); });
  const named = () => { start.textContent = !job ? "start" : waiting ? "go on" : "pause"; };
  function pause(yes) { waiting = yes; job.pause(yes); named(); }
  function reset() { job?.stop(); job = null; seen.length = 0; waiting = one = false; start.disabled = stepper.disabled = guesser.selectedIndex < 1; named(); }
  function go() {
    if (!job) {
      begun = performance.now();
      const mine = (job = behind(model, ...given(), (measured) => {
        if (job !== mine) return; // of a run that was given up
        seen.push({ ...measured, seconds: (performance.now() - begun) / 1000 });
        if (one && seen.length > 1) { one = false; pause(true); }
        due ||= requestAnimationFrame(() => { due = 0; show(); });
      }));
      mine.done.then(() => { if (job === mine) start.disabled = stepper.disabled = true; }, (error) => { reset(); guarded(status, () => { throw error; }); });
    }
    pause(false);
  }
  named();
  return { node: make("div", { class: "controls" }, field("your guess", guesser), start, stepper, again), seen, reset,
    guess: () => guesser.selectedIndex - 1, guessed: () => guesser.selectedIndex > 0 };
}

// A number that the reader sets, kept in the model as `name`; one that will not do is said and put back.
function number_field(model, said, reset, text, name, low, high, step) {
  const input = make("input", { type: "number", min: low, max: high, step, onchange: () => {
    const value = Number(input.value), whole = step === 1 ? Math.round(value) : value;
    if (!(whole >= low && whole <= high)) { said.classList.add("wrong"); said.textContent = `${text}: ${input.value || "nothing"} will not do; choose ${low} to ${high}.`; input.value = model.get(name); return; }
    reset();
    put(model, { [name]: whole });
  } });
  return { node: field(text, input), show: () => { input.value = model.get(name); } };
}
