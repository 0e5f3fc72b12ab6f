"""Applying a model in evaluation mode, compiled: predictions, and the mean loss over held-out data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir.recording import Handle
from ..nn.module import Module
from ..nn.substitution import replaced
from ..nn.traced import fixed
from ..tensors.creation import tensor
from ..tensors.modes import enable_grad, no_grad
from ..trace.handles import plain
from ..trace.tree import map_leaves
from .compiled import Compiled, Uncompilable
from .step import arrays, named


@contextmanager
def evaluating(model: Module) -> Generator[None]:
    """The model in evaluation mode; afterwards each module is in the mode that it was in."""
    before = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for m, mode in before:
            m.training = mode


class Forward:
    """A model as a compiled function of arrays, in the mode that it is in."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.tensors = {**named(model, None, "parameters"), **named(model, None, "buffers")}
        known = model._compiled
        key = "forward", *((k, id(t), t.requires_grad) for k, t in self.tensors.items())
        if key not in known:
            for old in [k for k in known if k[0] == "forward"]:
                del known[old]
            known[key] = Compiled(self._applied, {"the model": model}, self.tensors.values)
        self.compiled: Compiled = known[key]

    def _applied(self, values: dict[str, Any], inputs: Any) -> Any:
        for k, t in self.tensors.items():
            values[k].is_parameter = t.is_parameter
        new = {id(t): values[k] for k, t in self.tensors.items()}
        nodes = {i: h.node for i, h in new.items()}
        free = (x.node for x in (*values.values(), *inputs) if isinstance(x, Handle))
        trained = {values[k].node for k, t in self.tensors.items() if t.requires_grad}
        with fixed(n for n in free if n not in trained), replaced([self.model], new) as now:
            out = self.model(*inputs)
            if any(not isinstance(now(i), Handle) or now(i).node is not n for i, n in nodes.items()):
                raise TraceError("forward changes a buffer in evaluation mode")
        return out

    def __call__(self, *inputs: Any) -> Any:
        values = {k: t.node.value for k, t in self.tensors.items()}
        with enable_grad(), contextlib.suppress(Uncompilable):
            return self.compiled(values, inputs)
        with enable_grad():  # a model may take derivatives inside
            return arrays(self.model(*map(tensor, inputs)))


def predict(model: Module, *inputs: Any) -> Any:
    """What a model gives in evaluation mode, as a plain array (or a tree of arrays, where it gives several).

    Args:
        model: a module, of which the mode is put back afterwards.
        inputs: arrays or tensors, with a leading axis of examples.

    >>> import chainrule as cr, numpy as np
    >>> predict(cr.torch.nn.Linear(2, 1), np.ones((3, 2), "f4")).shape
    (3, 1)
    """
    with evaluating(model):
        return Forward(model)(*(np.asarray(plain(x)) for x in inputs))


def evaluate(model: Module, loss: Callable[..., Any] | None, metric: Any, batches: Any) -> tuple[float, float | None]:
    """The mean loss and metric of a model over batches of arrays, in evaluation mode. Each example counts alike.

    Args:
        model: a module, of which the mode is put back afterwards.
        loss: a function of (output, target), or None.
        metric: another, or None.
        batches: tuples of arrays (batch, ...), the last of each the target.

    Returns:
        (loss, metric), None for a metric that was not asked for.
    """
    total, count, hits = 0.0, 0, 0.0
    with evaluating(model):
        run = Forward(model)
        for *inputs, y in batches:
            out = run(*inputs)
            n = len(y)
            if loss is not None:
                with no_grad():
                    total += float(plain(loss(*map_to_tensors(out, y)))) * n
            hits += 0.0 if metric is None else float(metric(out, y)) * n
            count += n
    return total / max(count, 1), None if metric is None else hits / max(count, 1)


def map_to_tensors(*trees: Any) -> Any:
    """Trees of arrays as trees of tensors."""
    return tuple(map_leaves(tensor, tree) for tree in trees)
