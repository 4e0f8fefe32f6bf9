"""Right and wrong answers to the exercises of chapter 1."""

import torch


def rule(arc, line, above_line, at_half_turn):
    best, where = arc.max(0)
    opposite = arc.gather(0, (where[None] + len(arc) // 2) % len(arc))[0]
    return (best > 1e-3) & (best > above_line * line.amax(0)) & (opposite < at_half_turn * best)


def rule_by_loop(arc, line, above_line, at_half_turn):
    found = []
    for unit in range(arc.shape[1]):
        curve = arc[:, unit].tolist()
        best = max(curve)
        opposite = curve[(curve.index(best) + len(curve) // 2) % len(curve)]
        beats = best > above_line * float(line[:, unit].max())
        found.append(best > 0.001 and beats and opposite < at_half_turn * best)
    return torch.tensor(found)


def rule_without_turn(arc, line, above_line, at_half_turn):
    return (arc.amax(0) > 1e-3) & (arc.amax(0) > above_line * line.amax(0))


def rule_without_line(arc, line, above_line, at_half_turn):
    opposite = arc.roll(len(arc) // 2, 0).gather(0, arc.argmax(0)[None])[0]
    return (arc.amax(0) > 1e-3) & (opposite < at_half_turn * arc.amax(0))


def rule_with_or(arc, line, above_line, at_half_turn):
    opposite = arc.roll(len(arc) // 2, 0).gather(0, arc.argmax(0)[None])[0]
    either = (arc.amax(0) > above_line * line.amax(0)) | (opposite < at_half_turn * arc.amax(0))
    return (arc.amax(0) > 1e-3) & either


def rule_fixed(arc, line, above_line, at_half_turn):
    return rule(arc, line, 1.2, 0.6)


def table(first, second):
    def standard(x):
        x = x - x.mean(0)
        size = x.square().mean(0).sqrt()
        return torch.where(size > 1e-6, x / size.clamp(min=1e-6), torch.zeros_like(x))

    return standard(first).T @ standard(second) / len(first)


def table_by_loop(first, second):
    found = torch.zeros(first.shape[1], second.shape[1], dtype=first.dtype)
    for i, x in enumerate(first.T):
        for j, y in enumerate(second.T):
            if x.std() > 1e-9 and y.std() > 1e-9:
                found[i, j] = ((x - x.mean()) * (y - y.mean())).mean() / (
                    x.std(correction=0) * y.std(correction=0)
                )
    return found


def cosine(first, second):
    return first.T @ second / (first.norm(dim=0)[:, None] * second.norm(dim=0))


def covariance(first, second):
    return (first - first.mean(0)).T @ (second - second.mean(0)) / len(first)


def summed(first, second):
    return len(first) * table(first, second)


def sizes(first, second):
    return table(first, second).abs()


def divides_by_zero(first, second):
    a, b = first - first.mean(0), second - second.mean(0)
    return a.T @ b / (a.norm(dim=0)[:, None] * b.norm(dim=0))


RIGHT = {"curve-rule": [rule, rule_by_loop], "correlation-table": [table, table_by_loop]}
WRONG = {
    "curve-rule": [
        (rule_without_turn, "half a turn away"),
        (rule_without_line, "compare with the lines"),
        (rule_with_or, "either condition"),
        (rule_fixed, "thresholds are fixed"),
    ],
    "correlation-table": [
        (cosine, "cosine"),
        (covariance, "covariance"),
        (summed, "number of samples"),
        (sizes, "negative one is no match"),
        (divides_by_zero, "never changes"),
    ],
}
