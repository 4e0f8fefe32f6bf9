"""Reading vectors, held to plain counting and to planted directions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mechlib.reading import vectors
from mechlib.reading.steering import difference_of_means


def planted(n=600, d=12, seed=0, noise=1.0, strength=4.0):
    """Activations in which one direction holds the label."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(n, generator=generator) < 0.3
    direction = torch.zeros(d)
    direction[:3] = torch.tensor([1.0, -1.0, 0.5]) / 1.5
    x = noise * torch.randn(n, d, generator=generator)
    return x + strength * labels[:, None] * direction, labels, direction


def cosine(a, b):
    return float(torch.cosine_similarity(a.double(), b.double(), dim=0))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_counts_the_pairs_in_the_right_order(rows):
    yes = [score for score, label in rows if label]
    no = [score for score, label in rows if not label]
    scores = torch.tensor([float(score) for score, _ in rows])
    labels = torch.tensor([label for _, label in rows])
    if not yes or not no:
        with pytest.raises(ValueError, match="labels"):
            vectors.auroc(scores, labels)
        return
    won = sum((a > b) + 0.5 * (a == b) for a in yes for b in no)
    assert vectors.auroc(scores, labels) == pytest.approx(won / len(yes) / len(no))


def test_all_three_find_a_planted_direction():
    x, labels, direction = planted()
    assert cosine(difference_of_means(x, labels, ~labels), direction) > 0.98
    assert cosine(vectors.probe(x, labels), direction) > 0.95
    assert cosine(vectors.principal_direction(x, labels), direction) > 0.98


def test_a_loud_axis_takes_the_principal_component_and_not_the_others():
    x, labels, direction = planted()
    x[:, -1] *= 20
    assert abs(cosine(vectors.principal_direction(x, labels), direction)) < 0.2
    assert cosine(vectors.probe(x, labels), direction) > 0.95


def test_pairs_of_one_token_take_out_what_the_token_says():
    x, labels, direction = planted()
    tokens = torch.randint(5, (len(x),), generator=torch.Generator().manual_seed(3))
    x[:, -1] += 30.0 * tokens
    assert abs(cosine(vectors.principal_direction(x, labels), direction)) < 0.2
    assert cosine(vectors.principal_direction(x, labels, tokens=tokens), direction) > 0.98
    first, second = vectors._random_pairs(labels, 200, tokens, seed=0)
    assert bool((tokens[first] == tokens[second]).all())
    assert bool(labels[first].all())
    assert not bool(labels[second].any())


def test_the_probe_is_where_the_loss_is_flat():
    x, labels, _ = planted(strength=1.0)
    w = vectors.probe(x, labels, penalty=0.01, steps=20).double()
    z = (x - x.mean(0)).double() / (x - x.mean(0)).double().std(0).mean()
    v = (w * (x - x.mean(0)).double().std(0).mean()).requires_grad_()
    intercept = torch.zeros(1, dtype=torch.float64, requires_grad=True)

    def loss():
        found = torch.nn.functional.binary_cross_entropy_with_logits(
            z @ v + intercept, labels.double()
        )
        return found + 0.005 * v.square().sum()

    for _ in range(500):  # the intercept is not handed out: find it again
        (slope,) = torch.autograd.grad(loss(), intercept)
        intercept.data -= 2 * slope
    (slope,) = torch.autograd.grad(loss(), v)
    assert float(slope.abs().max()) < 1e-4


def test_lookup_is_the_share_among_places_with_the_same_key():
    keys = torch.tensor([3, 3, 3, 1, 1, 0])
    labels = torch.tensor([True, True, False, False, False, True])
    found = vectors.lookup(keys, labels, torch.tensor([3, 1, 0, 7]), weight=0.0 + 1e-12)
    assert found.tolist() == pytest.approx([2 / 3, 0, 1, 0.5])
    prior = torch.tensor([0.0, 1.0, 0.0, 0.25], dtype=torch.float64)
    pulled = vectors.lookup(keys, labels, torch.tensor([3, 1, 0, 7]), prior, weight=2.0)
    assert pulled.tolist() == pytest.approx([2 / 5, 2 / 4, 1 / 3, 0.25])


def test_shuffled_directions_have_the_norm_and_lie_where_the_activations_vary():
    x, labels, _ = planted(strength=0.0)
    x[:, -1] *= 20
    drawn = vectors.shuffled_directions(x, labels, like=torch.ones(12), draws=8)
    assert torch.allclose(drawn.norm(dim=1), torch.full((8,), 12**0.5))
    assert float((drawn[:, -1].abs() / 12**0.5).median()) > 0.9
    again = vectors.shuffled_directions(x, labels, like=torch.ones(12), draws=8)
    assert torch.equal(drawn, again)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    first = difference_of_means(x, labels[order], ~labels[order])
    torch.testing.assert_close(drawn[0], first / first.norm() * 12**0.5, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda x, y: vectors.auroc(x[:, 0], torch.ones(len(x)).bool()), "labels"),
        (lambda x, y: vectors.probe(x, torch.zeros(len(x)).bool()), "labels"),
        (lambda x, y: vectors.principal_direction(x, torch.zeros(len(x)).bool()), "labels"),
        (lambda x, y: vectors.principal_direction(x, y, tokens=y.long()), "tokens"),
        (lambda x, y: vectors.shuffled_directions(x, y, x[0], draws=0), "draws"),
        (lambda x, y: vectors.shuffled_directions(x, y | True, x[0], draws=1), "labels"),
        (lambda x, y: vectors.lookup(y[:0].long(), y[:0], y.long()), "keys"),
    ],
)
def test_bad_input_is_named(call, argument):
    x, labels, _ = planted(n=40)
    with pytest.raises(ValueError, match=argument):
        call(x, labels)
