"""The logit lens: what the stream would predict if the model stopped here.

After every layer, the stream through the final LayerNorm *of that stream* and the unembedding. With
the scale of the finished stream in its place one gets something else, direct attribution
(`attribution.through_final_norm`): linear, and not a lens. Early streams are short, so that under
the last layer's scale they look more uncertain than they are.

Source: nostalgebraist 2020, "interpreting GPT: the logit lens". Chapters 04, 16 and 20.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mechlib.model import Transformer, losses_of


def logit_lens(
    stream: Float[Tensor, "*batch d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    b_U: Float[Tensor, " d_vocab"] | None = None,
    norm: bool = True,
) -> Float[Tensor, "*batch d_vocab"]:
    """Logits of a stream, unembedded as if it were the last one.

    norm: the model has a final LayerNorm; it is then applied to this stream.
    """
    if norm:
        stream = F.layer_norm(stream, stream.shape[-1:])
    logits = stream @ W_U
    return logits if b_U is None else logits + b_U


def lens_losses(
    model: Transformer, tokens: Int[Tensor, "batch pos"]
) -> list[Float[Tensor, "batch pos_minus_1"]]:
    """Next-token losses in nats of the stream before each layer, and after the last.

    The last entry is the model's own `token_losses`.
    """
    layers = range(model.config.n_layers)
    names = [f"blocks.{layer}.hook_resid_pre" for layer in layers]
    names += [f"blocks.{layer}.hook_resid_post" for layer in layers[-1:]]
    nowhere = torch.zeros_like(tokens[:, :-1], dtype=torch.bool)  # the model's own logits: the last
    trace = model.trace(tokens[:, :-1], names=names, where=nowhere)
    found = []
    for name in names:
        logits = logit_lens(trace[name], model.W_U, model.b_U, model.config.norm == "layernorm")
        found.append(losses_of(logits, tokens[:, 1:]))
    return found
