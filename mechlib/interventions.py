"""Interventions: small values that say how a forward pass is to be changed.

Each names the activation it is aimed at (`at`, see `Transformer.activation_names`) and has one
method, `apply(activation) -> activation`. The model applies them in the order given and refuses
one whose `at` it does not have, so an intervention that hits nothing is an error, never a silence.

    model(tokens, interventions=[Ablate("blocks.0.attn.hook_z", head=3)])
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

# Which axis of an activation counts the heads; activations not listed have none.
HEAD_AXIS = {
    "hook_q": 2,
    "hook_k": 2,
    "hook_v": 2,
    "hook_z": 2,
    "hook_result": 2,
    "hook_attn_scores": 1,
    "hook_pattern": 1,
}


def _head_slot(at: str, activation: Tensor, head: int | None) -> tuple:
    """The index that selects one head (or everything, for `head=None`) of the activation `at`."""
    if head is None:
        return (...,)
    axis = HEAD_AXIS.get(at.rsplit(".", 1)[-1])
    if axis is None:
        raise ValueError(f"head={head}: {at!r} has no head axis; leave head out")
    n_heads = activation.shape[axis]
    if not 0 <= head < n_heads:
        raise ValueError(f"head={head}: {at!r} has heads 0 to {n_heads - 1}")
    return (slice(None),) * axis + (head,)


def _position_slot(at: str, activation: Tensor, positions: Sequence[int] | None) -> tuple:
    """The index that selects some positions (axis 1) of the activation `at`."""
    if positions is None:
        return (...,)
    if at.rsplit(".", 1)[-1] in ("hook_attn_scores", "hook_pattern"):
        raise ValueError(f"positions: {at!r} has two position axes; patch the whole matrix")
    n_positions = activation.shape[1]
    for position in positions:
        if not -n_positions <= position < n_positions:
            raise ValueError(f"positions: {position} is outside the {n_positions} of this input")
    return (slice(None), list(positions))


def _fitted(value: Tensor, target: Tensor, at: str) -> Tensor:
    """The value in the target's type and shape."""
    try:
        return value.to(target).expand(target.shape)
    except RuntimeError:
        raise ValueError(
            f"value: shape {tuple(value.shape)} does not fit {at!r}, "
            f"which has {tuple(target.shape)} there"
        ) from None


def _written(activation: Tensor, slot: tuple, value: Tensor | float, at: str) -> Tensor:
    """A copy of the activation with `value` at `slot`; the original is left alone."""
    changed = activation.clone()
    changed[slot] = _fitted(value, changed[slot], at) if isinstance(value, Tensor) else value
    return changed


@dataclass(frozen=True, eq=False)
class Ablate:
    """Replace an activation, or one head of it, by zero or by `value` (a mean, say)."""

    at: str
    head: int | None = None
    value: Tensor | None = None

    def apply(self, activation: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        slot = _head_slot(self.at, activation, self.head)
        return _written(activation, slot, 0.0 if self.value is None else self.value, self.at)


@dataclass(frozen=True, eq=False)
class Patch:
    """Put `value`, taken from another run, in the place of an activation.

    `head` and `positions` narrow it down. `value` has the shape of the part that it replaces, or
    one that broadcasts to it.
    """

    at: str
    value: Tensor
    head: int | None = None
    positions: Sequence[int] | None = None

    def apply(self, activation: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if self.head is not None and self.positions is not None:
            _head_slot(self.at, activation, self.head)  # for its error messages
            position = _position_slot(self.at, activation, self.positions)
            slot = (*position, self.head)
        elif self.head is not None:
            slot = _head_slot(self.at, activation, self.head)
        else:
            slot = _position_slot(self.at, activation, self.positions)
        return _written(activation, slot, self.value, self.at)


@dataclass(frozen=True, eq=False)
class FreezePattern:
    """Fix the attention pattern of a layer, or of one head of it.

    With every pattern frozen an attention-only model without LayerNorm is linear in its
    embeddings (Elhage et al. 2021, "Splitting attention head terms").

    `pattern`: (batch, head, query, key), or (batch, query, key) when `head` is given. All heads'
    pattern is not copied: a trace of the run holds the same numbers.
    """

    layer: int
    pattern: Tensor
    head: int | None = None

    @property
    def at(self) -> str:
        return f"blocks.{self.layer}.attn.hook_pattern"

    def apply(self, activation: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if self.head is None:  # all of it is given: nothing need be copied
            return _fitted(self.pattern, activation, self.at)
        slot = _head_slot(self.at, activation, self.head)
        return _written(activation, slot, self.pattern, self.at)


@dataclass(frozen=True, eq=False)
class Steer:
    """Add `scale * direction` to an activation, at all positions or at some."""

    at: str
    direction: Tensor
    scale: float = 1.0
    positions: Sequence[int] | None = None

    def apply(self, activation: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if self.direction.shape[-1:] != activation.shape[-1:]:
            raise ValueError(
                f"direction: length {tuple(self.direction.shape)[-1:]} does not fit {self.at!r}, "
                f"whose last axis has {activation.shape[-1]}"
            )
        slot = _position_slot(self.at, activation, self.positions)
        steered = activation[slot] + self.scale * self.direction.to(activation)
        return _written(activation, slot, steered, self.at)


@runtime_checkable
class Intervention(Protocol):
    """Whatever is aimed at an activation (`at`) and changes it: those above, or one of your own."""

    @property
    def at(self) -> str: ...

    def apply(self, activation: Tensor) -> Tensor: ...


def frozen_patterns(trace) -> list[FreezePattern]:
    """One `FreezePattern` a layer, holding every pattern of `trace` (a mapping name -> tensor)."""
    names = [name for name in trace if name.endswith("attn.hook_pattern")]
    if not names:
        raise ValueError("trace: it has no attention patterns; record them, or the model has none")
    return [FreezePattern(int(name.split(".")[1]), trace[name].detach()) for name in names]


class Tape:
    """What a forward pass shows its activations to: applies interventions, keeps what is asked.

    `keep`: the names to record; empty for none.
    """

    def __init__(self, interventions: Sequence[Intervention] = (), keep: Sequence[str] = ()):
        self._by_name: dict[str, list[Intervention]] = {}
        for intervention in interventions:
            self._by_name.setdefault(intervention.at, []).append(intervention)
        self._keep = frozenset(keep)
        self.kept: dict[str, Tensor] = {}

    def changes(self, name: str) -> bool:
        """Is some intervention aimed at this activation?"""
        return name in self._by_name

    def wants(self, name: str) -> bool:
        """Must this activation be computed, because it is recorded or changed?"""
        return name in self._keep or name in self._by_name

    @property
    def full(self) -> bool:
        """Has everything that is to be recorded been seen?"""
        return len(self.kept) == len(self._keep)

    def freezes(self, name: str) -> bool:
        """Is this the pattern of a layer that is given for all heads, whatever the scores are?"""
        return any(
            isinstance(i, FreezePattern) and i.head is None for i in self._by_name.get(name, ())
        )

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        for intervention in self._by_name.get(name, ()):
            activation = intervention.apply(activation)
        if name in self._keep:
            self.kept[name] = activation
        return activation


SILENT = Tape()  # nothing to change, nothing to keep
