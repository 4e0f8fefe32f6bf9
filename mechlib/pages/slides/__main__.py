"""Write the slides: python -m mechlib.pages.slides, in the root of the repository."""

from pathlib import Path

from mechlib.pages.slides import FOLDER, build

if __name__ == "__main__":
    root = Path.cwd()
    for path in build(root, root / FOLDER, root / "_build" / "html" / FOLDER):
        print(path)
