"""Sweeps: a batched model against each model alone, the table, and going on where one stopped."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mechlib.grokking import modular, sweeps
from mechlib.grokking.sweeps import Cell

SMALL = {"P": 7, "d_model": 6, "n_heads": 2, "d_mlp": 5, "steps": 5, "fraction": 0.6}


def cells(n=3, **changes):
    return [Cell(**{**SMALL, "seed": s, "weight_decay": 0.5 * s, **changes}) for s in range(n)]


def test_batched_logits_are_each_models_own():
    models = [c.build().double() for c in cells()]
    for m in models:
        torch.nn.init.normal_(m.blocks[0].mlp.b_in)
        torch.nn.init.normal_(m.blocks[0].mlp.b_out)
    g = torch.Generator().manual_seed(0)
    pairs = torch.randint(7, (3, 11, 2), generator=g)
    for scale in (1.0, 300.0):  # the second makes scores so far apart that the softmax takes over
        with torch.no_grad():
            for m in models:
                m.blocks[0].attn.W_K *= scale
            got = sweeps.batched_logits(sweeps.stack(models), pairs)
            for i, m in enumerate(models):
                plain = m(modular.sequences(pairs[i], 7))[:, -1]
                assert (got[i] - plain).abs().max() < 1e-10


@pytest.mark.parametrize("optimizer", ["adamw"])
def test_a_chunk_trains_each_model_as_torch_would_alone(optimizer):
    chunk = cells(fraction=0.6)
    rows, weights = sweeps.train_together(chunk, device="cpu", evidence=False)
    for i, cell in enumerate(chunk):
        model, task = cell.build(), cell.task()
        opt = torch.optim.AdamW(
            model.parameters(), lr=cell.lr, betas=(0.9, 0.98), weight_decay=cell.weight_decay
        )
        for step in range(cell.steps):
            opt.param_groups[0]["lr"] = cell.lr * min(1, (step + 1) / 10)
            opt.zero_grad()
            modular.loss(model, task.train_pairs, task.train_answers).backward()
            opt.step()
        for name, w in model.state_dict().items():
            assert (weights[name][i] - w).abs().max() < 2e-5, name
        want = modular.score(modular.fast_logits(model, task.test_pairs), task.test_answers)
        assert rows[i]["test_loss"] == pytest.approx(want[0], rel=1e-3)
        assert rows[i]["test_accuracy"] == pytest.approx(want[1], abs=0.05)
        assert rows[i]["n_train"] == 29


def test_models_with_different_amounts_of_data_train_together():
    chunk = [Cell(**{**SMALL, "fraction": f}) for f in (0.3, 0.8)]
    _, weights = sweeps.train_together(chunk, device="cpu", evidence=False)
    for i, cell in enumerate(chunk):
        _, alone = sweeps.train_together([cell], device="cpu", evidence=False)
        for name, w in alone.items():
            assert (weights[name][i] - w[0]).abs().max() < 2e-5, name


def test_orthogonalised_pushes_singular_values_to_one():
    g = torch.Generator().manual_seed(0)
    for shape in ((2, 5, 13), (3, 11, 7)):
        S = torch.linalg.svdvals(sweeps.orthogonalised(torch.randn(*shape, generator=g)))
        assert 0.3 < S.min()
        assert S.max() < 1.3


@pytest.mark.parametrize("optimizer", sweeps.OPTIMIZERS)
def test_every_optimizer_lowers_the_training_loss(optimizer):
    chunk = cells(optimizer=optimizer, steps=100, lr=1e-2)
    start = cells(optimizer=optimizer, steps=1, lr=1e-9, muon_lr=1e-9)
    before = sweeps.train_together(start, device="cpu", evidence=False)[0]
    after = sweeps.train_together(chunk, device="cpu", evidence=False)[0]
    for b, a in zip(before, after, strict=True):
        assert a["train_loss"] < 0.8 * b["train_loss"]


def test_sweep_writes_a_tidy_table_and_goes_on(tmp_path, monkeypatch):
    table = tmp_path / "sweep.csv"
    first = sweeps.sweep(cells(2), table, together=1, device="cpu", show=False)
    assert [r["seed"] for r in first] == [0, 1]
    trained = []
    real = sweeps.train_together

    def counting(chunk, *rest):
        trained.extend(chunk)
        return real(chunk, *rest)

    monkeypatch.setattr(sweeps, "train_together", counting)
    rows = sweeps.sweep(cells(4), table, together=3, device="cpu", show=False)
    assert [c.seed for c in trained] == [2, 3]
    assert [r["seed"] for r in rows] == [0, 1, 2, 3]
    assert rows[:2] == first
    again = sweeps.read_table(table)
    assert len(again) == 4
    assert again[3]["weight_decay"] == 1.5
    assert again[3]["shuffled"] is False
    assert again[0]["key_frequencies"] is not None
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.csv"]


def test_an_executor_gives_the_same_table(tmp_path):
    here = sweeps.sweep(cells(3), tmp_path / "a.csv", together=1, device="cpu", show=False)
    with ThreadPoolExecutor(1) as pool:
        there = sweeps.sweep(
            cells(3), tmp_path / "b.csv", together=1, device="cpu", executor=pool, show=False
        )
    assert here == there


def test_chunks_never_mix_what_must_be_shared():
    mixed = cells(3) + cells(2, d_mlp=11) + cells(2, optimizer="muon")
    chunks = sweeps.chunked(mixed, 2)
    assert sorted(len(c) for c in chunks) == [1, 2, 2, 2]
    assert all(len({cell.together() for cell in chunk}) == 1 for chunk in chunks)
    with pytest.raises(ValueError, match="cells"):
        sweeps.train_together(mixed)


def test_a_chunk_holds_models_with_as_much_data():
    shares = (0.3, 0.8, 0.5, 0.3)
    group = [Cell(**{**SMALL, "fraction": f, "seed": i}) for i, f in enumerate(shares)]
    chunks = sweeps.chunked(group, 2)
    assert [[c.fraction for c in chunk] for chunk in chunks] == [[0.3, 0.3], [0.5, 0.8]]


def test_the_start_scales_every_weight():
    plain, scaled = (Cell(**SMALL, start=start).build() for start in (1.0, 0.5))
    for name, w in plain.state_dict().items():
        assert torch.equal(scaled.state_dict()[name], 0.5 * w)
    row = sweeps.train_together([Cell(**SMALL, start=0.5)], device="cpu", evidence=False)[0][0]
    assert row["norm_start"] == pytest.approx(
        0.25 * sum(float(w.square().sum()) for w in plain.state_dict().values()), rel=1e-5
    )


def test_steps_are_counted_in_measurements():
    fine, coarse = (Cell(**{**SMALL, "steps": 300, "lr": 1e-2}, measure_every=n) for n in (10, 100))
    rows = [sweeps.train_together([c], device="cpu", evidence=False)[0][0] for c in (fine, coarse)]
    assert rows[0]["memorised"] % 10 == 0
    assert rows[0]["memorised"] <= rows[1]["memorised"] < rows[0]["memorised"] + 100
    assert rows[1]["memorised"] % 100 == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"optimizer": "sgd"}, "optimizer"),
        ({"steps": 0}, "steps"),
        ({"start": 0.0}, "start"),
        ({"measure_every": 0}, "measure_every"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"fraction": 1.0}, "fraction"),
        ({"P": 1}, "P"),
    ],
)
def test_bad_cells_are_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        Cell(**{**SMALL, **changes})


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="columns missing"):
        sweeps.read_table(path)
    with pytest.raises(ValueError, match="together"):
        sweeps.sweep(cells(1), tmp_path / "x.csv", together=0)
