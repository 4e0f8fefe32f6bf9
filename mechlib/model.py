"""The transformer of this course: every matrix has its name, every head its own matrices.

Row vectors, as in all of mechlib: a stream `x` of shape (position, d_model) is multiplied from the
right, `q = x @ W_Q`. One layer of an attention-only model without LayerNorm computes

    scores  = (x W_Q)(x W_K)^T / sqrt(d_head)          (query, key), key <= query
    pattern = softmax(scores)
    x      <- x + sum over heads of  pattern (x W_V) W_O

which is Elhage et al. 2021 with the matrices transposed (book/notation has the dictionary).
Attention and the unembedding carry no biases, unless `bias` says so: models that are read from
elsewhere have them (chapter 20). LayerNorm, where there is one, only centres and scales: a gain
could be multiplied into the next matrix, so it would be a parameter without a job.

Used from chapter 02 on.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mechlib.interventions import SILENT, Intervention, Tape
from mechlib.nearest import nearest


def gelu_new(x: Tensor) -> Tensor:
    """GELU by tanh (Hendrycks and Gimpel 2016, section 2), up to 0.0005 from the exact one."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "gelu_new": gelu_new}


@dataclass(frozen=True)
class Config:
    """The sizes and choices of a `Transformer`.

    positions: where the learned positions enter: added to the "stream", to "queries_keys" only
        (then the stream holds no position, as in Elhage et al. 2021), or "none".
    sinusoidal_start: begin the learned positions as sines and cosines rather than at random.
    smeared_keys: mix each key with the one before it (Olsson et al. 2022, argument 2).
    act: "gelu" is the exact one, x times the normal distribution function; "gelu_new" its
        approximation by tanh, which GPT-2 was trained with.
    bias: biases b_Q, b_K, b_V, b_O in attention and b_U in the unembedding, zero at the start.
    """

    d_vocab: int
    n_ctx: int
    d_model: int
    n_layers: int
    n_heads: int = 1
    d_head: int = 0  # 0: d_model / n_heads
    d_mlp: int = 0  # 0: attention-only
    act: str = "relu"  # or "gelu", "gelu_new"
    positions: str = "stream"
    sinusoidal_start: bool = True
    norm: str = "none"  # or "layernorm"
    smeared_keys: bool = False
    bias: bool = False

    def __post_init__(self):
        for name in ("d_vocab", "n_ctx", "d_model", "n_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, needs at least 1")
        for name in ("n_layers", "d_head", "d_mlp"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, needs at least 0")
        for name, allowed in (
            ("act", tuple(ACTIVATIONS)),
            ("positions", ("stream", "queries_keys", "none")),
            ("norm", ("none", "layernorm")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: got {getattr(self, name)!r}, accepts {allowed}")
        if self.d_head == 0:
            if self.d_model % self.n_heads:
                raise ValueError(
                    f"n_heads: {self.n_heads} does not divide d_model {self.d_model}; "
                    "choose another or give d_head"
                )
            object.__setattr__(self, "d_head", self.d_model // self.n_heads)

    def to_dict(self) -> dict:
        """The fields as plain values; `Config(**d)` undoes it."""
        fields = asdict(self)
        if not self.bias:  # records of models without stay as they are
            del fields["bias"]
        return fields

    def but(self, **changes) -> "Config":
        """The same config with some fields changed."""
        return replace(self, **changes)


class Trace(Mapping):
    """The named activations of one forward pass: `trace["blocks.0.attn.hook_pattern"]`.

    `trace["pattern", 0]` is short for the same. Shapes: the stream (batch, pos, d_model);
    q, k, v, z (batch, pos, head, d_head); result (batch, pos, head, d_model); attn_scores and
    pattern (batch, head, query, key).
    """

    def __init__(self, activations: dict[str, Tensor], logits: Tensor):
        self._activations = activations
        self.logits = logits

    def __getitem__(self, name: str | tuple[str, int]) -> Tensor:
        full = activation_name(*name) if isinstance(name, tuple) else name
        if full not in self._activations:
            raise KeyError(_unknown("activation", full, self._activations))
        return self._activations[full]

    def __iter__(self) -> Iterator[str]:
        return iter(self._activations)

    def __len__(self) -> int:
        return len(self._activations)


def activation_name(short: str, layer: int) -> str:
    """The full name of a layer's activation: ("pattern", 0) -> "blocks.0.attn.hook_pattern"."""
    if short == "scores":
        short = "attn_scores"
    if short in ("q", "k", "v", "z", "attn_scores", "pattern", "result"):
        return f"blocks.{layer}.attn.hook_{short}"
    if short in ("pre", "post"):
        return f"blocks.{layer}.mlp.hook_{short}"
    return f"blocks.{layer}.hook_{short}"


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f"no {what} {name!r} here{nearest(name, known)}"


def sinusoids(
    n_ctx: int, d_model: int, shortest: float = 2 * math.pi, ratio: float = 10_000.0
) -> Float[Tensor, "position d_model"]:
    """Sines and cosines of geometrically spaced wavelengths (Vaswani et al. 2017, section 3.5).

    Scaled so that a row has length about 1, as the embedding's rows have at the start.

    shortest: wavelength of the fastest wave, in tokens. At 2, the least that tells neighbours
        apart in full, "one back" and "two back" differ the most.
    ratio: of the longest wavelength (not itself reached) to the shortest.
    """
    position = torch.arange(n_ctx)[:, None]
    rates = torch.exp(torch.arange(0, d_model, 2) * (-math.log(ratio) / d_model))
    rates = rates * (2 * math.pi / shortest)
    table = torch.zeros(n_ctx, d_model)
    table[:, 0::2] = torch.sin(position * rates)
    table[:, 1::2] = torch.cos(position * rates[: d_model // 2])
    return table * math.sqrt(2 / d_model)


def losses_of(
    logits: Float[Tensor, "batch pos d_vocab"], right: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos"]:
    """Cross-entropy in nats of the tokens that were right, one at each position."""
    # as one long list, which takes a fifth of the time of (batch, d_vocab, pos)
    losses = F.cross_entropy(logits.flatten(0, 1), right.flatten().long(), reduction="none")
    return losses.view(right.shape)


class LayerNorm(nn.Module):
    """Centre each position's vector and divide it by its standard deviation."""

    def forward(self, x: Tensor, tape: Tape, name: str) -> Tensor:
        return tape(f"{name}.hook_normalized", F.layer_norm(x, x.shape[-1:]))


class Attention(nn.Module):
    """Heads that each read the stream, look back, and add to the stream."""

    def __init__(self, config: Config, normal):
        super().__init__()
        heads, d_model, d_head = config.n_heads, config.d_model, config.d_head
        scale = 1 / math.sqrt(d_model)
        self.W_Q = nn.Parameter(normal(heads, d_model, d_head) * scale)
        self.W_K = nn.Parameter(normal(heads, d_model, d_head) * scale)
        self.W_V = nn.Parameter(normal(heads, d_model, d_head) * scale)
        self.W_O = nn.Parameter(normal(heads, d_head, d_model) * scale)
        self.smear = nn.Parameter(torch.zeros(heads)) if config.smeared_keys else None
        for name in ("b_Q", "b_K", "b_V"):
            setattr(self, name, _bias(config, heads, d_head))
        self.b_O = _bias(config, d_model)

    def look(self, x: Tensor, x_where: Tensor, tape: Tape, name: str) -> Tensor:
        """What each head brings from where it looks, z (batch, pos, head, d_head).

        x (batch, pos, d_model) gives the values; x_where, maybe with positions, the rest."""
        q = tape(f"{name}.hook_q", _read(x_where, self.W_Q, self.b_Q))
        k = _read(x_where, self.W_K, self.b_K)
        k = tape(f"{name}.hook_k", k if self.smear is None else self._smeared(k))
        v = tape(f"{name}.hook_v", _read(x, self.W_V, self.b_V))
        return tape(f"{name}.hook_z", self._attend(q, k, v, tape, name))

    def write(self, z: Tensor, tape: Tape, name: str) -> Tensor:
        """What the heads add to the stream, (..., d_model): every position by itself."""
        result_name = f"{name}.hook_result"
        if tape.wants(result_name):
            # The heads apart: their sum is the line below, so it is built only to be looked at.
            result = tape(result_name, torch.einsum("...hk,hkd->...hd", z, self.W_O))
            if tape.changes(result_name):
                return _plus(result.sum(dim=-2), self.b_O)
        return _plus(torch.einsum("...hk,hkd->...d", z, self.W_O), self.b_O)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, tape: Tape, name: str) -> Tensor:
        scores_name, pattern_name = f"{name}.hook_attn_scores", f"{name}.hook_pattern"
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (batch, head, pos, d_head)
        if tape.freezes(pattern_name) and not tape.wants(scores_name):
            blank = q.new_zeros(()).expand(*q.shape[:-1], q.shape[-2])  # nobody asks for scores
            return (tape(pattern_name, blank) @ v).transpose(1, 2)
        if tape.wants(scores_name) or tape.wants(pattern_name):
            scores = tape(scores_name, causal_scores(q, k))
            pattern = tape(pattern_name, scores.softmax(dim=-1))
            if tape.changes(scores_name) or tape.changes(pattern_name):
                return (pattern @ v).transpose(1, 2)
        # The same sum without the (query, key) matrix in memory. A pattern that is only looked at
        # goes this way too, so that a trace gives the forward pass's logits to the bit.
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)

    def _smeared(self, k: Tensor) -> Tensor:
        own = torch.sigmoid(self.smear)[:, None]
        before = torch.cat([k[:, :1], k[:, :-1]], dim=1)  # position 0 has only itself
        return own * k + (1 - own) * before


def _bias(config: Config, *shape: int) -> nn.Parameter | None:
    return nn.Parameter(torch.zeros(*shape)) if config.bias else None


def _plus(x: Tensor, bias: Tensor | None) -> Tensor:
    return x if bias is None else x + bias


def _read(x: Tensor, W: Tensor, bias: Tensor | None) -> Tensor:
    """What each head reads from the stream: (batch, pos, head, d_head)."""
    return _plus(torch.einsum("bpd,hdk->bphk", x, W), bias)


def causal_scores(
    q: Float[Tensor, "batch head pos d_head"], k: Float[Tensor, "batch head pos d_head"]
) -> Float[Tensor, "batch head pos pos"]:
    """q k^T / sqrt(d_head), with -inf where a query would look at a later key."""
    # scaled while it is small, and masked by adding: half the time of doing it on the large matrix
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
    return scores.add_(scores.new_full(scores.shape[-2:], -math.inf).triu(1))


class MLP(nn.Module):
    """Two matrices with a non-linearity between: the only place where neurons have a basis."""

    def __init__(self, config: Config, normal):
        super().__init__()
        scale = 1 / math.sqrt(config.d_model)
        self.W_in = nn.Parameter(normal(config.d_model, config.d_mlp) * scale)
        self.b_in = nn.Parameter(torch.zeros(config.d_mlp))
        self.W_out = nn.Parameter(normal(config.d_mlp, config.d_model) * scale)
        self.b_out = nn.Parameter(torch.zeros(config.d_model))
        self.act = ACTIVATIONS[config.act]

    def forward(self, x: Tensor, tape: Tape, name: str) -> Tensor:
        pre = tape(f"{name}.hook_pre", x @ self.W_in + self.b_in)
        post = tape(f"{name}.hook_post", self.act(pre))
        return post @ self.W_out + self.b_out


class Block(nn.Module):
    """One residual block: attention, then the MLP if there is one, each added to the stream."""

    def __init__(self, config: Config, normal):
        super().__init__()
        normed = config.norm == "layernorm"
        self.ln1 = LayerNorm() if normed else None
        self.attn = Attention(config, normal)
        self.ln2 = LayerNorm() if normed and config.d_mlp else None
        self.mlp = MLP(config, normal) if config.d_mlp else None

    def look(
        self, x: Tensor, position: Tensor | None, tape: Tape, name: str
    ) -> tuple[Tensor, Tensor]:
        """The stream, and what each head brings. From here on every position is by itself."""
        x = tape(f"{name}.hook_resid_pre", x)
        read = x if self.ln1 is None else self.ln1(x, tape, f"{name}.ln1")
        where = read if position is None else read + position
        return x, self.attn.look(read, where, tape, f"{name}.attn")

    def add_heads(self, x: Tensor, z: Tensor, tape: Tape, name: str) -> Tensor:
        return x + tape(f"{name}.hook_attn_out", self.attn.write(z, tape, f"{name}.attn"))

    def add_mlp(self, x: Tensor, tape: Tape, name: str) -> Tensor:
        if self.mlp is not None:
            x = tape(f"{name}.hook_resid_mid", x)
            read = x if self.ln2 is None else self.ln2(x, tape, f"{name}.ln2")
            x = x + tape(f"{name}.hook_mlp_out", self.mlp(read, tape, f"{name}.mlp"))
        return tape(f"{name}.hook_resid_post", x)


class Transformer(nn.Module):
    """A decoder-only transformer, from zero layers up.

    seed: of the starting weights; entries are normal with standard deviation 1/sqrt(d_model), those
    of W_U 1/sqrt(d_vocab), so that the first predictions are close to uniform.
    """

    def __init__(self, config: Config, seed: int = 0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        self.config = config
        d_vocab, d_model = config.d_vocab, config.d_model
        self.W_E = nn.Parameter(normal(d_vocab, d_model) / math.sqrt(d_model))
        if config.positions == "none":
            self.W_pos = None
        elif config.sinusoidal_start:
            self.W_pos = nn.Parameter(sinusoids(config.n_ctx, d_model) * self._position_length())
        else:
            self.W_pos = nn.Parameter(normal(config.n_ctx, d_model) / math.sqrt(d_model))
        self.blocks = nn.ModuleList(Block(config, normal) for _ in range(config.n_layers))
        self.ln_final = LayerNorm() if config.norm == "layernorm" else None
        self.W_U = nn.Parameter(normal(d_model, d_vocab) / math.sqrt(d_vocab))
        self.b_U = _bias(config, d_vocab)

    def _position_length(self) -> float:
        """Positions start as long as the vectors they are added to: rows of W_E have length about
        1, those that come out of LayerNorm sqrt(d_model). Shorter ones hardly bend a pattern."""
        normed = self.config.norm == "layernorm" and self.config.positions == "queries_keys"
        return math.sqrt(self.config.d_model) if normed else 1.0

    # -- the forward pass ----------------------------------------------------------------------

    def forward(
        self, tokens: Int[Tensor, "batch pos"], interventions: Sequence[Intervention] = ()
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits of the next token at every position.

        Raises TypeError or ValueError for tokens of the wrong type, shape, length or range, and
        KeyError for an intervention aimed at an activation that this model does not have.
        """
        self._check_tokens(tokens)
        self._check_names([intervention.at for intervention in interventions])
        return self._run(tokens, Tape(interventions) if interventions else SILENT)

    def trace(
        self,
        tokens: Int[Tensor, "batch pos"],
        interventions: Sequence[Intervention] = (),
        names: Sequence[str] | None = None,
        where: Bool[Tensor, "batch pos"] | None = None,
    ) -> Trace:
        """Run forward and keep the activations called `names` (all of them for None).

        The logits are those of `forward`, to the bit; with `where`, those of these positions alone,
        (place, d_vocab), and the others are not computed. Where it holds nowhere the pass ends with
        the last activation that is asked for.
        """
        self._check_tokens(tokens)
        self._check_names([intervention.at for intervention in interventions])
        if names is not None:
            self._check_names(names)
        tape = Tape(interventions, keep=self.activation_names() if names is None else names)
        logits = self._run(tokens, tape, where)
        return Trace(tape.kept, logits)

    def _run(self, tokens: Tensor, tape: Tape, where: Tensor | None = None) -> Tensor:
        x = tape("hook_embed", self.W_E[tokens])  # (batch, pos, d_model)
        position = None
        if self.W_pos is not None:
            position = self.W_pos[: tokens.shape[1]].expand_as(x)
            position = tape("hook_pos_embed", position)
            if self.config.positions == "stream":
                x, position = x + position, None
        return self._go_on(x, position, 0, tape, where)

    def _go_on(
        self,
        x: Tensor,
        position: Tensor | None,
        first: int,
        tape: Tape,
        where: Tensor | None = None,
        z: Tensor | None = None,
        attended: bool = False,
    ) -> Tensor:
        """The layers from `first` on. With `z` its heads have looked already; where the stream is
        `attended`, they have been added."""
        nowhere = where is not None and not where.any()
        for layer in range(first, len(self.blocks)):
            block, name = self.blocks[layer], f"blocks.{layer}"
            if z is None and not attended:
                x, z = block.look(x, position, tape, name)
            if nowhere and tape.full:
                return x.new_empty(0, self.config.d_vocab)
            if where is not None and self._ends_unseen(layer, tape):
                x, z, where = x[where], None if z is None else z[where], None
            if z is not None:
                x = block.add_heads(x, z, tape, name)
            x, z, attended = block.add_mlp(x, tape, name), None, False
        if where is not None:
            x = x[where]
        if self.ln_final is not None:
            x = self.ln_final(x, tape, "ln_final")
        return tape("hook_logits", _plus(x @ self.W_U, self.b_U))

    def logits_from(
        self,
        stream: Float[Tensor, "batch pos d_model"],
        layer: int,
        interventions: Sequence[Intervention] = (),
        where: Bool[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "*place d_vocab"]:
        """The rest of a forward pass: logits when `stream` enters `layer`, or, for `n_layers`,
        when it stands at the end. What came before need not be run again for every change.

        where: the positions whose logits are asked for, (place, d_vocab) then; (batch, pos,
            d_vocab) for None. The others are not unembedded.

        ValueError for a layer that there is not, or a stream of another width or too long;
        KeyError for an intervention aimed at an activation that does not come from there on.
        """
        config = self.config
        if not 0 <= layer <= config.n_layers:
            raise ValueError(f"layer: got {layer}, accepts 0 to {config.n_layers}")
        if stream.ndim != 3 or stream.shape[2] != config.d_model or stream.shape[1] > config.n_ctx:
            raise ValueError(
                f"stream: got shape {tuple(stream.shape)}, needs (batch, pos, {config.d_model}) "
                f"with at most {config.n_ctx} positions"
            )
        over = ("hook_embed", "hook_pos_embed", *(f"blocks.{done}." for done in range(layer)))
        still = [name for name in self.activation_names() if not name.startswith(over)]
        self._check_names([intervention.at for intervention in interventions], still)
        return self._go_on(stream, self._apart(stream), layer, Tape(interventions), where)

    def _apart(self, stream: Tensor) -> Tensor | None:
        """The positions, where the stream does not hold them."""
        if self.W_pos is None or self.config.positions == "stream":
            return None
        return self.W_pos[: stream.shape[1]].expand_as(stream)

    def rerun(
        self,
        tokens: Int[Tensor, "batch pos"],
        run: Trace,
        interventions: Sequence[Intervention],
        where: Bool[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "*place d_vocab"]:
        """Logits of these tokens with changes, from a trace of the same tokens without any.

        What comes before the first change is as it was, and is not computed again: the pass is
        taken up at the last of resid_pre, z, resid_mid and resid_post that stands before it and
        that `run` has kept (for z, the resid_pre of its layer besides). If there is none, all of it
        is run. where: as for `logits_from`.

        Raises as `forward` does, and ValueError where the trace is of tokens of another shape.
        """
        changed = [intervention.at for intervention in interventions]
        self._check_names(changed)
        found = self._last_kept(run, changed)
        if found is None:
            return self.trace(tokens, interventions, [], where).logits
        self._check_tokens(tokens)
        at, kind, layer = found
        there, here = tuple(run[at].shape[:2]), tuple(tokens.shape)
        if there != here:
            raise ValueError(f"run: of tokens of shape {there}, but tokens has {here}")
        x = Tape([change for change in interventions if change.at == at])(at, run[at])
        tape = Tape([change for change in interventions if change.at != at])
        if kind == "z":
            stream = run["resid_pre", layer]
            return self._go_on(stream, self._apart(stream), layer, tape, where, z=x)
        first = layer + (kind == "resid_post")
        return self._go_on(x, self._apart(x), first, tape, where, attended=kind == "resid_mid")

    def _last_kept(self, run: Trace, changed: Sequence[str]) -> tuple[str, str, int] | None:
        """Where to take up a run: the name, its short form and its layer."""
        names, kept = self.activation_names(), set(run)
        first = min((names.index(name) for name in changed), default=len(names))
        before = kept.intersection(names[: first + 1])
        for layer in reversed(range(self.config.n_layers)):
            for kind in ("resid_post", "resid_mid", "z", "resid_pre"):
                at = activation_name(kind, layer)
                if at in before and (kind != "z" or activation_name("resid_pre", layer) in kept):
                    return at, kind, layer
        return None

    def _ends_unseen(self, layer: int, tape: Tape) -> bool:
        """Is this the last layer, with nobody looking at what comes behind its attention? From
        there on every position is by itself."""
        if layer < len(self.blocks) - 1:
            return False
        names = self.activation_names()
        behind = names[names.index(activation_name("z", layer)) + 1 :]
        return not any(tape.wants(name) for name in behind if name.startswith(f"blocks.{layer}."))

    def token_losses(
        self, tokens: Int[Tensor, "batch pos"], interventions: Sequence[Intervention] = ()
    ) -> Float[Tensor, "batch pos_minus_1"]:
        """Cross-entropy in nats of each next token; `tokens` may hold n_ctx + 1 of them."""
        return losses_of(self(tokens[:, :-1], interventions), tokens[:, 1:])

    def loss(
        self, tokens: Int[Tensor, "batch pos"], interventions: Sequence[Intervention] = ()
    ) -> Float[Tensor, ""]:
        """Mean next-token cross-entropy in nats."""
        logits = self(tokens[:, :-1], interventions)
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten().long())

    # -- names, and views of the weights -------------------------------------------------------

    def activation_names(self) -> tuple[str, ...]:
        """Every name that `trace` records and interventions can be aimed at, in running order."""
        config = self.config
        names = ["hook_embed"] + (["hook_pos_embed"] if self.W_pos is not None else [])
        for layer in range(config.n_layers):
            block = ["hook_resid_pre"]
            block += ["ln1.hook_normalized"] if config.norm == "layernorm" else []
            block += [f"attn.hook_{x}" for x in ("q", "k", "v", "attn_scores", "pattern")]
            block += ["attn.hook_z", "attn.hook_result", "hook_attn_out"]
            if config.d_mlp:
                block += ["hook_resid_mid"]
                block += ["ln2.hook_normalized"] if config.norm == "layernorm" else []
                block += ["mlp.hook_pre", "mlp.hook_post", "hook_mlp_out"]
            names += [f"blocks.{layer}.{name}" for name in [*block, "hook_resid_post"]]
        names += ["ln_final.hook_normalized"] if config.norm == "layernorm" else []
        return (*names, "hook_logits")

    @property
    def W_Q(self) -> Float[Tensor, "layer head d_model d_head"]:
        return self._stacked("W_Q")

    @property
    def W_K(self) -> Float[Tensor, "layer head d_model d_head"]:
        return self._stacked("W_K")

    @property
    def W_V(self) -> Float[Tensor, "layer head d_model d_head"]:
        return self._stacked("W_V")

    @property
    def W_O(self) -> Float[Tensor, "layer head d_head d_model"]:
        return self._stacked("W_O")

    def _stacked(self, name: str) -> Tensor:
        if not self.blocks:
            raise ValueError(f"{name}: a model of zero layers has no heads")
        return torch.stack([getattr(block.attn, name) for block in self.blocks])

    # -- bad input -----------------------------------------------------------------------------

    def _check_names(self, names: Iterable[str], known: Sequence[str] | None = None) -> None:
        known = self.activation_names() if known is None else known
        for name in names:
            if name not in known:
                raise KeyError(_unknown("activation", name, known))

    def _check_tokens(self, tokens: object) -> None:
        if not isinstance(tokens, Tensor) or tokens.dtype not in (torch.int64, torch.int32):
            got = tokens.dtype if isinstance(tokens, Tensor) else type(tokens).__name__
            raise TypeError(f"tokens: got {got}, needs a tensor of int64 (or int32) token ids")
        if tokens.ndim != 2 or tokens.numel() == 0:
            raise ValueError(f"tokens: got shape {tuple(tokens.shape)}, needs (batch, pos)")
        if tokens.shape[1] > self.config.n_ctx:
            raise ValueError(
                f"tokens: {tokens.shape[1]} positions, but the context holds {self.config.n_ctx}"
            )
        # On a GPU this look would make every step wait, and the device checks the index itself.
        if tokens.device.type == "cpu":
            low, high = (int(bound) for bound in tokens.aminmax())
            if low < 0 or high >= self.config.d_vocab:
                raise ValueError(
                    f"tokens: values {low} to {high}, but the vocabulary has "
                    f"0 to {self.config.d_vocab - 1}"
                )
