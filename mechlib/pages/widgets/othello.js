const TASKS = { random_pushes };
const DRAWS = 19;

// A board of 36 cells. With `pressed` they are buttons, and arrow keys move among them; else a picture.
function board_of(title, pressed = null) {
  const cells = Array.from({ length: 36 }, () => make(pressed ? "button" : "span", { class: "square", ...(pressed ? { type: "button", tabindex: -1 } : {}) }, make("span")));
  const grid = make("div", { class: "board", role: pressed ? "group" : "img" }, cells);
  const node = make("div", { style: "flex:0 1 15rem" }, make("p", { class: "title" }, title), grid);
  let at = 14;
  if (pressed) {
    const go = (square) => { cells[at].tabIndex = -1; at = square; cells[at].tabIndex = 0; };
    go(at);
    cells.forEach((cell, square) => { cell.onclick = () => { go(square); pressed(square); }; });
    grid.setAttribute("aria-label", `${title}; arrow keys move`);
    on_arrows(grid, (down, right) => {
      go(clamp(Math.floor(at / SIDE) + down, 0, 5) * SIDE + clamp((at % SIDE) + right, 0, 5));
      cells[at].focus();
    });
  }
  // discs: 1, -1, 0; shade(square) in [0, 1] behind; classes(square): marks; tell(square): its name
  return { node, show(discs, { shade = () => 0, classes = () => "", tell = null, summary = "" }) {
    cells.forEach((cell, s) => {
      cell.className = `square ${classes(s)}`;
      cell.style.background = shade(s) ? `rgba(0,158,115,${(0.9 * shade(s)).toFixed(3)})` : "";
      cell.firstChild.className = discs[s] ? (discs[s] > 0 ? "disc black" : "disc white") : "";
      if (tell) cell.setAttribute("aria-label", tell(s));
    });
    if (!pressed) grid.setAttribute("aria-label", summary);
  } };
}

function render(context) {
  const { model } = context;
  return mount_live(context, "a game against the rules", ["weights"], ["moves", "flipped"], (root) => {
    const weights = bytes(model.get("weights")), net = read_model(weights), n_ctx = net.config.n_ctx;
    const probe = { after: model.get("probe_after"), weight: halves(model.get("probe_weight")), bias: halves(model.get("probe_bias")) };
    const push = { after: model.get("push_after"), strength: model.get("strength"), writing: halves(model.get("writing")) };
    let job = null, state = null;

    const pressed = (square) => {
      const { board, legal } = state, moves = model.get("moves"), flipped = model.get("flipped");
      if (board[square]) {
        if (!moves.length) return guarded(said, () => { throw new PlainError("Play a move first: the network has read nothing that could be changed."); });
        put(model, { flipped: flipped.includes(square) ? flipped.filter((s) => s !== square) : [...flipped, square] });
      } else if (legal.includes(square)) play([...moves, square]);
      else guarded(said, () => { throw new PlainError(`${name_of(mover_after(moves.length))} may not play ${SQUARE_NAMES[square]}: no disc would be enclosed. Framed squares are legal.`); });
    };
    // one redraw for both settings
    const play = (moves) => { if (model.get("flipped").length) model.set("flipped", []); put(model, { moves }); };
    const back = button("take back", () => play(model.get("moves").slice(0, -1)));
    const by_chance = button("a random move", () => play([...model.get("moves"), state.legal[Math.floor(Math.random() * state.legal.length)]]));
    const by_net = button("the network's move", () => pressed(top_of(state.plain.p, 1)[0]));
    const unflip = button("flip nothing", () => put(model, { flipped: [] }));
    const controls = make("div", { class: "controls" }, by_chance, by_net, back, button("new game", () => play([])), unflip);
    const [real, read, next] = [board_of("the board: play here", pressed), board_of("what a probe reads"), board_of("the network's next move")];
    const said = status(), effect = make("p", { class: "status", role: "status" }), list = bar_table("likeliest next moves", ["square", "probability", "legal?"]);
    root.append(controls, make("div", { class: "columns" }, real.node, read.node, next.node, said), effect, list.node,
      make("p", { class: "note" }, "Framed: a legal move. Press a framed square to play it; press a disc to flip it in the network's stream, and only there (ringed). Crossed: the probe reads something else than what lies there."));

    const name_of = (disc) => (disc > 0 ? "black" : "white");
    const list_of = (squares) => squares.map((s) => SQUARE_NAMES[s]).join(", ") || "none";
    function draw() {
      job?.stop();
      job = null;
      effect.textContent = "";
      guarded(said, work);
    }
    function work() {
      const moves = model.get("moves"), flipped = model.get("flipped"), mover = mover_after(moves.length);
      const board = played(moves), legal = legal_moves(board, mover), asked = moves.length > 0 && moves.length <= n_ctx;
      const imagined = board.map((disc, s) => (flipped.includes(s) ? -disc : disc)), then = legal_moves(imagined, mover);
      const plain = asked ? opinion(net, moves, probe, push) : null, vector = flipped.length && asked ? push_of(push, board, mover, flipped) : null;
      const pushed = vector ? opinion(net, moves, probe, push, vector, plain.start) : plain;
      state = { board, legal, plain };
      back.disabled = !moves.length;
      by_chance.disabled = !legal.length;
      by_net.disabled = !plain || !legal.length;
      unflip.disabled = !flipped.length;
      const what = (s) => (board[s] ? `${name_of(board[s])} disc${flipped.includes(s) ? ", flipped in the stream" : ""}` : legal.includes(s) ? "empty, legal" : "empty");
      real.show(board, { classes: (s) => `${legal.includes(s) ? "may" : ""} ${flipped.includes(s) ? "flipped" : ""}`, tell: (s) => `${SQUARE_NAMES[s]}: ${what(s)}` });
      const turn = `After ${moves.length} moves${moves.length ? ` (the last: ${SQUARE_NAMES[moves.at(-1)]})` : ""} ${name_of(mover)} is to move. `;
      for (const part of [read, next]) part.node.style.visibility = asked ? "" : "hidden";
      list.node.hidden = !asked;
      if (!asked) {
        said.textContent = turn + (moves.length ? "The board is full: the network reads no further." : "The network reads moves: play one, and it will have something to say.");
        return;
      }
      const wrong = Array.from(board.keys()).filter((s) => pushed.read[s] !== imagined[s]), discs = board.filter((x) => x).length;
      read.show(pushed.read, { classes: (s) => (wrong.includes(s) ? "wrong" : ""),
        summary: `the probe reads ${discs - wrong.filter((s) => board[s]).length} of ${discs} discs rightly; other than there: ${list_of(wrong)}` });
      const top = pushed.p.reduce((a, b) => Math.max(a, b)), mass = 1 - then.reduce((sum, s) => sum + pushed.p[s], 0), five = top_of(pushed.p, 5);
      next.show(imagined, { shade: (s) => pushed.p[s] / top, classes: (s) => `${then.includes(s) ? "may" : ""} ${flipped.includes(s) ? "flipped" : ""}`,
        summary: `likeliest: ${five.slice(0, 3).map((s) => `${SQUARE_NAMES[s]} ${fixed(100 * pushed.p[s], 0)} %`).join(", ")}` });
      list.show(five.map((s) => [SQUARE_NAMES[s], [{ share: pushed.p[s], text: fixed(pushed.p[s]) }, ...(vector ? [{ share: plain.p[s], text: fixed(plain.p[s]), control: true }] : []),
        { text: then.includes(s) ? "legal" : "not legal" }]]));
      list.heads(vector ? ["square", "with the flip", "without", "legal if flipped?"] : ["square", "probability", "legal?"]);
      if (!legal.length) { said.textContent = `${turn}No move is legal: the game is over.`; return; }
      if (!vector) {
        said.textContent = `${turn}Legal: ${list_of(legal)}. The probe reads ${discs - wrong.filter((s) => board[s]).length} of the ${discs} discs rightly. The network puts ${fixed(100 * mass, 1)} % of its probability on moves that are not legal.`;
        return;
      }
      const errors = errors_of(pushed.logits, then), at_first = errors_of(plain.logits, then);
      const gone = legal.filter((s) => !then.includes(s)), come = then.filter((s) => !legal.includes(s));
      said.textContent = `${list_of(flipped)} flipped in the stream. On that board ${gone.length ? `${list_of(gone)} would no longer be legal` : "no move would be lost"}, and ${come.length ? `${list_of(come)} would be new` : "none would be new"}. ` +
        `Errors against its legal moves: ${at_first} without the flip, ${errors} with it.`;
      job = behind(model, "random_pushes", { weights, moves, probe, push, vector, legal: then, count: DRAWS }, ({ errors: found }) => {
        const sorted = found.slice().sort((a, b) => a - b), none = found.filter((e) => e <= errors).length;
        effect.textContent = `${found.length} random pushes of the same length: ${sorted[0]} to ${sorted.at(-1)} errors, median ${sorted[Math.floor(sorted.length / 2)]}; ${none} of them do as well as the flip (p = ${fixed((1 + none) / (1 + found.length))}, the floor is ${fixed(1 / (1 + found.length))}).`;
      });
      job.done.catch((error) => guarded(effect, () => { throw error; }));
    }
    return draw;
  });
}
export default { render };
