"""The network that multiplies, and the sorting of its logits."""

import pytest
import torch

from mechlib.grokking import groups, products, progress

GROUP = groups.dihedral(3)
EACH = groups.irreducible(GROUP)


def test_the_grid_of_logits_is_the_forward_pass_of_every_pair():
    model = products.Multiplier(6, d_embed=5, d_hidden=7)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    assert torch.allclose(model.logits().flatten(0, 1), model(pairs), atol=1e-6)


def test_logits_made_of_one_character_are_found_to_be_that():
    rho = EACH[-1]
    logits = 3 * rho.character[GROUP.quotients]
    assert torch.allclose(products.character_logits(logits, GROUP, [rho]), logits)
    shares = products.character_shares(logits, GROUP, EACH)
    assert torch.allclose(shares, torch.tensor([0.0, 0, 1], dtype=shares.dtype), atol=1e-9)
    assert progress.pair_loss(30 * logits, GROUP.table) < 1e-9  # the right answer is on top


def test_means_by_quotient_against_a_loop():
    logits = torch.randn(6, 6, 6, dtype=torch.float64)
    found = products.of_the_quotient(logits, GROUP)
    centred = logits - logits.mean(-1, keepdim=True)
    for g in range(6):
        assert torch.isclose(found[g], centred[GROUP.quotients == g].mean())


def test_a_perfect_network_scores_one_and_the_split_holds():
    task = products.Products(GROUP, fraction=0.5, seed=3)
    assert int(task.shown.sum()) == 18

    class Perfect(products.Multiplier):
        def logits(self):
            return 20.0 * torch.nn.functional.one_hot(GROUP.table, 6)

    scores = task.scores(Perfect(6))
    assert scores["train accuracy"] == scores["test accuracy"] == 1
    assert scores["test loss"] < 1e-6
    with pytest.raises(ValueError, match="fraction"):
        products.Products(GROUP, fraction=1.0)
