"""Who gets it? The task of Wang et al. 2022: "... Ann and Tom ... Tom gave a letter to" -> " Ann".

Two names, one of them twice; the answer is the one that stood once. The metric is the logit of that
name (IO) less the logit of the other (S) at the last place, and the corrupted text has three names
that are all different, so that nothing says who it is. Sentences and names are this course's own,
in the pattern of the paper's: numbers over other sentences differ by some tenths. Chapter 20.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

# One sentence, two orders of the names before the second clause.
SENTENCES = (
    "When {0} and {1} came to the {place}, {2} gave a {thing} to",
    "After {0} and {1} met at the {place}, {2} handed a {thing} to",
    "While {0} and {1} were walking to the {place}, {2} passed a {thing} to",
    "Then {0} and {1} had a long talk in the {place}. Later {2} offered a {thing} to",
    "Yesterday {0} and {1} worked in the {place}, and {2} sent a {thing} to",
)
PLACES = ("garden", "station", "market", "library", "kitchen", "harbor")
THINGS = ("letter", "basket", "coat", "ticket", "pencil", "lamp")
NAMES = (
    "Alan", "Alice", "Amy", "Andrew", "Anna", "Brian", "Carl", "Charles", "Chris", "Daniel",
    "David", "Emily", "Emma", "Eric", "Frank", "George", "Grace", "Henry", "Jack", "James", "Jane",
    "Jason", "Kate", "Kevin", "Laura", "Lisa", "Louis", "Maria", "Mark", "Martin", "Mary",
    "Michael", "Nick", "Paul", "Peter", "Rachel", "Robert", "Rose", "Ryan", "Sarah", "Simon",
    "Steve", "Susan", "Thomas", "Tim", "Tom", "Victoria", "William",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class NamesTask:
    """Texts of one sentence, clean and corrupted, with the two answers and where things stand.

    `first_subject`, `second_subject`: the places at which S stands, for each text.
    """

    clean: Int[Tensor, "batch pos"]
    corrupted: Int[Tensor, "batch pos"]
    right: Int[Tensor, " batch"]
    wrong: Int[Tensor, " batch"]
    first_subject: Int[Tensor, " batch"]
    second_subject: int


def names_task(
    encode: Callable[[str], list[int]], sentence: int, n: int, seed: int = 0
) -> NamesTask:
    """`n` texts of one of `SENTENCES`, the subject first in half of them.

    encode: a tokenizer's. Names that are not one token are left out. Places and things are drawn
    from those of the commonest length, so that all texts have one length.
    ValueError when fewer than four names are one token.
    """
    names = [name for name in NAMES if len(encode(" " + name)) == 1]
    if len(names) < 4:
        raise ValueError(f"encode: only {len(names)} of the names are one token each, needs 4")
    places, things = _of_one_length(encode, PLACES), _of_one_length(encode, THINGS)
    generator = torch.Generator().manual_seed(seed)
    clean, corrupted, right, wrong, first = [], [], [], [], []
    for i in range(n):
        io, s, other, third = (
            names[j] for j in torch.randperm(len(names), generator=generator)[:4].tolist()
        )
        place = places[int(torch.randint(len(places), (1,), generator=generator))]
        thing = things[int(torch.randint(len(things), (1,), generator=generator))]
        pair = (s, io) if i % 2 else (io, s)
        text = SENTENCES[sentence].format(*pair, s, place=place, thing=thing)
        clean.append(encode(text))
        other_pair = (other, io) if i % 2 else (io, other)
        corrupted.append(
            encode(SENTENCES[sentence].format(*other_pair, third, place=place, thing=thing))
        )
        right.append(encode(" " + io)[0])
        wrong.append(encode(" " + s)[0])
        where = [p for p, token in enumerate(clean[-1]) if token == wrong[-1]]
        first.append(where[0])
        second = where[1]
    return NamesTask(
        *(torch.tensor(part) for part in (clean, corrupted, right, wrong, first)), second
    )


def _of_one_length(encode: Callable[[str], list[int]], words: tuple[str, ...]) -> list[str]:
    """The words that take the number of tokens that most of them take."""
    lengths = [len(encode(" " + word)) for word in words]
    commonest = max(sorted(set(lengths)), key=lengths.count)
    return [word for word, length in zip(words, lengths) if length == commonest]
