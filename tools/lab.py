"""Open JupyterLab on a working copy of the notebooks.

    python tools/lab.py [--copy-only] [what JupyterLab itself takes, as --port 9000]

The copy lies in `workbook/`, which git ignores. It is kept: what you change there stays, and what
you have not touched follows the course. To begin a chapter anew, delete its notebook there. The
notebooks of the course are never opened, so nothing that is tried out can turn `make test` red.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

from mechlib.pages.beside import whole

ROOT = Path(__file__).parent.parent
COPY = "workbook"
SETTINGS = ROOT / "tools" / "jupyter"  # JupyterLab asks the network for no news
GIVEN = ".given.json"  # digest of each notebook as it was handed out


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hand_out(source: Path, copy: Path) -> list[Path]:
    """Copy what is missing or was not touched; returns the notebooks that were kept as changed."""
    copy.mkdir(parents=True, exist_ok=True)
    record = copy / GIVEN
    given = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    kept = []
    for path in sorted(source.glob("*.ipynb")):
        mine = copy / path.name
        if mine.exists() and digest(mine) != given.get(path.name):
            kept.append(mine)
            continue
        mine.write_bytes(whole(path))
        given[path.name] = digest(mine)
    record.write_text(json.dumps(given, indent=1, sort_keys=True), encoding="utf-8")
    return kept


def trust(folder: Path) -> None:
    """Sign the copies, so that stored widgets and tables show before anything is run."""
    notary = NotebookNotary()
    for path in folder.glob("*.ipynb"):
        notary.sign(nbformat.read(path, as_version=4))


def command(root: Path, *more: str) -> list[str]:
    """JupyterLab in the root of the course, so that links between folders work."""
    here = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    return [*here, f"--LabApp.default_url=/lab/tree/{COPY}", *more]


def environment() -> dict[str, str]:
    """The variables for JupyterLab: ours, and the course's settings before those of the machine."""
    others = os.environ.get("JUPYTER_CONFIG_PATH", "")
    paths = [str(SETTINGS), *others.split(os.pathsep)]
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copy-only", action="store_true", help="do not open JupyterLab")
    given, more = parser.parse_known_args()
    kept = hand_out(ROOT / "notebooks", ROOT / COPY)
    trust(ROOT / COPY)
    print(f"Working copies of the notebooks are in {COPY}/.")
    if kept:
        print("Kept as you left them:", ", ".join(path.name for path in kept))
    if given.copy_only:
        return 0
    return subprocess.call(command(ROOT, *more), env=environment())


if __name__ == "__main__":
    sys.exit(main())
