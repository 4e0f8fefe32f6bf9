"""Write requirements.lock: one version of every package, for every supported Python and system.

    python tools/lock.py             resolve requirements.txt; versions that still fit are kept
    python tools/lock.py --check     resolve and compare; exit code 1 when the file would change

requirements.txt says what the course uses. What those packages need in turn is resolved here, once,
with the conditions under which each version is meant, so that a reader next year gets the
environment of today. Both need the package index; the tests compare the two files without it.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
HEAD = """\
# Every package of requirements.txt and all that they need in turn, for Python 3.11 to 3.14 on
# Linux, macOS and Windows. Made by `make lock`, checked by `make lock-check`; not edited by hand.
"""


def resolve(known: str) -> str:
    """The text of the lock file. Versions in `known` stay where they still fit."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "requirements.lock")
        out.write_text(known, encoding="utf-8")
        command = [find_uv_bin(), "pip", "compile", "requirements.txt", "-o", str(out), "--quiet"]
        # the lowest Python: with --universal it means this one and every later one
        command += ["--universal", "--python-version", "3.11"]
        # addresses of an index are a reader's own business
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        subprocess.run(command, cwd=ROOT, check=True)
        return HEAD + out.read_text(encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    known = LOCK.read_text(encoding="utf-8") if LOCK.exists() else ""
    text = resolve(known)
    if check:
        print("requirements.lock is up to date" if text == known else "run make lock")
        return int(text != known)
    LOCK.write_bytes(text.encode("utf-8"))
    print(f"requirements.lock: {sum('==' in line for line in text.splitlines())} versions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
