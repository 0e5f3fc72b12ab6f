"""Optimization of a traced graph: equal work shared, constants folded, neutral operations dropped, dead code left out.

The result holds descriptions of values (`Spec`) instead of values, so that nothing large stays in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .deferred import settled
from .graph import Bundle, Graph
from .node import NO_PARAMS, Node, Spec, rebuilt
from .op import constant, variable
from .recording import Handle


def optimized(graph: Graph) -> Graph:
    """The graph made smaller."""
    inputs = [_described(n, ()) for n in graph.inputs]
    changed: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
    shared: dict[Any, Any] = {}
    numbers: dict[int, Any] = {}  # keeps constants alive, so that their ids stay theirs

    def made(n: Node, args: tuple[Any, ...]) -> Any:
        if n.op is constant:
            return n.value
        if n.op is variable:  # an input of another kind: a drawn number, or a tensor closed over
            return n
        if not any(type(a) is Node or isinstance(a, Handle) for a in args) and not isinstance(n.value, Bundle):
            return settled(n.value)
        same = _unchanged(n, args)
        if same is not None:
            return same
        key = (n.op, tuple(_key(a, numbers) for a in args), repr(n.params))
        if key not in shared:
            shared[key] = _described(n, args)
        return shared[key]

    rebuilt(graph.nodes, changed, made, lambda n: n.value if n.op is constant else n)
    outputs = [changed.get(o, o) if type(o) is Node else o for o in graph.outputs]
    return Graph(inputs, outputs)


def _described(n: Node, args: tuple[Any, ...]) -> Node:
    spec: Any = Bundle(map(Spec.of, n.value)) if isinstance(n.value, Bundle) else Spec.of(n.value)
    return n.on(args, spec, n.params if args else NO_PARAMS)


def _key(a: Any, numbers: dict[int, Any]) -> Any:
    if type(a) is Node:
        return a
    if type(a) in (float, int, bool):
        return type(a), repr(a)
    numbers[id(a)] = a
    return id(a)


def uniform(x: Any) -> Any:
    """The number of which a constant array is full, if it is known at a glance; None otherwise."""
    if isinstance(x, np.ndarray):
        if x.size and not any(s for s, n in zip(x.strides, x.shape, strict=True) if n > 1):
            return x[(0,) * x.ndim]
        return None
    return x if isinstance(x, (int, float, np.generic)) else None


def _is(x: Any, neutral: float | str) -> bool:
    """Whether it is a constant that is neutral."""
    if neutral == "identity":  # the directions of a Jacobian are the columns of one
        return _is_identity(x)
    number = None if type(x) is Node else uniform(x)
    return number is not None and bool(number == neutral)


def _is_identity(x: Any) -> bool:
    """Whether it is a constant identity matrix."""
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.shape[0] != x.shape[1]:
        return False
    return np.count_nonzero(x) == len(x) and bool(np.all(np.diagonal(x) == 1))


def _unchanged(n: Node, args: tuple[Any, ...]) -> Any:
    """The input that the operation returns as it is, or None."""
    candidates: list[Any] = []
    if n.op.keeps:
        candidates = [args[0]]
    elif len(args) == 2:
        candidates = [args[1 - k] for k, neutral in n.op.neutral.items() if _is(args[k], neutral)]
    for a in candidates:
        if type(a) is Node and not isinstance(a.value, Bundle):
            have, want = Spec.of(a.value), Spec.of(n.value)
            if have.shape == want.shape and have.dtype == want.dtype and have.weak == want.weak:
                return a
    return None
