import hashlib
import json
import re
from pathlib import Path

import pytest
import torch

from mechlib import zoo
from mechlib.files import sealed
from mechlib.model import Config, Transformer
from mechlib.pages.claims import ClaimFailed
from mechlib.zoo import recipes


def trained(small_zoo, name="tiny"):
    return small_zoo.train(name, device="cpu", progress=False)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


# ------------------------------------------------------------------------------ train, then load


def test_what_is_trained_can_be_loaded(small_zoo):
    records = trained(small_zoo)
    assert [record["holds"] for record in records] == [True, True]
    assert small_zoo.stored() == ["tiny"]

    recipe = small_zoo.find("tiny")
    run = recipe.run(recipe.build(), device="cpu", progress=False, checkpoint=None)
    model = small_zoo.load("tiny")
    assert isinstance(model, Transformer)
    assert not model.training
    assert model.config == run.model.config
    for key, tensor in run.model.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor)
    assert small_zoo.load("tiny", torch.float64).W_E.dtype == torch.float64

    history = small_zoo.history("tiny")
    assert history.steps("size") == [0, 7, 14, 21, 23]
    assert history.values("loss") == pytest.approx(run.history.values("loss"), rel=1e-5)


def test_snapshots(small_zoo):
    trained(small_zoo)
    states = small_zoo.snapshots("tiny")
    assert list(states) == [0, 13, 23]
    start, final = small_zoo.snapshot("tiny", 0), small_zoo.load("tiny")
    fresh = small_zoo.find("tiny").build()
    # stored in float16: eleven bits
    torch.testing.assert_close(start.W_E, fresh.W_E, rtol=2**-11, atol=1e-7)
    torch.testing.assert_close(states[23]["W_U"], final.W_U.detach(), rtol=2**-11, atol=1e-7)
    assert not torch.equal(states[13]["W_U"], states[23]["W_U"])
    with pytest.raises(KeyError, match=r"no snapshot at 14; it has \[0, 13, 23\]"):
        small_zoo.snapshot("tiny", 14)


def test_what_stands_beside_the_weights(small_zoo):
    trained(small_zoo)
    about = small_zoo.info("tiny")
    assert about["seed"] == 0
    assert about["device"] == "cpu"
    assert about["model"] == "Transformer"
    assert Config(**about["config"]) == small_zoo.load("tiny").config
    assert about["parameters"] == sum(p.numel() for p in small_zoo.load("tiny").parameters())
    assert about["versions"]["torch"] == torch.__version__
    assert about["settings"]["bound"] == 100.0
    assert about["claims"][0]["sentence"] == "The embedding is small"
    for kind, suffix in [("weights", ""), ("snapshots", ".snapshots")]:
        content = (small_zoo.WEIGHTS / f"tiny{suffix}.safetensors").read_bytes()
        assert about["digests"][kind] == hashlib.sha256(content).hexdigest()


def test_settings_are_those_of_the_recipe_and_not_of_its_class(small_zoo):
    assert small_zoo.find("tiny-wrong").settings()["bound"] == -1.0
    assert small_zoo.find("tiny").settings()["bound"] == 100.0
    assert small_zoo.find("tiny-s5").settings()["store"] == "measures"


@pytest.mark.parametrize("name", zoo.stored())
def test_a_stored_model_was_made_by_the_recipe_as_it_stands(name):
    about = zoo.info(name)
    assert about["settings"] == zoo.find(name).settings()
    assert about["seed"] == zoo.find(name).seed


def test_the_same_recipe_gives_the_same_file(small_zoo):
    trained(small_zoo)
    first = files(small_zoo.WEIGHTS)["tiny.safetensors"]
    trained(small_zoo)
    assert files(small_zoo.WEIGHTS)["tiny.safetensors"] == first


def test_a_model_that_is_no_transformer(small_zoo):
    trained(small_zoo, "tiny-table")
    model = small_zoo.load("tiny-table")
    assert type(model).__name__ == "Table"
    assert model.W.dtype == torch.float32
    assert torch.equal(model.W, model.W.half().float())  # it went through float16
    assert small_zoo.snapshots("tiny-table") == {}
    assert small_zoo.info("tiny-table")["config"] is None


def test_further_seeds_may_keep_measures_only(small_zoo):
    records = trained(small_zoo, "tiny-s5")
    assert len(records) == 1  # the claim on the history
    assert list(files(small_zoo.WEIGHTS)) == ["tiny-s5.json"]
    assert small_zoo.info("tiny-s5")["seed"] == 5
    assert small_zoo.history("tiny-s5").names() == ["size", "loss"]
    assert len(small_zoo.verify("tiny-s5")) == 1
    with pytest.raises(ValueError, match="keeps its history only"):
        small_zoo.load("tiny-s5")


def test_many_snapshots_go_into_several_files(small_zoo, monkeypatch):
    trained(small_zoo)
    whole = small_zoo.snapshots("tiny")
    monkeypatch.setattr(small_zoo, "PART_BYTES", 1)
    trained(small_zoo)
    parts = sorted(small_zoo.WEIGHTS.glob("tiny.snapshots*"))
    assert len(parts) == len(whole) > 1
    again = small_zoo.snapshots("tiny")
    assert list(again) == list(whole)
    for step, state in whole.items():
        assert all(torch.equal(again[step][key], tensor) for key, tensor in state.items())
    monkeypatch.setattr(small_zoo, "PART_BYTES", 10**9)
    trained(small_zoo)
    assert len(list(small_zoo.WEIGHTS.glob("tiny.snapshots*"))) == 1


def test_a_seed_is_another_model(small_zoo):
    zero, five = small_zoo.find("tiny").build(), small_zoo.find("tiny-s5").build()
    assert not torch.equal(zero.W_E, five.W_E)


def test_into_another_folder(small_zoo, tmp_path):
    small_zoo.train("tiny", device="cpu", progress=False, into=tmp_path / "elsewhere")
    assert small_zoo.stored() == []
    assert sorted(files(tmp_path / "elsewhere")) == [
        "tiny.json",
        "tiny.safetensors",
        "tiny.snapshots.safetensors",
    ]


# ------------------------------------------------------------------------------------ interrupted


def test_interrupted_training_goes_on_to_the_same_weights(small_zoo, monkeypatch):
    trained(small_zoo)
    whole = files(small_zoo.WEIGHTS)
    monkeypatch.setattr(small_zoo.Tiny, "stop_at", 15)
    with pytest.raises(KeyboardInterrupt):
        trained(small_zoo)
    assert files(small_zoo.WEIGHTS) == whole  # what was there stays, nothing half-written
    monkeypatch.setattr(small_zoo.Tiny, "stop_at", 3)  # a restart from the beginning would meet it
    trained(small_zoo)
    for name in ("tiny.safetensors", "tiny.snapshots.safetensors"):
        assert files(small_zoo.WEIGHTS)[name] == whole[name]
    before, after = (json.loads(w["tiny.json"]) for w in (whole, files(small_zoo.WEIGHTS)))
    assert after["history"] == before["history"]
    assert after["seconds"] is None  # of a resumed run the time is not known


def test_fresh_throws_the_checkpoint_away(small_zoo, monkeypatch):
    monkeypatch.setattr(small_zoo.Tiny, "stop_at", 15)
    with pytest.raises(KeyboardInterrupt):
        trained(small_zoo)
    monkeypatch.setattr(small_zoo.Tiny, "stop_at", 3)
    with pytest.raises(KeyboardInterrupt):
        small_zoo.train("tiny", device="cpu", progress=False, fresh=True)


def test_a_failed_claim_stores_nothing_and_keeps_the_work(small_zoo, monkeypatch, capsys):
    with pytest.raises(ClaimFailed, match=r"1 of 2 claims do not hold.*The embedding is small"):
        trained(small_zoo, "tiny-wrong")
    assert files(small_zoo.WEIGHTS) == {}
    assert "✗ The embedding is small" in capsys.readouterr().out
    # with a claim that is true the second call only checks: it never asks for a batch again
    monkeypatch.setattr(small_zoo.find("tiny-wrong"), "bound", 100.0)
    monkeypatch.setattr(small_zoo.Tiny, "stop_at", 1)
    assert all(record["holds"] for record in trained(small_zoo, "tiny-wrong"))
    assert small_zoo.stored() == ["tiny-wrong"]


# ---------------------------------------------------------------------------------------- verify


def test_verify_runs_the_claims_on_what_is_stored(small_zoo, monkeypatch):
    trained(small_zoo)
    assert [record["holds"] for record in small_zoo.verify("tiny")] == [True, True]
    monkeypatch.setattr(small_zoo.find("tiny"), "bound", -1.0)
    assert [record["holds"] for record in small_zoo.verify("tiny")] == [False, True]


@pytest.mark.parametrize("which", ["tiny.safetensors", "tiny.snapshots.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_an_altered_file_is_refused(which, damage, small_zoo):
    trained(small_zoo)
    path = small_zoo.WEIGHTS / which
    content = path.read_bytes()
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else flipped)
    look = small_zoo.snapshots if "snapshots" in which else small_zoo.load
    with pytest.raises(ValueError, match="altered or cut short"):
        look("tiny")
    with pytest.raises(ValueError, match="altered or cut short"):
        small_zoo.verify("tiny")


def test_a_missing_file_and_a_damaged_record(small_zoo):
    trained(small_zoo)
    (small_zoo.WEIGHTS / "tiny.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"tiny\.safetensors is missing"):
        small_zoo.load("tiny")
    (small_zoo.WEIGHTS / "tiny.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"tiny\.json is damaged"):
        small_zoo.load("tiny")


def test_weights_of_another_config_are_refused(small_zoo):
    trained(small_zoo)
    path = small_zoo.WEIGHTS / "tiny.json"
    for change, message in [
        ({"d_vocab": 13}, r"another config; W_E has shape \(11, 14\), this model's has \(13, 14\)"),
        ({"n_layers": 1}, r"another config; missing: nothing, not in this model: \['blocks.1"),
        ({"d_mlp": 3}, r"another config; missing: \['blocks.0.mlp"),
    ]:
        about = json.loads(path.read_text(encoding="utf-8"))
        saved = json.dumps(about)
        about["config"] |= change
        path.write_text(json.dumps(sealed(about)), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            small_zoo.load("tiny")
        with pytest.raises(ValueError, match="the snapshot at 0 does not fit"):
            small_zoo.verify("tiny")
        path.write_text(saved, encoding="utf-8")
    small_zoo.load("tiny")


def test_unknown_and_untrained_names(small_zoo):
    with pytest.raises(KeyError, match=r"no model is called 'tiny-tabel'; nearest: 'tiny-table'"):
        small_zoo.load("tiny-tabel")
    with pytest.raises(KeyError, match="nearest: 'tiny'"):
        small_zoo.train("tinny")
    with pytest.raises(FileNotFoundError, match="python -m mechlib train tiny"):
        small_zoo.load("tiny")
    with pytest.raises(KeyError, match="python -m mechlib list"):
        small_zoo.history("????????")


def test_a_weight_too_large_for_its_type_is_refused(small_zoo, monkeypatch):
    table = small_zoo.find("tiny-table")
    original = type(table).build

    def huge(self):
        model = original(self)
        model.W.data *= 1e6
        return model

    monkeypatch.setattr(type(table), "build", huge)
    with pytest.raises(ValueError, match="does not fit float16"):
        trained(small_zoo, "tiny-table")
    assert files(small_zoo.WEIGHTS) == {}


# --------------------------------------------------------------------------------------- recipes


def test_recipe_registration_errors(small_zoo):
    with pytest.raises(TypeError, match="colour: Other has no such attribute"):

        @recipes.recipe("other", "x", colour="red")
        class Other(recipes.Recipe):
            pass

    with pytest.raises(ValueError, match="'tiny' is already a recipe"):

        @recipes.recipe("tiny", "x")
        class Another(recipes.Recipe):
            pass

    with pytest.raises(ValueError, match="store: got 'nothing'"):

        @recipes.recipe("other", "x", store="nothing")
        class Third(recipes.Recipe):
            store = "weights"


def test_seeds_of_a_recipe_have_their_own_names(small_zoo):
    assert {"tiny", "tiny-s5", "tiny-wrong", "tiny-table"} <= set(small_zoo.names())
    tiny, fifth = small_zoo.find("tiny"), small_zoo.find("tiny-s5")
    assert (tiny.seed, tiny.store) == (0, "weights")
    assert (fifth.seed, fifth.store) == (5, "measures")


# ---------------------------------------------------------------------------- the zoo as it stands


def test_every_stored_model_has_a_recipe_and_no_file_is_left_over():
    known = set(recipes.registry())
    expected = set()
    for name in zoo.stored():
        assert name in known
        about = zoo.info(name)
        assert about["name"] == name
        expected.add(f"{name}.json")
        for kind in about["digests"]:
            expected.add(
                f"{name}.safetensors" if kind == "weights" else f"{name}.{kind}.safetensors"
            )
    there = {path.name for path in zoo.WEIGHTS.glob("*")} if zoo.WEIGHTS.exists() else set()
    assert {name for name in there if not name.startswith(".")} == expected


@pytest.mark.parametrize("name", zoo.stored())
def test_every_stored_model_loads_and_its_claims_were_met(name):
    about = zoo.info(name)
    assert about["claims"]
    assert all(claim["holds"] for claim in about["claims"])
    assert any(claim["control"] is not None for claim in about["claims"])
    if "weights" in about["digests"]:
        model = zoo.load(name)
        assert all(torch.isfinite(p).all() for p in model.parameters())
        assert sum(p.numel() for p in model.parameters()) == about["parameters"]
    assert list(zoo.snapshots(name)) == about["snapshot_steps"]


def test_the_weights_leave_room():
    """A clone stays small: everything beside the code of the zoo, in bytes."""
    assert sum(path.stat().st_size for path in zoo.WEIGHTS.iterdir()) < 59_900_000


def budgets() -> dict[tuple[str, ...], float]:
    """files of recipes -> megabytes, as README states them; () stands for all others."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| [^|]* \| ([^|]*) \| ([\d.]+) MB(?: together)? \|$", readme, re.MULTILINE
    )
    return {tuple(re.findall(r"`(\w+)`", files)): float(size) for files, size in rows}


def test_every_file_of_recipes_keeps_to_its_budget():
    found = budgets()
    assert len(found) == 10
    assert round(sum(found.values()), 1) == 59.9
    named = {name for files in found for name in files}
    spent = dict.fromkeys(found, 0.0)
    modules = {n: type(r).__module__.split(".")[-1] for n, r in zoo.registry().items()}
    for path in zoo.WEIGHTS.iterdir():
        module = modules[max((n for n in modules if path.name.startswith(f"{n}.")), key=len)]
        row = next((files for files in found if module in files), ())
        spent[row] += path.stat().st_size / 1e6
    assert named <= set(modules.values())
    assert {files: size for files, size in spent.items() if size > found[files]} == {}


# -------------------------------------------------------------------------- stored again, jittered


def test_refresh_stores_in_the_recipes_type_and_thins_snapshots(small_zoo, monkeypatch):
    trained(small_zoo)
    before, about = small_zoo.load("tiny"), small_zoo.info("tiny")
    path = small_zoo.WEIGHTS / "tiny.json"
    old = {key: value for key, value in about.items() if key != "digest"}
    old["claims"] = [{"sentence": "of an older form", "control": 0.5, "holds": True}]
    path.write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(ValueError, match="of an old form"):
        small_zoo.load("tiny")
    monkeypatch.setattr(small_zoo.find("tiny"), "dtype", "float16")
    monkeypatch.setattr(small_zoo.find("tiny"), "snapshot_at", (0, 23), raising=False)
    assert small_zoo.refresh("tiny") == small_zoo.info("tiny")["claims"] == about["claims"]
    assert torch.equal(small_zoo.load("tiny").W_E, before.W_E.half().float())
    assert list(small_zoo.snapshots("tiny")) == [0, 23]
    assert small_zoo.info("tiny")["history"] == about["history"]


def test_refresh_refuses_what_another_recipe_trained(small_zoo, monkeypatch):
    trained(small_zoo)
    before = files(small_zoo.WEIGHTS)
    monkeypatch.setattr(small_zoo.find("tiny"), "bound", 50.0)
    with pytest.raises(ValueError, match=r"tiny: stored by another recipe, \['bound'\] differ"):
        small_zoo.refresh("tiny")
    assert files(small_zoo.WEIGHTS) == before


def test_jitter_moves_every_weight_by_as_much_as_rounding(small_zoo, monkeypatch):
    trained(small_zoo)
    for dtype, size in ((torch.float32, 1e-7), (torch.float64, 1e-12)):
        monkeypatch.delenv("MECHLIB_JITTER", raising=False)
        exact = small_zoo.load("tiny", dtype).W_E.detach()
        states = small_zoo.snapshots("tiny", dtype)
        monkeypatch.setenv("MECHLIB_JITTER", "1")
        once, again = (small_zoo.load("tiny", dtype).W_E.detach() for _ in range(2))
        assert torch.equal(once, again)
        off = ((once - exact) / exact).abs()
        assert 0.2 * size < off.mean() < 2 * size
        assert off.max() < 10 * size
        for step, state in small_zoo.snapshots("tiny", dtype).items():
            assert not torch.equal(state["W_E"], states[step]["W_E"])
        monkeypatch.setenv("MECHLIB_JITTER", "2")
        assert not torch.equal(small_zoo.load("tiny", dtype).W_E, once)
    monkeypatch.setenv("MECHLIB_JITTER", "yes")
    with pytest.raises(ValueError, match="MECHLIB_JITTER: a whole number"):
        small_zoo.load("tiny")
