"""Finite groups, and functions on them sorted by representation.

A group is a multiplication table. Addition modulo P is one; the turns and mirrors of a polygon and
the orders of five cards are others, in which a b and b a differ. What waves of one frequency are to
addition, a *representation* is to any group: a matrix for each element, such that

    rho(a) rho(b) = rho(a b).

The waves of frequency k are the entries of such matrices, turns by 2 pi k x / P. Only the trace of
a representation, its *character*, is needed to sort a function f on the group by representations:

    (the part of f in rho)(x) = d / (n <chi, chi>) * sum over y of chi(x y^-1) f(y)

with d the size of the matrices, n the number of elements, and <chi, chi> the mean of chi squared.
All is real: `irreducible` gives matrices of real numbers that real numbers cannot split further.

Chughtai et al. 2023 (the task and the evidence); Serre, Linear Representations of Finite Groups,
chapter 2 (the formula). Chapter 21.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Group:
    """A group by its table: table[a, b] is the number of the product a b, and 0 the identity.

    Raises ValueError when the table is none: a row or column that misses an element, another
    identity than 0, or a product that depends on brackets.
    """

    name: str
    table: Int[Tensor, "a b"]
    labels: tuple[str, ...]

    def __post_init__(self):
        table, each = self.table, torch.arange(len(self))
        if not (torch.equal(table[0], each) and torch.equal(table[:, 0], each)):
            raise ValueError(f"table of {self.name}: element 0 must be the identity")
        if not all(torch.equal(t.sort().values, each.expand_as(t)) for t in (table, table.T)):
            raise ValueError(f"table of {self.name}: each row and column holds every element once")
        if not torch.equal(table[table], table[:, table]):  # (a b) c, a (b c)
            raise ValueError(f"table of {self.name}: (a b) c and a (b c) differ")

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def inverses(self) -> Int[Tensor, "a"]:
        """The number of a^-1, for each a."""
        return (self.table == 0).int().argmax(1)

    @cached_property
    def classes(self) -> list[Int[Tensor, "member"]]:
        """The conjugacy classes: which elements are g a g^-1 of one another."""
        g = torch.arange(len(self))[:, None]
        conjugates = self.table[self.table[g, g.T], self.inverses[:, None]]  # [g, a]
        smallest = conjugates.min(0).values
        return [(smallest == first).nonzero()[:, 0] for first in smallest.unique()]

    @cached_property
    def quotients(self) -> Int[Tensor, "a b c"]:
        """The number of a b c^-1: 0 exactly where c is the right answer."""
        return self.table[self.table][:, :, self.inverses]


# ---- some groups ----


def cyclic(n: int) -> Group:
    """Addition modulo n."""
    x = torch.arange(n)
    return Group(f"C{n}", (x[:, None] + x) % n, tuple(map(str, range(n))))


def dihedral(n: int) -> Group:
    """The turns and mirrors of a polygon with n corners: r^k is 2 k, with a mirror 2 k + 1."""
    if n < 3:
        raise ValueError(f"n: a polygon has at least 3 corners, got {n}")
    x = torch.arange(2 * n)
    turn, mirrored = x // 2, x % 2
    turns = (turn[:, None] + torch.where(mirrored[:, None] == 1, -turn, turn)) % n
    table = 2 * turns + (mirrored[:, None] ^ mirrored)
    return Group(f"D{n}", table, tuple(f"r{k}{'m' * m}" for k in range(n) for m in (0, 1)))


def permutations(n: int, even: bool = False) -> Group:
    """All orders of n things, S_n, or the even ones alone, A_n. (a b)[i] = a[b[i]]: first b."""
    if not 2 <= n <= 5:
        raise ValueError(f"n: from 2 to 5 expected, got {n} (six things have 720 orders)")
    all_of_them = list(itertools.permutations(range(n)))
    kept = [p for p in all_of_them if not even or _sign(p) == 1]
    number = {p: i for i, p in enumerate(kept)}
    table = torch.tensor([[number[tuple(a[i] for i in b)] for b in kept] for a in kept])
    labels = tuple("".join(str(i + 1) for i in p) for p in kept)
    return Group(f"{'A' if even else 'S'}{n}", table, labels)


def _sign(p: Sequence[int]) -> int:
    return (-1) ** sum(x > y for x, y in itertools.combinations(p, 2))


# ---- representations ----


@dataclass(frozen=True, eq=False)
class Representation:
    """One matrix for each element. name: its size, with a letter where several have one size."""

    name: str
    matrices: Float[Tensor, "element i j"]

    @property
    def size(self) -> int:
        return self.matrices.shape[1]

    @property
    def character(self) -> Float[Tensor, "element"]:
        """The trace of each matrix."""
        return torch.einsum("xii->x", self.matrices)


def irreducible(group: Group) -> list[Representation]:
    """Every irreducible representation over the real numbers, once, the trivial one first.

    Functions on the group are a space of n dimensions, on which an element acts by moving its
    arguments. Averages over the group's other side commute with that, so each eigenspace of a
    *random* symmetric one is moved into itself: one irreducible representation, unless two
    eigenvalues meet. (`tests` hold it to the tables in the textbooks.)
    """
    n = len(group)
    weights = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    weights = weights + weights[group.inverses]
    commuting = weights[group.table[group.inverses]]  # [x, y]: the weight of x^-1 y
    values, vectors = torch.linalg.eigh(commuting)
    edges = (values.diff() > 1e-6 * values.abs().max()).nonzero()[:, 0] + 1
    found: list[Float[Tensor, "element i j"]] = []
    for basis in vectors.tensor_split(edges.tolist(), dim=1):
        moved = basis[group.table[group.inverses]]  # f(g^-1 x): [g, x, i]
        matrices = torch.einsum("xi,gxj->gij", basis, moved)
        character = torch.einsum("xii->x", matrices)
        if not any(_same(character, torch.einsum("xii->x", other)) for other in found):
            found.append(matrices)
    # by size, and within it by character: the order must not hang on the random weights
    found.sort(key=lambda m: (m.shape[1], [-round(float(t), 6) for t in torch.einsum("xii->x", m)]))
    sizes = [m.shape[1] for m in found]
    return [Representation(_name(sizes, i), m) for i, m in enumerate(found)]


def _same(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() < 1e-6)


def _name(sizes: list[int], i: int) -> str:
    alike = [j for j, size in enumerate(sizes) if size == sizes[i]]
    return f"{sizes[i]}" + (f".{alike.index(i) + 1}" if len(alike) > 1 else "")


def part(
    f: Float[Tensor, "element *rest"], group: Group, rho: Representation
) -> Float[Tensor, "element *rest"]:
    """The part of a function on the group that lies in one representation."""
    chi = rho.character.to(f.dtype)
    everyone = torch.arange(len(group))
    kernel = chi[group.table[everyone[:, None], group.inverses]]  # [x, y]: chi(x y^-1)
    scale = rho.size / (len(group) * chi.square().mean())
    return scale * torch.tensordot(kernel, f, dims=1)


def shares(
    f: Float[Tensor, "element *rest"], group: Group, representations: Sequence[Representation]
) -> Float[Tensor, "representation *rest"]:
    """What part of the squared length of f, less its mean, lies in each representation.

    The trivial representation is the mean, so its share is 0; the others add up to 1.
    """
    f = f - f.mean(0)
    total = f.square().sum(0)
    return torch.stack([part(f, group, rho).square().sum(0) / total for rho in representations])


# ---- subgroups and their cosets ----


def subgroups(group: Group) -> list[tuple[int, ...]]:
    """Every subgroup that two elements generate, smallest first, each as rising numbers.

    For the groups here these are all: no subgroup of S_5 or of a polygon's group needs three.
    """
    table, n = group.table.tolist(), len(group)
    found = {_generated(table, a, b) for a in range(n) for b in range(a, n)}
    return sorted(found, key=lambda members: (len(members), members))


def _generated(table: list[list[int]], *generators: int) -> tuple[int, ...]:
    reached, border = {0}, [0]
    while border:
        steps = {table[x][g] for x in border for g in generators}
        border = list(steps - reached)
        reached |= steps
    return tuple(sorted(reached))


def cosets(group: Group, subgroup: Sequence[int], side: str) -> Int[Tensor, "element"]:
    """Which coset each element lies in, numbered from 0: x H for "left", H x for "right"."""
    if side not in ("left", "right"):
        raise ValueError(f"side: 'left' or 'right' expected, got {side!r}")
    H = torch.tensor(subgroup)
    members = group.table[:, H] if side == "left" else group.table[H].T  # [x, h]
    return torch.unique(members.min(1).values, return_inverse=True)[1]


def constant_on(
    f: Float[Tensor, "element *rest"], coset_of: Int[Tensor, "element"]
) -> Float[Tensor, "*rest"]:
    """What part of the variance of f is there still when f is averaged over each coset.

    1: f is constant on every coset. A random f has (number of cosets - 1) / (n - 1).
    """
    f = f - f.mean(0)
    sizes = torch.bincount(coset_of)
    means = f.new_zeros(len(sizes), *f.shape[1:]).index_add(0, coset_of, f)
    means = means / sizes.view(-1, *[1] * (f.ndim - 1))
    return means[coset_of].square().sum(0) / f.square().sum(0)


def most_constant(
    f: Float[Tensor, "element *rest"], group: Group, most: int = 12
) -> Float[Tensor, "*rest"]:
    """`constant_on` for the kindest cosets, left or right, of which there are 2 to `most`."""
    kind = [H for H in subgroups(group) if 2 <= len(group) // len(H) <= most]
    if not kind:
        raise ValueError(f"most: {group.name} has no subgroup with 2 to {most} cosets")
    each = [constant_on(f, cosets(group, H, side)) for H in kind for side in ("left", "right")]
    return torch.stack(each).max(0).values
