"""Two features, one dimension: keep the first, keep the second, or keep both as opposites?

With weights of length 0 or 1 and no bias the three losses are integrals of a page (density p;
importance 1 for the first feature, I for the second):

    first only    I (p/3 - p^2/4)
    second only     (p/3 - p^2/4)
    both          (1 + I) p^2 / 6

(An absent feature is answered by a bias, its mean p/2: that is the p^2/4.) The least of the three
is the phase. Training may also shorten weights and move biases, which helps "both": the formula is
a lower bound on its region. Elhage et al. 2022, "phase change". Chapter 17.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

PHASES = ("first only", "both", "second only")


def losses_by_formula(
    density: Float[Tensor, "*point"], importance: Float[Tensor, "*point"]
) -> Float[Tensor, "phase *point"]:
    """The three losses, in the order of `PHASES`."""
    p, I = density, importance
    absent = p / 3 - p**2 / 4
    return torch.stack([I * absent, (1 + I) * p**2 / 6, absent])


def phase_by_formula(
    density: Float[Tensor, "*point"], importance: Float[Tensor, "*point"]
) -> Int[Tensor, "*point"]:
    """The number in `PHASES` of the least loss."""
    return losses_by_formula(density, importance).argmin(0)


def phase_of(W: Float[Tensor, "*point 2"], above: float = 0.3) -> Int[Tensor, "*point"]:
    """The phase of trained weights: which of the two are longer than `above`. -1 for neither."""
    first, second = W[..., 0].abs() > above, W[..., 1].abs() > above
    phase = torch.where(first & second, 1, torch.where(first, 0, 2))
    return torch.where(first | second, phase, -1)


def exact_loss(
    W: Float[Tensor, "model 2"],
    b: Float[Tensor, "model 2"],
    density: Float[Tensor, "model"],
    importance: Float[Tensor, "model"],
    points: int = 10,
) -> Float[Tensor, "model"]:
    """Loss of x' = ReLU(x W W^T + b) over all inputs, not a sample: the four cases (neither
    feature, one, the other, both) by their chances, each integrated by the midpoint rule."""
    q = (torch.arange(points, dtype=W.dtype) + 0.5) / points
    zero = torch.zeros_like(q)
    both = torch.cartesian_prod(q, q)
    weight = torch.stack([torch.ones_like(importance), importance], 1)

    def mean_error(x: Float[Tensor, "input 2"]) -> Float[Tensor, "model"]:
        hidden = W @ x.T  # (model, input)
        out = torch.relu(hidden[..., None] * W[:, None] + b[:, None])
        return (weight[:, None] * (x - out).square()).sum(2).mean(1)

    p = density
    one = mean_error(torch.stack([q, zero], 1)) + mean_error(torch.stack([zero, q], 1))
    return (
        p**2 * mean_error(both)
        + p * (1 - p) * one
        + (1 - p) ** 2 * mean_error(torch.zeros(1, 2, dtype=W.dtype))
    )


def train_two_in_one(
    density: Float[Tensor, "point"],
    importance: Float[Tensor, "point"],
    *,
    starts: int = 6,
    steps: int = 1_000,
    lr: float = 1e-2,
    seed: int = 1,
) -> tuple[Float[Tensor, "point 2"], Float[Tensor, "point 2"], Float[Tensor, "point"]]:
    """W, b and loss of the best of `starts` random starts at each point, on the exact loss."""
    generator = torch.Generator().manual_seed(seed)
    p, I = density.repeat_interleave(starts), importance.repeat_interleave(starts)
    W = (0.5 * torch.randn(len(p), 2, generator=generator)).requires_grad_()
    b = torch.zeros(len(p), 2, requires_grad=True)
    optimizer = torch.optim.Adam([W, b], lr=lr, fused=True)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            exact_loss(W, b, p, I).sum().backward()
            optimizer.step()
    with torch.no_grad():
        losses = exact_loss(W, b, p, I).view(-1, starts)
    best = losses.argmin(1) + starts * torch.arange(len(losses))
    return W.detach()[best], b.detach()[best], losses.flatten()[best]
