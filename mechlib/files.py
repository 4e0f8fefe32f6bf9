"""Files that are there whole or not at all, that notice when they were altered, and a place for
those that can be made again."""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

TABLES = Path(__file__).parent / "zoo" / "tables"  # what took longer to measure than a page waits

# ------------------------------------------------------------------------------ whole or not at all


def write_in_place(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then move it there: a reader sees the old file or the
    new one, never half of one. When `write` fails, the old file stays and nothing else is left;
    what a killed writer left is swept up by the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_up(path.parent, path.name)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_beside(folder: Path, name: str) -> Iterator[Path]:
    """A folder inside `folder` in which several files can be made ready; it is gone afterwards."""
    _sweep_up(folder, f".{name}")
    beside = folder / f".{name}.{os.getpid()}.part"
    beside.mkdir(parents=True)
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _sweep_up(folder: Path, name: str) -> None:
    """Remove "NAME.PID.part" of processes that run no more."""
    for path in folder.glob(f"{name}.*.part"):
        pid = path.name.removeprefix(f"{name}.").removesuffix(".part")
        if not pid.isdecimal() or (int(pid) != os.getpid() and _may_run(int(pid), path)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _may_run(pid: int, path: Path) -> bool:
    if sys.platform == "win32":  # to ask after a process there is to end it: go by age
        return path.exists() and time.time() - path.stat().st_mtime < 24 * 3600
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


# ------------------------------------------------------------------------------------------ digests


def content_digest(content: Any) -> str:
    """sha256 of what a JSON file says, however it is laid out: keys in order, no white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sealed(content: dict) -> dict:
    """`content` with the digest of all the rest under "digest", at its end."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    return rest | {"digest": content_digest(rest)}


class Unsealed(ValueError):
    """A file that should hold its own digest has none."""


def read_sealed(path: Path) -> dict:
    """The content of a JSON file written with `sealed`. ValueError, naming the file, when it is
    not JSON, no object, has no digest, or was altered."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is damaged, it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is damaged: it holds a {type(content).__name__}")
    if "digest" not in content:
        raise Unsealed(f"{path.name} is damaged or of an old form: it has no digest")
    if sealed(content)["digest"] != content["digest"]:
        raise ValueError(f"{path.name} was altered: its digest is not the one it holds")
    return content


# ------------------------------------------------------------------------ what can be made again


def cache_folder() -> Path:
    """Where large things that can be made again are kept; `MECHLIB_CACHE` overrides it."""
    chosen = os.environ.get("MECHLIB_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("mechlib", appauthor=False)


@contextmanager
def in_cache() -> Iterator[Path]:
    """The cache folder, for writing. PermissionError, in one sentence, when that cannot be done."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise PermissionError(
            f"MECHLIB_CACHE: cannot write to {folder} ({error.strerror}); "
            "set it to a folder of your own"
        ) from error
