"""Numbers of a widget that are too heavy for a notebook: they lie in a file beside it.

A widget's state holds its arrays as bytes. What is longer than `MOST` is taken out of a stored
notebook and stands in `widgets/NAME.bin` in the notebook's folder, named by its own checksum, so
that notebooks with the same model share one file. The state says which: {"beside": {"weights":
NAME}}. In the built book they are scripts that pages share (book/_ext/smaller.py), and a working
copy of a notebook is whole again (tools/lab.py). Where a notebook is opened as it is stored, such
a widget asks for its cell to be run, and its still picture stays until then.
"""

import base64
import hashlib
import json
from pathlib import Path

from mechlib.files import write_in_place

MOST = 30_000  # bytes
FOLDER = "widgets"


def take_out(models: dict[str, dict]) -> dict[str, bytes]:
    """Take the heavy bytes out of widget models; gives them by name.

    models: id -> model, as a notebook or a page holds them; changed in place.
    """
    taken = {}
    for model in models.values():
        left = []
        for buffer in model.get("buffers", []):
            data = base64.b64decode(buffer["data"]) if buffer["encoding"] == "base64" else b""
            if len(data) <= MOST or len(buffer["path"]) > 1:
                left.append(buffer)
                continue
            name = hashlib.sha256(data).hexdigest()[:16]
            model["state"].setdefault("beside", {})[buffer["path"][0]] = name
            taken[name] = data
        if "buffers" in model:
            model["buffers"] = left
    return taken


def names(models: dict[str, dict]) -> set[str]:
    """The files that widget models ask for."""
    return {name for m in models.values() for name in m["state"].get("beside", {}).values()}


def file(notebook: Path, name: str) -> Path:
    """Where the numbers called `name` of a notebook lie."""
    return notebook.parent / FOLDER / f"{name}.bin"


def whole(notebook: Path) -> bytes:
    """A stored notebook with its heavy numbers in it again. OSError when a file is missing."""
    text = notebook.read_bytes()
    if b'"beside"' not in text:
        return text
    content = json.loads(text)
    for states in content["metadata"].get("widgets", {}).values():
        for model in states["state"].values():
            for trait, name in model["state"].pop("beside", {}).items():
                data = base64.b64encode(file(notebook, name).read_bytes()).decode()
                buffer = {"path": [trait], "encoding": "base64", "data": data}
                model["buffers"].append(buffer)
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write(notebook: Path, taken: dict[str, bytes]) -> None:
    """Put what was taken out of a notebook beside it; what no notebook there asks for goes."""
    for name, data in taken.items():
        path = file(notebook, name)
        if not path.is_file() or path.read_bytes() != data:
            write_in_place(path, lambda beside, data=data: beside.write_bytes(data))
    asked = "".join(p.read_text(encoding="utf-8") for p in notebook.parent.glob("*.ipynb"))
    for path in (notebook.parent / FOLDER).glob("*.bin"):
        if f'"{path.stem}"' not in asked:
            path.unlink()
