"""Trainings that are ready to run: the command line, the tour and the book use them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import chainrule.nn as nn  # the package itself shows neither
import chainrule.optim as optim

from ..errors import InputError
from ..optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR
from ..optim.optimizers import Optimizer
from ..tensors.creation import manual_seed
from ..utils.data import TensorDataset
from .fit import fit
from .history import History


@dataclass
class Task:
    """A network, a loss, data, and how to train it.

    `optimizer` makes one for parameters; `scheduler` one for an optimizer and the number of steps that will be taken.
    """

    model: nn.Module
    loss: Callable[..., Any]
    data: TensorDataset
    epochs: int
    batch_size: int
    optimizer: Callable[[Any], Optimizer]
    scheduler: Callable[[Optimizer, int], LRScheduler] | None = None
    validate: TensorDataset | None = None
    metric: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, **options: Any) -> History:
        """Train; options as for `fit`."""
        opt = self.optimizer(self.model.parameters())
        given: dict[str, Any] = {
            "epochs": self.epochs, "batch_size": self.batch_size, "validate": self.validate, "metric": self.metric,
            **self.options, **options,
        }  # fmt: skip
        if self.scheduler is not None and "scheduler" not in given:
            steps = given["epochs"] * -(-len(self.data) // given["batch_size"])
            given["scheduler"] = self.scheduler(opt, steps)
        return fit(self.model, self.loss, self.data, optimizer=opt, **given)


def xor() -> Task:
    """XOR with a hidden layer of eight tanh units (A5, A6)."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([[0], [1], [1], [0]], np.float32)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    data = TensorDataset(x, y)
    return Task(
        model, nn.BCEWithLogitsLoss(), data, 500, 4, lambda p: optim.Adam(p, lr=0.05), validate=data, metric="accuracy"
    )


def _figure(seed: int, binary: bool) -> Task:
    numbers = np.random.default_rng(seed)
    x = numbers.standard_normal((100, 10)).astype(np.float32)
    y = numbers.standard_normal((100, 5)).astype(np.float32)
    if binary:
        y = (y > 0).astype(np.float32)
    model = nn.Sequential(nn.Linear(10, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 5))
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    return Task(
        model,
        nn.BCEWithLogitsLoss() if binary else nn.MSELoss(),
        TensorDataset(x, y),
        100,
        10,
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda opt, steps: StepLR(opt, step_size=10, gamma=0.5),
        metric="accuracy" if binary else None,
    )


def digits_data() -> tuple[TensorDataset, TensorDataset]:
    """Handwritten digits (8 x 8, from scikit-learn): 1,437 to train with, 360 held out, the same for everybody."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(
            "the handwritten digits come with scikit-learn, which is not installed",
            "pip install 'chainrule[digits]'",
            where="",
        ) from None
    found: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x, y = (found.images[order] / 16).astype(np.float32)[:, None], found.target[order].astype(np.int64)
    return TensorDataset(x[360:], y[360:]), TensorDataset(x[:360], y[:360])


def _digits(model: nn.Module, epochs: int, lr: float) -> Task:
    train, held_out = digits_data()
    return Task(
        model,
        nn.CrossEntropyLoss(),
        train,
        epochs,
        32,
        lambda p: optim.AdamW(p, lr=lr),
        lambda opt, steps: OneCycleLR(opt, max_lr=opt.param_groups[0]["lr"], total_steps=steps + 1),
        held_out,
        "accuracy",
        {"scheduler_every": "step"},
    )


def digits() -> Task:
    """Handwritten digits, two hidden layers."""
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    return _digits(model, 30, 4e-3)


def digits_cnn() -> Task:
    """Handwritten digits, a small convolutional network."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    return _digits(model, 15, 8e-3)


def moons_data(count: int = 400, noise: float = 0.15, seed: int = 0) -> TensorDataset:
    """Two half circles that reach into each other."""
    numbers = np.random.default_rng(seed)
    t = numbers.uniform(0, np.pi, count)
    y = np.arange(count) % 2
    x = np.stack([np.where(y, 1 - np.cos(t), np.cos(t)), np.where(y, 0.5 - np.sin(t), np.sin(t))], 1)
    x += noise * numbers.standard_normal(x.shape)
    return TensorDataset(x.astype(np.float32), y[:, None].astype(np.float32))


def moons() -> Task:
    """The two moons."""
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    return Task(
        model,
        nn.BCEWithLogitsLoss(),
        moons_data(),
        100,
        32,
        lambda p: optim.Adam(p, lr=0.01),
        validate=moons_data(seed=1),
        metric="accuracy",
    )


TASKS: dict[str, Callable[[int], Task]] = {
    "xor": lambda seed: xor(),
    "figure7.8": lambda seed: _figure(seed, False),
    "figure7.8-binary": lambda seed: _figure(seed, True),
    "digits": lambda seed: digits(),
    "digits-cnn": lambda seed: digits_cnn(),
    "moons": lambda seed: moons(),
}


def task(name: str, seed: int = 0) -> Task:
    """The training of that name, its random numbers begun with `seed`.

    Args:
        name: one of `TASKS`.
        seed: of weights, data and batches.

    Raises:
        InputError: there is no training of that name.
    """
    if name not in TASKS:
        raise InputError(f"there is no training {name!r}", f"choose one of {', '.join(TASKS)}", where="")
    manual_seed(seed)
    return TASKS[name](seed)
