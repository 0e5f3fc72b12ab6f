"""Training on the command line: what `train`, `predict` and `inspect` read and call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

import chainrule.nn as nn  # the package itself shows neither
import chainrule.optim as optim

from ..errors import InputError
from ..tensors.creation import manual_seed
from ..train import TASKS, History, Task, task
from ..train.checkpoints import locked
from ..utils.data import TensorDataset, read_csv, read_numpy
from .inputs import function_from

SETTINGS = "task.json"
LOSSES: dict[str, Callable[[], Any]] = {
    "mse": nn.MSELoss, "l1": nn.L1Loss, "huber": nn.HuberLoss, "bce": nn.BCEWithLogitsLoss, "cross-entropy": nn.CrossEntropyLoss,
}  # fmt: skip
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9),
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}


def read_data(path: str | Path, target: str | None) -> TensorDataset:
    """The examples of a .csv, .npy or .npz file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}", where="")
    if path.suffix in (".npy", ".npz"):
        return read_numpy(path)
    column: Any = int(target) if target is not None and target.lstrip("-").isdigit() else target
    return read_csv(path, column)


def chosen(table: dict[str, Any], name: str, what: str) -> Any:
    """The entry of a table, or an error that lists them."""
    if name not in table:
        raise InputError(f"there is no {what} {name!r}", f"choose one of {', '.join(table)}", where="")
    return table[name]


FOR_MODELS = {
    "data": "--data",
    "column": "--column",
    "validate": "--validate",
    "loss": "--loss",
    "optimizer": "--optimizer",
}


def _refuse_ignored(target: str, settings: dict[str, Any]) -> None:
    """A training that is ready to run has its own data, loss and optimizer."""
    given = [option for k, option in FOR_MODELS.items() if settings.get(k) is not None]
    if given:
        raise InputError(
            f"{target} has its own data, loss and optimizer: {', '.join(given)} would be ignored",
            "leave it out, or train a module of your own: FILE.py:MODEL",
            where="",
        )


def build(settings: dict[str, Any]) -> Task:
    """The training that the settings describe."""
    target, seed = settings["target"], settings["seed"]
    if settings.get("lr") is not None and not 0 < settings["lr"] < float("inf"):
        raise InputError(
            f"the learning rate is {settings['lr']}", "give a positive number, such as --lr 0.01", where=""
        )
    if ".py" not in target:
        made = task(target, seed)
        _refuse_ignored(target, settings)
    else:
        manual_seed(seed)
        found: Any = function_from(target)
        found = found if isinstance(found, nn.Module) else found()
        if isinstance(found, Task):
            made = found
            _refuse_ignored(target, settings)
        elif isinstance(found, nn.Module):
            made = _task(found, settings)
        else:
            raise InputError(f"{target} gives {type(found).__name__}, not a module or a Task", where="")
    for name in ("epochs", "batch_size"):
        if settings.get(name):
            setattr(made, name, settings[name])
    if settings.get("lr"):
        rate, plain = settings["lr"], made.optimizer
        made.optimizer = lambda p: _with_rate(plain(p), rate)
    return made


def _with_rate(optimizer: Any, lr: float) -> Any:
    for g in optimizer.param_groups:
        g["lr"] = lr
    return optimizer


def _task(model: nn.Module, settings: dict[str, Any]) -> Task:
    if not settings.get("data"):
        raise InputError("a model from a file needs data", "give --data train.csv --column y", where="")
    data = read_data(settings["data"], settings.get("column") or "-1")
    if len(data.arrays) < 2:
        raise InputError(f"{settings['data']} holds one array; training needs inputs and targets", where="")
    name = settings.get("loss") or ("cross-entropy" if data.arrays[-1].dtype.kind in "iu" else "mse")
    loss = chosen(LOSSES, name, "loss")()
    validate = read_data(settings["validate"], settings.get("column") or "-1") if settings.get("validate") else None
    if validate is not None and [a.shape[1:] for a in validate.arrays] != [a.shape[1:] for a in data.arrays]:
        raise InputError(
            f"examples of {settings['validate']} have shapes {[a.shape[1:] for a in validate.arrays]}, those of "
            f"{settings['data']} {[a.shape[1:] for a in data.arrays]}",
            "give held-out examples of the same columns",
            where="",
        )
    if name != "cross-entropy":
        out = np.shape(nn.functional_call(model, {}, (data.arrays[0][:2],)).detach())
        data = _as_the_output(data, out)
        validate = None if validate is None else _as_the_output(validate, out)
    make = chosen(OPTIMIZERS, settings.get("optimizer") or "adam", "optimizer")
    return Task(
        model,
        loss,
        data,
        settings.get("epochs") or 50,
        settings.get("batch_size") or 32,
        lambda p: make(p, lr=settings.get("lr") or 1e-3),
        validate=validate,
        metric="accuracy" if name in ("cross-entropy", "bce") else None,
    )


def _as_the_output(data: TensorDataset, out: tuple[int, ...]) -> TensorDataset:
    """The data with targets as floats, in the shape of the output: a column, where the model gives one."""
    y = data.arrays[-1].astype(np.float32)
    return TensorDataset(*data.arrays[:-1], y[..., None] if len(out) == y.ndim + 1 and out[-1] == 1 else y)


def write_settings(directory: Path, settings: dict[str, Any]) -> None:
    """Keep what a run directory was trained with."""
    from ..nn.saving import write_atomically

    write_atomically(directory / SETTINGS, json.dumps(settings, indent=2).encode())


def read_settings(directory: Path) -> dict[str, Any]:
    """What a run directory was trained with."""
    path = directory / SETTINGS
    if not path.is_file():
        raise InputError(f"{directory} is not the directory of a training: it has no {SETTINGS}", where="")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}", where="") from None


def trained(directory: Path) -> tuple[Task, History]:
    """The task of a run directory, with its trained parameters, and its history."""
    from ..train import read_checkpoint

    made = build(read_settings(directory))
    tree = read_checkpoint(directory)
    if tree is None:
        raise InputError(f"{directory} holds no checkpoint yet", "train first", where="")
    early = tree["history"]["stopped"].startswith("stopped early") and tree["best"]
    values = tree["best"] if early else tree["tensors"]
    made.model.load_state_dict(values, strict=False)
    made.model.eval()
    return made, History(**tree["history"])


def run(
    settings: dict[str, Any], save: Path | None, resume: bool | Literal["changed"], patience: int | None
) -> tuple[Task, History]:
    """Train as the settings say."""
    made = build(settings)
    if save is not None and not resume:
        with locked(save):
            if (save / "checkpoint.json").exists():
                raise InputError(
                    f"{save} holds a training already",
                    f"go on with --resume {save}, or choose another directory",
                    where="",
                )
            write_settings(save, settings)
    return made, made.run(save=save, resume=resume, early_stopping=patience)


def names() -> str:
    """The trainings that are ready to run."""
    return ", ".join(TASKS)
