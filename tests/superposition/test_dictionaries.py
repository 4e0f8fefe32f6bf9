"""Sparse autoencoders and their scores, on codes that are known."""

import pytest
import torch

from mechlib.superposition import planted, scores
from mechlib.superposition.dictionaries import (
    Dictionary,
    Rows,
    dictionary_loss,
    fit,
    keep_largest,
    revive,
)


def test_topk_keeps_the_largest_of_each_input(generator):
    values = torch.randn(5, 7, generator=generator)
    kept = keep_largest(values, 3)
    for row, code in zip(values.tolist(), kept.tolist()):
        assert code == [v if v in sorted(row)[-3:] else 0 for v in row]


@pytest.mark.parametrize("kind", ["l1", "topk", "batchtopk"])
def test_codes_are_never_negative_and_sparse(kind, generator):
    x = torch.randn(11, 5, generator=generator)
    dictionary = Dictionary(5, 13, kind, k=2)
    code = dictionary.latents(x)
    assert (code >= 0).all()
    if kind == "topk":
        assert ((code > 0).sum(1) <= 2).all()
    if kind == "batchtopk":
        assert (code > 0).sum() <= 22
        assert dictionary.threshold > 0
        on = dictionary.eval().latents(x[:1])  # the threshold knows no batch
        assert torch.allclose(on, dictionary.latents(x)[:1])


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="kind: got 'top'"):
        Dictionary(5, 13, "top")
    with pytest.raises(ValueError, match="k: between 1 and 13"):
        Dictionary(5, 13, k=14)
    with pytest.raises(ValueError, match="active"):
        planted.planted(5, 3, active=6.0)


def test_the_reconstruction_is_a_sum_of_unit_directions(generator):
    dictionary = Dictionary(5, 7, k=2)
    with torch.no_grad():
        dictionary.decoder.mul_(3.0)
        dictionary.center.copy_(torch.randn(5, generator=generator))
    assert torch.allclose(dictionary.directions.norm(dim=1), torch.ones(7))
    code = torch.zeros(1, 7)
    code[0, 4] = 2.0
    wanted = 2 * dictionary.directions[4] + dictionary.center
    assert torch.allclose(dictionary.read(code)[0], wanted)


def test_the_gradient_of_a_direction_has_no_part_along_it(generator):
    dictionary = Dictionary(5, 7, "l1", k=1)
    dictionary_loss(dictionary, torch.randn(11, 5, generator=generator)).backward()
    along = (dictionary.decoder.grad * dictionary.directions).sum(1)
    assert along.abs().max() < 1e-6 < dictionary.decoder.grad.abs().max()


def test_the_price_of_l1_is_on_the_sum_of_latents(generator):
    x = torch.randn(11, 5, generator=generator)
    cheap, dear = (Dictionary(5, 7, "l1", k=1, penalty=p) for p in (0.0, 0.5))
    gap = dictionary_loss(dear, x) - dictionary_loss(cheap, x)
    assert gap.detach().item() == pytest.approx(
        0.5 * float(dear.latents(x).sum(1).mean().detach()), rel=1e-5
    )


def test_dead_latents_get_a_gradient_and_the_living_none_of_it(generator):
    dictionary = Dictionary(5, 7, k=2)
    x = torch.randn(11, 5, generator=generator)
    answers = dictionary.answers(x)
    dead = torch.tensor([1, 5])
    revive(answers, dictionary.directions, x, dead).backward()
    moved = dictionary.encoder.grad.abs().sum(0) > 0
    assert moved.nonzero()[:, 0].tolist() == [1, 5]


def test_rows_are_a_pure_function_of_the_step():
    rows = Rows(torch.arange(97.0)[:, None], 5, seed=3)
    assert torch.equal(rows(7), rows(7))
    assert not torch.equal(rows(7), rows(8))


def test_topk_recovers_what_was_planted_and_others_do_not():
    layer = planted.planted(24, 12, seed=2, active=1.5)
    dictionary = Dictionary(12, 48, k=2, seed=7, patience=50)
    start = scores.recovered(layer.directions, dictionary.directions)
    fit(dictionary, planted.Batches(layer, 256), steps=1_000, lr=3e-3)
    x = layer.activations(layer.sizes(2000, torch.Generator().manual_seed(1)))
    assert start < 0.5
    assert scores.recovered(layer.directions, dictionary.directions) >= 0.95
    for rival in (planted.principal_axes(x), planted.own_axes(12)):
        assert scores.recovered(layer.directions, rival) < 0.3
    assert not dictionary.training


# ---- scores ----


def test_scores_against_known_features():
    truth = torch.eye(3)
    found = torch.tensor([[2.0, 0, 0], [1, 0.1, 0], [0, -1, 0], [1, 1, 1]])
    best = scores.best_cosines(truth, found)
    assert best.tolist() == pytest.approx([1.0, 3**-0.5, 3**-0.5])
    assert scores.recovered(truth, found) == pytest.approx(1 / 3)
    assert scores.mmcs(truth, found) == pytest.approx((1 + 2 * 3**-0.5) / 3)
    assert scores.duplicates(truth, found) == 1
    with pytest.raises(ValueError, match="width 2"):
        scores.mmcs(truth, torch.ones(4, 2))


def test_unexplained_is_one_for_the_mean_and_zero_for_the_thing_itself(generator):
    x = torch.randn(50, 3, generator=generator) + 5
    assert scores.unexplained(x, x) == 0
    assert scores.unexplained(x, x.mean(0).expand_as(x)) == pytest.approx(1.0)


def test_sparsity_counts():
    code = torch.tensor([[1.0, 0, 2, 0], [0, 0, 1, 0]])
    assert scores.sparsity(code) == scores.Sparsity(1.5, 2)
    assert scores.alive(code).tolist() == [0, 2]


def test_planted_layers_are_as_sparse_as_asked():
    layer = planted.planted(64, 16, active=4.0)
    sizes = layer.sizes(5000, torch.Generator().manual_seed(0))
    assert abs(float((sizes > 0).sum(1).double().mean()) - 4) < 0.15
    assert sizes[sizes > 0].min() >= 0.25
    assert torch.allclose(layer.directions.norm(dim=1), torch.ones(64))
