"""Training: one loop that remembers its losses, its measures and its snapshots, and can be resumed.

    run = train(model, batch_at, steps=1000, lr=3e-3,
                measures={"held-out": lambda model: model.loss(held_out)}, snapshot_at=[0, 500])
    run.history.values("held-out"), run.snapshots[500]["W_E"]

What happens at a step s = 0, 1, ..., steps - 1:

    measure, snapshot     the weights after s updates
    loss(s)               on batch_at(s), before the update
    update                AdamW, rate lr * schedule(s)

and once more measure and snapshot at s = steps. `batch_at` is a pure function of the step (seed it
with (seed, step)), so nothing random has to be stored: a run that was interrupted and resumed from
its checkpoint ends with the same bits as one that was not.

Checkpoints are safetensors files (weights, optimizer state, snapshots; the rest as JSON in the
header), written beside and moved into place, never pickled.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mechlib.files import content_digest, sealed, write_in_place

# ---------------------------------------------------------------------------------------- history


class History:
    """Numbers over training: for each name, the steps at which it was measured and its values."""

    def __init__(self):
        self._steps: dict[str, list[int]] = {}
        self._values: dict[str, list[float]] = {}

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Append one value per name. Steps must rise: ValueError otherwise."""
        for name, value in numbers.items():
            steps = self._steps.setdefault(name, [])
            if steps and step <= steps[-1]:
                raise ValueError(f"step: {name!r} already has step {steps[-1]}, got {step}")
            steps.append(int(step))
            self._values.setdefault(name, []).append(float(value))

    def names(self) -> list[str]:
        """What was measured, in the order in which it first was."""
        return list(self._steps)

    def steps(self, name: str) -> list[int]:
        """The steps at which `name` was measured. KeyError for a name that never was."""
        return list(self._steps[self._known(name)])

    def values(self, name: str) -> list[float]:
        """The values of `name`, one for each of `steps(name)`."""
        return list(self._values[self._known(name)])

    def at(self, name: str, step: int) -> float:
        """The value of `name` at exactly this step. KeyError when it was not measured there."""
        steps = self._steps[self._known(name)]
        if step not in steps:
            raise KeyError(f"step: {name!r} was not measured at {step}; it was at {steps[:8]}...")
        return self._values[name][steps.index(step)]

    def last(self, name: str) -> float:
        """The last value of `name`."""
        return self._values[self._known(name)][-1]

    def thinned(self, name: str, most: int) -> "History":
        """A copy in which `name` has at most `most` points, each the mean of a window of values,
        placed at the window's middle step. The other names are untouched."""
        steps, values = self.steps(name), self.values(name)
        width = math.ceil(len(steps) / most)
        thin = History.from_dict(self.to_dict())
        if width > 1:
            windows = [slice(i, i + width) for i in range(0, len(steps), width)]
            thin._steps[name] = [steps[w][len(steps[w]) // 2] for w in windows]
            thin._values[name] = [sum(values[w]) / len(values[w]) for w in windows]
        return thin

    def to_dict(self, digits: int | None = None) -> dict:
        """Plain lists for JSON; `digits` rounds the values to so many significant digits."""
        return {
            name: {"steps": _pack(steps), "values": [_rounded(x, digits) for x in values]}
            for (name, steps), values in zip(self._steps.items(), self._values.values())
        }

    @classmethod
    def from_dict(cls, stored: Mapping) -> "History":
        """The inverse of `to_dict`."""
        history = cls()
        for name, both in stored.items():
            history._steps[name] = _unpack(both["steps"])
            history._values[name] = [float(x) for x in both["values"]]
            if len(history._steps[name]) != len(history._values[name]):
                raise ValueError(f"stored: {name!r} has not as many steps as values")
        return history

    def _known(self, name: str) -> str:
        if name not in self._steps:
            raise KeyError(f"name: got {name!r}, measured were {', '.join(self._steps) or 'none'}")
        return name

    def __repr__(self) -> str:
        return f"History({', '.join(f'{n}: {len(s)}' for n, s in self._steps.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.to_dict() == other.to_dict()


def _pack(steps: list[int]) -> dict | list[int]:
    """Evenly spaced steps, the usual case, as {"from", "to", "by"}."""
    if len(steps) > 2 and len({b - a for a, b in pairwise(steps)}) == 1:
        return {"from": steps[0], "to": steps[-1], "by": steps[1] - steps[0]}
    return list(steps)


def _unpack(packed: Mapping | list) -> list[int]:
    if isinstance(packed, Mapping):
        return list(range(packed["from"], packed["to"] + 1, packed["by"]))
    return [int(step) for step in packed]


def _rounded(x: float, digits: int | None) -> float | str:
    if not math.isfinite(x):
        return str(x)  # JSON has no infinity; float() reads the word
    return x if digits is None else float(f"{x:.{digits}g}")


@dataclass
class Run:
    """What training gives: the model, its history, and {step: state_dict} on the CPU, in order."""

    model: nn.Module
    history: History
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)


# --------------------------------------------------------------------------------------- the loop


def next_token_loss(model: nn.Module, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, ""]:
    """Mean cross-entropy of each next token, in nats: the model reads tokens[:, :-1]."""
    logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def rate(step: int, steps: int, warmup: int, schedule: str | Callable[[int], float]) -> float:
    """The factor on the learning rate: a linear warm-up, then constant, or a half cosine to 0. A
    schedule of your own is multiplied by the warm-up."""
    warm = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if callable(schedule):
        return warm * schedule(step)
    if step < warmup:
        return warm
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
    return 1.0


def warm_up_and_fall(step: int, steps: int, warmup: int, fall_from: int) -> float:
    """A factor for `train`'s schedule: a linear warm-up, constant, and from the step `fall_from`
    linearly down, to a tenth at the least."""
    left = (steps - step) / (steps - fall_from)
    return min(1.0, (step + 1) / warmup, max(0.1, left))


def train(
    model: nn.Module,
    batch_at: Callable[[int], Any],
    *,
    steps: int,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.98),
    warmup: int = 0,
    schedule: str | Callable[[int], float] = "constant",
    loss_fn: Callable[[nn.Module, Any], Tensor] = next_token_loss,
    measures: Mapping[str, Callable[[nn.Module], Any]] | None = None,
    measure_every: int | Iterable[int] = 100,
    snapshot_at: Iterable[int] = (),
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
    device: str | torch.device | None = None,
    autocast: bool = False,
    progress: bool = True,
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None,
    after_backward: Callable[[nn.Module, int], None] | None = None,
) -> Run:
    """Train `model` in place and return it with its history and snapshots.

    Args:
        batch_at: step -> what `loss_fn` takes (by default tokens, batch x (context + 1)). A pure
            function of the step: call it twice with one step and it gives the same batch.
        steps: number of updates.
        lr, weight_decay, betas: AdamW's. weight_decay is decoupled and acts on every parameter.
        warmup, schedule: see `rate`; a schedule of your own is a function step -> factor.
        loss_fn: (model, batch) -> scalar. Whatever it draws at random must come from the batch.
        measures: name -> function of the model, called without gradients and in eval mode. A
            function that returns a dict is recorded as "name/key" for each key. The model is then
            on `device`: move what you feed it to `next(model.parameters()).device`.
        measure_every: every so many steps, or the steps themselves; 0 and `steps` always count.
        snapshot_at: steps whose weights are kept (s means: after s updates).
        checkpoint: file from which an interrupted run goes on; written every `checkpoint_every`
            steps and at the end.
        device: where to train, "cuda" say; unless told, where the model is, so that a loss or a
            measure that holds tensors of its own finds them there. The model comes back.
        autocast: bfloat16 where torch holds it to be safe; weights and optimizer stay as they are.
        optimizer: parameters -> optimizer, instead of AdamW. `lr` and the schedule then multiply
            nothing: the factor scales whatever rates the optimizer came with.
        after_backward: (model, step) between backward and update, to read or change `.grad`. If it
            keeps tensors, give it `state_dict` and `load_state_dict`, or resuming loses them.

    Raises:
        ValueError: bad arguments, or a checkpoint that is damaged or belongs to another run.
        FloatingPointError: the loss or a weight is not finite; names the step. The last checkpoint
            stays.
    """
    measures = dict(measures or {})
    snapshot_steps = _check_arguments(steps, warmup, schedule, checkpoint_every, snapshot_at)
    measure_steps = _measure_steps(measure_every, steps)
    home = next(model.parameters()).device
    device = torch.device(device or home)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: got 'cuda', but torch finds no GPU here; accepted: 'cpu'")

    identity = None
    if checkpoint is not None:  # before anything moves: what this run is, to tell it from others
        checkpoint = Path(checkpoint)
        identity = {
            "model": type(model).__name__,
            "config": _config_of(model),
            "initial weights": tensors_digest(model.state_dict()),
            "first batch": _batch_digest(batch_at(0)),
            "steps": steps,
            "lr": lr,
            "weight_decay": weight_decay,
            "betas": list(betas),
            "warmup": warmup,
            "schedule": schedule if isinstance(schedule, str) else _factors(schedule, steps),
            "measures": sorted(measures),
            "measure steps": _pack(sorted(measure_steps)),
            "snapshot steps": sorted(snapshot_steps),
            "autocast": autocast,
        }

    model.to(device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if optimizer is None:
        fused = device.type in ("cpu", "cuda")
        opt = torch.optim.AdamW(
            parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=fused
        )
    else:
        opt = optimizer(parameters)
    base_rates = [group["lr"] for group in opt.param_groups]
    half = torch.autocast(device.type, torch.bfloat16) if autocast else nullcontext()
    if identity is not None:  # functions are known by what they do
        with torch.no_grad(), half:
            first = float(loss_fn(model, _to(batch_at(0), device)))
        identity |= {"optimizer": _kind_of(opt), "first loss": first}
    run = Run(model, History())
    start = 0
    if checkpoint is not None and checkpoint.exists():
        start = _resume(checkpoint, identity, run, opt, after_backward)

    was_training = model.training
    model.train()
    losses = _Losses(run.history, start, steps, lr, checkpoint, progress)
    try:
        for step in range(start, steps + 1):
            resumed_here = step == start and start > 0  # this step's measures are in the checkpoint
            if step in measure_steps and not resumed_here:
                losses.flush()
                run.history.record(step, _measure(model, measures))
            if step in snapshot_steps and not resumed_here:
                run.snapshots[step] = _copy_to_cpu(model.state_dict())
            if step > start and (step == steps or step % checkpoint_every == 0):
                losses.flush()
                _check_finite(model, step, lr, checkpoint)
                if checkpoint is not None:
                    _save(checkpoint, identity, step, run, opt, after_backward)
            if step == steps:
                break

            with half:
                loss = loss_fn(model, _to(batch_at(step), device))
            if loss.ndim:
                raise ValueError(f"loss_fn: must give a scalar, got shape {tuple(loss.shape)}")
            opt.zero_grad(set_to_none=True)
            loss.backward()
            if after_backward is not None:
                after_backward(model, step)
            for group, base in zip(opt.param_groups, base_rates):
                group["lr"] = base * rate(step, steps, warmup, schedule)
            opt.step()
            losses.add(loss.detach())
    finally:
        losses.close()
        model.train(was_training)
        model.to(home)
    return run


def _check_finite(model: nn.Module, step: int, lr: float, checkpoint: Path | None) -> None:
    """A finite loss can have a gradient that is not, and the weights then wait for the next loss to
    show it: they must not get into a checkpoint."""
    for name, p in model.named_parameters():
        if not bool(torch.isfinite(p).all()):
            raise FloatingPointError(
                f"{name} is not finite after step {step} (learning rate {lr:g})"
                + _what_is_kept(checkpoint)
            )


def _what_is_kept(checkpoint: Path | None) -> str:
    kept = checkpoint is not None and checkpoint.exists()
    return f"; {checkpoint} keeps the last good weights" if kept else ""


class _Losses:
    """Losses on their way to the history. Reading a number from a GPU makes it wait, so they are
    kept as tensors and read together, a few times a second; the progress bar shows the last."""

    def __init__(self, history, start, steps, lr, checkpoint, progress):
        self.history, self.step, self.waiting = history, start, []
        self.lr, self.checkpoint, self.time = lr, checkpoint, time.monotonic()
        self.bar = None
        if progress:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=steps, initial=start, unit="step", dynamic_ncols=True)

    def add(self, loss: Tensor) -> None:
        self.waiting.append(loss)
        if len(self.waiting) >= 100 or time.monotonic() - self.time > 0.5:
            self.flush()

    def flush(self) -> None:
        self.time = time.monotonic()
        if not self.waiting:
            return
        values = torch.stack(self.waiting).tolist()
        self.waiting = []
        for value in values:
            if not math.isfinite(value):
                raise FloatingPointError(self._diverged(value))
            self.history.record(self.step, {"loss": value})
            self.step += 1
        if self.bar is not None:
            self.bar.update(len(values))
            self.bar.set_postfix_str(f"loss {values[-1]:.4f}")

    def _diverged(self, value: float) -> str:
        kept = _what_is_kept(self.checkpoint)
        return f"loss is {value} at step {self.step} (learning rate {self.lr:g}){kept}"

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _check_arguments(steps, warmup, schedule, checkpoint_every, snapshot_at) -> set[int]:
    if steps < 1:
        raise ValueError(f"steps: needs at least 1, got {steps}")
    if warmup < 0:
        raise ValueError(f"warmup: needs a number of steps, got {warmup}")
    if not callable(schedule) and schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule: got {schedule!r}, accepted: 'constant', 'cosine', a function")
    if checkpoint_every < 1:
        raise ValueError(f"checkpoint_every: needs at least 1, got {checkpoint_every}")
    snapshot_steps = {int(step) for step in snapshot_at}
    outside = sorted(step for step in snapshot_steps if not 0 <= step <= steps)
    if outside:
        raise ValueError(f"snapshot_at: steps run from 0 to {steps}, got {outside}")
    return snapshot_steps


def _measure_steps(measure_every: int | Iterable[int], steps: int) -> set[int]:
    if isinstance(measure_every, int):
        if measure_every < 1:
            raise ValueError(f"measure_every: needs at least 1, got {measure_every}")
        return {*range(0, steps, measure_every), steps}
    return {0, steps, *(int(step) for step in measure_every if 0 <= step <= steps)}


@torch.no_grad()
def _measure(model: nn.Module, measures: Mapping[str, Callable]) -> dict[str, float]:
    model.eval()
    numbers = {}
    for name, measure in measures.items():
        result = measure(model)
        if isinstance(result, Mapping):
            numbers |= {f"{name}/{key}": float(value) for key, value in result.items()}
        else:
            numbers[name] = float(result)
    model.train()
    return numbers


def _to(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch (a tensor, or a tuple, list or dict of batches)."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, (tuple, list)):
        return type(batch)(_to(each, device) for each in batch)
    if isinstance(batch, dict):
        return {key: _to(each, device) for key, each in batch.items()}
    return batch


def _copy_to_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in state.items()}


# ------------------------------------------------------------------------------------ checkpoints


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        t = tensors[name].detach().to("cpu").contiguous()
        digest.update(f"{name} {t.dtype} {tuple(t.shape)}\n".encode())
        digest.update(t.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _batch_digest(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return tensors_digest({"": batch})
    if isinstance(batch, dict):
        batch = [batch[key] for key in sorted(batch)]
    if isinstance(batch, (tuple, list)):
        return hashlib.sha256("".join(map(_batch_digest, batch)).encode()).hexdigest()
    return repr(batch) if isinstance(batch, (int, float, str, type(None))) else ""


def _factors(schedule: Callable[[int], float], steps: int) -> str:
    """A schedule of one's own, as the digest of all its factors."""
    return "a function, " + content_digest([float(schedule(step)) for step in range(steps)])[:12]


def _kind_of(opt: torch.optim.Optimizer) -> list:
    """An optimizer by its class and settings, without the rates' current factor."""
    settings = [
        {k: repr(v) for k, v in sorted(group.items()) if k != "params"}
        for group in opt.param_groups
    ]
    return [type(opt).__name__, settings]


def _config_of(model: nn.Module) -> Any:
    config = getattr(model, "config", None)
    return config.to_dict() if hasattr(config, "to_dict") else None


def _save(path, identity, step, run, opt, after_backward) -> None:
    from safetensors.torch import save_file

    state = opt.state_dict()
    tensors = {f"weights/{k}": v for k, v in run.model.state_dict().items()}
    numbers: dict[str, dict] = {}  # the optimizer's entries that are not tensors
    for i, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{i}/{key}"] = value
            else:
                numbers.setdefault(str(i), {})[key] = value
    for at, weights in run.snapshots.items():
        tensors |= {f"snapshot/{at}/{k}": v for k, v in weights.items()}
    if hasattr(after_backward, "state_dict"):
        tensors |= {f"hook/{k}": v for k, v in after_backward.state_dict().items()}
    tensors = _copy_to_cpu(tensors)
    header = {
        "identity": identity,
        "step": step,
        "history": run.history.to_dict(),
        "optimizer numbers": numbers,
        "optimizer groups": [
            {k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]
        ],
        "tensors": tensors_digest(tensors),
    }
    header = sealed(json.loads(json.dumps(header)))
    metadata = {"checkpoint": json.dumps(header)}
    write_in_place(path, lambda beside: save_file(tensors, beside, metadata))


def _resume(path, identity, run, opt, after_backward) -> int:
    """Put a checkpoint's state into `run`, `opt` and the hook; returns the step to go on from."""
    header, tensors = _read(path)
    identity = json.loads(json.dumps(identity))  # tuples become lists, as they did in the file
    for key, mine in identity.items():
        theirs = header["identity"].get(key)
        if key == "first loss" and theirs is not None:
            same = math.isclose(theirs, mine, rel_tol=1e-3)  # another processor rounds otherwise
        else:
            same = theirs == mine
        if not same:
            raise ValueError(
                f"checkpoint: {path} belongs to another run: its {key} is {_short(theirs)}, "
                f"here it is {_short(mine)}. Delete the file to start anew."
            )
    parts: dict[str, dict[str, Tensor]] = {
        name: {} for name in ("weights", "optimizer", "snapshot", "hook")
    }
    for key, tensor in tensors.items():
        part, rest = key.split("/", 1)
        parts[part][rest] = tensor
    run.model.load_state_dict(parts["weights"])
    run.history = History.from_dict(header["history"])
    for key, tensor in parts["snapshot"].items():
        at, name = key.split("/", 1)
        run.snapshots.setdefault(int(at), {})[name] = tensor
    run.snapshots = dict(sorted(run.snapshots.items()))

    state = opt.state_dict()  # a fresh one: its groups know which parameter is which
    entries: dict[int, dict] = {int(i): dict(v) for i, v in header["optimizer numbers"].items()}
    for key, tensor in parts["optimizer"].items():
        i, name = key.split("/", 1)
        entries.setdefault(int(i), {})[name] = tensor
    for group, stored in zip(state["param_groups"], header["optimizer groups"]):
        group.update({k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()})
    opt.load_state_dict({"state": entries, "param_groups": state["param_groups"]})
    if hasattr(after_backward, "load_state_dict"):
        after_backward.load_state_dict(parts["hook"])
    return header["step"]


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["checkpoint"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        intact = sealed(header)["digest"] == header["digest"]
        intact = intact and tensors_digest(tensors) == header["tensors"]
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"checkpoint: {path} cannot be read ({error}). Delete it to start anew."
        ) from error
    if not intact:
        raise ValueError(f"checkpoint: {path} was altered: its digest is not the stored one")
    return header, tensors


def _short(x: Any) -> str:
    text = str(x)
    return text if len(text) <= 60 else text[:57] + "..."
