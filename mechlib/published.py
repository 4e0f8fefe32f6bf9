"""GPT-2 small against what has been published about it: one command, where its weights are at hand.

    python -m mechlib gpt2 FOLDER

FOLDER holds config.json, model.safetensors, vocab.json and merges.txt, as the hub keeps them for
`gpt2`. Printed are the three lists of induction heads that one meets, each with the probe that it
came from; the logit lens; and the logit difference of Wang et al. 2022. Chapter 20.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechlib import gpt2
from mechlib.model import Transformer
from mechlib.reading import heads
from mechlib.reading.lens import lens_losses
from mechlib.reading.names_task import SENTENCES, NamesTask, names_task
from mechlib.reading.patching import TwoRuns, logit_difference
from mechlib.text.tokens import Tokenizer

PERIOD = 50  # random tokens, and then the same once more


@dataclass(frozen=True)
class HeadList:
    """A list of induction heads with the probe that it came from."""

    probe: str
    source: str
    published: tuple[tuple[int, int], ...]


LISTS = {
    "attention": HeadList(
        "attention to one after the first copy, random tokens repeated once",
        "ARENA course, nnsight documentation",
        ((5, 1), (5, 5), (6, 9), (7, 2), (7, 10)),
    ),
    "effect": HeadList(
        "share of the logit difference lost, head patched at the second subject",
        "Wang et al. 2022",
        ((5, 5), (5, 8), (5, 9), (6, 9)),
    ),
    "prefix": HeadList(
        "prefix matching (any earlier occurrence), random tokens four times over",
        "several, threshold 0.3 to 0.4",
        ((5, 0), (5, 1), (5, 5), (6, 9), (7, 2), (7, 10)),
    ),
}
# Wang et al. 2022 in two versions; two reruns of 2026.
LOGIT_DIFFERENCE = {"published": (3.55, 3.56), "rerun": (3.47, 3.49)}
TEXT = (
    "The lighthouse keeper wrote down the weather every evening. On Monday the wind came from the "
    "north and the sea was rough. On Tuesday the wind came from the west and the sea was calm. "
    "Nobody had asked the lighthouse keeper to do so, but every evening he wrote down the weather."
)


@torch.no_grad()
def attention_probe(
    model: Transformer, start: int | None, seed: int = 0
) -> Float[Tensor, "layer head"]:
    """Attention from the second copy to the token after the first, on random tokens."""
    period = min(PERIOD, (model.config.n_ctx - 1) // 2)
    tokens = _random_tokens(model, period, 2, start, seed)
    skip = 0 if start is None else 1
    return _by_layer(model, tokens, lambda pattern: heads.repeat_score(pattern, period, skip))


@torch.no_grad()
def prefix_probe(
    model: Transformer, start: int | None, seed: int = 0
) -> Float[Tensor, "layer head"]:
    """The prefix matching score of Olsson et al. 2022: 25 random tokens, four times over."""
    length = min(25, (model.config.n_ctx - 1) // 4)
    tokens = _random_tokens(model, length, 4, start, seed)
    return _by_layer(model, tokens, lambda pattern: heads.induction_score(pattern, tokens))


def _random_tokens(model, length: int, repeats: int, start: int | None, seed: int):
    tokens = torch.arange(model.config.d_vocab)
    choices = tokens if start is None else tokens[tokens != start]
    return heads.repeated_tokens(choices, 8, length, repeats, start, seed)


def _by_layer(model: Transformer, tokens: Int[Tensor, "batch pos"], score) -> Tensor:
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.config.n_layers)]
    nowhere = torch.zeros_like(tokens, dtype=torch.bool)  # no logits are needed
    trace = model.trace(tokens, names=names, where=nowhere)
    return torch.stack([score(trace[name]) for name in names])


@torch.no_grad()
def effect_probe(model: Transformer, tasks: Sequence[NamesTask]) -> Float[Tensor, "layer head"]:
    """Noising: what each head loses of the logit difference when its output at the second subject
    comes from a text in which no name returns. Mean over the sentences."""
    maps = []
    for task in tasks:
        runs = TwoRuns(model, task.clean, task.corrupted, logit_difference(task.right, task.wrong))
        maps.append([
            [runs.patch(f"blocks.{layer}.attn.hook_result", "noising", head, task.second_subject)
             for head in range(model.config.n_heads)]
            for layer in range(model.config.n_layers)
        ])  # fmt: skip
    return torch.tensor(maps).mean(0)


def highest(scores: Float[Tensor, "layer head"], n: int) -> list[tuple[int, int]]:
    """The n heads with the highest scores, as (layer, head), highest first; ties by number."""
    order = scores.flatten().argsort(descending=True, stable=True)[:n].tolist()
    return [divmod(i, scores.shape[1]) for i in order]


def report(folder: str | Path, n: int = 64) -> list[str]:
    """The lines of `python -m mechlib gpt2 FOLDER`; `n` texts for each sentence of the names task.

    Errors as `gpt2.load`. For a model with fewer layers or heads than GPT-2 small the published
    lists are left out: they name heads of that one model.
    """
    model, tokenizer = gpt2.load(folder), gpt2.load_tokenizer(folder)
    if len(tokenizer) != model.config.d_vocab:
        raise ValueError(
            f"vocab.json: {len(tokenizer)} tokens, but config.json says {model.config.d_vocab}"
        )
    start = tokenizer.inner.token_to_id("<|endoftext|>")
    tasks = [names_task(tokenizer.encode, i, n) for i in range(len(SENTENCES))]
    probes = {
        "attention": attention_probe(model, start),
        "effect": effect_probe(model, [*tasks]),
        "prefix": prefix_probe(model, start),
    }
    lines = [f"{model.config.n_layers} layers of {model.config.n_heads} heads"]
    lines += [line for name in LISTS for line in _list_lines(LISTS[name], probes[name], model)]
    return [*lines, *_lens_lines(model, tokenizer, start), *_difference_lines(model, tasks)]


def is_gpt2_small(model: Transformer) -> bool:
    """Does it have GPT-2 small's shape? (Whether it has its weights, no shape can tell.)"""
    c = model.config
    return (c.n_layers, c.n_heads, c.d_model, c.d_vocab) == (12, 12, 768, 50_257)


def _list_lines(about: HeadList, scores: Tensor, model: Transformer) -> list[str]:
    found = highest(scores, len(about.published))
    here = " ".join(f"L{layer}H{head} {float(scores[layer, head]):.2f}" for layer, head in found)
    lines = [f"induction heads by {about.probe}:", f"  highest here  {here}"]
    if is_gpt2_small(model):
        named = " ".join(
            f"L{layer}H{h} {float(scores[layer, h]):.2f}" for layer, h in about.published
        )
        both = len(set(found) & set(about.published))
        lines.append(f"  published     {named}  ({about.source}; {both} of them among the highest)")
    return lines


@torch.no_grad()
def _lens_lines(model: Transformer, tokenizer: Tokenizer, start: int | None) -> list[str]:
    ids = tokenizer.encode(TEXT)[: model.config.n_ctx - 1]
    ids = ids if start is None else [start, *ids]
    losses = lens_losses(model, torch.tensor([ids]))
    values = " ".join(f"{float(loss.mean()):.2f}" for loss in losses)
    return ["logit lens, loss in nats before each layer and after the last:", f"  {values}"]


@torch.no_grad()
def _difference_lines(model: Transformer, tasks: Sequence[NamesTask]) -> list[str]:
    differences = torch.cat([
        logit_difference(task.right, task.wrong)(model(task.clean)) for task in tasks
    ])  # fmt: skip
    error = float(differences.std()) / len(differences) ** 0.5
    lines = [
        f"logit difference, the name that stood once less the other, {len(differences)} texts:",
        f"  {float(differences.mean()):.2f} +- {error:.2f}, preferred in "
        f"{float((differences > 0).double().mean()):.1%}",
    ]
    if is_gpt2_small(model):
        published, rerun = (
            " and ".join(map(str, LOGIT_DIFFERENCE[which])) for which in ("published", "rerun")
        )
        lines.append(f"  published {published}, reruns {rerun}, over the paper's own sentences")
    return lines
