"""The zoo: small trained models, each with the recipe that made it and the claims it must meet.

    model = zoo.load("zero-layer-code-512")
    history = zoo.history("zero-layer-code-512")
    zoo.train("zero-layer-code-512")          # or: python -m mechlib train zero-layer-code-512

For each model the folder `weights` holds

    NAME.safetensors            the weights
    NAME.snapshots.safetensors  weights during training, keys "step/parameter" (some models; more
                                than PART_BYTES of them go on in NAME.snapshots-1.safetensors, ...)
    NAME.json                   recipe, seed, config, versions, digests, history, claims

Files are checked against their digest before anything in them is read, and nothing is pickled.

With the environment variable MECHLIB_JITTER=SEED every weight that is loaded is multiplied by
1 + 1e-7 n, n drawn from a normal distribution (1e-12 when it is loaded in float64): as another
processor might have rounded. A number that changes with it should be shown with fewer digits.
"""

import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mechlib.files import folder_beside, in_cache
from mechlib.nearest import nearest
from mechlib.pages.claims import ClaimFailed, collect
from mechlib.train import History, Run
from mechlib.zoo import records
from mechlib.zoo.recipes import Recipe, recipe, registry

__all__ = [
    "Recipe", "fill", "history", "info", "load", "names", "recipe", "refresh", "snapshot",
    "snapshots", "stored", "train", "verify",
]  # fmt: skip

WEIGHTS = Path(__file__).parent / "weights"
PART_BYTES = 4_500_000  # of snapshots in one file: a repository is no place for large ones

# ---------------------------------------------------------------------------------------- reading


def names() -> list[str]:
    """Every model that there is a recipe for, stored or not."""
    return sorted({*registry(), *stored()})


def stored() -> list[str]:
    """Every model whose files are here."""
    return sorted(path.stem for path in WEIGHTS.glob("*.json"))


def info(name: str) -> dict:
    """What stands beside the weights: recipe, seed, config, versions, digests, claims, history.

    Raises KeyError for an unknown name (with the nearest ones), FileNotFoundError for a recipe
    that was not trained yet, ValueError for a damaged file.
    """
    about = records.read(_record_of(name))
    if about["name"] != name:
        raise ValueError(f"{name}.json is the record of another model, {about['name']}")
    return about


def _record_of(name: str) -> Path:
    if name not in stored():
        if name in registry():
            raise FileNotFoundError(f"{name} is not trained yet: python -m mechlib train {name}")
        raise KeyError(_unknown(name))
    return WEIGHTS / f"{name}.json"


def load(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The trained model, on the CPU, in eval mode. Errors as `info`, and ValueError when the
    file's digest is not the one on record or it does not fit the model."""
    about = info(name)
    if "weights" not in about["digests"]:
        raise ValueError(
            f"{name} keeps its history only, no weights; for these: python -m mechlib train {name}"
        )
    model = _empty(name, about)
    tensors = _read(WEIGHTS / f"{name}.safetensors", about["digests"]["weights"])
    fill(model, tensors).to(dtype).eval()
    model.load_state_dict({key: _jittered(t, name, key) for key, t in model.state_dict().items()})
    return model


def history(name: str) -> History:
    """Losses and measures over training. Errors as `info`."""
    return History.from_dict(info(name)["history"])


def snapshots(name: str, dtype: torch.dtype = torch.float32) -> dict[int, dict[str, Tensor]]:
    """{step: state_dict} in order of steps; empty when none were kept. Errors as `load`.

    Use `fill(model, state)`, or `snapshot(name, step)` for a model.
    """
    return {
        step: {key: _jittered(_as(t, dtype), name, f"{step}/{key}") for key, t in state.items()}
        for step, state in _stored_snapshots(name, info(name)).items()
    }


def _stored_snapshots(name: str, about: dict) -> dict[int, dict[str, Tensor]]:
    states: dict[int, dict[str, Tensor]] = {step: {} for step in about["snapshot_steps"]}
    for part in (part for part in about["digests"] if part.startswith("snapshots")):
        tensors = _read(WEIGHTS / f"{name}.{part}.safetensors", about["digests"][part])
        for key, tensor in tensors.items():
            step, parameter = key.split("/", 1)
            states[int(step)][parameter] = tensor
    return states


def _as(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _jittered(tensor: Tensor, name: str, key: str) -> Tensor:
    """The tensor as it is, or with MECHLIB_JITTER set, as another processor might have it."""
    seed = os.environ.get("MECHLIB_JITTER")
    if not seed or not tensor.is_floating_point():
        return tensor
    if not seed.isdecimal():
        raise ValueError(f"MECHLIB_JITTER: a whole number wanted, got {seed!r}")
    digest = hashlib.sha256(f"{seed}/{name}/{key}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    size = 1e-12 if tensor.dtype == torch.float64 else 1e-7
    return (tensor.double() * (1 + size * noise)).to(tensor.dtype)


def snapshot(name: str, step: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The model as it was after `step` steps. KeyError when no snapshot was kept there."""
    states = snapshots(name, dtype)
    if step not in states:
        raise KeyError(f"step: {name} has no snapshot at {step}; it has {list(states)}")
    return fill(_empty(name, info(name)), states[step]).to(dtype).eval()


def fill(model: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Put a state into a model, or say what does not fit. Gives the model back.

    ValueError when names or shapes differ: the weights are those of another config.
    """
    mine = model.state_dict()
    missing, strange = sorted(mine.keys() - state.keys()), sorted(state.keys() - mine.keys())
    if missing or strange:
        raise ValueError(
            f"state: these are the weights of another config; missing: {missing[:4] or 'nothing'}, "
            f"not in this model: {strange[:4] or 'nothing'}"
        )
    for key, tensor in sorted(state.items()):
        if tensor.shape != mine[key].shape:
            raise ValueError(
                f"state: these are the weights of another config; {key} has shape "
                f"{tuple(tensor.shape)}, this model's has {tuple(mine[key].shape)}"
            )
    model.load_state_dict(state)
    return model


def _empty(name: str, about: dict) -> nn.Module:
    """A model of the right kind and size: from its config, or from its recipe when it is not a
    Transformer."""
    if about["model"] == "Transformer":
        from mechlib.model import Config, Transformer

        return Transformer(Config(**about["config"]))
    return find(name).build()


def _read(path: Path, digest: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path.name} is missing beside its record") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(
            f"{path.name} was altered or cut short: its digest is not the one on record "
            f"({len(content)} bytes). Fetch it again, or train it anew: python -m mechlib train"
        )
    try:
        return parse(content)
    except SafetensorError as error:  # the record itself vouched for a broken file
        raise ValueError(f"{path.name} is no safetensors file: {error}") from error


def _unknown(name: str) -> str:
    hint = nearest(name, names()) or "; python -m mechlib list shows them all"
    return f"no model is called {name!r}{hint}"


# --------------------------------------------------------------------------------------- training


def find(name: str) -> Recipe:
    """The recipe of that name. KeyError, with the nearest names, when there is none."""
    recipes = registry()
    if name not in recipes:
        raise KeyError(_unknown(name))
    return recipes[name]


def train(
    name: str,
    device: str | None = None,
    progress: bool = True,
    fresh: bool = False,
    into: str | Path | None = None,
) -> list[dict]:
    """Make a model anew by its recipe, check its claims, and store it. Gives the claims' records.

    Goes on from its checkpoint (in the cache folder) when an earlier call was interrupted; `fresh`
    throws that away first. `device`: a GPU where there is one, unless told. `into`: a folder to
    store in, instead of the zoo's own.

    Raises ClaimFailed when a claim does not hold: then nothing is stored and what was stored
    before stays, as does the checkpoint, so that a second call checks again without training.
    """
    chosen = find(name)
    folder = Path(into) if into is not None else WEIGHTS
    with in_cache() as cache:
        checkpoint = cache / "training" / f"{name}.safetensors"
        if fresh:
            checkpoint.unlink(missing_ok=True)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)

    device = device or _fastest()
    resumed, began = checkpoint.exists(), time.monotonic()
    run = chosen.run(chosen.build(), device=device, progress=progress, checkpoint=checkpoint)
    about = _about(chosen, run, _device_kind(device))
    about["seconds"] = None if resumed else round(time.monotonic() - began, 1)
    made = _store(chosen, folder, about, run.model.state_dict(), run.snapshots, checkpoint)
    checkpoint.unlink(missing_ok=True)
    return made


def _store(
    chosen: Recipe,
    folder: Path,
    about: dict,
    state: Mapping[str, Tensor],
    snapshots: Mapping[int, Mapping[str, Tensor]],
    kept: Path | None = None,
) -> list[dict]:
    """Write weights and record, check the claims on what was written, and move all of it into
    `folder`; ClaimFailed, and nothing is stored, when one does not hold. Gives the claims."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder, chosen.name) as part:
        _write(part, chosen, about, state, snapshots)
        about["claims"] = _check(chosen, part, about, quiet=False)
        failed = [record for record in about["claims"] if not record["holds"]]
        if failed:
            raise ClaimFailed(
                f"{chosen.name}: {len(failed)} of {len(about['claims'])} claims do not hold, so "
                "nothing is stored"
                + (f" (the weights wait in {kept}): " if kept else ": ")
                + "; ".join(record["sentence"] for record in failed),
                failed[0],
            )
        records.write(part / f"{chosen.name}.json", about)
        for old in (
            folder / f"{chosen.name}.safetensors",
            *folder.glob(f"{chosen.name}.snapshots*.safetensors"),
        ):
            if not (part / old.name).exists():
                old.unlink(missing_ok=True)
        # the record comes last: until it is there, the digests of the old one refuse new weights
        for path in sorted(part.iterdir(), key=lambda path: path.suffix == ".json"):
            os.replace(path, folder / path.name)
    return about["claims"]


# how a model is stored, and not how it is trained: what `refresh` may change
KEPT = ("snapshot_at", "snapshots_at", "snapshot_steps")  # what recipes call the steps they keep
STORAGE = {"dtype", "snapshot_dtype", "loss_points", "store", *KEPT}


def refresh(name: str) -> list[dict]:
    """Store again what is stored, as the recipe says today: the types of weights and snapshots,
    which snapshots are kept, the form of the record, the claims. Nothing is trained; for models
    whose record is of an older form, and when a recipe's storage changes. Gives the claims.

    Raises ValueError when the recipe would train another model than the one that is stored,
    ClaimFailed when a claim does not hold (then all stays as it was).
    """
    chosen = find(name)
    about = json.loads(_record_of(name).read_bytes())
    theirs, mine = about["settings"], json.loads(json.dumps(chosen.settings()))
    changed = {key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)}
    if changed - STORAGE or about["seed"] != chosen.seed:
        what = sorted(changed - STORAGE) or ["seed"]
        raise ValueError(f"{name}: stored by another recipe, {what} differ; train it again")
    about |= {"summary": chosen.summary, "settings": mine}
    state: Mapping[str, Tensor] = {}
    snapshots: dict[int, dict[str, Tensor]] = {}
    if "weights" in about["digests"]:
        state = _read(WEIGHTS / f"{name}.safetensors", about["digests"]["weights"])
        wanted = [step for attribute in KEPT for step in getattr(chosen, attribute, ())]
        for step, tensors in _stored_snapshots(name, about).items():
            if step in wanted or not any(hasattr(chosen, attribute) for attribute in KEPT):
                snapshots[step] = tensors
    return _store(chosen, WEIGHTS, about, state, snapshots)


def trained_within(seconds: float) -> list[str]:
    """The stored models whose training took at most so long, by their records, shortest first.
    Those that were trained on a GPU are left out: what they take on a CPU is not on record."""
    records = {name: info(name) for name in stored() if name in registry()}
    times = {n: about["seconds"] for n, about in records.items() if about["device"] == "cpu"}
    return sorted((n for n, t in times.items() if t is not None and t <= seconds), key=times.get)


def check_training(name: str, device: str | None = None) -> list[dict]:
    """Train a model again, from its start, and give its claims, without storing anything. For
    another processor, or another path through this one (ATEN_CPU_CAPABILITY, OMP_NUM_THREADS).
    Raises ClaimFailed when one does not hold."""
    with tempfile.TemporaryDirectory() as nowhere:
        chosen, folder = find(name), Path(nowhere)
        device = device or _fastest()
        run = chosen.run(chosen.build(), device=device, progress=False, checkpoint=None)
        about = _about(chosen, run, _device_kind(device))
        return _store(chosen, folder, about, run.model.state_dict(), run.snapshots)


def verify(name: str, quiet: bool = True) -> list[dict]:
    """Check the digests of a stored model and run its claims again. Gives their records, each
    with "holds". Errors as `load`."""
    about = info(name)
    for step, state in snapshots(name).items():
        try:
            fill(_empty(name, about), state)
        except ValueError as error:
            raise ValueError(f"{name}: the snapshot at {step} does not fit: {error}") from error
    return _check(find(name), WEIGHTS, about, quiet)


def _check(chosen: Recipe, folder: Path, about: dict, quiet: bool) -> list[dict]:
    """The claims of a recipe on what lies in `folder`, all of them even when one fails."""
    model = None
    if "weights" in about["digests"]:
        path = folder / f"{chosen.name}.safetensors"
        model = fill(_empty(chosen.name, about), _read(path, about["digests"]["weights"])).eval()
    with collect(keep_going=True, quiet=quiet) as made:
        chosen.check(model, History.from_dict(about["history"]))
    return list(made)


def _about(chosen: Recipe, run: Run, device: str) -> dict:
    """The record of a run, without its claims and digests."""
    config = getattr(run.model, "config", None)
    losses = run.history
    if "loss" in losses.names():
        losses = losses.thinned("loss", chosen.loss_points)
    return {
        "name": chosen.name,
        "summary": chosen.summary,
        "recipe": f"{type(chosen).__module__.rsplit('.', 1)[-1]}.{type(chosen).__name__}",
        "settings": chosen.settings(),
        "seed": chosen.seed,
        "model": type(run.model).__name__,
        "config": config.to_dict() if hasattr(config, "to_dict") else None,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "versions": _versions(),
        "device": device,
        "seconds": None,
        "digests": {},
        "snapshot_steps": [],
        "claims": [],
        "history": losses.to_dict(digits=6),
    }


def _write(
    folder: Path,
    chosen: Recipe,
    about: dict,
    state: Mapping[str, Tensor],
    snapshots: Mapping[int, Mapping[str, Tensor]],
) -> None:
    """Write weights and snapshots into `folder`, and their digests into the record."""
    from safetensors.torch import save_file

    about |= {"digests": {}, "snapshot_steps": []}
    if chosen.store == "measures":
        return

    def save(tensors: Mapping[str, Tensor], dtype: str, part: str, suffix: str) -> None:
        path = folder / f"{chosen.name}{suffix}.safetensors"
        save_file({key: _stored_as(tensor, dtype) for key, tensor in tensors.items()}, path)
        about["digests"][part] = hashlib.sha256(path.read_bytes()).hexdigest()

    save(state, chosen.dtype, "weights", "")
    for i, steps in enumerate(_parts(snapshots, chosen.snapshot_dtype)):
        part = f"snapshots-{i}" if i else "snapshots"
        tensors = {f"{step}/{key}": t for step in steps for key, t in snapshots[step].items()}
        save(tensors, chosen.snapshot_dtype, part, f".{part}")
    about["snapshot_steps"] = sorted(snapshots)


def _parts(snapshots: Mapping[int, Mapping[str, Tensor]], dtype: str) -> list[list[int]]:
    """The steps of the snapshots, in order, in lists that each fit into PART_BYTES."""
    if not snapshots:
        return []
    steps = sorted(snapshots)
    numbers = sum(tensor.numel() for tensor in snapshots[steps[0]].values())
    fit = max(1, PART_BYTES // (numbers * getattr(torch, dtype).itemsize))
    return [steps[i : i + fit] for i in range(0, len(steps), fit)]


def _stored_as(tensor: Tensor, dtype: str) -> Tensor:
    tensor = tensor.detach().to("cpu", copy=True).contiguous()
    if not tensor.is_floating_point():
        return tensor
    small = tensor.to(getattr(torch, dtype))
    if not bool(torch.isfinite(small).all()):
        raise ValueError(f"dtype: a weight of size {tensor.abs().max():.3g} does not fit {dtype}")
    return small


def _versions() -> dict[str, str]:
    import numpy

    import mechlib

    return {
        "mechlib": mechlib.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def _fastest() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _device_kind(device: str) -> str:
    chosen = torch.device(device)
    return torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type
