"""Right and wrong answers to the exercises of chapter 15."""

import math

import numpy as np
import torch


def across(gradient, weights):
    rest = gradient - (gradient * weights).sum() / weights.square().sum() * weights
    return rest * gradient.norm() / rest.norm()


def across_by_unit(gradient, weights):
    unit = (weights / weights.norm()).flatten()
    flat = gradient.flatten()
    rest = flat - (flat @ unit) * unit
    return (rest / rest.norm() * flat.norm()).view_as(gradient)


def across_shorter(gradient, weights):
    return gradient - (gradient * weights).sum() / weights.square().sum() * weights


def along(gradient, weights):
    return (gradient * weights).sum() / weights.square().sum() * weights


def divided_once(gradient, weights):
    rest = gradient - (gradient * weights).sum() / weights.norm() * weights
    return rest * gradient.norm() / rest.norm()


def row_by_row(gradient, weights):
    inner = (gradient * weights).sum(1, keepdim=True) / weights.square().sum(1, keepdim=True)
    rest = gradient - inner * weights
    return rest * gradient.norm() / rest.norm()


def adamw(w, g, m, v, step, lr, decay):
    m, v = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g**2
    update = (m / (1 - 0.9**step)) / ((v / (1 - 0.98**step)).sqrt() + 1e-8)
    return w - lr * (update + decay * w)


def adamw_by_torch(w, g, m, v, step, lr, decay):
    p = torch.nn.Parameter(w)
    optimizer = torch.optim.AdamW([p], lr=lr, betas=(0.9, 0.98), eps=1e-8, weight_decay=decay)
    state = {"step": torch.tensor(step - 1.0), "exp_avg": m, "exp_avg_sq": v}
    optimizer.state[p] = state
    p.grad = g
    optimizer.step()
    return p.detach()


def adam_l2(w, g, m, v, step, lr, decay):
    return adamw(w, g + decay * w, m, v, step, lr, 0.0)


def shrunk_too_much(w, g, m, v, step, lr, decay):
    return adamw(w, g, m, v, step, lr, 0.0) - decay * w


def no_decay(w, g, m, v, step, lr, decay):
    return adamw(w, g, m, v, step, lr, 0.0)


def not_corrected(w, g, m, v, step, lr, decay):
    m, v = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g**2
    return w - lr * (m / (v.sqrt() + 1e-8) + decay * w)


def exponent(x, y):
    return np.polyfit(np.log(x.numpy()), np.log(y.numpy()), 1)[0]


def exponent_by_hand(x, y):
    X = torch.stack([x.log(), torch.ones_like(x)], 1)
    return torch.linalg.lstsq(X, y.log()[:, None]).solution[0, 0]


def no_logarithms(x, y):
    return np.polyfit(x.numpy(), y.numpy(), 1)[0]


def log_of_y(x, y):
    return np.polyfit(x.numpy(), np.log(y.numpy()), 1)[0]


def exchanged(x, y):
    return exponent(y, x)


def through_origin(x, y):
    return float((x.log() * y.log()).sum() / x.log().square().sum())


def first_and_last(x, y):
    return math.log(y[-1] / y[0]) / math.log(x[-1] / x[0])


RIGHT = {
    "across-the-weights": [across, across_by_unit],
    "decoupled-decay": [adamw, adamw_by_torch],
    "power-law": [exponent, exponent_by_hand],
}
WRONG = {
    "across-the-weights": [
        (across_shorter, "its old length is not given back"),
        (along, "you keep the part along"),
        (divided_once, "once and not twice"),
        (row_by_row, "each row by itself"),
    ],
    "decoupled-decay": [
        (adam_l2, "Adam with L2"),
        (shrunk_too_much, "not by lr times it"),
        (no_decay, "Adam without decay"),
        (not_corrected, "not corrected"),
    ],
    "power-law": [
        (no_logarithms, "not their logarithms"),
        (log_of_y, "logarithm of y only"),
        (exchanged, "exchanged"),
        (through_origin, "through the origin"),
        (first_and_last, "the first and the last point"),
    ],
}
