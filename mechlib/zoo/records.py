"""The record beside a model's weights: what must stand in it, and that nothing in it was altered.

A record is one JSON object, one field a line, and ends in the digest of all the rest.
"""

import json
import re
from pathlib import Path
from typing import Any

from mechlib.files import Unsealed, read_sealed, sealed
from mechlib.model import Config
from mechlib.train import History

# field: the types that its value may have
FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "summary": (str,),
    "recipe": (str,),
    "settings": (dict,),
    "seed": (int,),
    "model": (str,),
    "config": (dict, type(None)),
    "parameters": (int,),
    "versions": (dict,),
    "device": (str,),
    "seconds": (int, float, type(None)),
    "digests": (dict,),
    "snapshot_steps": (list,),
    "claims": (list,),
    "history": (dict,),
}
CLAIM_FIELDS = {"sentence", "value", "values", "op", "bound", "of", "control", "paper", "holds"}
LARGEST = 1_000_000  # of any size in a config: beyond, building the model would never end


def read(path: Path) -> dict:
    """The record in a file. ValueError, in one sentence that names the file, when it was altered
    or is no record."""
    try:
        about = read_sealed(path)
    except Unsealed as error:
        raise Unsealed(f"{error}; python -m mechlib refresh {path.stem}") from None
    fault = fault_of(about)
    if fault:
        raise ValueError(f"{path.name} is no record of a model: {fault}")
    return about


def write(path: Path, about: dict) -> None:
    """One field a line, and lists of numbers on one: readable, and small. The digest comes last.

    ValueError when it would be no record.
    """
    fault = fault_of(about)
    if fault:
        raise ValueError(f"about: no record of a model: {fault}")
    # what is written is what will be read: tuples as lists, keys as words
    about = sealed(json.loads(json.dumps(about)))
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in about.items()]
    path.write_bytes(("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8"))


def fault_of(about: dict) -> str | None:
    """What is wrong with a record, in half a sentence; None when nothing is."""
    for field, kinds in FIELDS.items():
        if field not in about:
            return f"{field} is missing"
        if not isinstance(about[field], kinds) or isinstance(about[field], bool):
            return f"{field} holds a {type(about[field]).__name__}"
    for part, digest in about["digests"].items():
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            return f"the digest of its {part} is not one"
    if not all(type(step) is int for step in about["snapshot_steps"]):
        return "snapshot_steps holds what is no step"
    for claim in about["claims"]:
        if not isinstance(claim, dict) or not CLAIM_FIELDS <= claim.keys():
            return "a claim lacks its fields (an older form: python -m mechlib refresh NAME)"
    return _config_fault(about) or _history_fault(about["history"])


def _config_fault(about: dict) -> str | None:
    config = about["config"]
    if about["model"] != "Transformer":
        return None
    if config is None:
        return "a Transformer needs its config"
    for key, value in config.items():
        if isinstance(value, int) and value > LARGEST:
            return f"config: {key} is {value}"
    if isinstance(config.get("n_layers"), int) and config["n_layers"] > 1000:
        return f"config: n_layers is {config['n_layers']}"
    try:
        Config(**config)
    except (TypeError, ValueError) as error:
        return f"config: {error}"
    return None


def _history_fault(history: dict[str, Any]) -> str | None:
    try:
        History.from_dict(history)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return f"history: {error}"
    return None
