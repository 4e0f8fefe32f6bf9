"""Checkers of chapter 20: cutting apart what is fused, folding a LayerNorm, scoring a head."""

import torch

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, patterns, shaped


@exercise("unfuse", chapter=20)
def unfuse(answer: Answer) -> None:
    """From GPT-2's fused matrix (d_model, 3 d_model), [in, out], and the number of heads to the
    three stacks W_Q, W_K, W_V, each (head, d_model, d_head). Columns: all queries, then all keys,
    then all values; within each, head after head."""
    n_heads, d_head = 3, 5
    d_model = n_heads * d_head
    fused = numbers(d_model, 3 * d_model, seed=1)
    found = answer(fused, n_heads)
    several = isinstance(found, (tuple, list, torch.Tensor))  # three apart, or in one stack
    holds(several and len(found) == 3, "three matrices are wanted")
    wanted = torch.zeros(3, n_heads, d_model, d_head, dtype=torch.float64)
    for part in range(3):
        for head in range(n_heads):
            for column in range(d_head):
                at = part * d_model + head * d_head + column
                wanted[part, head, :, column] = fused[:, at]
    stacks = [shaped(W, (n_heads, d_model, d_head), "(head, d_model, d_head)") for W in found]
    cut = fused.reshape(d_model, 3, d_model).transpose(0, 1)
    by_head = fused.reshape(d_model, n_heads, 3, d_head).permute(2, 1, 0, 3)
    close(
        torch.stack(stacks),
        wanted,
        "queries, keys and values of each head",
        mistakes={
            "the order is queries, keys, values": wanted.flip(0),
            "you took the rows for the heads: it is the columns that belong to heads": torch.stack(
                [W.reshape(n_heads, d_model, d_head) for W in cut]
            ),
            "the heads' columns stand side by side, they do not take turns": cut.reshape(
                3, d_model, d_head, n_heads
            ).permute(0, 3, 1, 2),
            "all queries come first, not all that belongs to head 0": by_head,
        },
    )


@exercise("fold-norm", chapter=20)
def fold_norm(answer: Answer) -> None:
    """From a LayerNorm's gain and shift (d_in,) and the weight (d_in, d_out) and bias (d_out,) that
    read it to the weight and bias that give the same from the LayerNorm without them."""
    gain, shift = 1 + numbers(5, seed=1), numbers(5, seed=2)
    W, bias = numbers(5, 7, seed=3), numbers(7, seed=4)
    found = answer(gain, shift, W, bias)
    holds(isinstance(found, (tuple, list)) and len(found) == 2, "a weight and a bias are wanted")
    weight = shaped(found[0], (5, 7), "(d_in, d_out)")
    constant = shaped(found[1], (7,), "(d_out,)")
    x = numbers(11, 5, seed=5)  # what comes out of the plain LayerNorm
    wanted = (x * gain + shift) @ W + bias
    through = gain[:, None] * W
    close(
        x @ weight + constant,
        wanted,
        "the same output as with the gain and the shift",
        mistakes={
            "the shift is lost: it too goes through W": x @ through + bias,
            "the old bias is lost": x @ through + shift @ W,
            "the gain is lost": x @ W + shift @ W + bias,
            "the shift comes after the gain, and is not multiplied by it": x @ through
            + (gain * shift) @ W
            + bias,
            "you divide by the gain": x @ (W / gain[:, None]) + shift @ W + bias,
        },
    )


@exercise("repeat-score", chapter=20)
def repeat_score(answer: Answer) -> None:
    """From a pattern (query, key) on a text that is one segment of length `period`, twice over, to
    one number: the mean attention from the second copy to the place after the same token in the
    first copy."""
    period = 5
    pattern = patterns(1, 2 * period, seed=3)[0]
    queries = range(period, 2 * period)

    def mean(offset: int, of=queries):
        return torch.stack([pattern[q, q - period + offset] for q in of]).mean()

    close(
        shaped(answer(pattern, period), (), "one number"),
        mean(1),
        "the mean attention from q to q - period + 1",
        mistakes={
            "you look at the same token, not at the place after it": mean(0),
            "you look at the place before it": mean(-1, list(queries)[1:]),
            "only queries of the second copy count": mean(1, range(period - 1, 2 * period)),
            "you sum where a mean is wanted": period * mean(1),
        },
    )
