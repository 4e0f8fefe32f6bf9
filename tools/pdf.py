"""Print the whole book to a PDF, with the Chromium that is there.

python tools/pdf.py         # _build/circuits-you-can-run.pdf; the book must be built
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from mechlib.files import write_in_place
from mechlib.pages import paper

NAME = "circuits-you-can-run.pdf"


def main() -> int:
    root = Path.cwd()
    page, browser = paper.written(root), paper.chromium()
    print(page)
    if browser is None:
        print("No Chromium was found: open this page in a browser, and print it from there.")
        return 0
    with sync_playwright() as play:
        # in a container the browser often runs as root
        flags = ["--no-sandbox", "--disable-gpu"]
        started = play.chromium.launch(executable_path=browser, args=flags)
        pdf = paper.printed(started.new_page(), page)
        started.close()
    out = root / "_build" / NAME
    write_in_place(out, lambda path: path.write_bytes(pdf))
    print(f"{out} ({len(pdf) / 1e6:.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
