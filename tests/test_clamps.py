"""The parts of an induction circuit that a recipe gives away are what they are called."""

import torch

from mechlib.text.grammars import Repeats
from mechlib.zoo.recipes import registry
from mechlib.zoo.recipes.clamps import COPIED, AddCopies, Watch, after_occurrences

GRAMMAR = Repeats(d_vocab=50, period=(10, 31), distinct=True)
TEXT = GRAMMAR.sample(5, 65, torch.Generator().manual_seed(3))
TOKENS = TEXT[:, :-1]
KNOWN = GRAMMAR.predictable(TEXT)[:, :-1]


def moved(pattern):
    """How much of each token a head with this pattern looks at, (batch, pos, token)."""
    return pattern @ torch.nn.functional.one_hot(TOKENS.long(), 50).float()


def test_the_match_points_at_the_next_token_and_nowhere_while_nothing_repeats():
    seen = moved(after_occurrences(TOKENS))
    right = seen.gather(-1, TEXT[:, 1:, None].long())[..., 0]
    assert torch.allclose(right[KNOWN], torch.ones(()))
    assert float(seen[~KNOWN].abs().sum()) == 0.0


def test_no_key_lies_ahead():
    assert float(after_occurrences(TOKENS).triu(1).sum()) == 0.0


def test_the_match_is_given_and_the_copying_leaves_it_to_be_learned():
    for name, learned in (("match", False), ("copy", True)):
        made = registry()[f"two-layer-repeats-{name}"]
        model = made.build()
        made.loss(model, TEXT).backward()
        assert bool(model.blocks[1].attn.W_Q.grad[0].abs().max() > 1e-6) is learned


def test_copies_raise_what_is_looked_at_by_so_much():
    model, watch = registry()["two-layer-repeats-copy"].build(), Watch()
    with torch.no_grad():
        raised = model(TOKENS, [watch, AddCopies(watch, TOKENS)]) - model(TOKENS)
    assert torch.allclose(raised, COPIED * moved(watch.pattern), atol=1e-4)
