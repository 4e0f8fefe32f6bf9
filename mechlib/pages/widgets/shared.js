// Placed in front of each widget's own source: a widget runs from a blob and may load nothing else.

// Bytes come as a DataView (Jupyter, the static book); the copy makes the alignment safe.
const bytes = (data) =>
  data instanceof ArrayBuffer
    ? new Uint8Array(data.slice(0))
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
const floats = (data) => new Float32Array(bytes(data).buffer);
const indices = (data) => new Uint16Array(bytes(data).buffer);
const halves = (data) => Float32Array.from(indices(data), half);
// {scale, signed}: a byte is a 255th of the scale, or a signed 127th.
const quantised = (data, { scale, signed }) =>
  Float32Array.from(signed ? new Int8Array(bytes(data).buffer) : bytes(data), (b) => (b * scale) / (signed ? 127 : 255));
// Elements, numbers, colours.
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {}))
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return node;
}
const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const button = (inside, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, inside);
// the drawing namespace, asked of the page itself; a worker has no page, and draws nothing
const drawing_space = () => new DOMParser().parseFromString("<svg></svg>", "text/html").body.firstChild.namespaceURI;
const shape = (tag, attributes, ...children) => fill(document.createElementNS(drawing_space(), tag), attributes, children);
const fixed = (x, digits = 2) => {
  if (!Number.isFinite(x)) return "–";
  const text = x.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
};
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const rgb = (share) => (share >= 0 ? [0, 114, 178] : [213, 94, 0]); // blue above zero, vermillion below
const tint = (share) => `rgba(${rgb(share)},${(0.62 * Math.min(Math.abs(share), 1)).toFixed(3)})`;
const top_of = (values, count, sign = 1) =>
  Array.from(values.keys()).sort((i, j) => sign * (values[j] - values[i]) || i - j).slice(0, count);

// A setting goes to the model (and so to the kernel, where there is one); the model's change redraws.
function put(model, changes) {
  for (const [name, value] of Object.entries(changes)) model.set(name, value);
  model.save_changes();
}

// Hides the still picture that stands in for the widget where no script runs, and gives what stands
// under it: the caption.
function alive(model, el) {
  el.closest(".cell_output, .jp-OutputArea, .mechlib-host")?.querySelectorAll(".mechlib-still").forEach((still) => { still.hidden = true; });
  return model.get("caption") ? [make("p", { class: "mechlib-caption" }, model.get("caption"))] : [];
}

// build(root) makes the elements and returns draw(); new data builds anew, a new setting draws.
function mount({ model, el }, title, data, settings, build) {
  const root = make("div", { class: "mechlib-widget", role: "group", "aria-label": title });
  el.append(root);
  if (model.get("beside")) { // stored without its numbers, and nobody brought them
    root.append("Run this cell: the kernel brings what this widget computes with.");
    return () => root.remove();
  }
  let draw;
  const rebuild = () => {
    root.replaceChildren();
    draw = build(root);
    draw();
  };
  const redraw = () => draw();
  for (const name of data) model.on(`change:${name}`, rebuild);
  for (const name of settings) model.on(`change:${name}`, redraw);
  rebuild();
  const under = alive(model, el);
  el.append(...under);
  return () => {
    for (const name of data) model.off(`change:${name}`, rebuild);
    for (const name of settings) model.off(`change:${name}`, redraw);
    [root, ...under].forEach((node) => node.remove());
  };
}

let serial = 0; // a fresh id for each label and its control
function field(text, control) {
  control.id ||= `mechlib-${Math.random().toString(36).slice(2, 8)}-${serial++}`;
  return make("span", { class: "field" }, make("label", { for: control.id }, text), control);
}
// A range with its value beside it.
function slider(text, low, high, step, moved) {
  const input = make("input", { type: "range", min: low, max: high, step, oninput: () => moved(Number(input.value)) }), out = make("output"), node = field(text, input);
  node.append(out);
  return { node, show(value, said = String(value)) { input.value = value; out.textContent = said; input.setAttribute("aria-valuetext", said); } };
}
function chooser(text, names, chosen) {
  const select = make("select", { onchange: () => chosen(select.selectedIndex) },
    names.map((name) => make("option", {}, name)));
  return { node: field(text, select), show: (i) => (select.selectedIndex = i) };
}
// A list of tokens with a box that narrows it down. Where nothing matches, the list stays and says so.
function token_chooser(text, labels, chosen) {
  const select = make("select", { onchange: () => chosen(Number(select.value)) }), none = make("span", { class: "note", role: "status" });
  const find = make("input", { type: "search", size: 8, placeholder: "find", "aria-label": `find ${text}`,
    oninput: () => { if (list()) chosen(Number(select.value)); } });
  let current = 0;
  function list() {
    const wanted = find.value.replaceAll(" ", "␣");
    const shown = labels.map((label, i) => [label, i]).filter(([label]) => label.includes(wanted));
    none.textContent = shown.length ? "" : `no token here has “${wanted}” in it`;
    if (!shown.length) return false;
    // an exact match stands first
    shown.sort(([a], [b]) => (b === wanted) - (a === wanted));
    select.replaceChildren(...shown.map(([label, i]) => make("option", { value: i }, label)));
    if (shown.some(([, i]) => i === current) && !shown.some(([label]) => label === wanted)) select.value = current;
    return true;
  }
  list();
  return {
    node: make("span", { class: "field" }, field(text, select), find, none),
    show(i) {
      current = i;
      if (![...select.options].some((option) => Number(option.value) === i)) { find.value = ""; list(); }
      select.value = i;
    },
  };
}
const status = () => make("p", { class: "status", role: "status", "aria-live": "polite" });

// Arrow keys tell `go` by how many rows and columns they move.
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const on_arrows = (node, go) => node.addEventListener("keydown", (event) => {
  const step = ARROWS[event.key];
  if (!step) return;
  event.preventDefault();
  go(...step);
});
// What is taken hold of tells `held` where the pointer goes, until it is let go.
function on_drag(node, held) {
  node.addEventListener("pointerdown", (event) => { node.setPointerCapture(event.pointerId); held(event); });
  node.addEventListener("pointermove", (event) => { if (event.buttons) held(event); });
}

// Shares in [-1, 1] as pixels; NaN for what is masked. A faint ground and the root keep small values
// apart from nothing, on a dark page too.
function paint(canvas, rows, columns, share, masked = 0) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows), { data } = image, colors = [rgb(1), rgb(-1)];
  for (let i = 0, k = 0; i < rows; i++)
    for (let j = 0; j < columns; j++, k += 4) {
      const s = share(i, j), none = Number.isNaN(s), color = none ? [128, 128, 128] : colors[s >= 0 ? 0 : 1];
      data[k] = color[0]; data[k + 1] = color[1]; data[k + 2] = color[2];
      data[k + 3] = none ? masked : 255 * Math.min(0.06 + 0.94 * Math.sqrt(Math.abs(s)), 1);
    }
  context.putImageData(image, 0, 0);
}

// A matrix as colours on a transparent ground, which suits a light page and a dark one.
// share(i, j) in [-1, 1], NaN for what is masked. picked(i, j) on pointer and arrow keys.
// divide: a line after every so many columns, where several maps stand side by side.
function heatmap({ rows, columns, label, picked, width = "20rem", divide = 0, hover = false }) {
  const canvas = make("canvas"), frame = make("div", { class: "frame", hidden: true });
  const node = make("div", { class: "heatmap", tabindex: 0, role: "group", "aria-label": `${label}; arrow keys move`,
    style: `width:min(100%,${width});aspect-ratio:${columns}/${rows}` }, canvas, frame,
    Array.from({ length: divide ? Math.ceil(columns / divide) - 1 : 0 }, (_, i) => make("div", { class: "divide", style: `left:${(100 * divide * (i + 1)) / columns}%` })));
  let at = [0, 0];
  const go = (i, j) => picked(clamp(i, 0, rows - 1), clamp(j, 0, columns - 1));
  const from = (event) => {
    const box = canvas.getBoundingClientRect();
    go(Math.floor(((event.clientY - box.top) / box.height) * rows), Math.floor(((event.clientX - box.left) / box.width) * columns));
  };
  node.addEventListener("pointerdown", from);
  node.addEventListener("pointermove", (event) => { if (event.buttons || (hover && event.pointerType === "mouse")) from(event); });
  on_arrows(node, (down, right) => go(at[0] + down, at[1] + right));
  return {
    node,
    show: (share) => paint(canvas, rows, columns, share, 40),
    // outlines rows i..i+h and columns j..j+w; the arrow keys go on from `cell`
    outline(i, j, h, w, cell = [i, j]) {
      at = cell;
      frame.hidden = false;
      frame.style.cssText = `top:${(100 * i) / rows}%;left:${(100 * j) / columns}%;height:${(100 * h) / rows}%;width:${(100 * w) / columns}%`;
    },
  };
}

// A text as a button for each token, of which one is chosen, by click or arrow keys; a mouse may hover
// over another. name(labels) makes them; show(chosen, outlined, look) colours them: look(i) gives a
// share (see tint) and what is said of the token.
function token_line({ label, chosen, hovered = () => {} }) {
  const buttons = [];
  let at = 0;
  const node = make("div", { class: "text", role: "group", "aria-label": `${label}; arrow keys move`, onpointerleave: () => hovered(null),
    onkeydown: (event) => {
      const end = buttons.length - 1, to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: end }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      chosen(clamp(to, 0, end));
      buttons[at]?.focus();
    } });
  return { node,
    // buttons that are there already are named anew, where their token changed: typing stays quick
    name(labels) {
      labels.forEach((text, i) => {
        if (i === buttons.length) {
          buttons.push(button("", () => chosen(i), { onpointerenter: (event) => { if (event.pointerType === "mouse") hovered(i); } }));
          node.append(buttons[i], make("wbr"));
        }
        if (buttons[i].textContent === text) return;
        buttons[i].textContent = text;
        buttons[i].nextSibling.replaceWith(make(text.includes("⏎") ? "br" : "wbr"));
      });
      for (const button of buttons.splice(labels.length)) { button.nextSibling.remove(); button.remove(); }
    },
    show(place, outlined, look) {
      at = place;
      buttons.forEach((button, i) => {
        const [share, said] = look(i);
        button.style.background = tint(share);
        button.classList.toggle("present", i === outlined);
        button.tabIndex = i === at ? 0 : -1;
        button.title = `${button.textContent}: ${said}`;
      });
    } };
}

// Rows of name, bar and number. Each bar is {share in [-1, 1], text, control}.
function bar_table(caption, heads) {
  const body = make("tbody"), title = make("caption", {}, caption);
  const top = make("thead"), name_columns = (names) => top.replaceChildren(make("tr", {}, names.map((name) => make("th", { scope: "col" }, name))));
  name_columns(heads);
  return {
    node: make("table", { class: "bars" }, title, top, body),
    title: (text) => { title.textContent = text; },
    heads: name_columns,
    show(rows) {
      body.replaceChildren(...rows.map(([name, bars]) => make("tr", {}, make("th", { scope: "row", class: "token" }, name),
        bars.map(({ share, text, control }) => make("td", {},
          share === undefined ? null : make("span", { class: control ? "bar control" : share < 0 ? "bar negative" : "bar",
            style: `width:${(clamp(Math.abs(share), 0, 1) * 60).toFixed(1)}%` }), make("span", { class: "number" }, text))))));
    },
  };
}

// The width to draw at, so that lettering keeps its size on a phone; a page not yet laid out has none.
const room = (root) => clamp(root.clientWidth - 28 > 0 ? root.clientWidth - 28 : 560, 280, 640);

// Lines over x in one frame. Each series is {name, x, y, color, dash}. Log axes leave out what is not positive.
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a"];
function line_plot({ label, series, width = 560, logx = false, logy = false, height = 200, xlabel = "", low = null, high = null }) {
  const left = 48, right = 20, top = 8, bottom = 34;
  const fx = logx ? (x) => Math.log10(Math.max(x, 1)) : (x) => x; // step 0 stands at 1 on a log axis
  const fy = logy ? Math.log10 : (y) => y;
  const good = (y) => Number.isFinite(y) && (!logy || y > 0);
  const xs = series.flatMap((s) => Array.from(s.x, fx));
  const ys = series.flatMap((s) => Array.from(s.y).filter(good).map(fy));
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let y0 = low ?? Math.min(...ys), y1 = high ?? Math.max(...ys);
  if (!(y1 > y0)) [y0, y1] = [y0 - 1, y0 + 1];
  const px = (x) => left + ((fx(x) - x0) / (x1 - x0 || 1)) * (width - left - right);
  const py = (y) => height - bottom - ((fy(y) - y0) / (y1 - y0)) * (height - top - bottom);
  const ticks = (a, b, log) => {
    if (log && b - a >= 1) return Array.from({ length: Math.floor(b) - Math.ceil(a) + 1 }, (_, i) => 10 ** (Math.ceil(a) + i))
      .filter((_, i, all) => i % Math.ceil(all.length / 6) === 0);
    const rough = (b - a) / 4, unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough);
    const found = [];
    for (let i = Math.ceil(a / step); i * step <= b + 1e-9; i++) found.push(i * step);
    return log ? found.map((v) => 10 ** v) : found;
  };
  const text = (v) => (v !== 0 && (Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3) ? v.toExponential(0) : String(Number(v.toPrecision(3))));
  const cursor = shape("line", { y1: top, y2: height - bottom, stroke: "currentColor", "stroke-dasharray": "3 2" });
  const node = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    ticks(y0, y1, logy).map((v) => [
      shape("line", { x1: left, x2: width - right, y1: py(v), y2: py(v), stroke: "currentColor", opacity: 0.15 }),
      shape("text", { x: left - 5, y: py(v) + 4, "text-anchor": "end" }, text(v))]),
    ticks(x0, x1, logx).map((v) => shape("text", { x: px(v), y: height - bottom + 14, "text-anchor": "middle" }, text(v))),
    shape("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, xlabel),
    shape("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, stroke: "currentColor", opacity: 0.5 }),
    series.map((s, i) => {
      const parts = Array.from(s.y, (y, k) => (good(y) ? `${px(s.x[k]).toFixed(1)},${py(y).toFixed(1)}` : null));
      const path = parts.map((part, k) => (part === null ? "" : (k && parts[k - 1] !== null ? "L" : "M") + part)).join("");
      return shape("path", { d: path, fill: "none", stroke: s.color || PALETTE[i % PALETTE.length], "stroke-width": 1.8, "stroke-dasharray": s.dash ? "5 3" : null });
    }));
  // place(x): where x stands in the drawing; at(event): where a pointer does
  const at = (event) => { const box = node.getBoundingClientRect(); return ((event.clientX - box.left) / (box.width || 1)) * width; };
  return { node, place: px, at,
    // a line at x, from the first call on
    cursor(x) { cursor.setAttribute("x1", px(x)); cursor.setAttribute("x2", px(x)); node.append(cursor); } };
}
