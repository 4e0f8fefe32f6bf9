"""Right and wrong answers to the exercises of chapter 4."""

import torch
import torch.nn.functional as F

# ---- virtual-weights ----


def size(M):
    return M.norm(dim=(-2, -1))


def wires_at_once(W_O, W_K):
    return size(W_O[:, None] @ W_K) / (size(W_O)[:, None] * size(W_K))


def wires_by_trace(W_O, W_K):
    writes = torch.einsum("wdm,wdn->wmn", W_O, W_O)
    reads = torch.einsum("rmd,rnd->rmn", W_K, W_K)
    squared = torch.einsum("wmn,rmn->wr", writes, reads)
    traces = [M.diagonal(dim1=-2, dim2=-1).sum(-1) for M in (writes, reads)]
    return (squared / torch.outer(*traces)).sqrt()


def wires_not_divided(W_O, W_K):
    return size(W_O[:, None] @ W_K)


def wires_by_writer(W_O, W_K):
    return size(W_O[:, None] @ W_K) / size(W_O)[:, None]


def wires_spectral(W_O, W_K):
    return torch.linalg.matrix_norm(W_O[:, None] @ W_K, 2) / (size(W_O)[:, None] * size(W_K))


def wires_turned(W_O, W_K):
    return wires_at_once(W_O, W_K).T


# ---- logit-lens ----


def lens_by_gather(stream, W_U, following):
    return (stream @ W_U).softmax(-1).gather(1, following[:, None])[:, 0]


def lens_by_loss(stream, W_U, following):
    return (-F.cross_entropy(stream @ W_U, following, reduction="none")).exp()


def lens_logits(stream, W_U, following):
    return (stream @ W_U).gather(1, following[:, None])[:, 0]


def lens_logarithms(stream, W_U, following):
    return (stream @ W_U).log_softmax(-1).gather(1, following[:, None])[:, 0]


def lens_over_positions(stream, W_U, following):
    return (stream @ W_U).softmax(0).gather(1, following[:, None])[:, 0]


def lens_likeliest(stream, W_U, following):
    return (stream @ W_U).softmax(-1).amax(-1)


# ---- direct-effect ----


def loss(stream, W_U, targets):
    return F.cross_entropy((stream @ W_U).flatten(0, 1), targets.flatten())


def effect_by_loss(final, part, W_U, targets):
    cut = final - part + part.mean((0, 1))
    return loss(cut, W_U, targets) - loss(final, W_U, targets)


def effect_by_logits(final, part, W_U, targets):
    varies = part - part.flatten(0, 1).mean(0)
    before = (final @ W_U).log_softmax(-1)
    after = (final @ W_U - varies @ W_U).log_softmax(-1)
    return (before - after).gather(2, targets[..., None]).mean()


def effect_to_zero(final, part, W_U, targets):
    return loss(final - part, W_U, targets) - loss(final, W_U, targets)


def effect_negative(final, part, W_U, targets):
    return -effect_by_loss(final, part, W_U, targets)


def effect_by_position(final, part, W_U, targets):
    return loss(final - part + part.mean(0), W_U, targets) - loss(final, W_U, targets)


def effect_is_the_loss(final, part, W_U, targets):
    return loss(final - part + part.mean((0, 1)), W_U, targets)


# ---- erase ----


def erase_by_qr(x, W):
    Q = torch.linalg.qr(W).Q
    return x - x @ Q @ Q.T


def erase_by_least_squares(x, W):
    return x - (W @ torch.linalg.lstsq(W, x.T).solution).T


def erase_not_orthonormal(x, W):
    return x - x @ W @ W.T


def erase_the_rest(x, W):
    Q = torch.linalg.qr(W).Q
    return x @ Q @ Q.T


def erase_twice(x, W):
    return 2 * erase_by_qr(x, W) - x


RIGHT = {
    "virtual-weights": [wires_at_once, wires_by_trace],
    "logit-lens": [lens_by_gather, lens_by_loss],
    "direct-effect": [effect_by_loss, effect_by_logits],
    "erase": [erase_by_qr, erase_by_least_squares],
}
WRONG = {
    "virtual-weights": [
        (wires_not_divided, "do not divide"),
        (wires_by_writer, "the writer's size only"),
        (wires_spectral, "largest singular value"),
        (wires_turned, "axes have changed places"),
    ],
    "logit-lens": [
        (lens_logits, "not yet probabilities"),
        (lens_logarithms, "log-probabilities"),
        (lens_over_positions, "over positions"),
        (lens_likeliest, "the likeliest token"),
    ],
    "direct-effect": [
        (effect_to_zero, "nothing in its place"),
        (effect_negative, "the sign"),
        (effect_by_position, "over texts only"),
        (effect_is_the_loss, "not its rise"),
    ],
    "erase": [
        (erase_not_orthonormal, "at right angles"),
        (erase_the_rest, "throw the rest away"),
        (erase_twice, "take it away twice"),
    ],
}
