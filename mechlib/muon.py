"""Muon: a step of the same length in every direction of a matrix, for the matrices inside blocks.

AdamW scales every entry by itself; Muon takes the momentum of a whole matrix and pushes its
singular values to about one, so that rare directions move as far as common ones. It is meant for
matrices between streams and neurons; embeddings, unembeddings and biases keep AdamW. One class
holds both, as `mechlib.train` wants one optimizer.

    train(model, batch_at, steps=1000, optimizer=MuonWithAdamW.for_model(model))

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". Chapters 15,
18 and 20.
"""

import math
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Newton-Schulz coefficients of the released code: five steps end between 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(G: Float[Tensor, "*batch row column"]) -> Float[Tensor, "*batch row column"]:
    """Each matrix with its singular values pushed to about one, by five Newton-Schulz steps with
    the coefficients of Muon (they end between 0.7 and 1.2, which is near enough)."""
    a, b, c = COEFFICIENTS
    tall = G.shape[-2] > G.shape[-1]
    X = G.transpose(-1, -2) if tall else G
    X = X / (X.flatten(-2).norm(dim=-1)[..., None, None] + 1e-30)
    for _ in range(5):
        A = X @ X.transpose(-1, -2)
        X = a * X + (b * A + c * A @ A) @ X
    return X.transpose(-1, -2) if tall else X


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for some parameters, AdamW for the others; weight decay is decoupled in both.

    matrices: parameters (..., in, out) that Muon moves; leading axes (heads) are matrices of their
        own. others: what AdamW moves.
    lr: of Muon, in singular values a step. adam_lr: of AdamW.
    momentum: of Muon, in Nesterov's form.
    heads_together: a layer's heads, as one matrix, are about square, so their steps are not made
        longer for the shape of one head's. Otherwise every head is a matrix in this too.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        lr: float = 0.02,
        adam_lr: float = 3e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
        heads_together: bool = False,
    ):
        self.heads_together = heads_together
        matrices, others = list(matrices), list(others)
        for p in matrices:
            if p.ndim < 2:
                raise ValueError(f"matrices: got a parameter of shape {tuple(p.shape)}")
        if not (lr > 0 and adam_lr > 0):
            raise ValueError(f"lr, adam_lr: must be above 0, got {lr} and {adam_lr}")
        muon = {"params": matrices, "lr": lr, "momentum": momentum, "muon": True}
        adam = {"params": others, "lr": adam_lr, "betas": betas, "muon": False}
        super().__init__([g for g in (muon, adam) if g["params"]], {"weight_decay": weight_decay})

    @classmethod
    def for_model(
        cls, model: nn.Module, **settings
    ) -> Callable[[list[nn.Parameter]], "MuonWithAdamW"]:
        """parameters -> optimizer, as `train` wants it: Muon for the matrices of `model.blocks`."""
        inside = {id(p) for p in model.blocks.parameters() if p.ndim >= 2}

        def build(parameters: list[nn.Parameter]) -> "MuonWithAdamW":
            matrices = [p for p in parameters if id(p) in inside]
            return cls(matrices, [p for p in parameters if id(p) not in inside], **settings)

        return build

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adam
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.sub_(group["lr"] * update(p, group))

    def _muon(self, p: nn.Parameter, group: dict) -> Tensor:
        state = self.state[p]
        m = state.setdefault("momentum", torch.zeros_like(p))
        m.mul_(group["momentum"]).add_(p.grad)
        n_in, n_out = p.shape[-2:]
        widens = 1.0 if self.heads_together and p.ndim > 2 else max(1.0, n_out / n_in)
        return orthogonalised(p.grad + group["momentum"] * m) * math.sqrt(widens)

    def _adam(self, p: nn.Parameter, group: dict) -> Tensor:
        state = self.state[p]
        if not state:
            state |= {"first": torch.zeros_like(p), "second": torch.zeros_like(p)}
            state["count"] = torch.zeros(())
        first, second = group["betas"]
        count = state["count"].add_(1).item()
        m = state["first"].lerp_(p.grad, 1 - first)
        v = state["second"].mul_(second).addcmul_(p.grad, p.grad, value=1 - second)
        root = (v / (1 - second**count)).sqrt_().add_(1e-8)
        return m / root / (1 - first**count)
