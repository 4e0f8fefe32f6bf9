"""Real text: which files, whose digest, which split; the reader's own file; downloads."""

import hashlib
import http.server
import re
import socket
import subprocess
import threading
from importlib import metadata
from pathlib import Path

import pytest

from mechlib.text import corpus

ROOT = Path(__file__).parents[2]
BODY = b"def f(x):\n    return x\n" * 20


def test_the_rule_keeps_source_and_leaves_out_the_rest():
    keep = corpus.is_written_by_hand
    assert keep("pkg/a.py", BODY)
    assert not keep("pkg/a.txt", BODY)
    assert not keep("../bin/a.py", BODY)
    assert not keep("pkg/tests/a.py", BODY)
    assert not keep("pkg/test_a.py", BODY)
    assert not keep("pkg/_vendor/a.py", BODY)
    assert not keep("pkg/_version.py", BODY)
    assert not keep("pkg/a.py", BODY[:199])
    assert not keep("pkg/a.py", BODY * 250)
    assert not keep("pkg/a.py", b"# This file is auto-generated\n" + BODY)
    assert not keep("pkg/a.py", BODY + b"x" * 201)
    assert not keep("pkg/a.py", BODY + b"1234567890\n" * 20)
    assert not keep("pkg/a.py", BODY + b"\xff\n")


def test_every_package_is_pinned_and_the_same_on_all_platforms():
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for name, (version, digest) in corpus.CODE_PACKAGES.items():
        assert f"{name}=={version}" in pins
        assert "py3-none-any" in (metadata.distribution(name).read_text("WHEEL") or "")
        assert re.fullmatch("[0-9a-f]{64}", digest)


def test_python_source_is_what_it_says():
    source = corpus.python_source()
    assert 25e6 < source.n_bytes < 40e6
    everything = source.train + source.held_out
    assert len(set(everything)) == len(everything)
    assert not any("\r" in text for text in everything)
    share = len(source.held_out) / len(everything)
    assert 0.03 < share < 0.07
    assert corpus.python_source() is source


def test_package_documents_are_the_files_on_disk():
    documents = corpus.package_documents("mistune")
    assert [path for path, _ in documents] == sorted(path for path, _ in documents)
    root = Path(metadata.distribution("mistune").locate_file(""))
    for path, text in documents:
        on_disk = (root / path).read_bytes().decode("utf-8")
        assert text == on_disk.replace("\r\n", "\n").removeprefix("\ufeff")
    held_out = [(path, text) for path, text in documents if corpus.is_held_out(path)]
    assert corpus.package_documents("mistune", only=corpus.is_held_out) == held_out


def fresh(monkeypatch, table):
    monkeypatch.setattr(corpus, "CODE_PACKAGES", table)
    return corpus.python_source.__wrapped__


def test_a_missing_package_is_named(monkeypatch):
    read = fresh(monkeypatch, {"no-such-package-here": ("1.0", "0" * 64)})
    with pytest.raises(corpus.CorpusError, match=r"no-such-package-here.*python -m mechlib corpus"):
        read()


def test_another_version_is_named(monkeypatch):
    _, digest = corpus.CODE_PACKAGES["mistune"]
    read = fresh(monkeypatch, {"mistune": ("0.0.1", digest)})
    with pytest.raises(corpus.CorpusError, match=r"needs mistune 0\.0\.1, but .*python -m mechlib"):
        read()


def test_the_first_package_that_differs_is_named(monkeypatch):
    table = {name: corpus.CODE_PACKAGES[name] for name in ("mistune", "parso", "jedi")}
    table["parso"] = (table["parso"][0], "0" * 64)
    table["jedi"] = (table["jedi"][0], "0" * 64)
    with pytest.raises(corpus.CorpusError, match="files of parso"):
        fresh(monkeypatch, table)()


# A package of two files with a record of them, as pip lays it into a folder.
PACKAGE = {
    "toy/a.py": BODY,
    "toy-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
    "toy-1.0.dist-info/RECORD": b"toy/a.py,,\ntoy-1.0.dist-info/METADATA,,\n",
}


def pip_that_lays(files, monkeypatch, code=0):
    """Stands for pip: it puts files where it is told to; the commands that it heard."""
    heard = []

    def run(command, **_):
        heard.append(command)
        for name, content in files.items():
            path = Path(command[command.index("--target") + 1], name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return subprocess.CompletedProcess(command, code, "", "a\nERROR: no route\n" * code)

    monkeypatch.setattr(corpus.subprocess, "run", run)
    return heard


def test_packages_in_a_folder_of_their_own_are_read_from_there(monkeypatch, tmp_path):
    text = BODY.decode()
    digest = corpus.documents_digest([("toy/a.py", text)])
    read = fresh(monkeypatch, {"toy": ("1.0", digest)})
    with pytest.raises(corpus.CorpusError, match="toy"):
        read()  # among the installed packages there is none
    heard = pip_that_lays(PACKAGE, monkeypatch)
    corpus.fetch_packages(tmp_path)
    assert heard[0][-1] == "toy==1.0"
    assert {"--no-deps", "--only-binary", "--target"} <= set(heard[0])
    source = read(tmp_path)
    assert source.train + source.held_out == (text,)


def test_a_pip_that_fails_is_one_sentence(monkeypatch, tmp_path):
    pip_that_lays({}, monkeypatch, code=1)
    with pytest.raises(corpus.CorpusError, match=r"could not fetch.*: ERROR: no route$"):
        corpus.fetch_packages(tmp_path)


def test_the_digest_sees_paths_texts_and_their_order():
    documents = [("a.py", "xy"), ("b.py", "z")]
    variants = [
        documents,
        documents[::-1],
        [("a.py", "x"), ("b.py", "yz")],
        [("a.py", "xy"), ("c.py", "z")],
        [("a.py", "xy")],
    ]
    assert len({corpus.documents_digest(v) for v in variants}) == len(variants)


def test_held_out_share():
    held = sum(corpus.is_held_out(f"pkg/{i}.py") for i in range(4000))
    assert 150 < held < 250  # 200 expected, standard deviation 14


def test_text_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffÀ la\r\nmode\r".encode())
    assert corpus.text_file(path) == "À la\nmode\n"
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        corpus.text_file(tmp_path / "nothing.txt")
    path.write_bytes(b" \n")
    with pytest.raises(ValueError, match="empty"):
        corpus.text_file(path)
    path.write_bytes(b"abc\xffdef")
    with pytest.raises(ValueError, match="byte 0xff at place 3"):
        corpus.text_file(path)


# --------------------------------------------------------------------------- downloads


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", "1000" if self.path == "/broken" else "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        pass


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_download_says_what_it_fetches_and_fetches_it_once(address, tmp_path, capsys):
    path = tmp_path / "folder" / "a.txt"
    digest = hashlib.sha256(b"hello").hexdigest()
    assert corpus.download(f"{address}/a", path, sha256=digest) == path
    assert f"{address}/a" in capsys.readouterr().out
    assert path.read_bytes() == b"hello"
    path.write_bytes(b"mine")
    corpus.download(f"{address}/a", path)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("page", ["missing", "broken"])
def test_a_download_that_fails_leaves_nothing(address, tmp_path, page):
    with pytest.raises(corpus.NoNetwork, match=f"could not fetch {address}/{page}"):
        corpus.download(f"{address}/{page}", tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_download_with_another_digest_leaves_nothing(address, tmp_path):
    with pytest.raises(ValueError, match="sha256"):
        corpus.download(f"{address}/a", tmp_path / "a.txt", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_one_clear_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: every connection is refused
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
        with pytest.raises(
            ConnectionError, match=r"could not fetch.*nothing was written"
        ) as caught:
            corpus.download(address, tmp_path / "a.txt")
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_download_is_an_error(tmp_path):
    with pytest.raises(KeyError, match="shakespeare"):
        corpus.download("milton", tmp_path / "a.txt")
