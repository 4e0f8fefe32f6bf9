"""Words that come back in two pieces: the skip-trigrams [ab] … [a] → [b] of a one-layer model.

A tokenizer gives a frequent word a token of its own with the blank before it, and cuts it in two
elsewhere: " number" is one token, "_number" is "_n" and "umber". A head that looks from the first
piece back at the whole word and brings the second piece knows how the word is spelled. The list of
what could come back so is made from the spelling alone; the weights are asked afterwards.

    exact    [ab] … [a] → [b]     " number" … "_n" → "umber"
    other    [ab] … [a] → [b']    b' only begins as the rest of the source does

Source: Elhage et al. 2021, "Skip-trigrams". Chapters 07 and 11.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechlib.reading.factored import FactoredMatrix


def letters_of(token: str) -> str:
    """A token without the blanks and underscores at its ends, in small letters."""
    return token.strip(" _").lower()


def spelled_triples(
    token: Callable[[int], str], d_vocab: int, sources: Int[Tensor, " source"]
) -> Int[Tensor, "triple 4"]:
    """All (source, a, b, exact) in which a source's letters begin with those of a and go on as b.

    exact is 1 where b is the whole rest of the source, 0 where the two share their first two
    letters only. b must be able to end a word: no blank before it, two letters at least.

    token: the text of a token. sources: the tokens that may be a source.
    """
    letters = {i: letters_of(token(i)) for i in range(d_vocab) if letters_of(token(i)).isalpha()}
    first: dict[str, list[int]] = {}
    ends: dict[str, list[int]] = {}
    for i, word in letters.items():
        first.setdefault(word, []).append(i)
        if token(i) == token(i).strip(" _") and len(word) > 1:
            ends.setdefault(word[:2], []).append(i)
    found = [
        (s, a, b, int(token(b) == letters[s][cut:]))
        for s in sources.tolist()
        for cut in range(1, len(letters.get(s, "")) - 1)
        for a in first.get(letters[s][:cut], [])
        for b in ends.get(letters[s][cut : cut + 2], [])
    ]
    return torch.tensor(found, dtype=torch.long).reshape(-1, 4)


class Pieces(NamedTuple):
    """What the heads of a model hold of a list of triples.

    found: (strength, source, a, b, exact) of every triple and head in which both circuits agree.
    chance: [exact, other] counts, one row for each shuffle of the sources.
    """

    found: list[tuple[float, int, int, int, int]]
    chance: Int[Tensor, "shuffle 2"]

    def count(self, exact: bool) -> int:
        """How many were found, of the exact ones or of the others."""
        return sum(triple[4] == exact for triple in self.found)

    def by_chance(self, exact: bool) -> Int[Tensor, " shuffle"]:
        """The same count with the sources shuffled."""
        return self.chance[:, 0 if exact else 1]


def in_two_pieces(
    QK: FactoredMatrix,
    OV: FactoredMatrix,
    share: Float[Tensor, " d_vocab"],
    spelled: Int[Tensor, "triple 4"],
    draw: torch.Generator,
    shuffles: int = 20,
) -> Pieces:
    """Which triples are in the weights of a layer's heads, and how many would be by chance.

    A head holds a triple when a looks at the source more than e times as much as at an average
    token, and b is among the top 2 % of what the source raises.

    QK: (head, query token, key token), with the 1/sqrt(d_head) of the scores. OV: (head, source,
    out), logits. share: how often each token occurs, summing to 1. draw: shuffles the sources.
    """
    spelled, device = spelled.cpu(), QK.A.device
    # of the two tables only some rows are asked: those of the sources, those of the first pieces
    sources, firsts = (spelled[:, column].unique().to(device) for column in (0, 1))
    mixed = [
        torch.cat([spelled[torch.randperm(len(spelled), generator=draw), :1], spelled[:, 1:]], 1)
        for _ in range(shuffles)
    ]
    found, chance = [], torch.zeros(shuffles, 2, dtype=torch.long)
    for head in range(len(OV.A)):
        scores, rows = QK[head].rows(firsts), OV[head].rows(sources)
        look = scores - (scores.exp() @ share).log()[..., None]
        rows = rows - rows.mean(-1, keepdim=True)
        top = rows > rows.kthvalue(int(0.98 * rows.shape[1]), dim=1).values[:, None]

        def held(triples: Tensor, look=look, rows=rows, top=top) -> tuple[Tensor, Tensor]:
            source, a, b, _ = triples.to(device).T
            row = torch.searchsorted(sources, source.contiguous())
            first = torch.searchsorted(firsts, a.contiguous())
            agree = (look[first, source] > 1) & top[row, b]
            return triples[agree.cpu()], (look[first, source] * rows[row, b])[agree].cpu()

        these, strength = held(spelled)
        found += [(x, *triple) for x, triple in zip(strength.tolist(), these.tolist())]
        chance += torch.stack(
            [held(triples)[0][:, 3].bincount(minlength=2).flip(0) for triples in mixed]
        )
    return Pieces(found, chance)
