"""Words that come back in two pieces: found where they are planted, and by chance where not."""

import torch

from mechlib.reading.factored import FactoredMatrix
from mechlib.reading.pieces import in_two_pieces, letters_of, spelled_triples

WORDS = ["<|doc|>", " number", "_n", "umber", "umbrella", " umber", "_o", "ther", " other", "7"]
NUMBER, N, UMBER, UMBRELLA = 1, 2, 3, 4
OTHER, O, THER = 8, 6, 7
SOURCES = torch.tensor([NUMBER, OTHER])


def triples():
    return spelled_triples(WORDS.__getitem__, len(WORDS), SOURCES)


def planted(size=100):
    """One head: "_n" looks at " number" and " other" alike, " number" brings "umber"."""
    look, bring = torch.zeros(1, size, size), torch.zeros(1, size, size)
    look[0, N, [NUMBER, OTHER]] = 5.0
    bring[0, NUMBER, UMBER] = 3.0
    eye = torch.eye(size)[None]
    return FactoredMatrix(look, eye), FactoredMatrix(bring, eye)


def test_a_token_without_what_surrounds_it():
    assert [letters_of(word) for word in (" Number", "_n", "7 ")] == ["number", "n", "7"]


def test_triples_are_made_from_the_spelling():
    assert triples().tolist() == [
        [NUMBER, N, UMBER, 1], [NUMBER, N, UMBRELLA, 0], [OTHER, O, THER, 1]
    ]  # fmt: skip
    none = spelled_triples(WORDS.__getitem__, len(WORDS), torch.tensor([9]))
    assert none.shape == (0, 4)


def test_what_is_planted_is_found_and_weighed():
    QK, OV = planted()
    share = torch.full((100,), 0.01)
    pieces = in_two_pieces(QK, OV, share, triples(), torch.Generator().manual_seed(0))
    assert [triple[1:] for triple in pieces.found] == [(NUMBER, N, UMBER, 1)]
    look = 5 - torch.log((98 + 2 * torch.tensor(5.0).exp()) / 100)
    torch.testing.assert_close(torch.tensor(pieces.found[0][0]), look * (3 - 0.03))
    assert (pieces.count(True), pieces.count(False)) == (1, 0)
    assert pieces.chance.shape == (20, 2)
    # a shuffle gives the source of the last triple to the first in one case of three
    assert 0 < pieces.by_chance(True).sum() < 20
    assert pieces.by_chance(False).sum() == 0


def test_a_head_that_looks_nowhere_holds_nothing():
    QK, OV = planted()
    share = torch.full((100,), 0.01)
    nowhere = FactoredMatrix(QK.A * 0, QK.B)
    pieces = in_two_pieces(nowhere, OV, share, triples(), torch.Generator().manual_seed(0))
    assert pieces.found == []
    assert pieces.chance.sum() == 0
