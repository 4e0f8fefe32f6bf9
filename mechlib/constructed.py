"""Models whose weights are set by hand, so that every number in them has a reason.

    bigram_model            no layers; its log-probabilities are a given table, exactly (chapter 05)
    induction_transformer   two heads that copy what came after the same token before (chapter 10)
    rotation_adder          adds modulo P by adding angles (chapter 13)

Row vectors. The first two are ordinary `Transformer`s: they trace, ablate and patch like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mechlib.model import Config, Transformer

# ---- no layers: a table -----------------------------------------------------------------------


def bigram_model(log_probs: Float[Tensor, "token next"], n_ctx: int = 512) -> Transformer:
    """A zero-layer transformer whose logits after token t are row t of `log_probs`.

    W_E is the identity and W_U the table, so W_E W_U is the table. An impossible pair, -inf,
    becomes -10,000: its probability is 0 in any floating point, and 0 * inf is avoided. The type of
    the weights is that of the table. ValueError unless the table is square and its rows are
    log-probabilities. Source: Elhage et al. 2021, "Zero-layer transformers".
    """
    if log_probs.ndim != 2 or log_probs.shape[0] != log_probs.shape[1]:
        raise ValueError(f"log_probs must be square (token, next), got {tuple(log_probs.shape)}")
    if not torch.allclose(log_probs.double().logsumexp(-1), torch.tensor(0.0).double(), atol=1e-4):
        raise ValueError("log_probs: the probabilities of every row must sum to 1")
    d_vocab = log_probs.shape[0]
    config = Config(d_vocab, n_ctx, d_model=d_vocab, n_layers=0, positions="none")
    model = Transformer(config).to(log_probs.dtype)
    with torch.no_grad():
        model.W_E.copy_(torch.eye(d_vocab))
        model.W_U.copy_(log_probs.clamp(min=-1e4))
    return model


# ---- two layers: induction --------------------------------------------------------------------


@dataclass(frozen=True)
class Subspaces:
    """Which coordinates of the residual stream hold what, in `induction_transformer`.

    token: the token at this position, one-hot.      position: where we are, one-hot.
    previous: the token one position before; written by head 0.0, empty until then.
    output: what comes next; written by head 1.0, and all that the unembedding reads.
    """

    token: slice
    position: slice
    previous: slice
    output: slice

    @property
    def d_model(self) -> int:
        """The width of the stream: three copies of the vocabulary and one of the positions."""
        return self.output.stop


def induction_subspaces(d_vocab: int, n_ctx: int) -> Subspaces:
    """The four subspaces side by side: token, position, previous, output."""
    edges = [0, d_vocab, d_vocab + n_ctx, 2 * d_vocab + n_ctx, 3 * d_vocab + n_ctx]
    return Subspaces(*(slice(*pair) for pair in pairwise(edges)))


SHARPNESS = 64.0  # attention score of a match over a mismatch: exp(-64) is 1.6e-28
LOGIT_SCALE = 64.0  # logit of a token that always came next


def induction_transformer(
    d_vocab: int, n_ctx: int, dtype: torch.dtype = torch.float64
) -> Transformer:
    """Two layers of one head that predict what came after the present token earlier in the text.

    The theorem, line by line (each is a test; `induction_subspaces` names the coordinates):

    1. Embedding. Position i starts as token x_i in `token` and i in `position`; the rest is zero.
    2. Head 0.0 looks one back. The query at i is e_i, the key at j is e_{j+1}: they match at
       j = i - 1 alone. Position 0 can only look at itself.
    3. and writes to a place of its own. Its W_OV takes `token` to `previous`. Were it the
       identity, x_{i-1} would be added onto x_i and the two could not be told apart.
    4. Head 1.0 compares the present token with `previous` (K-composition). Query x_q, key
       x_{k-1}: they match where x_{k-1} = x_q, one after every earlier occurrence. At k = 0
       `previous` is wrong (line 2), so the key there is lowered by two matches.
    5. and copies. Its W_OV takes `token` at k to `output` at q.
    6. Unembedding. W_U reads `output`, times LOGIT_SCALE.

    So the logits are LOGIT_SCALE times `follower_shares`: with several earlier occurrences, the
    shares of the tokens that followed them. With none, no key matches, attention is uniform over
    positions 1 to q, and the logits are LOGIT_SCALE times the shares of those tokens: no guess, but
    not a uniform one. A mismatch gets exp(-64) of the attention of a match, which is lost in the
    rounding of float32 and float64 alike.

    d_head is max(d_vocab, n_ctx), d_model is 3 d_vocab + n_ctx. ValueError for sizes below 1.
    Source: Elhage et al. 2021, "Induction heads", made exact; chapter 10 compares it with the
    proof that it repairs.
    """
    at = induction_subspaces(d_vocab, n_ctx)
    d_head = max(d_vocab, n_ctx)
    model = Transformer(Config(d_vocab, n_ctx, at.d_model, n_layers=2, d_head=d_head)).to(dtype)
    tokens, positions = torch.eye(d_vocab, dtype=dtype), torch.eye(n_ctx, dtype=dtype)
    sharp = SHARPNESS * math.sqrt(d_head)  # the scores are divided by sqrt(d_head)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.W_E[:, at.token] = tokens
        model.W_pos[:, at.position] = positions

        head = model.blocks[0].attn
        head.W_Q[0, at.position, :n_ctx] = sharp * positions
        head.W_K[0, at.position, :n_ctx] = positions.roll(1, 1).triu()  # e_j -> e_{j+1}
        head.W_V[0, at.token, :d_vocab] = tokens
        head.W_O[0, :d_vocab, at.previous] = tokens

        head = model.blocks[1].attn
        head.W_Q[0, at.token, :d_vocab] = sharp * tokens
        head.W_K[0, at.previous, :d_vocab] = tokens
        head.W_K[0, at.position.start, :d_vocab] = -2
        head.W_V[0, at.token, :d_vocab] = tokens
        head.W_O[0, :d_vocab, at.output] = tokens

        model.W_U[at.output] = LOGIT_SCALE * tokens
    return model


def follower_shares(
    tokens: Int[Tensor, "batch pos"], d_vocab: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """Which tokens came after the earlier occurrences of the present one, as shares; zeros if none.

    What `induction_transformer` computes, by counting instead: for each position q, of all i < q
    with x_i = x_q, how often each token stands at i + 1.
    """
    followed = (tokens[:, :, None] == tokens[:, None, :]).tril(-1).double()[..., :-1]
    counts = followed @ F.one_hot(tokens[:, 1:].long(), d_vocab).double()
    return counts / counts.sum(-1, keepdim=True).clamp(min=1)


def predictable(tokens: Int[Tensor, "batch pos"]) -> Tensor:
    """Where copying must be right, (batch, pos - 1), bool: entry q says it of the token at q + 1.

    The token at q occurred before, and every time the token after it was the one at q + 1.
    """
    shares = follower_shares(tokens, int(tokens.max()) + 1)[:, :-1]
    return shares.gather(-1, tokens[:, 1:, None].long())[..., 0] == 1


# ---- adding by rotating -----------------------------------------------------------------------


class RotationAdder(nn.Module):
    """(a + b) mod P by angles: number n is the angle w n, with w = 2 pi k / P, for every k.

        embed      W_E:    n -> cos w n, sin w n
        multiply   W_in, square, W_out: the four products of cosines and sines of a and of b, by
                   x y = ((x + y)^2 - (x - y)^2) / 4, eight neurons for every frequency; then
                   cos w(a+b) = cos cos - sin sin    and    sin w(a+b) = sin cos + cos sin
        unembed    W_U:    logit of c = sum over k of cos w_k (a + b - c)

    Every cosine is 1 at c = a + b, and less elsewhere. Coordinates are cos of all frequencies,
    then sin of all. Not a transformer: it is what chapter 13 looks for in one. The first step of
    the identity is the sum of angles, as in Nanda et al. 2023, section 4.
    """

    def __init__(self, P: int, frequencies: Sequence[int], dtype: torch.dtype = torch.float64):
        super().__init__()
        self.P, self.frequencies = P, tuple(frequencies)
        K = len(self.frequencies)
        angles = 2 * math.pi * torch.outer(torch.arange(P).double(), torch.tensor(frequencies)) / P
        circle = torch.cat([angles.cos(), angles.sin()], dim=1)  # (P, 2K)

        # For every pair (coordinate of a, coordinate of b) one neuron reads the sum, one the
        # difference; squared, weighed +1/4 and -1/4, they make the product.
        cos, sin = torch.eye(2 * K).double().split(K, dim=1)  # (2K, K): picks a coordinate
        of_a, of_b = torch.cat([cos, sin, sin, cos], 1), torch.cat([cos, sin, cos, sin], 1)
        W_in = torch.cat([torch.cat([of_a, of_a], 1), torch.cat([of_b, -of_b], 1)])  # (4K, 8K)
        to_cos = torch.cat([cos.T, -cos.T])  # cos cos - sin sin
        to_sin = torch.cat([sin.T, sin.T])  # sin cos + cos sin
        products = torch.cat([to_cos, to_sin])  # (4K, 2K)
        W_out = torch.cat([products, -products]) / 4  # (8K, 2K)

        for name, matrix in {"W_E": circle, "W_in": W_in, "W_out": W_out, "W_U": circle.T}.items():
            self.register_parameter(name, nn.Parameter(matrix.to(dtype), requires_grad=False))

    def trace(self, a: Int[Tensor, " batch"], b: Int[Tensor, " batch"]) -> dict[str, Tensor]:
        """Every stage: "embed" (batch, 4K), "squares" (batch, 8K), "sum" (batch, 2K), "logits"."""
        for name, number in {"a": a, "b": b}.items():
            if number.numel() and not (0 <= int(number.min()) <= int(number.max()) < self.P):
                raise ValueError(f"{name} must hold numbers 0 to {self.P - 1}")
        embed = torch.cat([self.W_E[a], self.W_E[b]], dim=-1)
        squares = (embed @ self.W_in).square()
        total = squares @ self.W_out  # cos w(a+b), sin w(a+b)
        return {"embed": embed, "squares": squares, "sum": total, "logits": total @ self.W_U}

    def forward(
        self, a: Int[Tensor, " batch"], b: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch P"]:
        """The logits of c. ValueError when a or b is not among 0 to P - 1."""
        return self.trace(a, b)["logits"]


def rotation_adder(
    P: int, frequencies: Sequence[int], dtype: torch.dtype = torch.float64
) -> RotationAdder:
    """A `RotationAdder` that is right on all pairs, by at least `rotation_margin` in the logits.

    One frequency is enough when P is prime; more of them make the margin larger. ValueError when
    the frequencies cannot tell all numbers apart (0, or a common factor with P).
    """
    margin = rotation_margin(P, frequencies)
    if margin < 1e-12:
        raise ValueError(f"frequencies {tuple(frequencies)} do not tell all numbers mod {P} apart")
    return RotationAdder(P, frequencies, dtype)


def rotation_margin(P: int, frequencies: Sequence[int]) -> float:
    """By how much the right logit exceeds every other: min over d of sum_k (1 - cos w_k d).

    The same for all pairs, since only d = a + b - c matters. With one frequency and P prime it is
    1 - cos(2 pi / P), about 20 / P^2. ValueError for P below 2 or no frequency.
    """
    if P < 2 or not len(frequencies):
        raise ValueError(f"needs P >= 2 and a frequency, got P={P}, frequencies={frequencies}")
    d = torch.arange(1, P, dtype=torch.float64)
    angles = 2 * math.pi * torch.outer(d, torch.tensor(frequencies, dtype=torch.float64)) / P
    return (1 - angles.cos()).sum(1).min().item()
