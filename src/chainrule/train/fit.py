"""fit: a whole training, compiled, resumable, and watched."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..nn.module import Module
from ..optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from ..optim.optimizers import Optimizer
from ..tensors.creation import default_generator
from ..utils.data import DataLoader, TensorDataset
from .checkpoints import read_checkpoint, write_checkpoint
from .divergence import divergence
from .history import History
from .progress import Bar
from .step import Step, accuracy, evaluate

EVERY = 1.0  # seconds between checkpoints


@dataclass
class Event:
    """What a callback is told after every epoch; returning True ends the training."""

    epoch: int
    history: History
    model: Module


def fit(
    model: Module,
    loss: Callable[..., Any],
    data: Any,
    *,
    epochs: int,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    scheduler_every: str = "epoch",
    batch_size: int = 32,
    validate: Any = None,
    metric: str | Callable[[Any, Any], float] | None = None,
    callbacks: Sequence[Callable[[Event], Any]] = (),
    early_stopping: int | None = None,
    clip: float | None = None,
    save: str | Path | None = None,
    save_every: int | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> History:
    """Train a model; forward pass, backward pass and update are compiled into one step.

    Args:
        model: the network; it holds the trained parameters afterwards.
        loss: a loss module, or a function of (output, target).
        data: a `DataLoader`, a data set (then shuffled into batches of `batch_size`), or arrays (inputs..., target).
        epochs: how often to go through the data.
        optimizer: over the model's parameters.
        scheduler: changes the learning rate, after every epoch, or every step with `scheduler_every="step"`.
        validate: data for a loss and metric after every epoch, as for `data`.
        metric: "accuracy", or a function of (output, target) as arrays, averaged over examples.
        callbacks: called with an `Event` after every epoch; one that returns True ends the training.
        early_stopping: after so many epochs without a better validation loss (training loss, if nothing validates) stop, and
            take the best parameters.
        clip: the largest norm of all gradients together.
        save: a directory for checkpoints, written after every epoch, but at most once a second, and at the end.
        save_every: write one after every so many steps too.
        resume: go on from the checkpoint in `save`, if there is one; the end is bit-identical to an uninterrupted training.
        progress: show a progress bar; by default, on a terminal.

    Returns:
        the `History`, with the losses by epoch.

    Raises:
        DivergenceError: the loss is NaN or infinite; the message names step, layer and value. The model then holds the
            parameters before that step, and the last checkpoint is kept.

    >>> import chainrule as cr, numpy as np
    >>> _ = cr.torch.manual_seed(0)
    >>> net = cr.torch.nn.Linear(1, 1)
    >>> x = np.linspace(-1, 1, 64, dtype="f4")[:, None]
    >>> history = fit(net, cr.torch.nn.MSELoss(), (x, 3 * x + 1), epochs=50, optimizer=cr.torch.optim.SGD(net.parameters(), lr=0.1))
    >>> round(net.weight.item(), 2), round(net.bias.item(), 2)
    (3.0, 1.0)
    """
    if scheduler_every not in ("epoch", "step"):
        raise InputError(f"scheduler_every is {scheduler_every!r}", "choose 'epoch' or 'step'")
    if resume and save is None:
        raise InputError("resume needs the directory of the checkpoints", "pass save='run/'")
    measure: Any = accuracy if metric == "accuracy" else metric
    run = _Run(model, loss, _loader(data, batch_size, True), optimizer, scheduler, scheduler_every, measure, clip)
    run.held_out = None if validate is None else _loader(validate, max(batch_size, 256), False)
    run.save, run.save_every, run.patience = save, save_every, early_stopping
    if resume:
        run.restore(read_checkpoint(save))  # type: ignore[arg-type]
    model.train()
    start = run.epoch * len(run.loader) + run.position
    with Bar(epochs, len(run.loader), start, progress) as bar:
        while run.epoch < epochs and not run.history.stopped:
            run.one_epoch(bar)
            run.step.write_back()
            for callback in callbacks:
                if callback(Event(run.epoch, run.history, model)):
                    run.history.stopped = f"stopped by a callback after epoch {run.epoch}"
            if time.monotonic() - run.written >= EVERY or run.epoch == epochs or run.history.stopped:
                run.checkpoint()
    run.finish()
    return run.history


def _loader(data: Any, batch_size: int, shuffle: bool) -> DataLoader:
    if isinstance(data, DataLoader):
        return data
    if isinstance(data, (tuple, list)):
        data = TensorDataset(*data)
    return DataLoader(data, batch_size=batch_size, shuffle=shuffle)


class _Run:
    """Where a training stands."""

    held_out: DataLoader | None
    save: str | Path | None
    save_every: int | None
    patience: int | None

    def __init__(
        self,
        model: Module,
        loss: Callable[..., Any],
        loader: DataLoader,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        scheduler_every: str,
        metric: Callable[[Any, Any], float] | None,
        clip: float | None,
    ) -> None:
        self.model, self.loss, self.loader, self.metric = model, loss, loader, metric
        self.optimizer, self.scheduler, self.every = optimizer, scheduler, scheduler_every
        self.step = Step(model, loss, optimizer, clip)
        self.history = History()
        self.epoch = self.position = 0
        self.losses: list[float] = []
        self.metrics: list[float] = []
        self.order_state: Any = None
        self.best: dict[str, Any] | None = None
        self.best_loss = math.inf
        self.written = time.monotonic()

    @property
    def generator(self) -> Any:
        return self.loader.generator or default_generator

    def one_epoch(self, bar: Bar) -> None:
        """The rest of an epoch, from the position on."""
        began = time.perf_counter()
        if self.position == 0:
            self.order_state = self.generator.get_state()
            order = self.loader.order()
        else:  # in the middle: draw the order again, then go on with the numbers that came after it
            after = self.generator.get_state()
            self.generator.set_state(self.order_state)
            order = self.loader.order()
            self.generator.set_state(after)
        lr = self.optimizer.param_groups[0]["lr"]
        for batch in self.loader.arrays(order[self.position :]):
            value, out = self.step(batch)
            if not math.isfinite(value):  # the step has left the parameters as they were
                error = divergence(
                    self.step, (self.step.params, self.step.rest), batch, self.epoch + 1, self.position + 1
                )
                self.step.write_back()
                raise error
            self.position += 1
            self.losses.append(value)
            if self.metric is not None:
                self.metrics.append(float(self.metric(out, batch[-1])))
            if self.scheduler is not None and self.every == "step":
                self.scheduler.step()
            bar.update(self.epoch + 1, self.position, value, self.metrics[-1] if self.metrics else None, lr)
            if self.save_every and self.position % self.save_every == 0 and self.position < len(self.loader):
                self.checkpoint()
        self._close(lr, time.perf_counter() - began)

    def _close(self, lr: float, seconds: float) -> None:
        """The end of an epoch: what is noted, watched and scheduled."""
        h = self.history
        h.loss.append(float(np.mean(self.losses)))
        if self.metrics:
            h.metric.append(float(np.mean(self.metrics)))
        h.lr.append(lr)
        h.seconds.append(seconds)
        self.losses, self.metrics, self.position = [], [], 0
        self.epoch += 1
        watched = h.loss[-1]
        if self.held_out is not None:
            self.step.write_back()
            batches = self.held_out.arrays(self.held_out.order())
            watched, metric = evaluate(self.model, self.loss, self.metric, batches)
            h.validation_loss.append(watched)
            if metric is not None:
                h.validation_metric.append(metric)
        if self.scheduler is not None and self.every == "epoch":
            if isinstance(self.scheduler, ReduceLROnPlateau):
                self.scheduler.step(watched)
            else:
                self.scheduler.step()
        if watched < self.best_loss:
            self.best_loss, h.best_epoch = watched, self.epoch
            if self.patience is not None:
                self.best = {k: np.array(v) for k, v in (*self.step.params.items(), *self.step.rest.items())}
        if self.patience is not None and self.epoch - h.best_epoch >= self.patience:
            h.stopped = f"stopped early after epoch {self.epoch}: no better loss since epoch {h.best_epoch}"

    def checkpoint(self) -> None:
        """Write everything, if a directory was given."""
        if self.save is None:
            return
        self.written = time.monotonic()
        bad = [k for k, v in self.step.params.items() if not np.all(np.isfinite(v))]
        if bad:
            return  # the next step stops with an error; the last good checkpoint stays
        groups = [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups]
        write_checkpoint(
            self.save,
            {
                "params": self.step.params, "rest": self.step.rest, "moments": self.step.moments, "groups": groups,
                "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
                "random": default_generator.get_state(), "order": self.generator.get_state(),
                "order_state": self.order_state, "epoch": self.epoch, "position": self.position, "losses": self.losses,
                "metrics": self.metrics, "history": self.history.as_dict(), "best": self.best, "best_loss": self.best_loss,
            },
        )  # fmt: skip

    def restore(self, tree: Any) -> None:
        """Go to where a checkpoint was written."""
        if tree is None:
            return
        for name, own in (("params", self.step.params), ("rest", self.step.rest)):
            saved = tree[name]
            if {k: np.shape(v) for k, v in saved.items()} != {k: np.shape(v) for k, v in own.items()}:
                raise InputError(
                    f"the checkpoint in {self.save} is of another network: "
                    f"{', '.join(sorted(set(saved) ^ set(own))[:4]) or 'its shapes differ'}",
                    "build the same network, or choose another directory",
                )
        self.step.params, self.step.rest, self.step.moments = tree["params"], tree["rest"], tree["moments"]
        for g, saved in zip(self.optimizer.param_groups, tree["groups"], strict=True):
            g.update(saved)
        if self.scheduler is not None and tree["scheduler"] is not None:
            self.scheduler.load_state_dict(tree["scheduler"])
        default_generator.set_state(tree["random"])
        self.generator.set_state(tree["order"])
        self.order_state, self.epoch, self.position = tree["order_state"], tree["epoch"], tree["position"]
        self.losses, self.metrics, self.history = tree["losses"], tree["metrics"], History(**tree["history"])
        self.best, self.best_loss = tree["best"], tree["best_loss"]
        self.step.write_back()

    def finish(self) -> None:
        """Leave the model with the parameters to keep."""
        if self.history.stopped.startswith("stopped early") and self.best is not None:
            self.step.params = {k: self.best[k] for k in self.step.params}
            self.step.rest = {k: self.best[k] for k in self.step.rest}
        self.step.write_back()
        self.model.eval()
