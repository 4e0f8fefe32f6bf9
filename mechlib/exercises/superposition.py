"""Checkers of chapter 17: a feature's share of a dimension, a sparse code, known features."""

import math

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, numbers, shaped


@exercise("feature-dimensionality", chapter=17)
def feature_dimensionality(answer: Answer) -> None:
    """From W (feature, hidden) to D_i = |W_i|^2 / sum over j of (W_i/|W_i| . W_j)^2. A feature that
    is not represented, a row of zeros, has 0."""
    W = numbers(5, 3)
    wanted = []
    for i in range(5):  # by plain loops
        length = math.sqrt(sum(float(w) ** 2 for w in W[i]))
        dots = [sum(float(a) * float(b) for a, b in zip(W[i], W[j])) for j in range(5)]
        wanted.append(length**2 / sum((d / length) ** 2 for d in dots))
    G = W @ W.T
    squares = G.diagonal()
    others = G - torch.diag(squares)
    found = shaped(answer(W), (5,), "(feature)").double()
    close(
        found,
        torch.tensor(wanted, dtype=torch.float64),
        "the dimensionality of five random features",
        mistakes={
            "you do not divide W_i by its length in the sum": squares / G.square().sum(1),
            "you leave j = i out of the sum": squares.square() / others.square().sum(1),
            "you divide W_j by its length as well": squares
            / (G / (squares[:, None] * squares).sqrt()).square().sum(1),
            "you sum the overlaps without squaring them": squares.pow(1.5) / G.sum(1),
        },
    )
    turns = 2 * math.pi * torch.arange(5).double() / 5
    pentagon = torch.stack([turns.cos(), turns.sin()], 1)
    found = shaped(answer(0.7 * pentagon), (5,), "(feature)").double()
    close(found, torch.full((5,), 0.4), "five features on a regular pentagon have 2/5 each")
    W[2] = 0
    found = shaped(answer(W), (5,), "(feature)").double()
    close(found[2], 0.0, "a row of zeros has dimensionality 0")


@exercise("topk-code", chapter=17)
def topk_code(answer: Answer) -> None:
    """From x (input, width), encoder (width, latent), bias (latent), decoder (latent, width),
    center (width) and k to the code (input, latent) and the reconstruction (input, width): answers
    (x - center) encoder + bias, of which each input keeps its k largest if they are above 0."""
    x, encoder, bias = numbers(7, 5), numbers(5, 11, seed=1), numbers(11, seed=2)
    decoder, center, k = numbers(11, 5, seed=3), 2 * numbers(5, seed=4), 3
    found = answer(x, encoder, bias, decoder, center, k)
    code, made = _two(found)
    code = shaped(code, (7, 11), "(input, latent)").double()
    made = shaped(made, (7, 5), "(input, width)").double()

    def largest(a: Tensor, dim: int = 1, by_size: bool = False) -> Tensor:
        order = (a.abs() if by_size else a).argsort(dim=dim, descending=True)
        kept = torch.zeros_like(a).scatter(dim, order.narrow(dim, 0, k), 1.0)
        return kept * a

    answers = (x - center) @ encoder + bias
    wanted = torch.zeros_like(answers)
    for i in range(7):  # one input at a time
        for j in sorted(range(11), key=lambda j: -float(answers[i, j]))[:k]:
            wanted[i, j] = max(0.0, float(answers[i, j]))
    close(
        code,
        wanted,
        "the code of seven random inputs",
        mistakes={
            "you do not take the center off": torch.relu(largest(x @ encoder + bias)),
            "you forget the bias": torch.relu(largest((x - center) @ encoder)),
            "you choose over the inputs instead of over the latents": torch.relu(
                largest(answers, dim=0)
            ),
            "you choose by size, whatever the sign": torch.relu(largest(answers, by_size=True)),
        },
    )
    close(
        made,
        wanted @ decoder + center,
        "the reconstruction",
        mistakes={"you do not add the center again": wanted @ decoder},
    )
    low = answer(x, encoder, bias - 100, decoder, center, k)
    close(
        _two(low)[0], torch.zeros(7, 11), "answers below 0 are not kept, even among the k largest"
    )


def _two(found: object) -> tuple:
    from mechlib.exercises.checking import holds

    holds(isinstance(found, (tuple, list)) and len(found) == 2, "two things are wanted: the code "
          "and the reconstruction")  # fmt: skip
    return tuple(found)


@exercise("mmcs", chapter=17)
def mmcs(answer: Answer) -> None:
    """From true features (feature, width) and directions (direction, width), of any lengths, to the
    mean over the features of the highest cosine with any direction: one number."""
    features, directions = numbers(5, 3), 3 * numbers(7, 3, seed=1)
    # one direction along nothing true, and a feature that only its opposite points along
    directions[0] = -2 * features[4]
    cosines = torch.zeros(5, 7, dtype=torch.float64)
    for i in range(5):
        for j in range(7):
            cosines[i, j] = torch.cosine_similarity(features[i], directions[j], dim=0)
    found = shaped(answer(features, directions), (), "one number").double()
    close(
        found,
        cosines.amax(1).mean(),
        "the mean of the highest cosines",
        mistakes={
            "you take the mean over the directions: an idle direction then counts against the "
            "dictionary": cosines.amax(0).mean(),
            "you do not divide by the lengths": (features @ directions.T).amax(1).mean(),
            "you take the size of the cosine: an opposite direction is no match": cosines.abs()
            .amax(1)
            .mean(),
            "you take the mean of all cosines, not of the highest": cosines.mean(),
        },
    )
    again = shaped(answer(features, torch.cat([directions, features])), (), "one number").double()
    close(again, 1.0, "a dictionary that holds all features has 1")
