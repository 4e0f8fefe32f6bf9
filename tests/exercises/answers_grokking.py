"""Right and wrong answers to the exercises of chapter 12."""

import torch


def by_log1p(logits, right):
    gaps = logits - logits.gather(1, right[:, None])
    others = gaps.exp().scatter(1, right[:, None], 0.0)
    return others.sum(1).log1p()


def by_softplus(logits, right):
    wrong = logits.scatter(1, right[:, None], -torch.inf)
    return torch.nn.functional.softplus(
        wrong.logsumexp(1) - logits.gather(1, right[:, None])[:, 0], threshold=50
    )


def twice_the_right(logits, right):
    return (logits - logits.gather(1, right[:, None])).exp().sum(1).log1p()


def wrong_sign(logits, right):
    return -by_log1p(logits, right)


def probabilities(logits, right):
    return logits.softmax(1).gather(1, right[:, None])[:, 0]


def rounded(logits, right):
    return torch.nn.functional.cross_entropy(logits, right, reduction="none")


def averaged(logits, right):
    return by_log1p(logits, right).mean()


def plain_loop(model, optimizer, loss_fn, steps):
    losses = []
    for _ in range(steps):
        loss = loss_fn(model)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def by_hand(model, optimizer, loss_fn, steps):
    def step():
        loss = loss_fn(model)
        for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))):
            p.grad = g
        optimizer.step()
        return loss.detach()

    return torch.stack([step() for _ in range(steps)])


def never_cleared(model, optimizer, loss_fn, steps):
    losses = []
    for _ in range(steps):
        loss = loss_fn(model)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses


def recorded_after(model, optimizer, loss_fn, steps):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(model).backward()
        optimizer.step()
        losses.append(loss_fn(model).item())
    return losses


def no_step(model, optimizer, loss_fn, steps):
    return [loss_fn(model).item() for _ in range(steps)]


def only_the_last(model, optimizer, loss_fn, steps):
    return plain_loop(model, optimizer, loss_fn, steps)[-1:]


def first_times(steps, on, off):
    known = next((s for s, a in zip(steps, on) if a >= 0.99), None)
    grokked = next((s for s, a in zip(steps, off) if a >= 0.99), None)
    return None if known is None or grokked is None else grokked - known


def with_tensors(steps, on, off):
    steps = torch.tensor(steps)
    moments = [steps[torch.tensor(curve) >= 0.99] for curve in (on, off)]
    if any(len(m) == 0 for m in moments):
        return None
    return int(moments[1][0] - moments[0][0])


def in_measurements(steps, on, off):
    i, j = (next((i for i, a in enumerate(c) if a >= 0.99), 0) for c in (on, off))
    return j - i


def strictly_above(steps, on, off):
    i, j = (next((s for s, a in zip(steps, c) if a > 0.99), 0) for c in (on, off))
    return j - i


def last_below(steps, on, off):
    last = [max(i for i, a in enumerate(c) if a < 0.99) + 1 for c in (on, off)]
    return steps[last[1]] - steps[last[0]]


def second_moment(steps, on, off):
    return next((s for s, a in zip(steps, off) if a >= 0.99), None)


def never_is_zero(steps, on, off):
    return first_times(steps, on, off) or 0


RIGHT = {
    "exact-cross-entropy": [by_log1p, by_softplus],
    "training-loop": [plain_loop, by_hand],
    "delay-in-steps": [first_times, with_tensors],
}
WRONG = {
    "exact-cross-entropy": [
        (twice_the_right, "counts twice"),
        (wrong_sign, "the sign"),
        (probabilities, "probabilities and not losses"),
        (rounded, "a loss of zero in float32"),
        (averaged, "the shape should be"),
    ],
    "training-loop": [
        (never_cleared, "pile up"),
        (recorded_after, "after each step"),
        (no_step, "the weights never move"),
        (only_the_last, "five steps make five losses"),
    ],
    "delay-in-steps": [
        (in_measurements, "measurements and not steps"),
        (strictly_above, "exactly 99 %"),
        (last_below, "last time"),
        (second_moment, "not the time between"),
        (never_is_zero, "the delay is None"),
    ],
}
