"""Checkers of chapter 12: an exact loss, the training loop, and how long grokking takes."""

import math

import torch
from torch import nn

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


@exercise("exact-cross-entropy", chapter=12)
def exact_cross_entropy(answer: Answer) -> None:
    """From logits (pair, answer) and the right answers (pair,) to the loss of each pair in nats,
    exact even where float32 log-softmax says zero."""
    logits, right = 3 * numbers(7, 5), torch.tensor([0, 4, 2, 2, 1, 3, 0])
    found = shaped(answer(logits, right), (7,), "(pair,)")
    wanted = torch.empty(7, dtype=torch.float64)  # by a plain loop
    both = torch.empty(7, dtype=torch.float64)
    for n, c in enumerate(right.tolist()):
        gaps = [math.exp(float(logits[n, j] - logits[n, c])) for j in range(5)]
        wanted[n] = math.log(1 + sum(gap for j, gap in enumerate(gaps) if j != c))
        both[n] = math.log(1 + sum(gaps))
    close(
        found,
        wanted,
        "each loss is -log softmax at the right answer",
        mistakes={
            "the sum runs over the right answer too, which then counts twice": both,
            "the sign is the other way round": -wanted,
            "you give probabilities and not losses": (-wanted).exp(),
            "you subtract the largest logit and not the right one": (
                1 + (logits - logits.max(1, keepdim=True).values).exp().sum(1) - 1
            ).log(),
        },
    )
    sure = torch.zeros(1, 3)
    sure[0, 1] = 60.0
    tiny = shaped(answer(sure, torch.tensor([1])), (1,), "(pair,)").double()
    holds(
        bool(tiny[0] > 0),
        "a network that is sure of it gets a loss of zero in float32: 1 + 1e-26 is rounded to 1 "
        "(is there a function for log(1 + x)?)",
    )
    close(tiny / (2 * math.exp(-60)), torch.ones(1), "the loss of a sure answer", within=1e-3)


@exercise("training-loop", chapter=12)
def training_loop(answer: Answer) -> None:
    """Train a model on all pairs at once, `steps` times; give back the loss before each step.
    Arguments: model, optimizer, loss_fn(model) and steps."""
    inputs, targets = numbers(11, 3), numbers(11, 2, seed=1)

    def loss_fn(model: nn.Module) -> torch.Tensor:
        return (model(inputs) - targets).square().mean()

    def by_hand(keep_gradients: bool = False, after: bool = False) -> list[float]:
        """Momentum 0.9, rate 0.1, written out."""
        model, losses = _line(), []
        weights = list(model.parameters())
        speed = [torch.zeros_like(w) for w in weights]
        total = [torch.zeros_like(w) for w in weights]
        for _ in range(5):
            loss = loss_fn(model)
            losses.append(loss.item())
            slopes = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for w, v, t, g in zip(weights, speed, total, slopes):
                    t.copy_(t + g if keep_gradients else g)
                    v.mul_(0.9).add_(t)
                    w.sub_(0.1 * v)
        return [*losses[1:], loss_fn(model).item()] if after else losses

    model = _line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = answer(model, optimizer, loss_fn, 5)
    holds(hasattr(losses, "__len__"), "a list of losses is wanted, one for each step")
    holds(len(losses) == 5, f"five steps make five losses, yours has {len(losses)}")
    found = torch.tensor([torch.as_tensor(loss).item() for loss in losses], dtype=torch.float64)
    start = torch.full((5,), by_hand()[0], dtype=torch.float64)
    close(
        found,
        torch.tensor(by_hand(), dtype=torch.float64),
        "the loss before each of five steps",
        mistakes={
            "gradients of earlier steps are never cleared, and pile up": torch.tensor(
                by_hand(keep_gradients=True), dtype=torch.float64
            ),
            "you record the loss after each step and not before it": torch.tensor(
                by_hand(after=True), dtype=torch.float64
            ),
            "nothing is learned: the weights never move": start,
        },
    )


def _line() -> nn.Module:
    """A linear layer with fixed weights, in float64."""
    model = nn.Linear(3, 2).double()
    with torch.no_grad():
        model.weight.copy_(numbers(2, 3, seed=2))
        model.bias.zero_()
    return model


@exercise("delay-in-steps", chapter=12)
def delay_in_steps(answer: Answer) -> None:
    """From steps, accuracy on shown pairs and accuracy on others: how many steps pass between the
    first 99 % of the one and the first 99 % of the other; None if either never comes."""
    steps = [0, 30, 70, 200, 450, 900]
    on = [0.1, 0.995, 0.98, 1.0, 1.0, 1.0]
    off = [0.0, 0.0, 0.2, 0.99, 0.98, 1.0]
    mistakes = {
        "you count measurements and not steps": 2,
        "you take the last time that the accuracy is below the mark": 900 - 200,
        "you leave out an accuracy of exactly 99 %": 900 - 30,
        "you give the step of the second moment, not the time between": 200,
    }
    close(answer(steps, on, off), 170, "the delay", mistakes=mistakes)
    never = Answer(lambda *a: (answer.function(*a), "said"))(steps, on, [0.1] * 6)[0]
    holds(never is None, f"where the others are never right the delay is None, yours is {never!r}")
