"""One file to hand out: the built book with its slides, and the notebooks.

    python -m mechlib.pages.offline         # _build/circuits-you-can-run.zip, and its SHA-256
    make offline                            # builds the book first

Unpacked, it opens without a server and without a network: index.html leads to the book. The same
book gives the same bytes, so the checksum says whether two people hold the same thing.
"""

import hashlib
import zipfile
from pathlib import Path

from mechlib.files import write_in_place

NAME = "circuits-you-can-run"
# A fixed time: the day on which a file was written is none of the reader's business.
WHEN = (2026, 1, 1, 0, 0, 0)
START = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Circuits You Can Run</title>
<meta http-equiv="refresh" content="0; url=book/book/index.html">
<p><a href="book/book/index.html">The book</a>, its slides (in <code>book/slides</code>) and its
notebooks (in <code>notebooks</code>).</p></html>
"""


def contents(root: Path) -> dict[str, Path]:
    """Name in the zip -> file. Raises `FileNotFoundError` when book or slides are not built."""
    html = root / "_build" / "html"
    for needed in (html / "book" / "index.html", html / "slides" / "session-1.html"):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing: build the book first (make book)")
    found = {
        f"book/{path.relative_to(html).as_posix()}": path
        for path in sorted(html.rglob("*"))
        # sources and search caches that Sphinx keeps for itself
        if path.is_file() and path.name not in (".buildinfo", "objects.inv")
    }
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        found[f"notebooks/{path.name}"] = path
    return found | {"LICENSE": root / "LICENSE", "README.md": root / "README.md"}


def pack(root: Path, out: Path) -> Path:
    """Write the zip and, beside it, its checksum in the form that `sha256sum -c` reads."""

    def fill(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.writestr(_entry("index.html"), START)
            for name, file in contents(root).items():
                archive.writestr(_entry(name), file.read_bytes())

    write_in_place(out, fill)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    line = f"{digest}  {out.name}\n"
    write_in_place(out.with_name(out.name + ".sha256"), lambda path: path.write_text(line, "utf-8"))
    return out


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(f"{NAME}/{name}", WHEN)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry


def main() -> int:
    """The command line; returns the exit status."""
    root = Path.cwd()
    out = pack(root, root / "_build" / f"{NAME}.zip")
    print(f"{out} ({out.stat().st_size / 1e6:.0f} MB)")
    print(out.with_name(out.name + ".sha256").read_text(encoding="utf-8").strip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
