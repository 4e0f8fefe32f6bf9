"""Mixtures of table rows: what attention sends on, without a large product.

A head mixes value vectors and multiplies the mixture by a matrix W. Where there are few different
values and many examples, it is cheaper the other way round: multiply the few values by W, once, and
mix the rows of the table that comes out,

    (sum over keys of share * value) W  =  sum over keys of share * (value W).

A dense product over all examples becomes a sum of a few rows for each.
"""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

# torch says once that this kind of tensor is a beta; the first one is made here, unheard
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1), check_invariants=False)


def mixed(
    shares: Float[Tensor, "example key head"],
    rows: Int[Tensor, "example key"],
    *tables: tuple[Float[Tensor, "head row _"], Float[Tensor, "_"]],
) -> list[Float[Tensor, "example _"]]:
    """For each (table, bias), example by example: the bias, and the sum over keys and heads of
    share * table[head, row of key].

    The rows of one example differ. Tables and biases may be of a coarser type than the shares
    (bfloat16); so are the mixtures then. On the CPU the gradient is written out, and can't be
    differentiated again.
    """
    if shares.device.type != "cpu":
        return [
            bias + torch.einsum("nkh,hnkw->nw", shares.to(table.dtype), table[:, rows])
            for table, bias in tables
        ]
    # the rows of all heads one below the other, and the bias as the last
    stacks = [torch.cat([table.flatten(0, 1), bias[None]]) for table, bias in tables]
    n_rows = tables[0][0].shape[1]
    return list(_Mixed.apply(shares, rows, n_rows, *stacks))


class _Mixed(torch.autograd.Function):
    """Every example is a bag of rows; for the gradient every row is a bag of examples."""

    @staticmethod
    def forward(
        ctx: Any, shares: Tensor, rows: Tensor, n_rows: int, *stacks: Tensor
    ) -> tuple[Tensor, ...]:
        bags = (rows[:, :, None] + n_rows * torch.arange(shares.shape[2])).flatten(1)
        ctx.save_for_backward(shares, rows, bags, *stacks)
        ctx.n_rows = n_rows
        bags = F.pad(bags, (0, 1), value=len(stacks[0]) - 1)
        weights = F.pad(shares.flatten(1), (0, 1), value=1.0).to(stacks[0].dtype)
        return tuple(
            F.embedding_bag(bags, stack, per_sample_weights=weights, mode="sum") for stack in stacks
        )

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        shares, rows, bags, *stacks = ctx.saved_tensors
        return (
            _slope_of_shares(shares, bags, stacks, slopes),
            None,
            None,
            *_slopes_of_stacks(shares, rows, ctx.n_rows, slopes),
        )


def _slope_of_shares(
    shares: Tensor, bags: Tensor, stacks: list[Tensor], slopes: tuple[Tensor, ...]
) -> Tensor:
    """slope . row, for the few pairs of an example and a row that occur."""
    found = torch.sparse_csr_tensor(
        torch.arange(0, bags.numel() + 1, bags.shape[1], dtype=torch.int32),
        bags.flatten().int(),
        shares.new_zeros(bags.numel()),
        (len(bags), len(stacks[0])),
        check_invariants=False,
    )
    for stack, slope in zip(stacks, slopes, strict=True):
        found = torch.sparse.sampled_addmm(found, slope.to(shares.dtype), stack.to(shares.dtype).T)
    return found.values().view(shares.shape)


def _slopes_of_stacks(
    shares: Tensor, rows: Tensor, n_rows: int, slopes: tuple[Tensor, ...]
) -> list[Tensor]:
    """For each row the slopes of the examples that have it, weighted by its shares there; for the
    bias those of all."""
    n_examples, n_keys, n_heads = shares.shape
    order = rows.flatten().argsort(stable=True)  # (example, key) by row
    counts = torch.bincount(rows.flatten(), minlength=n_rows)
    starts = (counts.cumsum(0) - counts + len(order) * torch.arange(n_heads)[:, None]).flatten()
    everyone = torch.arange(n_examples)
    examples = torch.cat([(order // n_keys).repeat(n_heads), everyone])
    starts = F.pad(starts, (0, 1), value=len(order) * n_heads)
    weights = shares.flatten(0, 1)[order].T.flatten()
    weights = F.pad(weights, (0, n_examples), value=1.0).to(slopes[0].dtype)
    return [
        F.embedding_bag(examples, slope, starts, per_sample_weights=weights, mode="sum")
        for slope in slopes
    ]
