"""fit: a whole training, compiled, resumable, and watched."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from ..nn.module import Module
from ..optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from ..optim.optimizers import Optimizer
from ..tensors.creation import Generator as Numbers
from ..tensors.creation import default_generator
from ..utils.data import DataLoader, Subset, TensorDataset
from .checkpoints import NAME, locked, read_checkpoint, write_checkpoint
from .divergence import divergence
from .forward import evaluate
from .history import History
from .progress import Bar
from .step import Step, accuracy

EVERY = 1.0  # seconds between checkpoints


@dataclass
class Event:
    """What a callback is told after every epoch; returning True ends the training.

    Attributes:
        epoch: counted from 1.
        history: of all epochs so far.
        model: as the epoch left it.
    """

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
    resume: bool | Literal["changed"] = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> History:
    """Train a model; forward pass, backward pass and update are compiled into one step, which does what the eager step does.

    Between two epochs, and in the forward pass, everything may change: attributes, parameters, settings of the optimizer, what
    is frozen. The next step sees it. A step that cannot be compiled runs uncompiled; `history.notes` says why.

    Args:
        model: the network; it holds the parameters of the last complete step at every moment, also after an error or Ctrl-C.
        loss: a loss module, or a function of (output, target), the mean over the batch.
        data: a `DataLoader`, a data set (then shuffled into batches of `batch_size`), or arrays (inputs..., target).
        epochs: how often to go through the data.
        optimizer: over the model's parameters.
        scheduler: changes the learning rate, as often as `scheduler_every` says.
        scheduler_every: "epoch" or "step".
        batch_size: examples in a batch; the last may have fewer.
        validate: data for a loss and metric after every epoch, as for `data`; or the share of `data` that is held out for it,
            such as 0.2 (always the same examples).
        metric: "accuracy", or a function of (output, target) as arrays, averaged over examples.
        callbacks: called with an `Event` after every epoch; one that returns True ends the training.
        early_stopping: after so many epochs without a better validation loss (training loss, if nothing validates) stop, and
            take the best parameters.
        clip: the largest norm of all gradients together.
        save: a directory for checkpoints, written after every epoch, but at most once a second, and at the end.
        save_every: write one after every so many steps too.
        resume: go on from the checkpoint in `save`, if there is one; the end is bit-identical to an uninterrupted training.
            With other data, batch size, optimizer, settings, model or loss than it was begun with, it is refused, unless
            resume is "changed".
        overwrite: begin anew in a directory that holds a training.
        progress: show a progress bar; by default, on a terminal.

    Returns:
        the `History`, with the losses by epoch.

    Raises:
        DivergenceError: the loss or a gradient is NaN or infinite; the message names epoch, batch, and layer or parameter. That
            step is not applied, and the last checkpoint is kept.

    >>> import chainrule as cr, numpy as np
    >>> _ = cr.torch.manual_seed(0)
    >>> net = cr.torch.nn.Linear(1, 1)
    >>> x = np.linspace(-1, 1, 64, dtype="f4")[:, None]
    >>> history = fit(net, cr.torch.nn.MSELoss(), (x, 3 * x + 1), epochs=50, optimizer=cr.torch.optim.SGD(net.parameters(), lr=0.1))
    >>> round(net.weight.item(), 2), round(net.bias.item(), 2)
    (3.0, 1.0)
    """
    _check_options(epochs, batch_size, scheduler_every, early_stopping, clip, save, save_every, resume, overwrite)
    measure: Any = accuracy if metric == "accuracy" else metric
    if isinstance(measure, str):
        raise InputError(f"there is no metric {metric!r}", "pass 'accuracy', or a function of (output, target)")
    data, held_out = _held_out(data, validate)
    run = _Run(model, loss, _loader(data, batch_size, True), optimizer, scheduler, scheduler_every, measure, clip)
    run.held_out = None if held_out is None else _loader(held_out, max(batch_size, 256), False)
    run.save, run.save_every, run.patience = save, save_every, early_stopping
    with contextlib.ExitStack() as stack:
        if save is not None:
            run.begun_with = run.description()
            stack.enter_context(locked(save))
            if not (resume or overwrite) and (Path(save) / NAME).exists():
                raise InputError(
                    f"{save} holds a training already",
                    "go on with resume=True, begin anew with overwrite=True, or choose another directory",
                )
        if resume:
            run.restore(read_checkpoint(save), resume == "changed")  # type: ignore[arg-type]
        stack.enter_context(_training(model))
        start = run.epoch * len(run.loader) + run.position
        bar = stack.enter_context(Bar(epochs, len(run.loader), start, progress))
        while run.epoch < epochs and not run.history.stopped:
            run.one_epoch(bar)
            for callback in callbacks:
                if callback(Event(run.epoch, run.history, model)):
                    run.history.stopped = f"stopped by a callback after epoch {run.epoch}"
            if time.monotonic() - run.written >= EVERY or run.epoch == epochs or run.history.stopped:
                run.checkpoint()
        run.finish()
    return run.history


def _check_options(
    epochs: Any, batch_size: Any, scheduler_every: str, patience: Any, clip: Any, save: Any, save_every: Any, resume: Any,
    overwrite: bool,
) -> None:  # fmt: skip
    for name, value, least in (
        ("epochs", epochs, 0), ("batch_size", batch_size, 1), ("early_stopping", patience, 1), ("save_every", save_every, 1),
    ):  # fmt: skip
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least):
            raise InputError(f"{name} is {value!r}", f"give a whole number, at least {least}")
    if clip is not None and not clip > 0:
        raise InputError(f"clip is {clip!r}", "give the largest norm of the gradients, a positive number")
    if scheduler_every not in ("epoch", "step"):
        raise InputError(f"scheduler_every is {scheduler_every!r}", "choose 'epoch' or 'step'")
    if resume not in (False, True, "changed"):
        raise InputError(f"resume is {resume!r}", "choose True, False or 'changed'")
    if (resume or overwrite) and save is None:
        raise InputError("resume and overwrite need the directory of the checkpoints", "pass save='run/'")
    if resume and overwrite:
        raise InputError("resume goes on with what overwrite would delete", "choose one of them")


@contextlib.contextmanager
def _training(model: Module) -> Generator[None]:
    """The model in training mode, if it is not; afterwards every module is in the mode that it was in."""
    before = [(m, m.training) for m in model.modules()]
    if not model.training:
        model.train()
    try:
        yield
    finally:
        for m, mode in before:
            m.training = mode


def _held_out(data: Any, validate: Any) -> tuple[Any, Any]:
    """The data to train with, and what is held out of it, where `validate` is a share."""
    if not isinstance(validate, (int, float)) or isinstance(validate, bool):
        return data, validate
    if not 0 < validate < 1:
        raise InputError(f"validate is {validate}", "give data, or a share of the data between 0 and 1, such as 0.2")
    if isinstance(data, DataLoader):
        raise InputError("a share of a DataLoader cannot be held out", "pass the data set, or data for validate")
    whole = _dataset(data)
    order = np.random.default_rng(0).permutation(len(whole))
    count = round(len(whole) * validate)
    if not 0 < count < len(whole):
        raise InputError(f"validate={validate} of {len(whole)} examples leaves one of the two parts empty")
    return Subset(whole, order[count:]), Subset(whole, order[:count])


def _dataset(data: Any) -> Any:
    return TensorDataset(*data) if isinstance(data, (tuple, list)) else data


def _loader(data: Any, batch_size: int, shuffle: bool) -> DataLoader:
    if isinstance(data, DataLoader):
        loader = data
    else:
        loader = DataLoader(_dataset(data), batch_size=batch_size, shuffle=shuffle)
    if not len(loader):
        raise InputError(
            f"an epoch has no batches: {len(loader.dataset)} examples, batches of {loader.batch_size}, and drop_last",
            "give a smaller batch_size, or drop_last=False",
        )
    return loader


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
        self.clip = clip
        self.history = History()
        self.epoch = self.position = self.examples = 0
        self.losses = self.metrics = 0.0  # sums over the examples of this epoch
        self.order_state: Any = None
        self.best: dict[str, Any] | None = None
        self.best_loss = math.inf
        self.written = time.monotonic()
        self.begun_with: dict[str, str] = {}

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
        move, metric = self.step.move, self.metric
        for batch in self.loader.arrays(order[self.position :]):
            value, out, good = move(batch)
            if not good:
                raise divergence(self.step, batch, f"epoch {self.epoch + 1}, step {self.position + 1}")
            n = len(batch[-1])
            self.position += 1
            self.examples += n
            self.losses += value * n
            if metric is not None:
                self.metrics += float(metric(out, batch[-1])) * n
            if self.step.note and self.step.note not in self.history.notes:
                self.history.notes.append(self.step.note)
            if self.scheduler is not None and self.every == "step":
                self.scheduler.step()
            if bar.bar is not None:
                bar.update(
                    self.epoch + 1, self.position, value, None if metric is None else self.metrics / self.examples, lr
                )
            if self.save_every and self.position % self.save_every == 0 and self.position < len(self.loader):
                self.checkpoint()
        self._close(lr, time.perf_counter() - began)

    def _close(self, lr: float, seconds: float) -> None:
        """The end of an epoch: what is noted, watched and scheduled."""
        h = self.history
        h.loss.append(self.losses / self.examples)
        if self.metric is not None:
            h.metric.append(self.metrics / self.examples)
        h.lr.append(lr)
        h.seconds.append(seconds)
        self.losses, self.metrics, self.position, self.examples = 0.0, 0.0, 0, 0
        self.epoch += 1
        watched = h.loss[-1]
        if self.held_out is not None:
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
                self.best = self.step.arrays()
        if self.patience is not None and self.epoch - h.best_epoch >= self.patience:
            h.stopped = f"stopped early after epoch {self.epoch}: no better loss since epoch {h.best_epoch}"

    # ---- checkpoints -------------------------------------------------------------------------------------------

    def _generators(self) -> dict[str, Any]:
        """Every source of random numbers, by where it is found."""
        found: dict[str, Any] = {"default": default_generator, "order": self.generator}
        for what, root in (("model", self.model), ("loss", self.loss)):
            for name, m in root.named_modules() if isinstance(root, Module) else ():
                found |= {f"{what}.{name}.{k}": v for k, v in vars(m).items() if isinstance(v, Numbers)}
        return found

    def description(self) -> dict[str, str]:
        """What a training is begun with, in words or as a checksum: going on with anything else is another training."""
        scheduled = ("params",) if self.scheduler is None else ("params", "lr", "momentum", "betas")
        settings = [{k: v for k, v in g.items() if k not in scheduled} for g in self.optimizer.param_groups]
        rates = [] if self.scheduler is None else self.scheduler.base_lrs
        given = {
            "data": _fingerprint(self.loader.dataset),
            "batch size": f"{self.loader.batch_size}, shuffle={self.loader.shuffle}, drop_last={self.loader.drop_last}",
            "optimizer": f"{type(self.optimizer).__name__} of {[len(g['params']) for g in self.optimizer.param_groups]}",
            "settings of the optimizer": f"{settings} {rates or ''}",
            "scheduler": f"{type(self.scheduler).__name__} {self.every} {getattr(self.scheduler, 'total_steps', '')}",
            "clip": repr(self.clip),
            "loss": _named(self.loss),
            "model": repr(self.model),
        }
        return {k: v if len(v) < 400 else hashlib.sha256(v.encode()).hexdigest() for k, v in given.items()}

    def checkpoint(self) -> None:
        """Write everything, if a directory was given."""
        if self.save is None:
            return
        self.written = time.monotonic()
        groups = [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups]
        state = self.optimizer.state
        write_checkpoint(
            self.save,
            {
                "begun_with": self.begun_with, "tensors": self.step.arrays(), "groups": groups,
                "moments": {k: state[p] for k, p in self.step.trained.items() if p in state},
                "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
                "random": {k: g.get_state() for k, g in self._generators().items()},
                "order_state": self.order_state, "epoch": self.epoch, "position": self.position,
                "examples": self.examples, "losses": self.losses, "metrics": self.metrics,
                "history": self.history.as_dict(), "best": self.best, "best_loss": self.best_loss,
            },
        )  # fmt: skip

    def restore(self, tree: Any, changed: bool) -> None:
        """Go to where a checkpoint was written."""
        if tree is None:
            return
        own = self.step.arrays()
        saved = tree["tensors"]
        if {k: np.shape(v) for k, v in saved.items()} != {k: np.shape(v) for k, v in own.items()}:
            raise InputError(
                f"the checkpoint in {self.save} is of another network: "
                f"{', '.join(sorted(set(saved) ^ set(own))[:4]) or 'its shapes differ'}",
                "build the same network, or choose another directory",
            )
        other = [k for k, v in self.begun_with.items() if tree["begun_with"].get(k) != v]
        if other and not changed:
            before, now = tree["begun_with"].get(other[0], "none"), self.begun_with[other[0]]
            raise InputError(
                f"the training in {self.save} was begun with another {other[0]}"
                + (f" (and {', '.join(other[1:])})" if other[1:] else "")
                + (f": {before}; now {now}" if len(before) + len(now) < 200 else ""),
                'go on with what it was begun with, or pass resume="changed" to go on with the new',
            )
        names = dict({**self.step.trained, **self.step.rest}.items())
        for k, v in saved.items():
            names[k].data = v
        by_name = self.step.trained
        self.optimizer.state.update({by_name[k]: s for k, s in tree["moments"].items() if k in by_name})
        if "settings of the optimizer" not in other and "optimizer" not in other:
            for g, settings in zip(self.optimizer.param_groups, tree["groups"], strict=True):
                g.update(settings)
        if self.scheduler is not None and tree["scheduler"] is not None:
            if "scheduler" not in other:
                self.scheduler.load_state_dict(tree["scheduler"])
            elif not isinstance(self.scheduler, ReduceLROnPlateau):  # the same place on the new schedule
                for _ in range(tree["scheduler"]["last_epoch"] - self.scheduler.last_epoch):
                    self.scheduler.step()
        for k, g in self._generators().items():
            if k in tree["random"]:
                g.set_state(tree["random"][k])
        self.order_state, self.epoch, self.position = tree["order_state"], tree["epoch"], tree["position"]
        self.losses, self.metrics, self.examples = tree["losses"], tree["metrics"], tree["examples"]
        self.history = History(**tree["history"])
        self.best, self.best_loss = tree["best"], tree["best_loss"]
        if other and {"data", "batch size"} & set(other):  # the place in the epoch means nothing in other batches
            self.position, self.losses, self.metrics, self.examples = 0, 0.0, 0.0, 0

    def finish(self) -> None:
        """Leave the model with the parameters to keep."""
        if self.history.stopped.startswith("stopped early") and self.best is not None:
            for k, t in {**self.step.trained, **self.step.rest}.items():
                if k in self.best:
                    t.data = self.best[k]


def _named(x: Any) -> str:
    return repr(x) if isinstance(x, Module) else getattr(x, "__qualname__", type(x).__name__)


def _fingerprint(dataset: Any) -> str:
    """A checksum of the examples, where they are at hand; otherwise what is known of them."""
    rest = ""
    if isinstance(dataset, Subset):
        rest, dataset = hashlib.sha256(dataset.indices.tobytes()).hexdigest()[:8], dataset.dataset
    known = f"{len(dataset)} examples {rest}"
    if not isinstance(dataset, TensorDataset):
        return f"{known} of {type(dataset).__name__}"
    parts = hashlib.sha256()
    for a in dataset.arrays:
        parts.update(f"{a.shape} {a.dtype}".encode())
        parts.update(np.ascontiguousarray(a).tobytes())
    return f"{known}, {parts.hexdigest()[:16]}"
