"""The parts of an induction circuit that a recipe gives away are what they are called."""

import torch

from mechlib.interventions import FreezePattern
from mechlib.text.grammars import Repeats
from mechlib.zoo.recipes import registry
from mechlib.zoo.recipes.clamps import COPIED, AddCopies, Watch, earlier_places

GRAMMAR = Repeats(d_vocab=50, period=(10, 31), distinct=True)
TEXT = GRAMMAR.sample(5, 65, torch.Generator().manual_seed(3))
TOKENS = TEXT[:, :-1]
KNOWN = GRAMMAR.predictable(TEXT)[:, :-1]


def moved(pattern):
    """How much of each token a head with this pattern looks at, (batch, pos, token)."""
    return pattern @ torch.nn.functional.one_hot(TOKENS.long(), 50).float()


def test_the_match_points_at_the_next_token_and_nowhere_while_nothing_repeats():
    seen = moved(earlier_places(TOKENS, after=1))
    right = seen.gather(-1, TEXT[:, 1:, None].long())[..., 0]
    assert torch.allclose(right[KNOWN], torch.ones(()))
    assert float(seen[~KNOWN].abs().sum()) == 0.0


def test_beside_points_at_the_present_token_itself():
    seen = moved(earlier_places(TOKENS, after=0))
    own = seen.gather(-1, TOKENS[..., None].long())[..., 0]
    assert torch.allclose(own[KNOWN], torch.ones(()))


def test_no_key_lies_ahead():
    for after in (0, 1):
        assert float(earlier_places(TOKENS, after).triu(1).sum()) == 0.0


def test_the_clamps_reach_the_model_and_let_gradients_through_the_pattern():
    by_name = registry()
    for name, least in (("match", None), ("copy", 1e-6), ("copy-renamed", 1e-6)):
        made = by_name[f"two-layer-repeats-{name}"]
        model = made.build()
        made.loss(model, TEXT).backward()
        query = model.blocks[1].attn.W_Q.grad[0]
        assert query.abs().max() > least if least else query.abs().max() == 0
    held = by_name["two-layer-repeats-back-copy"].clamp(TOKENS)
    assert isinstance(held[0], FreezePattern)
    assert held[0].layer == 0


def test_copies_raise_what_is_looked_at_by_so_much():
    model, watch = registry()["two-layer-repeats-copy"].build(), Watch()
    with torch.no_grad():
        raised = model(TOKENS, [watch, AddCopies(watch, TOKENS.long())]) - model(TOKENS)
    assert torch.allclose(raised, COPIED * moved(watch.pattern), atol=1e-4)


def test_renamed_leaves_no_token_its_name():
    made = registry()["two-layer-repeats-copy-renamed"]
    assert not bool((made.renamed(TOKENS) == TOKENS).any())
    assert made.renamed(torch.arange(50)[None]).unique().numel() == 50
