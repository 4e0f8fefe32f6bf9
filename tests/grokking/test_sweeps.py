"""Sweeps: a batched model against each model alone, the table, and going on where one stopped."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mechlib.grokking import clock, modular, sweeps
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


def by_torch(cell, tasks):
    """The cell's model, trained by torch alone: step by step on the shown pairs of each task."""
    model = cell.build()
    opt = torch.optim.AdamW(
        model.parameters(), lr=cell.lr, betas=(0.9, 0.98), weight_decay=cell.weight_decay
    )
    for step, task in enumerate(tasks):
        opt.param_groups[0]["lr"] = cell.lr * min(1, (step + 1) / 10)
        opt.zero_grad()
        modular.loss(model, task.train_pairs, task.train_answers).backward()
        opt.step()
    return model


@pytest.mark.parametrize("optimizer", ["adamw"])
def test_a_chunk_trains_each_model_as_torch_would_alone(optimizer):
    chunk = cells(fraction=0.6)
    rows, weights = sweeps.train_together(chunk, device="cpu", evidence=False)
    for i, cell in enumerate(chunk):
        task = cell.task()
        model = by_torch(cell, [task] * cell.steps)
        for name, w in model.state_dict().items():
            assert (weights[name][i] - w).abs().max() < 2e-5, name
        want = modular.score(modular.fast_logits(model, task.test_pairs), task.test_answers)
        assert rows[i]["test_loss"] == pytest.approx(want[0], rel=1e-3)
        assert rows[i]["test_accuracy"] == pytest.approx(want[1], abs=0.05)
        assert rows[i]["n_train"] == 29


def test_after_the_first_steps_the_other_share_is_trained_on():
    """By torch, alone: two steps on the larger share, three on the smaller, one optimizer. Cells
    of one beginning are one network until then."""
    begun = {"first_fraction": 0.6, "first_steps": 2}
    chunk = [Cell(**SMALL | {"fraction": f}, seed=s, **begun) for s in (1, 2) for f in (0.3, 0.2)]
    rows, weights = sweeps.train_together(chunk, device="cpu", evidence=False)
    for i, cell in enumerate(chunk):
        small, large = cell.task(), cell.beginning().task()
        assert set(small.train.tolist()) < set(large.train.tolist())
        model = by_torch(cell, [large] * 2 + [small] * (cell.steps - 2))
        for name, w in model.state_dict().items():
            assert (weights[name][i] - w).abs().max() < 2e-5, name
        assert rows[i]["n_train"] == small.n_train
        shown = modular.score(modular.fast_logits(model, small.train_pairs), small.train_answers)
        never = modular.score(modular.fast_logits(model, large.test_pairs), large.test_answers)
        assert rows[i]["train_loss"] == pytest.approx(shown[0], rel=1e-3)
        assert rows[i]["test_loss"] == pytest.approx(never[0], rel=1e-3)
        assert rows[i]["norm_start"] == pytest.approx(
            sum(float(w.detach().square().sum()) for w in cell.build().parameters()), rel=1e-4
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_fraction": 0.7, "first_steps": 5},
        {"first_steps": -1},
        {"first_fraction": 0.7},
        {"first_steps": 2},
        {"first_fraction": 0.5, "first_steps": 2},
    ],
)
def test_a_first_share_needs_its_steps(wrong):
    with pytest.raises(ValueError, match="first_"):
        Cell(**SMALL, **wrong)


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
    quick = SMALL | {"d_model": 16, "d_mlp": 32, "lr": 1e-2, "steps": 100}
    fine, coarse = (Cell(**quick, measure_every=n) for n in (5, 20))
    rows = [sweeps.train_together([c], device="cpu", evidence=False)[0][0] for c in (fine, coarse)]
    assert rows[0]["memorised"] % 5 == 0
    assert rows[0]["memorised"] <= rows[1]["memorised"] < rows[0]["memorised"] + 20
    assert rows[1]["memorised"] % 20 == 0


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


# --- what once went wrong ----------------------------------------------------------------------


def test_a_cell_is_found_again_by_its_exact_numbers(tmp_path, monkeypatch):
    thirds = [Cell(**{**SMALL, "fraction": 1 / 3, "lr": 1e-3 / 7})]
    first = sweeps.sweep(thirds, tmp_path / "t.csv", device="cpu", evidence=False, show=False)
    assert first[0]["fraction"] == 1 / 3
    monkeypatch.setattr(sweeps, "train_together", lambda *_: pytest.fail("trained again"))
    assert sweeps.sweep(thirds, tmp_path / "t.csv", evidence=False, show=False) == first


def test_evidence_is_scored_by_the_cells_own_answers():
    setting = {"P": 11, "d_model": 16, "n_heads": 2, "d_mlp": 32, "fraction": 0.8, "lr": 1e-2}
    for task in ({"operation": "subtract"}, {"shuffled": True}, {"operation": "divide"}):
        cell = Cell(**setting, **task, steps=100)
        (row,), weights = sweeps.train_together([cell], device="cpu")
        model, t = cell.build(), cell.task()
        model.load_state_dict({name: w[0] for name, w in weights.items()})
        logits = modular.all_logits(model, 11)[t.pairs[:, 0], t.pairs[:, 1]]
        whole, _ = modular.score(logits, t.answers)
        found = clock.evidence(model, t, on="all")
        assert found["loss"] == pytest.approx(whole), task
        assert row["loss_without_keys"] == pytest.approx(found["loss without keys"])


def test_the_clock_of_subtraction_is_found():
    """A network that adds, fed -b for b, subtracts: its evidence must be the same."""
    cell = Cell(P=11, d_model=16, n_heads=2, d_mlp=32, fraction=0.8, steps=150, lr=1e-2)
    _, weights = sweeps.train_together([cell], device="cpu", evidence=False)
    adds = cell.build()
    adds.load_state_dict({name: w[0] for name, w in weights.items()})
    x = torch.arange(11)
    logits = modular.all_logits(adds, 11)
    neurons = modular.all_neurons(adds, 11)
    want = clock.evidence(adds, modular.Task(11), on="all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modular, "all_logits", lambda *_: logits[:, -x])
        patch.setattr(modular, "all_neurons", lambda *_: neurons[:, -x])
        got = clock.evidence(adds, modular.Task(11, "subtract"), on="all")
    for name in ("loss", "loss without keys", "loss without others", "logit variance"):
        assert got[name] == pytest.approx(want[name]), name
    with pytest.raises(ValueError, match="on: got 'train'"):
        clock.evidence(adds, modular.Task(11), on="train")


def test_operations_with_fewer_pairs_train_apart():
    both = [Cell(**SMALL, operation=name) for name in ("add", "divide", "subtract")]
    chunks = sweeps.chunked(both, 16)
    assert [[c.operation for c in chunk] for chunk in chunks] == [["add", "subtract"], ["divide"]]
    for chunk in chunks:
        sweeps.train_together(chunk, device="cpu", evidence=False)


def test_rows_without_evidence_are_made_anew_when_it_is_wanted(tmp_path):
    sweeps.sweep(cells(2), tmp_path / "t.csv", device="cpu", evidence=False, show=False)
    rows = sweeps.sweep(cells(2), tmp_path / "t.csv", device="cpu", show=False)
    assert all(row["loss_without_keys"] is not None for row in rows)


def test_rows_stand_in_the_order_of_the_cells(tmp_path):
    mixed = [Cell(**{**SMALL, "fraction": f, "seed": s}) for s in (1, 0) for f in (0.8, 0.3)]
    with ThreadPoolExecutor(3) as pool:
        sweeps.sweep(mixed, tmp_path / "t.csv", together=1, device="cpu", executor=pool, show=False)
    assert [sweeps.row_cell(row) for row in sweeps.read_table(tmp_path / "t.csv")] == mixed
    alone = sweeps.sweep(mixed, tmp_path / "u.csv", together=1, device="cpu", show=False)
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "u.csv").read_bytes()
    backwards = sweeps.sweep(mixed[::-1], tmp_path / "u.csv", device="cpu", show=False)
    assert backwards == alone[::-1]
    assert [sweeps.row_cell(row) for row in sweeps.read_table(tmp_path / "u.csv")] == mixed[::-1]


def test_muon_scales_by_what_goes_out_over_what_goes_in():
    g = torch.Generator().manual_seed(0)
    shapes = {"blocks.0.mlp.W_in": (1, 4, 16), "blocks.0.attn.W_Q": (1, 2, 16, 4)}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    gradients = {name: torch.randn(shape, generator=g) for name, shape in shapes.items()}
    one = torch.ones(1)
    sweeps.Optimizer(weights, "muon", one, one, 0 * one).step(gradients)
    for name, factor in (("blocks.0.mlp.W_in", 2.0), ("blocks.0.attn.W_Q", 1.0)):
        want = -factor * sweeps.orthogonalised(1.95 * gradients[name])
        assert torch.allclose(weights[name], want, atol=1e-5), name


def test_grokfasts_average_starts_at_the_first_gradient():
    """Against the released filter written out for one weight, with AdamW's own first steps."""
    g = [torch.tensor([1.0]), torch.tensor([0.5]), torch.tensor([-2.0])]
    weights, one = {"x": torch.zeros(1)}, torch.ones(1)
    optimizer = sweeps.Optimizer(weights, "grokfast", 0.1 * one, one, 0 * one)
    plain = torch.nn.Parameter(torch.zeros(1))
    adam = torch.optim.AdamW([plain], lr=0.1, betas=(0.9, 0.98), weight_decay=0.0)
    average = None
    for each in g:
        optimizer.step({"x": each})
        average = each if average is None else 0.98 * average + 0.02 * each
        plain.grad = each + 2.0 * average
        adam.step()
        assert torch.allclose(weights["x"], plain.detach())


def test_a_local_cluster_gives_the_same_table(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason='needs Dask: pip install "mechlib[cluster]"')
    monkeypatch.setitem(sweeps.SWEEPS, "norm-over-modulus", lambda seeds: cells(3))
    here, there = tmp_path / "here", tmp_path / "there"
    options = ["norm-over-modulus", "--together", "1", "--device", "cpu", "--into"]
    sweeps.main([*options, str(here)])
    sweeps.main([*options, str(there), "--workers", "2"])
    name = "norm-over-modulus.csv"
    assert (here / name).read_bytes() == (there / name).read_bytes()


def test_a_scheduler_is_named_by_its_address(tmp_path):
    distributed = pytest.importorskip(
        "distributed", reason='needs Dask: pip install "mechlib[cluster]"'
    )
    # its worker is a thread here, which starts at once, but it is spoken to by its address
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            dashboard_address=None,
        ) as running,
        sweeps.cluster(running.scheduler_address) as executor,
    ):
        sweeps.sweep(
            cells(2), tmp_path / "t.csv", together=1, device="cpu", executor=executor, show=False
        )
    assert len(sweeps.read_table(tmp_path / "t.csv")) == 2


def test_a_cluster_is_one_or_the_other():
    with pytest.raises(ValueError, match="one of the two"), sweeps.cluster():
        pass
    with pytest.raises(ValueError, match="workers: at least 1"), sweeps.cluster(workers=0):
        pass
