"""Right and wrong answers to the exercises of chapter 8."""

import torch

# -- small-side-eigenvalues


def of_BA(A, B):
    return torch.linalg.eigvals(B @ A)


def by_a_polynomial(A, B):
    import numpy

    return torch.as_tensor(numpy.roots(numpy.poly((B @ A).numpy())))


def of_the_table(A, B):
    return torch.linalg.eigvals(A @ B)


def singular_values(A, B):
    return torch.linalg.svdvals(A @ B)[: A.shape[1]]


def of_one_factor(A, B):
    return torch.linalg.eigvals(A.T @ A)


def real_parts(A, B):
    return of_BA(A, B).real


# -- copying-score


def by_sums(lam):
    return lam.sum(-1).real / lam.abs().sum(-1)


def by_angles(lam):
    size = lam.abs()
    return (size * lam.angle().cos()).sum(-1) / size.sum(-1)


def real_sizes(lam):
    return lam.real.sum(-1) / lam.real.abs().sum(-1)


def no_sign(lam):
    return lam.sum(-1).abs() / lam.abs().sum(-1)


def signs(lam):
    return lam.real.sign().mean(-1)


def over_heads(lam):
    return (lam.real.sum() / lam.abs().sum()).expand(len(lam))


def still_complex(lam):
    return lam.sum(-1) / lam.abs().sum(-1)


# -- centred-rows


def mean_column_off(A, B):
    return B - B.mean(1, keepdim=True)


def by_a_projector(A, B):
    n = B.shape[1]
    return B @ (torch.eye(n, dtype=B.dtype) - 1 / n)


def columns_centred(A, B):
    return B - B.mean(0)


def one_mean(A, B):
    return B - B.mean()


def untouched(A, B):
    return B


def scaled(A, B):
    return (B - B.mean(1, keepdim=True)) / B.std(1, keepdim=True)


# -- eigenvalue-shares


def by_inverse(A, B):
    U = torch.linalg.eig(B @ A).eigenvectors
    return (torch.linalg.inv(U) @ B.to(U.dtype)) * (A.to(U.dtype) @ U).T


def by_the_transpose(A, B):
    lam, U = torch.linalg.eig(B @ A)
    other, W = torch.linalg.eig((B @ A).T)  # left vectors are right ones of the transpose
    order = [int((other - z).abs().argmin()) for z in lam]
    W = W.T[order]
    W = W / (W * U.T).sum(1, keepdim=True)
    return (W @ B.to(U.dtype)) * (A.to(U.dtype) @ U).T


def by_conjugates(A, B):
    U = torch.linalg.eig(B @ A).eigenvectors
    return (U.conj().T @ B.to(U.dtype)) * (A.to(U.dtype) @ U).T


def outs_only(A, B):
    U = torch.linalg.eig(B @ A).eigenvectors
    return torch.linalg.inv(U) @ B.to(U.dtype)


def times_eigenvalue(A, B):
    return torch.linalg.eig(B @ A).eigenvalues[:, None] * by_inverse(A, B)


def sizes(A, B):
    return by_inverse(A, B).abs()


RIGHT = {
    "small-side-eigenvalues": [of_BA, by_a_polynomial],
    "copying-score": [by_sums, by_angles],
    "centred-rows": [mean_column_off, by_a_projector],
    "eigenvalue-shares": [by_inverse, by_the_transpose],
}
WRONG = {
    "small-side-eigenvalues": [
        (of_the_table, "those of the whole table;"),
        (singular_values, "which know no sign"),
        (of_one_factor, "nothing of B"),
        (real_parts, "imaginary parts are lost"),
    ],
    "copying-score": [
        (real_sizes, "turning counts too"),
        (no_sign, "sign is lost"),
        (signs, "large eigenvalues must count more"),
        (over_heads, "over heads"),
        (still_complex, "is a real number"),
    ],
    "centred-rows": [
        (columns_centred, "that changes predictions"),
        (one_mean, "one mean for the whole"),
        (untouched, "left as it was"),
        (scaled, "scaled as well"),
    ],
    "eigenvalue-shares": [
        (by_conjugates, "rows of the inverse"),
        (outs_only, "among the outs alone"),
        (times_eigenvalue, "sums to its square"),
        (sizes, "no longer cancel"),
    ],
}
