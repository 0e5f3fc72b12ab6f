"""One training step as a pure function, compiled: forward, backward and update in one program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..compile.jit import jit
from ..diff.transforms import value_and_grad
from ..errors import InputError
from ..nn.module import Module, arrays_of, stateful_call
from ..optim.optimizers import Optimizer, updated
from ..optim.rules import started

SCHEDULED = ("lr", "momentum", "betas")  # settings that schedules change; the others are compiled in


class Step:
    """The state of a training, and the step that moves it.

    Args:
        model: the network; its parameters are read at the start, and written by `write_back`.
        loss: a function of (output, target), or a loss module.
        optimizer: over parameters of the model; those it leaves out stay as they are.
        clip: the largest norm of all gradients together, or None.
    """

    def __init__(
        self, model: Module, loss: Callable[..., Any], optimizer: Optimizer, clip: float | None = None
    ) -> None:
        self.model, self.loss, self.optimizer, self.clip = model, loss, optimizer, clip
        names = {id(p): k for k, p in model.named_parameters()}
        self.group: dict[str, int] = {}
        for k, g in enumerate(optimizer.param_groups):
            for p in g["params"]:
                if id(p) not in names:
                    raise InputError(
                        f"the optimizer holds a parameter of shape {p.shape} that is not one of {type(model).__name__}'s",
                        "build it with model.parameters()",
                    )
                self.group[names[id(p)]] = k
        self.read()
        self._settings: Any = None
        self._compiled: Any = None

    def read(self) -> None:
        """Take the state from the model and the optimizer."""
        trained, rest = arrays_of(self.model)
        self.params = {k: np.array(v) for k, v in trained.items() if k in self.group}  # the steps write into them
        self.rest = {**{k: v for k, v in trained.items() if k not in self.group}, **rest}
        by_name = dict(self.model.named_parameters())
        moments = {k: self.optimizer.state.get(id(by_name[k]), {}) for k in self.params}
        self.moments = {
            k: {n: np.array(v) if np.shape(v) else v for n, v in s.items()}
            or started(self.params[k], self.optimizer.param_groups[self.group[k]])
            for k, s in moments.items()
        }

    def write_back(self) -> None:
        """Give the state to the model and the optimizer."""
        for k, p in self.model.named_parameters():
            if k in self.params:
                p._collect_here(np.array(self.params[k]))
                if self.moments[k]:
                    self.optimizer.state[id(p)] = {
                        n: np.array(v) if np.shape(v) else v for n, v in self.moments[k].items()
                    }
        for k, b in self.model.named_buffers():
            b.data = self.rest[k]

    def _split(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The settings that change from step to step, and the others."""
        groups = [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups]
        moving = [{k: g[k] for k in SCHEDULED if k in g} for g in groups]
        return moving, [{k: v for k, v in g.items() if k not in SCHEDULED} for g in groups]

    def __call__(self, batch: Sequence[Any]) -> tuple[float, Any]:
        """Move the state by one batch (inputs..., target); the loss before, and the output.

        Where the loss is not finite, the parameters stay as they are.
        """
        rates, settings = self._split()
        if settings != self._settings:
            self._settings = settings
            known = self.optimizer.__dict__.setdefault("_compiled", {})
            key = id(self.model), id(self.loss), self.clip, repr(settings)
            if key not in known:  # kept with the optimizer, for the next training of the same model
                function = self._function(settings, self.optimizer.__class__.rule)
                known[key] = jit(function, donate=(0, 2), watch=False), self.model, self.loss
            self._compiled = known[key][0]
        found = self._compiled(self.params, self.rest, self.moments, rates, tuple(batch))
        self.params, self.rest, self.moments, value, out = found
        return float(value), out

    def objective(self, params: Any, rest: Any, batch: Sequence[Any]) -> tuple[Any, Any]:
        """The loss, and (output, what the buffers became)."""
        out, buffers = stateful_call(self.model, {**params, **rest}, batch[:-1])
        return self.loss(out, batch[-1]), (out, buffers)

    def _function(self, settings: list[dict[str, Any]], rule: Any) -> Callable[..., Any]:
        def step(params: Any, rest: Any, moments: Any, rates: Any, batch: Any) -> Any:
            (value, (out, buffers)), grads = value_and_grad(lambda p: self.objective(p, rest, batch), has_aux=True)(
                params
            )
            if self.clip is not None:
                norm = sum(np.sum(g * g) for g in grads.values()) ** 0.5
                grads = {k: g * np.minimum(1.0, self.clip / (norm + 1e-6)) for k, g in grads.items()}
            new: dict[str, Any] = {}
            state: dict[str, Any] = {}
            good = np.isfinite(value)
            for k, p in params.items():
                h = {**settings[self.group[k]], **rates[self.group[k]]}
                moved, after = updated(rule, p, grads[k], moments[k], h)
                new[k] = np.where(good, moved, p)
                state[k] = {
                    n: np.where(good, v, moments[k][n]) if n in moments[k] and np.shape(v) else v
                    for n, v in after.items()
                }
            return new, {**rest, **{n: np.where(good, b, rest[n]) for n, b in buffers.items()}}, state, value, out

        return step


def evaluate(model: Module, loss: Callable[..., Any] | None, metric: Any, batches: Any) -> tuple[float, float | None]:
    """The mean loss and metric of a model over batches of arrays, in evaluation mode."""
    trained, rest = arrays_of(model)
    before = model.training
    model.eval()
    try:
        run = _compiled_forward(model)
        total, count, hits = 0.0, 0, 0.0
        for *inputs, y in batches:
            out = run({**trained, **rest}, tuple(inputs))
            n = len(y)
            total += float(np.asarray(loss(out, y))) * n if loss is not None else 0.0
            hits += 0.0 if metric is None else float(metric(out, y)) * n
            count += n
    finally:
        model.train(before)
    return total / max(count, 1), None if metric is None else hits / max(count, 1)


def _compiled_forward(model: Module) -> Any:
    """The module in evaluation mode as a compiled function, kept with the module."""
    known = model.__dict__.get("_forward")
    if known is None:
        known = jit(lambda values, inputs: stateful_call(model, values, inputs)[0])
        model.__dict__["_forward"] = known
    return known


def predict(model: Module, *inputs: Any) -> Any:
    """What a model gives in evaluation mode, as a plain array."""
    trained, rest = arrays_of(model)
    before = model.training
    model.eval()
    try:
        return _compiled_forward(model)({**trained, **rest}, tuple(np.asarray(x) for x in inputs))
    finally:
        model.train(before)


def accuracy(out: Any, target: Any) -> float:
    """The share of examples whose class is predicted: the largest logit, or the sign of a single one."""
    out, target = np.asarray(out), np.asarray(target)
    if out.ndim == target.ndim + 1:
        return float(np.mean(np.argmax(out, axis=1) == target))
    return float(np.mean((out > 0) == (target > 0.5)))
