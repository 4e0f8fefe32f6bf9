"""Mixtures of table rows against the same sum written plainly."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mechlib.grokking.mixing import mixed


def plainly(shares, rows, *tables):
    return [bias + torch.einsum("nkh,hnkw->nw", shares, table[:, rows]) for table, bias in tables]


def a_case(examples, keys, heads, n_rows, dtype, generator):
    """Shares, rows, and two (table, bias) of different widths."""

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    rows = torch.rand(examples, n_rows, generator=generator).argsort(1)[:, :keys]
    shares = torch.rand(examples, keys, heads, generator=generator, dtype=dtype).requires_grad_()
    return shares, rows, [(normal(heads, n_rows, width), normal(width)) for width in (5, 13)]


@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 3), st.integers(1, 4), st.integers(3, 30)),
    seed=st.integers(0, 2**31),
)
def test_mixtures_and_their_gradients_equal_the_plain_sum(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    shares, rows, tables = a_case(*sizes, torch.float64, generator)
    ours, plain = mixed(shares, rows, *tables), plainly(shares, rows, *tables)
    slopes = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in plain]
    wanted = [shares, *tables[0], *tables[1]]
    for one, other in zip(
        (*ours, *torch.autograd.grad(ours, wanted, slopes)),
        (*plain, *torch.autograd.grad(plain, wanted, slopes)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_coarse_tables_give_coarse_mixtures_and_fine_slopes_of_the_shares(generator):
    shares, rows, tables = a_case(50, 2, 4, 21, torch.float32, generator)
    coarse = [tuple(x.detach().bfloat16().requires_grad_() for x in pair) for pair in tables]
    slopes = [torch.randn(50, table.shape[2], generator=generator) for table, _ in tables]
    ours = mixed(shares, rows, *coarse)
    plain = plainly(shares, rows, *tables)
    found = torch.autograd.grad(
        ours, [shares, *coarse[0], *coarse[1]], [slope.bfloat16() for slope in slopes]
    )
    wanted = torch.autograd.grad(plain, [shares, *tables[0], *tables[1]], slopes)
    assert {x.dtype for x in (*ours, *found[1:])} == {torch.bfloat16}
    assert found[0].dtype == torch.float32
    for one, other in zip((*ours, *found), (*plain, *wanted), strict=True):
        assert (one.float() - other).norm() < 0.02 * other.norm()


def test_a_second_derivative_is_refused(generator):
    shares, rows, tables = a_case(6, 2, 2, 4, torch.float64, generator)
    out = mixed(shares, rows, *tables)[0].square().sum()
    (slope,) = torch.autograd.grad(out, shares, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
