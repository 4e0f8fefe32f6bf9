"""Checkers of chapter 19: a reading vector, how well it reads, and what it is held against."""

import torch

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


@exercise("mean-difference", chapter=19)
def mean_difference(answer: Answer) -> None:
    """A reading vector: x (place, d_model) and labels (place,) give the mean where the label holds
    less the mean where it does not."""
    x, labels = numbers(23, 7), torch.arange(23) % 5 < 2
    yes, no = x[labels].sum(0), x[~labels].sum(0)
    n_yes, n_no = int(labels.sum()), int((~labels).sum())
    close(
        shaped(answer(x, labels), (7,), "(d_model)"),
        yes / n_yes - no / n_no,
        "the mean of the places with the label less that of the places without",
        mistakes={
            "you subtract the other way round": no / n_no - yes / n_yes,
            "you subtract the mean of all places": yes / n_yes - x.mean(0),
            "you take sums, and there are more places without the label": yes - no,
            "you divide both by the number of all places": (yes - no) / 23,
        },
    )


@exercise("auroc", chapter=19)
def auroc(answer: Answer) -> None:
    """How well scores (place,) read labels (place,): the share of pairs, one place of each kind,
    in which the place with the label scores higher. Equal scores count half."""
    labels = torch.arange(29) % 3 == 0
    scores = numbers(29) + 0.7 * labels
    tied = scores.round()

    def share(scores, tie):
        yes, no = scores[labels][:, None], scores[~labels]
        return float(((yes > no).double() + tie * (yes == no).double()).mean())

    close(
        answer(scores, labels),
        share(scores, 0.5),
        "the share of pairs in the right order",
        mistakes={
            "you count pairs in which the place without the label scores higher": 1
            - share(scores, 0.5),
            "you count places with score above zero, so it depends on the threshold": float(
                ((scores > 0) == labels).double().mean()
            ),
        },
    )
    close(
        answer(tied, labels),
        share(tied, 0.5),
        "equal scores count half",
        mistakes={
            "you count equal scores as wrong": share(tied, 0.0),
            "you count equal scores as right": share(tied, 1.0),
        },
    )


@exercise("norm-matched", chapter=19)
def norm_matched(answer: Answer) -> None:
    """The null: like (d_model,), a number of draws and a torch.Generator give (draw, d_model)
    directions, drawn uniformly, each with the norm of `like`."""
    like = 3 * numbers(11, seed=1)
    found = shaped(
        answer(like, 997, torch.Generator().manual_seed(0)), (997, 11), "(draw, d_model)"
    )
    found = found.double()
    lengths = found.norm(dim=1) / like.norm()
    holds(
        not torch.allclose(lengths.square().mean(), lengths.new_tensor(1.0), atol=0.1)
        or float(lengths.std()) < 1e-4,
        "the norms are right on average only: each draw must have the norm of `like`",
    )
    close(lengths, torch.ones(997), "each has the norm of `like`", within=1e-4,
          mistakes={"each has length 1": (torch.ones(997) / like.norm()).double()})  # fmt: skip
    mean = (found / found.norm(dim=1, keepdim=True)).mean(0)
    holds(float(mean.norm()) < 0.15, "they lean to one side: the entries should have both signs")
    sizes = (found / like.norm()).pow(4).mean(0)  # 3 / (d (d + 2)) on a sphere
    holds(
        float((sizes / (3 / (11 * 13)) - 1).abs().max()) < 0.35,
        "not all directions are equally likely: normal entries have no corners, uniform ones do",
    )
    again = answer(like, 997, torch.Generator().manual_seed(1)).double()
    holds(not torch.allclose(found, again), "another generator should give other directions")


@exercise("p-value", chapter=19)
def p_value(answer: Answer) -> None:
    """An effect and the effects of random directions (draw,) give the two-sided p, with the effect
    itself counted among the draws."""
    null = numbers(19, seed=2)
    middle = float(null.abs().sort().values[13]) - 1e-3
    above = int((null.abs() >= middle).sum())
    upper = int((null >= middle).sum())
    close(
        answer(middle, null),
        (1 + above) / 20,
        "one and the draws that move at least as far, over one and the draws",
        mistakes={
            "you leave the effect itself out, so that p could be zero": above / 19,
            "you count one side only: a push to the other side is as far": (1 + upper) / 20,
            "you count the draws that move less": (1 + 19 - above) / 20,
        },
    )
    close(answer(-middle, null), (1 + above) / 20, "a negative effect has the same p",
          mistakes={"you compare sizes of the draws with a signed effect": 1.0})  # fmt: skip
    close(answer(9.0, null), 1 / 20, "beyond all draws p is 1/20, the floor")
