"""Calls: operations that native code leaves to NumPy. They run between its steps, on views of the same memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ir.graph import Graph
from ...ir.node import NO_PARAMS, Node, Spec, rebuilt
from ...ir.op import variable
from ...ops.custom import custom
from ...ops.loops import Loop
from ..interpreted import interpreted
from .steps import CallStep

OURS = ("numpy", "scipy", "chainrule")


def several(n: Node) -> bool:
    """Whether a node gives several values, which others pick from."""
    return isinstance(n.value, tuple) and not isinstance(n.value, Spec)


def joined(steps: Sequence[Any], consumers: Mapping[Node, Sequence[Node]], kept: Collection[Any]) -> list[Any]:
    """The steps with neighbouring calls made one, which keeps in memory only what other steps or `kept` outputs need."""
    made: list[Any] = []
    outputs = {o for o in kept if type(o) is Node}
    for s in steps:
        last = made[-1] if made else None
        if not isinstance(s, CallStep) or not isinstance(last, CallStep):
            made.append(s)
            continue
        filled = {v.buffer.number for views in last.results.values() for v in views}
        if any(v.buffer.number in filled and i not in last.results for i, v in s.arguments.items()):
            made.append(s)  # it reads a view of what the other makes
            continue
        made[-1] = CallStep(
            {**last.reasons, **s.reasons},
            {**last.results, **s.results},
            {**last.arguments, **{i: v for i, v in s.arguments.items() if i not in last.results}},
        )
    for s in made:
        if isinstance(s, CallStep):
            for n in s.reasons:
                if n not in outputs and all(c in s.reasons for c in consumers[n]):
                    del s.results[n]
            s.function = called(s)
    return made


def _foreign(n: Node) -> bool:
    """Whether a function of the user's runs, which may keep what it is given."""
    home = getattr(n.op.value, "__module__", None) or type(n.op.value).__module__
    return str(home).split(".")[0] not in OURS or n.op is custom or isinstance(n.op, Loop)


def _reading(spec: Spec, copied: bool) -> Callable[[Any], Any] | None:
    """What makes of an array what eager code gives an operation: a number where there are no axes; None for the array itself."""
    if spec.weak:
        return lambda a: a.item()
    return (lambda a: a[()].copy()) if copied else None if spec.shape else lambda a: a[()]


def called(step: CallStep) -> Callable[..., None]:
    """A function of arrays that puts its results into the first of them, and reads the others."""
    foreign = any(map(_foreign, step.reasons))
    own = {i: Node(variable, (), NO_PARAMS, i.value) for i in step.arguments}
    inputs = [*own.values()]
    rebuilt(step.reasons, own, lambda n, args: n.on(args, n.value))
    into: dict[Node, int] = {}
    count = 0
    for n, views in step.results.items():
        if isinstance(n.op.value, np.ufunc) and n.shape and not foreign:
            into[own[n]] = count
        count += len(views)
    run = interpreted(Graph(inputs, [own[n] for n in step.results]), into)
    reads = [_reading(Spec.of(i.value), foreign) for i in step.arguments]
    bundles = any(map(several, step.results))

    def call(*arrays: Any) -> None:
        given = [a if read is None else read(a) for read, a in zip(reads, arrays[count:], strict=True)]
        found = run(given, arrays)
        if bundles:
            found = [x for r in found for x in (r if isinstance(r, tuple) else (r,))]
        for x, target in zip(found, arrays, strict=False):
            if x is not target:
                if np.shape(x) != target.shape:
                    raise ShapeError(
                        f"{', '.join(n.op.name for n in step.reasons)} gave an array of shape {np.shape(x)}, and its declaration says {target.shape}",
                        "correct the shape rule of the operation",
                    )
                target[...] = x

    return call
