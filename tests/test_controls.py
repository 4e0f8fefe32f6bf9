"""The analysis behind a main claim, run once more: on the model it speaks of, and on the control's.

`tests/pages/test_margins.py` puts the stored numbers of all controls through the checks. Here the
numbers are made afresh, for a main claim of each chapter where that takes a second or two: with the
library alone, not with the notebook's code. The check of the stored claim must pass the one and
fail the other.
"""

from functools import cache
from pathlib import Path

import pytest
import torch

from mechlib import zoo
from mechlib.constructed import rotation_margin
from mechlib.grokking import clock, fourier, modular, progress
from mechlib.interventions import Ablate, FreezePattern
from mechlib.model import Transformer
from mechlib.othello import scores as othello
from mechlib.othello.games import random_games
from mechlib.pages import margins, scoreboard
from mechlib.reading import circuits, heads
from mechlib.reading.factored import FactoredMatrix
from mechlib.reading.patching import TwoRuns, probability
from mechlib.superposition import networks
from mechlib.text.grammars import Repeats
from mechlib.text.labels import pieces
from mechlib.vision.convnet import ShapeNet, accuracy
from mechlib.vision.strokes import shapes
from mechlib.vision.tuning import tuning
from mechlib.zoo.recipes.code import copy_gain, repeated_segments, windows

ROOT = Path(__file__).parents[1]
P = 113


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@cache
def claims() -> dict[str, list[dict]]:
    return {Path(c.path).stem[:2]: c.records for c in scoreboard.chapters(ROOT)}


def tells_apart(chapter: str, sentence: str, value: float, control: float) -> None:
    """The check of the one stored claim that begins so passes `value` and fails `control`."""
    found = [r for r in claims()[chapter] if r["sentence"].startswith(sentence)]
    assert len(found) == 1, f"{sentence!r} begins {len(found)} claims of chapter {chapter}"
    assert margins.checked(found[0], value), f"{sentence}: {value} should pass"
    assert not margins.checked(found[0], control), f"{sentence}: {control} should fail"


# ---- what is shared ----


@cache
def repeats() -> tuple[torch.Tensor, torch.Tensor]:
    grammar = Repeats(50, (10, 31), distinct=True)
    tokens = grammar.sample(16, 64, torch.Generator().manual_seed(0))
    return tokens, grammar.predictable(tokens)


@cache
def double(name: str) -> torch.nn.Module:
    return zoo.load(name, dtype=torch.float64)


@cache
def untrained_like(name: str) -> torch.nn.Module:
    return Transformer(double(name).config, seed=7).double()


@cache
def memoriser() -> torch.nn.Module:
    return zoo.snapshot("grokking-113", 1000)


@cache
def logits_of(which: str) -> torch.Tensor:
    return modular.all_logits(memoriser() if which == "memoriser" else zoo.load(which), P)


@cache
def keys() -> list[int]:
    return clock.key_frequencies(zoo.load("grokking-113"))


# ---- one test a chapter ----


def test_01_curve_units_of_an_untrained_network():
    counts = [
        int(tuning(net, "layer3").curves().sum())
        for net in (zoo.load("shapes"), ShapeNet(seed=101))
    ]
    tells_apart("01", "A network has {} curve units", *counts)


def test_01_shuffled_labels_teach_no_shapes():
    images, labels = shapes(500, seed=1)
    nets = zoo.load("shapes"), zoo.load("shapes-shuffled-s1")
    tells_apart("01", "The networks name {}", *(accuracy(net, images, labels) for net in nets))


def previous_token(model: torch.nn.Module) -> float:
    tokens, _ = repeats()
    pattern = model.trace(tokens)["pattern", 0][..., :31, :31]
    return float(heads.previous_token_score(pattern).max())


def induction(model: torch.nn.Module) -> float:
    tokens, _ = repeats()
    layer = len(model.blocks) - 1
    return float(heads.induction_score(model.trace(tokens)["pattern", layer], tokens).max())


@pytest.mark.parametrize("chapter", ["04", "10"])
def test_04_and_10_untrained_heads_do_not_look_back(chapter):
    sentence = {"04": "The best of them gives {}", "10": "The best head of layer 0 gives"}[chapter]
    models = double("two-layer-repeats"), untrained_like("two-layer-repeats")
    tells_apart(chapter, sentence, *map(previous_token, models))


def test_10_one_layer_has_no_induction_head():
    found = [
        r for r in claims()["10"] if r["sentence"].startswith("The best head of layer 1 gives")
    ]
    ours, theirs = map(induction, (double("two-layer-repeats"), double("one-layer-repeats")))
    for record in found:
        assert margins.checked(record, ours)
        assert not margins.checked(record, theirs)


def test_10_on_code_one_layer_gains_nothing_from_a_copy():
    twice = repeated_segments("code-512", 4)
    models = double("two-layer-code"), double("one-layer-code")
    gains = [copy_gain(model.token_losses(twice)) for model in models]
    tells_apart("10", "On code the second copy is easier", *gains)


def test_06_the_direct_path_has_a_higher_rank():
    model = double("one-layer-code-2048")
    head = model.W_V[0, 4] @ model.W_O[0, 4]
    tables = model.W_E[:200] @ head @ model.W_U[:, :200], model.W_E[:200] @ model.W_U[:, :200]
    ratios = [float((s := torch.linalg.svdvals(table))[32] / s[0]) for table in tables]
    tells_apart("06", "The 33rd singular value", *ratios)


def test_09_untrained_heads_do_not_compose():
    def lead(model: torch.nn.Module) -> float:
        OV, QK = circuits.W_OV(model.W_V, model.W_O), circuits.W_QK(model.W_Q, model.W_K)
        K = circuits.composition_scores(OV[0], QK[1], OV[1])["K"]
        baseline = circuits.composition_baseline(d_model=64, d_head=16)
        pattern = model.trace(repeats()[0])["pattern", 0][..., :31, :31]
        back = heads.previous_token_score(pattern) > 0.5
        rest = K[~back].max() if (~back).any() else K.min()
        return float((K.max() - rest) / baseline.std)

    models = double("two-layer-repeats"), untrained_like("two-layer-repeats")
    tells_apart("09", "It leads all heads that do not look back", *map(lead, models))


def test_09_one_layer_cannot_copy():
    tokens, known = repeats()
    models = double("two-layer-repeats"), double("one-layer-repeats")
    losses = [float(m.token_losses(tokens)[known[:, :-1]].mean()) for m in models]
    tells_apart("09", "Where the text repeats", *losses)


def test_11_one_layer_learns_less_from_context():
    tokens, known = repeats()

    def score(model: torch.nn.Module) -> float:
        losses = model.token_losses(tokens)
        return float(losses[known[:, :-1]].mean() - losses[~known[:, :-1]].mean())

    models = double("two-layer-repeats"), double("one-layer-repeats")
    tells_apart("11", "The in-context-learning score of two layers", *map(score, models))


def test_12_a_network_that_has_memorised_does_not_generalise():
    answers, unseen = modular.Task(P).answers.view(P, P), modular.Task(P, seed=0).train
    test = ~progress.mask(unseen, P)
    right = [
        float((logits_of(which).argmax(2) == answers)[test].double().mean())
        for which in ("grokking-113", "memoriser")
    ]
    tells_apart("12", "P = 113: accuracy {}", *right)


def test_13_a_network_that_has_memorised_has_no_clocks():
    variance = [clock.logit_variance(logits_of(w), keys()) for w in ("grokking-113", "memoriser")]
    tells_apart("13", "One number for each key frequency explains", *variance)
    counts = [len(clock.key_frequencies(m)) for m in (zoo.load("grokking-113"), memoriser())]
    tells_apart("13", "{} of 56 frequencies are keys", *counts)


def test_13_one_clock_is_hardly_enough():
    five = [14, 35, 41, 42, 52]
    tells_apart(
        "13", "With the paper's five clocks", *(rotation_margin(P, five[:n]) for n in (5, 1))
    )


def test_13_other_frequencies_do_not_answer():
    logits, task = logits_of("grokking-113"), modular.Task(P, seed=0)
    test = ~progress.mask(task.train, P)

    def loss_with(frequencies: list[int]) -> float:
        kept = fourier.project(logits, fourier.sum_directions(P, frequencies))
        return progress.pair_loss(kept + logits.mean((0, 1)), task.answers.view(P, P), test)

    whole = progress.pair_loss(logits, task.answers.view(P, P), test)
    others = [k for k in range(1, 57) if k not in keys()][: len(keys())]
    tells_apart(
        "13",
        "With nothing but the key frequencies",
        loss_with(keys()) / whole,
        loss_with(others) / whole,
    )


def test_14_squared_norm_after_memorising():
    history = zoo.history("grokking-113")
    norms = history.values("squared norm")
    tells_apart(
        "14",
        "At the end the squared norm",
        norms[-1] / max(norms),
        history.at("squared norm", 1400) / max(norms),
    )


def test_16_queries_carry_nothing():
    drawn = torch.rand(16, 50, generator=torch.Generator().manual_seed(3)).argsort(1)
    clean = torch.cat([drawn[:, :12], drawn[:, :4]], 1)
    corrupted = clean.clone()
    corrupted[:, 3] = drawn[:, 12]
    two = TwoRuns(double("two-layer-repeats"), clean, corrupted, probability(drawn[:, 4]))
    layers = [[(layer, h) for h in range(4)] for layer in range(2)]
    shares = [two.path(*layers, reads, "denoising") for reads in "kq"]
    tells_apart("16", "From layer 0 to the keys of layer 1", *shares)


def test_16_the_corrupted_text_has_no_answer():
    drawn = torch.rand(16, 50, generator=torch.Generator().manual_seed(4)).argsort(1)
    clean = torch.cat([drawn[:, :12], drawn[:, :4]], 1)
    corrupted = clean.clone()
    corrupted[:, 3] = drawn[:, 12]
    means = TwoRuns(double("two-layer-repeats"), clean, corrupted, probability(drawn[:, 4])).means
    tells_apart("16", "On the clean text the answer", means["clean"], means["corrupted"])


def test_20_untrained_heads_have_no_score():
    model, tokens = (
        zoo.load("large-code"),
        heads.repeated_tokens(torch.arange(60, 400), 4, 25, 2, 0),
    )

    def best(network: torch.nn.Module) -> float:
        seen = network.trace(
            tokens, names=[n for n in network.activation_names() if "pattern" in n]
        )
        return max(float(heads.previous_token_score(pattern).max()) for pattern in seen.values())

    other = Transformer(model.config, seed=5)
    tells_apart("20", "The best head's score, previous token", best(model), best(other))


def test_04_only_heads_that_look_back_are_needed():
    tokens, known = repeats()
    model = double("two-layer-repeats")
    scores = heads.previous_token_score(model.trace(tokens)["pattern", 0][..., :31, :31])

    def cost(which: torch.Tensor) -> float:  # of cutting each of them in turn, in all
        whole = model.token_losses(tokens)
        cuts = [[Ablate("blocks.0.attn.hook_z", head=h)] for h in which.nonzero()[:, 0].tolist()]
        rises = [(model.token_losses(tokens, cut) - whole)[known[:, :-1]].mean() for cut in cuts]
        return float(sum(rises))

    back = scores > 0.5
    tells_apart("04", "Cutting each previous-token head in turn", cost(back), cost(~back))


def test_02_without_its_mask_attention_sees_what_comes_later():
    model, (tokens, _) = double("two-layer-repeats"), repeats()
    other = tokens.clone()
    other[:, -1] = (other[:, -1] + 1) % 50
    everywhere = torch.full((tokens.shape[1],) * 2, 1 / tokens.shape[1], dtype=torch.float64)

    def moved(*unmasked: FreezePattern) -> float:
        before, after = model(tokens, unmasked), model(other, unmasked)
        return float((before - after)[:, :-1].abs().max())

    sentence = "Under the causal mask, changing the last token"
    tells_apart("02", sentence, moved(), moved(FreezePattern(0, everywhere)))


def test_03_another_head_is_another_tensor_product():
    model, (tokens, _) = double("two-layer-repeats"), repeats()
    seen = model.trace(tokens[:1, :12])
    x, written = seen["resid_pre", 1][0], seen["result", 1][0, :, 2]
    pattern, W_OV = seen["pattern", 1][0], circuits.W_OV(model.W_V[1], model.W_O[1]).dense()
    off = [
        float(
            (torch.kron(pattern[h], W_OV[h].T.contiguous()) @ x.flatten() - written.flatten())
            .abs()
            .max()
        )
        for h in (2, 0)
    ]
    tells_apart("03", "A ⊗ W and what head L1H2", *off)


def test_05_one_layer_looks_at_earlier_tokens():
    tokens = windows("code-512", 2)[:, :64]
    earlier = torch.cat([tokens.roll(1, 0)[:, :-1], tokens[:, -1:]], 1)
    moved = [
        float((model(tokens) - model(earlier))[:, -1].abs().max())
        for model in (double("zero-layer-code-512"), double("one-layer-code"))
    ]
    tells_apart("05", "Changing the earlier tokens moves its logits", *moved)


def test_07_a_wrong_destination_brings_nothing():
    model, grammar = double("skip-trigrams"), zoo.find("skip-trigrams").grammar()
    QK = circuits.full_QK(model.W_E, circuits.W_QK(model.W_Q[0], model.W_K[0])).dense()
    OV = circuits.full_OV(model.W_E, circuits.W_OV(model.W_V[0], model.W_O[0]), model.W_U).dense()
    scores = QK / model.config.d_head**0.5
    look = scores - (scores.exp() @ grammar.background.double()).log()[..., None]
    A = look.exp() / (look.exp() + 16)
    rows = torch.einsum("hds,hso->dso", A, OV - OV.mean(-1, keepdim=True))
    source, destination, out = grammar.ids(grammar.triples).T
    read = [
        int((rows[place, source].argmax(-1) == out).sum())
        for place in (destination, destination.roll(1))
    ]
    tells_apart("07", "{} planted phrases are read off", *read)


def test_08_heads_do_not_copy_tokens_under_other_names():
    model = double("one-layer-code-2048")
    W_OV = circuits.W_OV(model.W_V[0], model.W_O[0])
    OV = circuits.full_OV(model.W_E, W_OV, model.W_U - model.W_U.mean(1, keepdim=True))
    order = torch.randperm(2048, generator=torch.Generator().manual_seed(0))
    renamed = FactoredMatrix(OV.A[:, order], OV.B)
    copying = [int((heads.copying_score(t.eigenvalues()) > 0.2).sum()) for t in (OV, renamed)]
    tells_apart("08", "{} heads of the code model copy", *copying)


def test_15_the_norm_grows_and_then_falls():
    norms = zoo.history("grokking-113").values("squared norm")
    tells_apart("15", "While a network memorises", max(norms) / norms[0], norms[-1] / norms[0])


def test_17_random_directions_bring_back_little():
    model, tokens = zoo.load("one-layer-code-mlp"), windows("code-512", 8)
    trained = zoo.load("one-layer-dictionary")
    untrained = zoo.find("one-layer-dictionary").build()
    losses = [networks.spliced_losses(model, tokens, each) for each in (trained, untrained)]
    tells_apart("17", "Against the mean {} of the loss", *map(networks.loss_recovered, losses))


def test_18_an_untrained_network_knows_no_rules():
    games = random_games(40, (6, 0))
    least = othello.floor(games)
    nets = zoo.load("othello"), zoo.find("othello").build()
    above = [othello.play_scores(net, games)["loss"] - least for net in nets]
    tells_apart("18", "On new games the loss", *above)


def test_19_not_every_sign_begins_a_comment():
    text = "a = '#'  # one\nb = '''\n# two\n'''\n# three\n"
    truth = {text.index("# one"), text.index("# three")}
    ours = {piece.start for piece in pieces(text) if piece.kind == "comment"}
    signs = {i for i, c in enumerate(text) if c == "#"}
    (record,) = [r for r in claims()["19"] if "the scanner finds the comments" in r["sentence"]]
    found = [record["of"] * (places == truth) for places in (ours, signs)]
    tells_apart("19", "In {} files the scanner finds", *found)
