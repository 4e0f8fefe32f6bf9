"""FactoredMatrix against the dense product it stands for, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.reading.factored import FactoredMatrix


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# batch (2, 3), m = 11, r = 5, n = 7: every axis another prime
A, B = normal(2, 3, 11, 5, seed=1), normal(3, 5, 7, seed=2)
M, DENSE = FactoredMatrix(A, B), A @ B

sizes = st.tuples(*[st.integers(1, 9)] * 3)


def test_shape_and_dense():
    assert M.shape == (2, 3, 11, 7)
    assert M.inner == 5
    assert M.ndim == 4
    assert M.dtype == torch.float64
    close(M.dense(), DENSE)
    assert repr(M) == "FactoredMatrix(shape=(2, 3, 11, 7), inner=5)"


def test_transpose_rows_columns_and_batch_index():
    close(M.T.dense(), DENSE.mT)
    close(M.rows(4), DENSE[..., 4, :])
    close(M.rows([4, 0]), DENSE[..., [4, 0], :])
    close(M.columns(6), DENSE[..., 6])
    close(M.columns(torch.tensor([6, 1, 1])), DENSE[..., [6, 1, 1]])
    close(M[1].dense(), DENSE[1])
    close(M[1, 2].dense(), DENSE[1, 2])
    close(M[:, 1:].dense(), DENSE[:, 1:])


def test_indexing_past_the_batch_axes_is_an_error():
    with pytest.raises(IndexError, match="batch axes"):
        M[0, 0, 0]
    with pytest.raises(IndexError):
        M[2]


def test_products_stay_factored_and_equal_the_dense_ones():
    right, left = normal(7, 13, seed=3), normal(13, 11, seed=4)
    close((M @ right).dense(), DENSE @ right)
    close((left @ M).dense(), left @ DENSE)
    close(M @ right[:, 0], DENSE @ right[:, 0])
    close(left[0] @ M, left[0] @ DENSE)
    for inner in (2, 17):  # the product keeps the smaller of the two inner sizes
        other = FactoredMatrix(normal(7, inner, seed=5), normal(inner, 3, seed=6))
        product = M @ other
        close(product.dense(), DENSE @ other.dense())
        assert product.inner == min(5, inner)


def test_sums_and_scales():
    other = FactoredMatrix(normal(2, 3, 11, 2, seed=7), normal(2, 3, 2, 7, seed=8))
    close((M + other).dense(), DENSE + other.dense())
    close((M - other).dense(), DENSE - other.dense())
    close((-M).dense(), -DENSE)
    close((2 * M / 8).dense(), DENSE / 4)
    per_head = normal(2, 3, seed=9)
    close((M * per_head).dense(), DENSE * per_head[..., None, None])
    with pytest.raises(ValueError, match=r"\(2, 3, 11, 7\) and \(2, 3, 7, 11\)"):
        M + M.T


def test_svd_is_of_the_product_and_returns_V_not_its_transpose():
    U, S, V = M.svd()
    assert U.shape == (2, 3, 11, 5)
    assert S.shape == (2, 3, 5)
    assert V.shape == (2, 3, 7, 5)
    close(U @ torch.diag_embed(S) @ V.mT, DENSE)
    close(S, torch.linalg.svdvals(DENSE)[..., :5])
    close(U.mT @ U, torch.eye(5, dtype=torch.float64).expand(2, 3, 5, 5))
    close(V.mT @ V, torch.eye(5, dtype=torch.float64).expand(2, 3, 5, 5))
    assert (S.diff(dim=-1) <= 0).all()


def test_norm_keeps_its_digits_when_the_factors_nearly_cancel():
    # rows of A and columns of B almost orthogonal: ||AB|| is 1e-9 of ||A|| ||B||
    e = torch.eye(4, dtype=torch.float64)
    tiny = FactoredMatrix(e[:, :1].T + 1e-9 * e[:, 1:2].T, e[:, 1:2])
    assert tiny.norm().item() == pytest.approx(1e-9, rel=1e-6)


def test_eigenvalues_of_a_known_matrix():
    # a quarter turn in one plane, scaled by 3, and a direction that is copied with weight 2
    small = torch.tensor([[0.0, 3, 0], [-3, 0, 0], [0, 0, 2]], dtype=torch.float64)
    basis = torch.linalg.qr(normal(11, 3, seed=3)).Q
    values = FactoredMatrix(basis @ small, basis.T).eigenvalues()
    assert values.shape == (3,)
    assert values.is_complex()
    assert sorted(values.imag.tolist()) == pytest.approx([-3, 0, 3])
    close(values.abs(), torch.tensor([3.0, 3, 2], dtype=torch.float64))


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(0, 10**6))
def test_any_size_agrees_with_the_dense_product(size, seed):
    m, r, n = size
    left, right = normal(m, r, seed=seed), normal(r, n, seed=seed + 1)
    factored, dense = FactoredMatrix(left, right), left @ right
    U, S, V = factored.svd()
    assert S.shape == (min(m, r, n),)
    close(U @ torch.diag(S) @ V.T, dense, 1e-9)
    close(factored.norm(), dense.norm(), 1e-9)
    square = FactoredMatrix(left, left.T + normal(r, m, seed=seed + 2))
    close(square.trace(), square.dense().trace(), 1e-9)
    close(square.diagonal(), square.dense().diagonal(), 1e-9)
    eigenvalues = square.eigenvalues()
    assert eigenvalues.shape == (min(m, r),)
    # the power sums tr(M^p) fix the eigenvalues, and are real
    for power in (1, 2, 3):
        expected = torch.linalg.matrix_power(square.dense(), power).trace()
        total = (eigenvalues**power).sum()
        assert abs(total - expected) <= 1e-7 * (1 + eigenvalues.abs().max() ** power)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 90), st.integers(1, 5), st.booleans(), st.integers(0, 10**6))
def test_top_entries_are_those_of_the_sorted_dense_matrix(size, k, block, largest, seed):
    m, r, n = size
    # small whole numbers: many ties
    left, right = normal(m, r, seed=seed).round(), normal(r, n, seed=seed + 1).round()
    dense = left @ right
    top = FactoredMatrix(left, right).top_entries(k, largest=largest, block=block)
    assert torch.equal(top.values, dense.flatten().sort(descending=largest).values[:k])
    assert torch.equal(dense[top.rows, top.columns], top.values)
    places = set(zip(top.rows.tolist(), top.columns.tolist(), strict=True))
    assert len(places) == min(k, m * n)  # no entry twice


def test_a_circuit_as_wide_as_a_vocabulary_is_never_built():
    # the dense product would hold 4e10 numbers, 160 GB
    thin = normal(200_000, 2, seed=1, dtype=torch.float32)
    M = FactoredMatrix(thin, thin.T)
    assert M.shape == (200_000, 200_000)
    S = M.svd()[1]
    assert S.shape == (2,)
    assert M.eigenvalues().shape == (2,)
    torch.testing.assert_close(M.trace(), (thin**2).sum())
    torch.testing.assert_close(M.norm(), S.norm())


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 5), (4, 2)), ((5,), (5, 2)), ((2, 3, 5), (7, 5, 2)), ((3, 5), (5,))],
)
def test_shapes_that_do_not_fit_are_named(left, right):
    with pytest.raises(ValueError) as error:
        FactoredMatrix(torch.zeros(left), torch.zeros(right))
    assert str(left) in str(error.value)
    assert str(right) in str(error.value)


def test_bad_products_and_arguments():
    for bad in (lambda: M @ normal(8, 2), lambda: normal(2, 8) @ M, lambda: M @ M):
        with pytest.raises(ValueError, match="cannot multiply"):
            bad()
    for square_only in (M.trace, M.eigenvalues, M.diagonal):
        with pytest.raises(ValueError, match=r"square matrix, got shape \(2, 3, 11, 7\)"):
            square_only()
    with pytest.raises(ValueError, match="one matrix"):
        M.top_entries(3)
    with pytest.raises(ValueError, match="at least 1"):
        M[0, 0].top_entries(0)
    with pytest.raises(ValueError, match="finite"):
        FactoredMatrix(torch.tensor([[float("nan")]]), torch.ones(1, 1)).top_entries(1)
    with pytest.raises(TypeError):
        M @ "weights"


def test_one_row_by_any_kind_of_whole_number():
    import numpy as np

    g = torch.Generator().manual_seed(0)
    for rank in (2, 3):  # heads as many as the rank: a wrong axis would fit
        M = FactoredMatrix(
            torch.randn(3, 5, rank, generator=g), torch.randn(3, rank, 7, generator=g)
        )
        for i in (3, np.int64(3), torch.tensor(3)):
            assert torch.allclose(M.rows(i), M.dense()[:, 3])
            assert torch.allclose(M.columns(i), M.dense()[:, :, 3])
        assert torch.allclose(M.rows(-1), M.dense()[:, -1])
