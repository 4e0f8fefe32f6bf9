"""Right and wrong answers to the exercises of chapter 17."""

import torch
import torch.nn.functional as F


def dims(W):
    length = W.norm(dim=1)
    unit = W / length.clamp(min=1e-12)[:, None]
    shared = (unit @ W.T).square().sum(1)
    return torch.where(length > 0, length**2 / shared.clamp(min=1e-12), 0.0)


def dims_by_loop(W):
    out = []
    for w in W:
        if float(w @ w) == 0:
            out.append(0.0)
            continue
        out.append(float((w @ w) ** 2 / sum((w @ v) ** 2 for v in W)))
    return torch.tensor(out, dtype=W.dtype)


def dims_without_unit(W):
    G = W @ W.T
    return G.diagonal() / G.square().sum(1).clamp(min=1e-12)


def dims_without_self(W):
    G = W @ W.T
    own = G.diagonal()
    return own**2 / (G - torch.diag(own)).square().sum(1).clamp(min=1e-12)


def dims_of_cosines(W):
    unit = F.normalize(W)
    return W.square().sum(1) / (unit @ unit.T).square().sum(1).clamp(min=1e-12)


def dims_without_squares(W):
    G = W @ W.T
    return G.diagonal().pow(1.5) / G.sum(1)


def dims_divides_by_zero(W):
    unit = W / W.norm(dim=1, keepdim=True)
    return W.square().sum(1) / (unit @ W.T).square().sum(1)


def code_of(answers, decoder, center, k):
    values, where = answers.topk(k, dim=1)
    code = torch.zeros_like(answers).scatter(1, where, torch.relu(values))
    return code, code @ decoder + center


def topk(x, encoder, bias, decoder, center, k):
    return code_of((x - center) @ encoder + bias, decoder, center, k)


def topk_by_threshold(x, encoder, bias, decoder, center, k):
    answers = torch.relu((x - center) @ encoder + bias)
    least = answers.sort(dim=1, descending=True).values[:, k - 1 : k]
    code = answers * (answers >= least)
    return code, code @ decoder + center


def topk_without_center(x, encoder, bias, decoder, center, k):
    return code_of(x @ encoder + bias, decoder, center, k)


def topk_without_bias(x, encoder, bias, decoder, center, k):
    return code_of((x - center) @ encoder, decoder, center, k)


def topk_over_inputs(x, encoder, bias, decoder, center, k):
    answers = (x - center) @ encoder + bias
    values, where = answers.topk(k, dim=0)
    code = torch.zeros_like(answers).scatter(0, where, torch.relu(values))
    return code, code @ decoder + center


def topk_by_size(x, encoder, bias, decoder, center, k):
    answers = (x - center) @ encoder + bias
    where = answers.abs().topk(k, dim=1).indices
    code = torch.zeros_like(answers).scatter(1, where, torch.relu(answers.gather(1, where)))
    return code, code @ decoder + center


def topk_center_lost(x, encoder, bias, decoder, center, k):
    code, made = topk(x, encoder, bias, decoder, center, k)
    return code, made - center


def topk_keeps_negative(x, encoder, bias, decoder, center, k):
    answers = (x - center) @ encoder + bias
    values, where = answers.topk(k, dim=1)
    code = torch.zeros_like(answers).scatter(1, where, values)
    return code, code @ decoder + center


def mean_best(features, directions):
    return (F.normalize(features) @ F.normalize(directions).T).amax(1).mean()


def mean_best_by_loop(features, directions):
    best = [max(float(torch.cosine_similarity(f, d, dim=0)) for d in directions) for f in features]
    return sum(best) / len(best)


def best_of_directions(features, directions):
    return (F.normalize(features) @ F.normalize(directions).T).amax(0).mean()


def best_dots(features, directions):
    return (features @ directions.T).amax(1).mean()


def best_sizes(features, directions):
    return (F.normalize(features) @ F.normalize(directions).T).abs().amax(1).mean()


def all_cosines(features, directions):
    return (F.normalize(features) @ F.normalize(directions).T).mean()


RIGHT = {
    "feature-dimensionality": [dims, dims_by_loop],
    "topk-code": [topk, topk_by_threshold],
    "mmcs": [mean_best, mean_best_by_loop],
}
WRONG = {
    "feature-dimensionality": [
        (dims_without_unit, "by its length in the sum"),
        (dims_without_self, "j = i"),
        (dims_of_cosines, "W_j by its length"),
        (dims_without_squares, "without squaring"),
        (dims_divides_by_zero, "a row of zeros"),
    ],
    "topk-code": [
        (topk_without_center, "take the center off"),
        (topk_without_bias, "forget the bias"),
        (topk_over_inputs, "over the inputs"),
        (topk_by_size, "whatever the sign"),
        (topk_center_lost, "add the center again"),
        (topk_keeps_negative, "below 0 are not kept"),
    ],
    "mmcs": [
        (best_of_directions, "mean over the directions"),
        (best_dots, "divide by the lengths"),
        (best_sizes, "an opposite direction"),
        (all_cosines, "not of the highest"),
    ],
}
