"""Which part of an induction circuit does the model wait for? Chapter 11.

Singh et al. 2024 clamp one part of the circuit in its finished form while the rest is trained. The
look one back is in `in_context` ("two-layer-repeats-clamped"); here are the two other parts:

    two-layer-repeats-match         head L1H0 attends to what came after the present token's earlier
                                    occurrences: what is left to learn is to copy
    two-layer-repeats-match-beside  as a control, it attends to those earlier occurrences themselves
    two-layer-repeats-copy          what head L1H0 attends to is copied to the logits: what is left
                                    to learn is where to look
    two-layer-repeats-copy-renamed  as a control, every token is copied as another one
    two-layer-repeats-back-copy     the look one back and the copying are given: what is left to
                                    learn is to match

A head that is told where to look looks nowhere while there is nothing to match. The models differ
from `two-layer-repeats` in nothing else, and are trained for as long as it takes to see. A minute
each on one core; measures only; the controls from one seed.
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


def earlier_places(
    tokens: Int[Tensor, "batch pos"], after: int
) -> Float[Tensor, "batch query key"]:
    """Attention shared evenly among the places `after` behind each earlier occurrence of the
    present token; a row of zeros where there is none.

    `after=1` is perfect prefix matching, `after=0` looks at the occurrences themselves.
    """
    same = tokens[:, :, None] == tokens[:, None, :]  # (batch, query, key)
    n_pos = tokens.shape[1]
    same = same & torch.ones(n_pos, n_pos, dtype=torch.bool, device=tokens.device).tril(-1)
    found = same.to(torch.float32)
    if after:
        found = torch.nn.functional.pad(found, (after, 0))[..., :n_pos]
    return found / found.sum(-1, keepdim=True).clamp(min=1.0)


class Watch:
    """An intervention that changes nothing and keeps the pattern of head L1H0 of this pass."""

    at = PATTERN

    def apply(self, pattern: Tensor) -> Tensor:
        self.pattern = pattern[:, 0]
        return pattern


class AddCopies:
    """Adds to the logits `COPIED` times head L1H0's attention to each token, as `names` has it."""

    at = "hook_logits"

    def __init__(self, watch: Watch, names: Int[Tensor, "batch pos"]):
        self.watch, self.names = watch, names

    def apply(self, logits: Tensor) -> Tensor:
        one_hot = torch.nn.functional.one_hot(self.names, logits.shape[-1]).to(logits)
        return logits + COPIED * self.watch.pattern @ one_hot


@recipe("two-layer-repeats-match", "Repeats, head L1H0 made to match prefixes",
        seeds=range(3), store="measures", given="match", steps=300)  # fmt: skip
@recipe("two-layer-repeats-match-beside", "Repeats, head L1H0 made to look at earlier occurrences",
        store="measures", given="beside")  # fmt: skip
@recipe("two-layer-repeats-copy", "Repeats, head L1H0 made to copy",
        seeds=range(3), store="measures", given="copy")  # fmt: skip
@recipe("two-layer-repeats-copy-renamed", "Repeats, head L1H0 made to copy other tokens",
        store="measures", given="renamed")  # fmt: skip
@recipe("two-layer-repeats-back-copy", "Repeats, L0H0 made to look one back and L1H0 to copy",
        seeds=range(3), store="measures", given="copy", looks_back=1,
        steps=500)  # fmt: skip
class Given(RepeatedBlocks):
    """Measures as those of `RepeatedBlocks`."""

    steps = 1000
    given = ""

    def clamp(self, tokens: Int[Tensor, "batch pos"]) -> list:
        held = super().clamp(tokens)
        if self.given in ("match", "beside"):
            pattern = earlier_places(tokens, after=int(self.given == "match"))
            return [*held, FreezePattern(1, pattern, head=0)]
        names = tokens.long() if self.given == "copy" else self.renamed(tokens)
        watch = Watch()
        return [*held, Ablate("blocks.1.attn.hook_z", head=0), watch, AddCopies(watch, names)]

    def renamed(self, tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
        """Each token as the next one, the last as the first: no token keeps its name."""
        return (tokens.long() + 1) % self.d_vocab

    def check(self, model: Transformer | None, history: History) -> None:
        """Only that the run is sound: what comes of it is the question, not a condition."""
        losses = history.values("on/repeats")
        loss_fell("It learns something of what repeats", losses, below=3.5)
