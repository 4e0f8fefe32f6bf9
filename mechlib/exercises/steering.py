"""Checkers of chapter 16: a patch, its two shares, one path, and a push beside its null."""

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, Wrong, close, exercise, holds, numbers, shaped


@exercise("patch-head", chapter=16)
def patch_head(answer: Answer) -> None:
    """What a run's heads give, base (batch, position, head, d_head), with one head, at all
    positions, taken from the same place of another run."""
    base, other = numbers(5, 7, 3, 2), numbers(5, 7, 3, 2, seed=1)
    wanted, added, swapped, last = base.clone(), base.clone(), other.clone(), base.clone()
    at_positions, at_widths = base.clone(), base.clone()
    wanted[:, :, 1] = other[:, :, 1]
    added[:, :, 1] += other[:, :, 1]
    swapped[:, :, 1] = base[:, :, 1]
    last[:, -1, 1] = other[:, -1, 1]
    at_positions[:, 1] = other[:, 1]
    at_widths[..., 1] = other[..., 1]
    close(
        shaped(answer(base, other, 1), (5, 7, 3, 2), "(batch, position, head, d_head)"),
        wanted,
        "one head from the other run, and all else as it was",
        mistakes={
            "you exchange one position of all heads: heads are the third axis": at_positions,
            "you exchange one entry of every head: heads are the third axis": at_widths,
            "you take all heads from the other run": other,
            "you put the base's head into the other run": swapped,
            "you add the other head: the old one must go": added,
            "you patch the last position only": last,
        },
    )


@exercise("restored-share", chapter=16)
def restored_share(answer: Answer) -> None:
    """The two shares of the gap, (denoising, noising), from a metric (text,) in four runs: clean,
    corrupted, the corrupted run with a clean part, the clean run with a corrupted part. Means over
    the texts are taken first."""
    clean, corrupted = 3 + numbers(13).abs(), numbers(13, seed=1) / 4
    repaired, broken = corrupted + 0.6, clean - 2 + numbers(13, seed=2) / 3
    c, k, r, b = (float(x.mean()) for x in (clean, corrupted, repaired, broken))
    gap = c - k
    wanted = torch.tensor([(r - k) / gap, (c - b) / gap])
    each = clean - corrupted
    by_text = torch.stack(
        [((repaired - corrupted) / each).mean(), ((clean - broken) / each).mean()]
    )
    found = answer(clean, corrupted, repaired, broken)
    close(
        shaped(found, (2,), "(denoising, noising)"),
        wanted,
        "the shares that come back and that are lost",
        mistakes={
            "you do not divide by the gap between the two runs": wanted * gap,
            "you take the share of each text first: one small gap then outweighs all others": (
                by_text
            ),
            "noising is measured from the clean run: what is lost, and not what is left": (
                torch.tensor([(r - k) / gap, (b - k) / gap])
            ),
            "denoising is measured from the corrupted run: what comes back, not what is missing": (
                torch.tensor([(c - r) / gap, (c - b) / gap])
            ),
            "you have the two in the other order": wanted.flip(0),
        },
    )


@exercise("one-path", chapter=16)
def one_path(answer: Answer) -> None:
    """Queries, keys and values (position, d_head) of a later head, where only its keys see an
    earlier head's output exchanged: `stream` (position, d_model) holds the sum of all that was
    written, `out` (position, d_model) among it, and `other` is what that head wrote in the other
    run."""
    stream, out, other = (numbers(7, 5, seed=s) for s in range(3))
    W_Q, W_K, W_V = (numbers(5, 3, seed=s) for s in range(3, 6))
    found = answer(stream, out, other, W_Q, W_K, W_V)
    holds(isinstance(found, (tuple, list)) and len(found) == 3, "three tables: q, k and v")
    q, k, v = (shaped(x, (7, 3), "(position, d_head)") for x in found)
    changed = stream - out + other
    for name, table, W in (("queries", q, W_Q), ("values", v, W_V)):
        close(
            table,
            stream @ W,
            f"the {name} read the stream as it was",
            mistakes={f"your {name} see the other run, too: that is another path": changed @ W},
        )
    close(
        k,
        changed @ W_K,
        "the keys read the stream with the head's output exchanged",
        mistakes={
            "nothing is patched: your keys read the old stream": stream @ W_K,
            "the head's own output is still there: take it away first": (stream + other) @ W_K,
            "your keys read that head alone: all else that was written is missing": other @ W_K,
            "you take the other run's output away instead of adding it": (stream - other) @ W_K,
            "you have only taken the head out": (stream - out) @ W_K,
        },
    )


class Readout:
    """A measure for steering: how far a direction moves a made-up model. It keeps what it saw."""

    def __init__(self, weights: Tensor):
        self.weights, self.seen = weights, []

    def __call__(self, direction: Tensor) -> float:
        if direction.shape != self.weights.shape:
            raise ValueError(f"one direction (d_model,) at a time, got {tuple(direction.shape)}")
        self.seen.append(direction.double())
        return float(direction.double() @ self.weights)


@exercise("steering-null", chapter=16)
def steering_null(answer: Answer) -> None:
    """(effect, p) of a direction (d_model,): `measure(direction)` says how far a direction moves
    the model; p compares its size with those of `draws` random directions of the same norm, drawn
    with the generator, the effect itself counted among them."""
    weights = numbers(11, seed=4)
    tilted = 0.25 * weights / weights.norm() + 0.97 * _across(weights)
    for draws, direction in ((199, 3 * weights), (97, 2 * tilted), (97, -2 * tilted)):
        measure = Readout(weights)
        found = answer(measure, direction, draws, torch.Generator().manual_seed(draws))
        effect, p = shaped(found, (2,), "(effect, p)").double()
        close(effect, direction @ weights, "the effect is what `measure` says of the direction")
        null = [x for x in measure.seen if not torch.allclose(x, direction)]
        if len(null) != draws:
            raise Wrong(f"you measured {len(null)} random directions where {draws} are asked for")
        lengths = torch.stack(null).norm(dim=1) / direction.norm()
        holds(
            bool(((lengths - 1).abs() < 1e-4).all()),
            "your random directions are not as long as the direction that is tested",
        )
        middle = torch.stack([x / x.norm() for x in null]).mean(0)
        holds(float(middle.norm()) < 0.3, "your random directions lean to one side")
        moved = torch.stack([x @ weights for x in null])
        further = int((moved.abs() >= abs(effect)).sum())
        close(
            p,
            (1 + further) / (1 + draws),
            "one and the draws that move at least as far, over one and the draws",
            mistakes=_other_counts(moved, float(effect), further, draws),
        )


def _across(direction: Tensor) -> Tensor:
    """A direction of length 1 at right angles to this one."""
    other = numbers(len(direction), seed=9)
    other -= (other @ direction) / direction.square().sum() * direction
    return other / other.norm()


def _other_counts(moved: Tensor, effect: float, further: int, draws: int) -> dict[str, float]:
    """Usual mistakes in a p-value, without those that make no difference for these draws."""
    wanted = (1 + further) / (1 + draws)
    signed = int((moved >= effect).sum())
    counts = {
        "you leave the effect itself out: then p could be zero": further / draws,
        "you count one side only: a push to the other side is as far": (1 + signed) / (1 + draws),
        "you count the draws that move less": (1 + draws - further) / (1 + draws),
    }
    return {hint: p for hint, p in counts.items() if abs(p - wanted) > 1e-6}
