// Othello on six by six squares, as mechlib.othello.games has it. A board is an Int8Array of 36, row
// after row: 1 black, -1 white, 0 empty; black (1) moves first. A player without a move ends the game.

const SIDE = 6;
const SQUARE_NAMES = Array.from({ length: 36 }, (_, s) => `${"abcdef"[s % SIDE]}${Math.floor(s / SIDE) + 1}`);
const DIRECTIONS = [[0, 1], [0, -1], [1, 0], [-1, 0], [1, 1], [-1, -1], [1, -1], [-1, 1]];
const mover_after = (moves) => (moves % 2 ? -1 : 1);

function first_board() {
  const board = new Int8Array(36);
  board[15] = board[20] = 1;
  board[14] = board[21] = -1;
  return board;
}

// The discs that turn when `mover` puts one on `square`: none where the move is not legal.
function turned(board, square, mover) {
  if (board[square]) return [];
  const found = [];
  for (const [down, right] of DIRECTIONS) {
    const row = [];
    let r = Math.floor(square / SIDE) + down, c = (square % SIDE) + right;
    const inside = () => r >= 0 && r < SIDE && c >= 0 && c < SIDE;
    for (; inside() && board[r * SIDE + c] === -mover; r += down, c += right) row.push(r * SIDE + c);
    if (inside() && board[r * SIDE + c] === mover) found.push(...row);
  }
  return found;
}

const legal_moves = (board, mover) => Array.from(board.keys()).filter((square) => turned(board, square, mover).length);

// The board after these moves. A move that the rules forbid is a sentence to the reader.
function played(moves) {
  const board = first_board();
  moves.forEach((square, i) => {
    const mover = mover_after(i), row = turned(board, square, mover);
    if (!row.length) throw new PlainError(`Move ${i + 1}, ${SQUARE_NAMES[square] ?? square}, is not legal.`);
    for (const s of [square, ...row]) board[s] = mover;
  });
  return board;
}

// ---- the network ---------------------------------------------------------------------------------
// net: the model; probe: {after, weight (d_model, 36, 3), bias (36, 3)}, read behind `after` blocks;
// push: {after, writing (36, d_model), strength}, as mechlib.othello.edits flips a disc.

// The directions of these flips added up, as the player to move sees the board: mine goes, yours comes.
function push_of(push, board, mover, squares) {
  const d = push.writing.length / 36, out = new Float32Array(d);
  for (const s of squares) for (let i = 0; i < d; i++) out[i] -= push.strength * board[s] * mover * push.writing[s * d + i];
  return out;
}

// What lies on each square, in the board's own colours, as the probe reads it from one row of the stream.
function probed(probe, row, mover) {
  return Int8Array.from({ length: 36 }, (_, s) => {
    const scores = [0, 1, 2].map((c) => row.reduce((sum, x, i) => sum + x * probe.weight[(i * 36 + s) * 3 + c], probe.bias[s * 3 + c]));
    return [0, mover, -mover][top_of(scores, 1)[0]];
  });
}

// {logits, p, read, before}: the next move (last position) and the board that the probe reads, with
// `vector` added behind the block of the push. `before`: the stream that goes into that push.
function opinion(net, moves, probe, push, vector = null, start = null) {
  const d = net.config.d_model, at = `blocks.${push.after - 1}.hook_resid_post`, seen = `blocks.${probe.after - 1}.hook_resid_post`;
  const given = vector ? [{ kind: "steer", at, direction: vector, positions: [-1] }] : [];
  const { logits, kept } = forward(net, moves, { interventions: given, keep: [seen, `blocks.${push.after - 1}.hook_resid_pre`], start });
  const last_logits = logits.slice(-36), total = log_sum_exp(last_logits, 0, 36);
  return { logits: last_logits, p: last_logits.map((x) => Math.exp(x - total)), read: probed(probe, kept[seen].slice(-d), mover_after(moves.length)),
    start: { layer: push.after - 1, stream: kept[`blocks.${push.after - 1}.hook_resid_pre`] } };
}

// As mechlib.othello.edits.errors: of as many moves as are legal, the wrong and the missing ones.
function errors_of(logits, legal) {
  const named = top_of(logits, legal.length);
  return 2 * named.filter((s) => !legal.includes(s)).length;
}

// Errors after random pushes, each as long as `vector`: what any push of this length does.
function* random_pushes({ weights, moves, probe, push, vector, legal, count }) {
  const net = read_model(weights), { start } = opinion(net, moves, probe, push), next = random(1), long = Math.hypot(...vector), found = [];
  for (let i = 0; i < count; i++) {
    const drawn = normals(next, vector.length), scale = long / Math.hypot(...drawn);
    found.push(errors_of(opinion(net, moves, probe, push, drawn.map((x) => x * scale), start).logits, legal));
    yield { errors: found.slice() };
  }
}
