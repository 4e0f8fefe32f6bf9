"""Checkers of chapter 4: wires between heads, the logit lens, direct effects, erasing."""

import math

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


@exercise("virtual-weights", chapter=4)
def virtual_weights(answer: Answer) -> None:
    """How strongly each writing head is wired to each reading head: from W_O (writer, d_head,
    d_model) and W_K (reader, d_model, d_head) the size of W_O W_K as a share of the most it could
    be, |W_O| |W_K|, at [writer, reader]. The size of a matrix is its Frobenius norm."""
    W_O, W_K = numbers(3, 2, 7), numbers(5, 7, 2, seed=1)
    found = answer(W_O, W_K)

    def size(M: Tensor) -> float:
        return math.sqrt(sum(float(entry) ** 2 for entry in M.flatten()))

    product = torch.tensor([[size(w @ r) for r in W_K] for w in W_O], dtype=torch.float64)
    written = torch.tensor([[size(w)] for w in W_O], dtype=torch.float64)
    read = torch.tensor([size(r) for r in W_K], dtype=torch.float64)
    if isinstance(found, Tensor) and tuple(found.shape) == (5, 3):
        holds(False, "the axes have changed places: (writer, reader) is wanted")
    found = shaped(found, (3, 5), "(writer, reader)")
    spectral = torch.stack(
        [torch.stack([torch.linalg.svdvals(w @ r)[0] for r in W_K]) for w in W_O]
    )
    close(
        found,
        product / (written * read),
        "the size of the product as a share of the product of the sizes",
        mistakes={
            "you give the size of the product and do not divide": product,
            "you divide by the writer's size only": product / written,
            "you divide by the reader's size only": product / read,
            "you take the largest singular value for the size": spectral / (written * read),
            "you forget the root: these are squared sizes": (product / (written * read)) ** 2,
        },
    )


@exercise("logit-lens", chapter=4)
def logit_lens(answer: Answer) -> None:
    """The probability that the stream (pos, d_model) would give to the tokens that come next (pos,)
    if the model stopped here and W_U (d_model, d_vocab) read it."""
    stream, W_U = numbers(5, 3), numbers(3, 7, seed=1)
    following = torch.tensor([6, 0, 3, 3, 1])
    found = shaped(answer(stream, W_U, following), (5,), "(pos,)")
    at = list(enumerate(following.tolist()))
    logits = stream @ W_U
    share = torch.stack([logits[i, t].exp() / logits[i].exp().sum() for i, t in at])
    close(
        found,
        share,
        "a softmax over the vocabulary, read at the token that comes next",
        mistakes={
            "these are logits, not yet probabilities": torch.stack([logits[i, t] for i, t in at]),
            "these are log-probabilities": share.log(),
            "you take the softmax over positions": torch.stack(
                [logits[i, t].exp() / logits[:, t].exp().sum() for i, t in at]
            ),
            "you read the likeliest token, whatever comes": logits.softmax(-1).max(-1).values,
        },
    )


def _mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    picked = logits.gather(-1, targets[..., None])[..., 0]
    return (logits.logsumexp(-1) - picked).mean()


@exercise("direct-effect", chapter=4)
def direct_effect(answer: Answer) -> None:
    """By how much the mean loss (nats) rises when one writer's part (text, pos, d_model) of the
    final stream (text, pos, d_model) is replaced by its mean over texts and positions. W_U is
    (d_model, d_vocab), the targets are (text, pos)."""
    final, part, W_U = numbers(2, 5, 3), numbers(2, 5, 3, seed=1), numbers(3, 7, seed=2)
    part = part + 1
    targets = torch.arange(10).reshape(2, 5) * 3 % 7
    found = shaped(answer(final, part, W_U, targets), (), "a single number")

    def rise(without: Tensor) -> Tensor:
        return _mean_loss(without @ W_U, targets) - _mean_loss(final @ W_U, targets)

    mean = part.mean((0, 1))
    right = rise(final - part + mean)
    close(
        found,
        right,
        "the loss without what varies in this part, less the loss with it",
        mistakes={
            "you take the part away and put nothing in its place": rise(final - part),
            "the sign is the wrong way round: cutting should count as positive": -right,
            "you average over texts only; take the mean over positions, too": rise(
                final - part + part.mean(0)
            ),
            "you average over the coordinates of the stream": rise(
                final - part + part.mean(-1, keepdim=True)
            ),
            "this is the loss after the cut, not its rise": right
            + _mean_loss(final @ W_U, targets),
        },
    )


@exercise("erase", chapter=4)
def erase(answer: Answer) -> None:
    """The stream x (pos, d_model) without anything that W (d_model, r), of full rank, could read:
    what is left, times W, is zero, and nothing else is changed."""
    x, W = numbers(5, 7), numbers(7, 3, seed=1)
    found = shaped(answer(x, W), (5, 7), "(pos, d_model)").double()
    inside = x @ W @ torch.linalg.inv(W.T @ W) @ W.T  # the part of x in the span of W's columns
    close(
        found,
        x - inside,
        "nothing is left for W to read, and all the rest stays",
        mistakes={
            "you keep what W reads and throw the rest away": inside,
            "W's columns are neither of length one nor at right angles: make them so first": x
            - x @ W @ W.T,
            "you take it away twice": x - 2 * inside,
            "nothing is erased": x,
        },
    )
