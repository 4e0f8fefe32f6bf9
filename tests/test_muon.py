"""Muon and AdamW in one optimizer: each held to a step written by hand or to torch's own."""

import copy

import pytest
import torch
from torch import nn

from mechlib.model import Config, Transformer
from mechlib.muon import MuonWithAdamW, orthogonalised
from mechlib.train import train

CONFIG = Config(d_vocab=7, n_ctx=8, d_model=8, n_layers=2, n_heads=2, d_mlp=12)


def batch_at(step):
    return torch.randint(0, 7, (4, 9), generator=torch.Generator().manual_seed(step))


@pytest.mark.parametrize("shape", [(3, 4, 9), (9, 4), (6, 6)])
def test_singular_values_end_near_one_in_the_same_directions(shape):
    G = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    U, _, Vh = torch.linalg.svd(G, full_matrices=False)
    inside = U.mT @ orthogonalised(G) @ Vh.mT
    values = inside.diagonal(dim1=-2, dim2=-1)
    assert values.min() > 0.6
    assert values.max() < 1.3
    torch.testing.assert_close(inside, torch.diag_embed(values), atol=1e-9, rtol=0)


def test_what_muon_leaves_moves_as_with_adamw():
    model = nn.Linear(5, 3)
    other = copy.deepcopy(model)
    mine = MuonWithAdamW([], model.parameters(), adam_lr=1e-2, weight_decay=0.1)
    theirs = torch.optim.AdamW(other.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(20):
        x = torch.randn(6, 5, generator=torch.Generator().manual_seed(step))
        for net, optimizer in ((model, mine), (other, theirs)):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    for p, q in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


def test_muon_moves_matrices_by_torch_s_own_rule():
    W = nn.Parameter(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))
    theirs = nn.Parameter(W.detach().mT.contiguous())  # its matrices are (out, in)
    mine = MuonWithAdamW([W], [], lr=0.1, weight_decay=0.2)
    other = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.2, momentum=0.95)
    for step in range(5):
        W.grad = torch.randn(6, 4, generator=torch.Generator().manual_seed(step + 1))
        theirs.grad = W.grad.mT.contiguous()
        mine.step()
        other.step()
    # theirs averages the momentum where ours sums it (the direction is the same), in bfloat16
    torch.testing.assert_close(W, theirs.mT, atol=0.03, rtol=0)


def test_heads_together_step_no_longer_for_the_shape_of_one():
    moved = {}
    for together in (False, True):
        heads = nn.Parameter(torch.zeros(2, 3, 12))  # as W_O: from 3 to 12, twice
        alone = nn.Parameter(torch.zeros(3, 12))
        for p in (heads, alone):
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
        MuonWithAdamW([heads, alone], [], lr=1.0, heads_together=together).step()
        moved[together] = (heads.detach(), alone.detach())
    torch.testing.assert_close(moved[False][0], 2 * moved[True][0])
    assert torch.equal(moved[False][1], moved[True][1])


def test_for_a_model_muon_takes_the_matrices_of_the_blocks():
    model = Transformer(CONFIG)
    optimizer = MuonWithAdamW.for_model(model)(list(model.parameters()))
    names = {id(p): name for name, p in model.named_parameters()}
    muon = {names[id(p)] for p in optimizer.param_groups[0]["params"]}
    assert muon == {
        f"blocks.{layer}.{part}"
        for layer in range(2)
        for part in ("attn.W_Q", "attn.W_K", "attn.W_V", "attn.W_O", "mlp.W_in", "mlp.W_out")
    }


def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path):
    def run(steps_before):
        model = Transformer(CONFIG)
        settings = dict(
            steps=8, optimizer=MuonWithAdamW.for_model(model), progress=False, schedule="cosine",
            checkpoint=tmp_path / f"{steps_before}.safetensors", checkpoint_every=2,
        )  # fmt: skip

        def stopping(step):
            if step == steps_before:
                raise KeyboardInterrupt
            return batch_at(step)

        if steps_before:
            with pytest.raises(KeyboardInterrupt):
                train(model, stopping, **settings)
            model = Transformer(CONFIG)
            settings["optimizer"] = MuonWithAdamW.for_model(model)
        return train(model, batch_at, **settings).model.state_dict()

    whole, in_two = run(0), run(5)
    assert all(torch.equal(whole[name], in_two[name]) for name in whole)


def test_bad_arguments():
    with pytest.raises(ValueError, match="matrices: got a parameter of shape"):
        MuonWithAdamW([nn.Parameter(torch.zeros(3))], [])
    with pytest.raises(ValueError, match="lr, adam_lr"):
        MuonWithAdamW([], [nn.Parameter(torch.zeros(3))], adam_lr=0.0)
