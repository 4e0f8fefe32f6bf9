import subprocess
import sys

import pytest

from mechlib.__main__ import main


def test_list(small_zoo, capsys):
    assert main(["list"]) == 0
    before = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "stored" not in before["tiny"]
    assert before["tiny"].endswith("a small transformer")
    small_zoo.train("tiny", device="cpu", progress=False)
    capsys.readouterr()
    main(["list"])
    after = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "stored" in after["tiny"]
    assert "stored" not in after["tiny-table"]


def test_train_then_verify(small_zoo, capsys):
    assert main(["train", "tiny", "tiny-table", "--device", "cpu", "--no-progress"]) == 0
    out, err = capsys.readouterr()
    assert "✓ The model speaks of 11 tokens: 11" in out
    assert "tiny: stored; 2 claims hold" in out
    assert err == ""
    assert small_zoo.stored() == ["tiny", "tiny-table"]
    assert main(["verify", "tiny"]) == 0
    assert "tiny: digests right; 2 of 2 claims hold" in capsys.readouterr().out
    assert main(["verify", "--all"]) == 0
    assert "tiny-table: digests right" in capsys.readouterr().out


def test_training_shows_a_bar(small_zoo, capsys):
    assert main(["train", "tiny", "--device", "cpu"]) == 0
    assert "23/23" in capsys.readouterr().err


def test_train_into_a_folder(small_zoo, tmp_path):
    place = str(tmp_path / "here")
    assert main(["train", "tiny", "--device", "cpu", "--no-progress", "--into", place]) == 0
    assert small_zoo.stored() == []
    assert (tmp_path / "here" / "tiny.json").exists()


def test_a_failed_claim_is_exit_code_1(small_zoo, capsys):
    assert main(["train", "tiny-wrong", "tiny", "--device", "cpu", "--no-progress"]) == 1
    assert "claims do not hold" in capsys.readouterr().err
    assert small_zoo.stored() == ["tiny"]  # the others are trained all the same


def test_a_claim_that_no_longer_holds_is_exit_code_1(small_zoo, monkeypatch, capsys):
    main(["train", "tiny", "--device", "cpu", "--no-progress"])
    monkeypatch.setattr(small_zoo.find("tiny"), "bound", -1.0)
    capsys.readouterr()
    assert main(["verify"]) == 1
    out = capsys.readouterr().out
    assert "✗ The embedding is small" in out
    assert "1 of 2 claims hold" in out


def test_a_damaged_file_is_exit_code_1_and_the_others_are_still_checked(small_zoo, capsys):
    main(["train", "tiny", "tiny-table", "--device", "cpu", "--no-progress"])
    (small_zoo.WEIGHTS / "tiny.safetensors").write_bytes(b"short")
    capsys.readouterr()
    assert main(["verify", "--all"]) == 1
    out, err = capsys.readouterr()
    assert "tiny.safetensors was altered or cut short" in err
    assert "tiny-table: digests right" in out


@pytest.mark.parametrize("command", ["train", "verify"])
def test_an_unknown_name_is_exit_code_2_before_anything_is_done(command, small_zoo, capsys):
    assert main([command, "tiny", "tiny-tabel"]) == 2
    out, err = capsys.readouterr()
    wanted = "no model is called 'tiny-tabel'; nearest: 'tiny-table'"
    if command == "train":
        assert wanted in err
    else:  # "tiny" comes first, and is not trained yet
        assert "tiny is not trained yet" in err
    assert out == ""
    assert small_zoo.stored() == []


def test_an_interruption_is_exit_code_1(small_zoo, monkeypatch, capsys):
    monkeypatch.setattr(small_zoo.Tiny, "stop_at", 5)
    assert main(["train", "tiny", "--device", "cpu", "--no-progress"]) == 1
    assert "goes on from the last checkpoint" in capsys.readouterr().err


def test_wrong_usage_is_exit_code_2():
    for words in ([], ["fly"], ["train"], ["train", "tiny", "--device", "abacus"]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2


def test_tokenizers_trains_each_stored_one(monkeypatch, capsys):
    from mechlib.text import tokens

    monkeypatch.setattr(tokens, "train_tokenizer", lambda name: [None] * tokens.SIZES[name])
    assert main(["tokenizers"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: {size} tokens, stored" for name, size in tokens.SIZES.items()
    ]


def test_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "mechlib", "train", "no-such-model"],
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 2
    assert "no model is called 'no-such-model'" in done.stderr


def test_the_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("mechlib 0.")


def test_refresh_and_check_training(small_zoo, capsys):
    main(["train", "tiny", "--device", "cpu", "--no-progress"])
    assert main(["refresh", "tiny"]) == 0
    assert "tiny: stored again; 2 claims hold" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in small_zoo.WEIGHTS.iterdir()}
    assert main(["check-training"]) == 0
    assert "tiny: trained again; 2 claims hold" in capsys.readouterr().out
    assert main(["check-training", "tiny-wrong"]) == 1
    assert {path.name: path.read_bytes() for path in small_zoo.WEIGHTS.iterdir()} == before


def test_an_altered_record_is_exit_code_1(small_zoo, capsys):
    main(["train", "tiny", "tiny-table", "--device", "cpu", "--no-progress"])
    for text in ("[]", "{}", "{"):
        (small_zoo.WEIGHTS / "tiny.json").write_text(text, encoding="utf-8")
        capsys.readouterr()
        assert main(["verify", "tiny", "tiny-table"]) == 1
        out, err = capsys.readouterr()
        assert "tiny.json is damaged" in err
        assert "tiny-table: digests right" in out
    small_zoo.WEIGHTS.joinpath("tiny.json").unlink()
    assert main(["verify", "tiny"]) == 2


def test_a_cache_that_cannot_be_written(small_zoo, tmp_path, monkeypatch, capsys):
    (tmp_path / "in the way").write_text("", encoding="utf-8")
    monkeypatch.setenv("MECHLIB_CACHE", str(tmp_path / "in the way"))
    assert main(["train", "tiny", "--device", "cpu", "--no-progress"]) == 1
    assert "MECHLIB_CACHE: cannot write to" in capsys.readouterr().err
