"""Writing in place: all or nothing."""

import json
import os
import subprocess
import sys

import pytest

from mechlib import files
from mechlib.files import folder_beside, write_in_place


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    write_in_place(path, lambda beside: beside.write_text("old", encoding="utf-8"))
    return path


def assert_old(path):
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_made_where_there_is_none(tmp_path):
    write_in_place(tmp_path / "a" / "b", lambda beside: beside.write_bytes(b"x"))
    assert (tmp_path / "a" / "b").read_bytes() == b"x"


def test_an_interrupted_write_leaves_the_old_file(path):
    def fails(beside):
        beside.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_in_place(path, fails)
    assert_old(path)


def test_a_failing_move_leaves_the_old_file(path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_in_place(path, lambda beside: beside.write_text("new", encoding="utf-8"))
    assert_old(path)


def test_what_a_killed_writer_left_is_swept_up(path):
    """A process is killed while it writes; the next write to that place removes what it left."""
    script = (
        "import sys, time; from pathlib import Path; from mechlib.files import write_in_place\n"
        "def slow(beside):\n"
        "    beside.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
        "write_in_place(Path(sys.argv[1]), slow)"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    writer.stdout.readline()
    write_in_place(path, lambda beside: beside.write_text("old", encoding="utf-8"))
    assert len(list(path.parent.iterdir())) == 2  # the other one still writes: let it
    writer.kill()
    writer.wait()
    writer.stdout.close()
    if sys.platform == "win32":
        pytest.skip("goes by age there")
    write_in_place(path, lambda beside: beside.write_text("old", encoding="utf-8"))
    assert_old(path)


def test_an_abandoned_folder_is_swept_up(tmp_path, monkeypatch):
    (tmp_path / ".x.999999999.part").mkdir()
    (tmp_path / ".x.999999999.part" / "weights").write_bytes(b"half")
    (tmp_path / ".y.999999999.part").mkdir()
    monkeypatch.setattr(files, "_may_run", lambda pid, path: False)
    with folder_beside(tmp_path, "x") as part:
        (part / "a").write_bytes(b"a")
        assert sorted(p.name for p in tmp_path.iterdir()) == [part.name, ".y.999999999.part"]
    assert [p.name for p in tmp_path.iterdir()] == [".y.999999999.part"]


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.delenv("MECHLIB_CACHE", raising=False)
    assert files.cache_folder().is_absolute()
    assert "mechlib" in files.cache_folder().parts
    monkeypatch.setenv("MECHLIB_CACHE", str(tmp_path))
    assert files.cache_folder() == tmp_path


def test_a_sealed_file_may_be_laid_out_otherwise_but_says_the_same(path):
    content = files.sealed({"b": [1, 2.5], "a": "é"})
    path.write_text(json.dumps(content, indent=3), encoding="utf-8")
    assert files.read_sealed(path) == content
    path.write_text(json.dumps(content | {"a": "e"}), encoding="utf-8")
    with pytest.raises(ValueError, match="file was altered"):
        files.read_sealed(path)
