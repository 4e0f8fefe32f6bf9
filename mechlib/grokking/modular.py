"""Modular arithmetic as a task, and the one-layer transformer on it, exactly and fast.

The task: from `a b =`, three tokens, predict a + b mod P (or another operation). The vocabulary is
0 ... P-1 and `=`, which is token P. Two encoded examples, P = 113, addition:

    5 + 7    -> [5, 7, 113],    answer 12
    100 + 50 -> [100, 50, 113], answer 37

Only the logits at `=` are read. There the query is the same for every example, and keys and values
come from just 2P + 1 distinct (token, position) pairs. So with tables of 2P + 1 rows,

    s = score of a row,  v = its value vector,
    A = softmax(s[a], s[b], s[=]),  z(a, b) = A_a v[a] + A_b v[b] + A_= v[=]       for each head,

the batch sees no keys, no queries and no P-sized embedding: one softmax of three, one sum of table
rows, the neurons and one product, with all matrices in a row multiplied together beforehand.
Nothing is approximated; `fast_logits` equals `model(tokens)[:, -1]` up to rounding.

Power et al. 2022 (the task); Nanda et al. 2023 (the model). Chapters 12 to 15.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mechlib.grokking.mixing import mixed
from mechlib.model import Config, Transformer

# --- the task --------------------------------------------------------------------------------

OPERATIONS = {
    "add": lambda a, b, P: (a + b) % P,
    "subtract": lambda a, b, P: (a - b) % P,
    "multiply": lambda a, b, P: (a * b) % P,
    "divide": lambda a, b, P: (a * inverses(P)[b]) % P,
    "squares": lambda a, b, P: (a * a + b * b) % P,
    "maximum": lambda a, b, P: torch.maximum(a, b),
}


def is_prime(n: int) -> bool:
    """Whether n is a prime, by trial division."""
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def inverses(P: int) -> Int[Tensor, "x"]:
    """x^-1 mod P for every x; 0 stands at 0, which has none. P must be a prime."""
    if not is_prime(P):
        raise ValueError(f"P: division needs a prime modulus, got {P}")
    return torch.tensor([pow(x, P - 2, P) for x in range(P)])


def sequences(pairs: Int[Tensor, "pair 2"], P: int) -> Int[Tensor, "pair 3"]:
    """The token sequences `a b =` for pairs (a, b)."""
    if pairs.numel() and not 0 <= int(pairs.min()) <= int(pairs.max()) < P:
        raise ValueError(f"pairs: numbers from 0 to {P - 1} expected, got {int(pairs.max())}")
    equals = pairs.new_full((pairs.shape[0], 1), P)
    return torch.cat([pairs, equals], dim=1)


@dataclass(frozen=True)
class Task:
    """All pairs (a, b) of numbers modulo P, their answers, and a split into training and test.

    operation: one of `OPERATIONS`. "divide" needs a prime P and leaves out b = 0.
    fraction: the share of the pairs used for training, strictly between 0 and 1.
    seed: of the split.
    shuffled: the answers are drawn at random instead, uniformly: nothing can be generalised, only
        memorised.

    Attributes: pairs (pair, 2) in the order (0, 0), (0, 1), ...; answers (pair,); train and test,
    the indices of the two parts, each in rising order.
    """

    P: int
    operation: str = "add"
    fraction: float = 0.3
    seed: int = 0
    shuffled: bool = False

    def __post_init__(self):
        if isinstance(self.P, bool) or not isinstance(self.P, int) or self.P < 2:
            raise ValueError(f"P: a whole number of at least 2 expected, got {self.P!r}")
        if self.operation not in OPERATIONS:
            known = ", ".join(OPERATIONS)
            raise ValueError(f"operation: one of {known}; got {self.operation!r}")
        if self.operation == "divide" and not is_prime(self.P):
            raise ValueError(f"P: division needs a prime modulus, got {self.P}")
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"fraction: strictly between 0 and 1, so that both parts exist; got {self.fraction}"
            )
        n = len(self.pairs)
        if not 0 < self.n_train < n:
            raise ValueError(
                f"fraction: {self.fraction} of {n} pairs leaves one part empty; "
                "choose another fraction or a larger P"
            )

    @cached_property
    def pairs(self) -> Int[Tensor, "pair 2"]:
        numbers = torch.arange(self.P)
        pairs = torch.cartesian_prod(numbers, numbers)
        return pairs[pairs[:, 1] != 0] if self.operation == "divide" else pairs

    @cached_property
    def answers(self) -> Int[Tensor, "pair"]:
        if self.shuffled:
            generator = torch.Generator().manual_seed(self.seed + 1_000_003)
            return torch.randint(self.P, (len(self.pairs),), generator=generator)
        return OPERATIONS[self.operation](self.pairs[:, 0], self.pairs[:, 1], self.P)

    @property
    def n_train(self) -> int:
        return int(self.fraction * len(self.pairs))  # rounds down: 3,830 of 12,769, as the paper

    @cached_property
    def _order(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randperm(len(self.pairs), generator=generator)

    @cached_property
    def train(self) -> Int[Tensor, "train_pair"]:
        return self._order[: self.n_train].sort().values

    @cached_property
    def test(self) -> Int[Tensor, "test_pair"]:
        return self._order[self.n_train :].sort().values

    @property
    def train_pairs(self) -> Int[Tensor, "train_pair 2"]:
        return self.pairs[self.train]

    @property
    def train_answers(self) -> Int[Tensor, "train_pair"]:
        return self.answers[self.train]

    @property
    def test_pairs(self) -> Int[Tensor, "test_pair 2"]:
        return self.pairs[self.test]

    @property
    def test_answers(self) -> Int[Tensor, "test_pair"]:
        return self.answers[self.test]


# --- the two models --------------------------------------------------------------------------


def config(P: int, d_model: int = 128, n_heads: int = 4, d_mlp: int = 512) -> Config:
    """The one-layer transformer on `a b =`; the sizes are those of Nanda et al. 2023 by default.

    Learned positions, ReLU, no LayerNorm, embedding and unembedding apart. Its vocabulary is P + 1
    at both ends, as in the paper's code: `=` can be predicted and is never right.
    """
    if P < 2:
        raise ValueError(f"P: at least 2 expected, got {P}")
    return Config(
        d_vocab=P + 1,
        n_ctx=3,
        d_model=d_model,
        n_layers=1,
        n_heads=n_heads,
        d_mlp=d_mlp,
        act="relu",
        positions="stream",
        sinusoidal_start=False,
        norm="none",
    )


class EmbeddingMLP(nn.Module):
    """Two embeddings side by side, one hidden layer, logits over Z_P: no attention at all.

        logits(a, b) = ReLU([E_a, E_b] W_in + b_in) W_out + b_out

    With P = 97, d_embed 64 and d_hidden 128 it has 35,233 parameters. Both numbers use the one
    embedding. Chapter 12.
    """

    def __init__(self, P: int = 97, d_embed: int = 64, d_hidden: int = 128, seed: int = 0):
        super().__init__()
        if P < 2:
            raise ValueError(f"P: at least 2 expected, got {P}")
        generator = torch.Generator().manual_seed(seed)

        def uniform(*shape: int, fan_in: int) -> nn.Parameter:
            # the ranges that torch.nn.Linear starts from
            bound = 1 / math.sqrt(fan_in)
            return nn.Parameter((2 * torch.rand(*shape, generator=generator) - 1) * bound)

        self.P = P
        self.W_E = nn.Parameter(torch.randn(P, d_embed, generator=generator))
        self.W_in = uniform(2 * d_embed, d_hidden, fan_in=2 * d_embed)
        self.b_in = uniform(d_hidden, fan_in=2 * d_embed)
        self.W_out = uniform(d_hidden, P, fan_in=d_hidden)
        self.b_out = uniform(P, fan_in=d_hidden)

    def hidden(self, pairs: Int[Tensor, "pair 2"]) -> Float[Tensor, "pair neuron"]:
        """The hidden layer after its ReLU."""
        return F.relu(self.W_E[pairs].flatten(1) @ self.W_in + self.b_in)

    def forward(self, pairs: Int[Tensor, "pair 2"]) -> Float[Tensor, "pair answer"]:
        return self.hidden(pairs) @ self.W_out + self.b_out


# --- the fast exact forward pass -------------------------------------------------------------


def check_model(model: Transformer) -> int:
    """P of a transformer that `fast_logits` can run; ValueError with the reason if it cannot."""
    c = model.config
    reasons = {
        "n_layers must be 1": c.n_layers == 1,
        "d_mlp must be positive": c.d_mlp > 0,
        "act must be 'relu'": c.act == "relu",
        "norm must be 'none'": c.norm == "none",
        "positions must be 'stream'": c.positions == "stream",
        "smeared_keys must be off": not c.smeared_keys,
        "n_ctx must be at least 3": c.n_ctx >= 3,
        "d_vocab must be P + 1, at least 3": c.d_vocab >= 3,
    }
    bad = [reason for reason, holds in reasons.items() if not holds]
    if bad:
        raise ValueError(f"model: the fast path cannot run it: {'; '.join(bad)}; got {c}")
    return c.d_vocab - 1


def head_tables(
    model: Transformer,
) -> tuple[Float[Tensor, "row head"], Float[Tensor, "row head d_head"]]:
    """Scores of every key under the query of `=`, and its value vectors, for each head.

    Rows 0 ... P-1 are the numbers at position 0, P ... 2P-1 those at position 1, 2P is `=` at
    position 2: all the keys and values there are.
    """
    P = check_model(model)
    attn = model.blocks[0].attn
    W_E, W_pos = model.W_E, model.W_pos
    x = torch.cat([W_E[:P] + W_pos[0], W_E[:P] + W_pos[1], W_E[P:] + W_pos[2]])  # (row, d_model)
    query = x[2 * P] @ attn.W_Q  # (head, d_head)
    readers = torch.einsum("hdk,hk->dh", attn.W_K, query) / math.sqrt(attn.W_K.shape[-1])
    values = x @ attn.W_V.permute(1, 0, 2).flatten(1)  # (row, head * d_head)
    return x @ readers, values.view(x.shape[0], *query.shape)


def attention_at_equals(
    scores: Float[Tensor, "row head"], pairs: Int[Tensor, "pair 2"]
) -> tuple[Float[Tensor, "pair 3 head"], Int[Tensor, "pair 3"]]:
    """Each head's attention from `=` to a, b and `=`, and their rows in `head_tables`."""
    P = len(scores) // 2
    rows = F.pad(pairs + pairs.new_tensor([0, P]), (0, 1), value=2 * P)
    found = scores.index_select(0, rows.flatten()).view(*rows.shape, scores.shape[1])
    return found.softmax(dim=1), rows


def inputs_at_equals(
    model: Transformer, pairs: Int[Tensor, "pair 2"], matmul_dtype: torch.dtype | None = None
) -> tuple[Float[Tensor, "pair d_mlp"], Float[Tensor, "pair d_vocab"]]:
    """What the neurons get at `=` before their ReLU, and what the logits are without them.

    The values of all rows are multiplied by W_O W_in and W_O W_U beforehand, for they are few and
    the pairs are many: attention mixes what comes out (`mixing.mixed`). The three shares of a head
    sum to 1, so only the difference to the value of `=` is mixed. Raises as `fast_logits` does.
    """
    P = _check_pairs(model, pairs)
    attn, mlp, W_U = model.blocks[0].attn, model.blocks[0].mlp, model.W_U
    kind = matmul_dtype or W_U.dtype
    scores, values = head_tables(model)
    pattern, rows = attention_at_equals(scores, pairs)
    more = (values[:-1] - values[-1]).transpose(0, 1).to(kind)  # (head, row, d_head)
    same = model.W_E[P] + model.W_pos[2] + values[-1].flatten() @ attn.W_O.flatten(0, 1)
    W_O = attn.W_O.to(kind)
    pre, skip = mixed(
        pattern[:, :2],
        rows[:, :2],
        (more @ (W_O @ mlp.W_in.to(kind)), (same @ mlp.W_in + mlp.b_in).to(kind)),
        (more @ (W_O @ W_U.to(kind)), ((same + mlp.b_out) @ W_U).to(kind)),
    )
    return pre, skip


def fast_logits(
    model: Transformer, pairs: Int[Tensor, "pair 2"], matmul_dtype: torch.dtype | None = None
) -> Float[Tensor, "pair d_vocab"]:
    """The logits at `=` for pairs (a, b): `model(sequences(pairs, P))[:, -1]`, without the rest.

    matmul_dtype: the type of the products, with float32 sums inside (torch.bfloat16 takes two
        thirds of the time); the model's own by default.

    Raises ValueError for a model of another architecture, or numbers outside 0 ... P-1.
    """
    pre, skip = inputs_at_equals(model, pairs, matmul_dtype)
    # W_out W_U, its columns side by side in memory: the gradient is cheaper so
    W_last = (model.W_U.to(pre.dtype).T @ model.blocks[0].mlp.W_out.to(pre.dtype).T).T
    return torch.addmm(skip, pre.relu_(), W_last).to(model.W_U.dtype)


def _check_pairs(model: Transformer, pairs: Int[Tensor, "pair 2"]) -> int:
    """P, if the fast path can run this model on these pairs; ValueError with the reason if not."""
    P = check_model(model)
    if pairs.device.type == "cpu" and not 0 <= int(pairs.min()) <= int(pairs.max()) < P:
        raise ValueError(
            f"pairs: this model adds numbers from 0 to {P - 1}, "
            f"got {int(pairs.min())} to {int(pairs.max())}"
        )
    return P


class _ExactCrossEntropy(torch.autograd.Function):
    """softplus(logsumexp of the wrong answers - the right one), and its gradient, in one go.

    The gradient that is ready is a number like any other; only when it is to be differentiated
    once more is it computed again, from the logits.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, answers: Tensor) -> Tensor:
        column = answers[:, None]
        gaps = logits - logits.gather(1, column)
        gaps.scatter_(1, column, -math.inf)
        largest = torch.finfo(
            gaps.dtype
        ).max  # all the others forbidden: -inf less -inf is no number
        top = gaps.amax(dim=1, keepdim=True).clamp_(-largest, largest)
        e = gaps.sub_(top).exp_()
        total = e.sum(dim=1, keepdim=True)
        wrong = total.log() + top  # log-odds of "not the right answer"
        # d loss / d logits: the wrong answers' probabilities, and minus their sum at the right one
        chance = torch.sigmoid(wrong)
        smallest = torch.finfo(gaps.dtype).tiny
        e.mul_(chance / total.clamp_min(smallest)).scatter_(1, column, -chance)
        ctx.save_for_backward(e, logits, answers)
        return torch.logaddexp(wrong, wrong.new_zeros(())).flatten()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        gradient, logits, answers = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody asked for create_graph
            column = answers[:, None]
            wrong = logits.softmax(1).scatter(1, column, 0.0)
            gradient = wrong.scatter(1, column, -wrong.sum(1, keepdim=True))
        return gradient * slope[:, None], None


def cross_entropy(
    logits: Float[Tensor, "pair answer"], answers: Int[Tensor, "pair"]
) -> Float[Tensor, "pair"]:
    """-log softmax at the right answer, in nats, with full *relative* precision.

    On confident examples the loss is far smaller than the rounding error of the logits' own
    logsumexp: in float32 log-softmax says 0, and learning stops (which is why the paper computes
    it in float64). Written as log(1 + sum over wrong answers of exp(logit - right logit)) nothing
    cancels, and float32 holds losses down to 1e-38.
    """
    return _ExactCrossEntropy.apply(logits, answers)


def loss(
    model: Transformer,
    pairs: Int[Tensor, "pair 2"],
    answers: Int[Tensor, "pair"],
    matmul_dtype: torch.dtype | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy at `=` in nats, by the fast path."""
    return cross_entropy(fast_logits(model, pairs, matmul_dtype), answers).mean()


# --- what the two models say about every pair -----------------------------------------------


def _with_every_pair(
    model: nn.Module, P: int, dtype: torch.dtype
) -> tuple[nn.Module, Int[Tensor, "pair 2"]]:
    """A copy of the model in another type, on the CPU, and all pairs (a, b) in order."""
    numbers = torch.arange(P)
    copy = deepcopy(model).to(device="cpu", dtype=dtype)
    return copy, torch.cartesian_prod(numbers, numbers)


@torch.no_grad()
def all_logits(
    model: nn.Module, P: int, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "a b answer"]:
    """Logits of every pair on the P x P grid; the column of `=`, if there is one, is dropped."""
    model, pairs = _with_every_pair(model, P, dtype)
    logits = fast_logits(model, pairs) if isinstance(model, Transformer) else model(pairs)
    return logits[:, :P].reshape(P, P, P)


@torch.no_grad()
def all_neurons(
    model: nn.Module, P: int, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "a b neuron"]:
    """The hidden layer after its ReLU, at `=`, for every pair on the P x P grid."""
    model, pairs = _with_every_pair(model, P, dtype)
    if not isinstance(model, Transformer):
        return model.hidden(pairs).reshape(P, P, -1)
    return inputs_at_equals(model, pairs)[0].relu_().reshape(P, P, -1)


@torch.no_grad()
def score(
    logits: Float[Tensor, "pair answer"], answers: Int[Tensor, "pair"]
) -> tuple[float, float]:
    """(mean loss in nats, accuracy) of logits that are already there."""
    losses = cross_entropy(logits, answers)
    return float(losses.mean()), float((logits.argmax(dim=1) == answers).double().mean())
