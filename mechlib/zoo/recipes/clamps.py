"""Which part of an induction circuit does the model wait for? Chapter 11.

Singh et al. 2024 clamp one part of the circuit in its finished form while the rest is trained. The
look one back is in `in_context` ("two-layer-repeats-clamped"); here are the two other parts:

    two-layer-repeats-match  head L1H0 attends to what came after the present token's earlier
                             occurrences: what is left to learn is to copy
    two-layer-repeats-copy   what head L1H0 attends to is copied to the logits: what is left to
                             learn is where to look

A head that is told where to look looks nowhere while there is nothing to match. The models differ
from `two-layer-repeats` in nothing else, and are trained for as long as it takes to see. A minute
each on one core; measures only.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechlib.interventions import Ablate, FreezePattern
from mechlib.model import Transformer
from mechlib.train import History
from mechlib.zoo.recipes import loss_fell, recipe
from mechlib.zoo.recipes.in_context import RepeatedBlocks

PATTERN = "blocks.1.attn.hook_pattern"
COPIED = 8.0  # logit of a token that head L1H0 attends to with all it has


def after_occurrences(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch query key"]:
    """Perfect prefix matching: attention shared evenly among the places behind the earlier
    occurrences of the present token; a row of zeros where there is none."""
    n_pos = tokens.shape[1]
    earlier = torch.ones(n_pos, n_pos, dtype=torch.bool, device=tokens.device).tril(-1)
    same = (tokens[:, :, None] == tokens[:, None, :]) & earlier  # (batch, query, key)
    found = torch.nn.functional.pad(same.to(torch.float32), (1, 0))[..., :n_pos]
    return found / found.sum(-1, keepdim=True).clamp(min=1.0)


class Watch:
    """An intervention that changes nothing and keeps the pattern of head L1H0 of this pass."""

    at = PATTERN

    def apply(self, pattern: Tensor) -> Tensor:
        self.pattern = pattern[:, 0]
        return pattern


class AddCopies:
    """Adds to the logits `COPIED` times head L1H0's attention to each token."""

    at = "hook_logits"

    def __init__(self, watch: Watch, tokens: Int[Tensor, "batch pos"]):
        self.watch, self.tokens = watch, tokens.long()

    def apply(self, logits: Tensor) -> Tensor:
        one_hot = torch.nn.functional.one_hot(self.tokens, logits.shape[-1]).to(logits)
        return logits + COPIED * self.watch.pattern @ one_hot


@recipe("two-layer-repeats-match", "Repeats, head L1H0 made to match prefixes",
        seeds=range(3), store="measures", given="match", steps=300)  # fmt: skip
@recipe("two-layer-repeats-copy", "Repeats, head L1H0 made to copy",
        seeds=range(2), store="measures", given="copy")  # fmt: skip
class Given(RepeatedBlocks):
    """Measures as those of `RepeatedBlocks`."""

    steps = 1000
    given = ""

    def clamp(self, tokens: Int[Tensor, "batch pos"]) -> list:
        held = super().clamp(tokens)
        if self.given == "match":
            return [*held, FreezePattern(1, after_occurrences(tokens), head=0)]
        watch = Watch()
        return [*held, Ablate("blocks.1.attn.hook_z", head=0), watch, AddCopies(watch, tokens)]

    def check(self, model: Transformer | None, history: History) -> None:
        """Only that the run is sound: what comes of it is the question, not a condition."""
        losses = history.values("on/repeats")
        loss_fell("It learns something of what repeats", losses, below=3.5)
