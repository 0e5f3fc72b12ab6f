"""Tracing a function for compilation: its graph on arguments of given shapes, and what Python asked of their values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.deferred import settled
from ..ir.entering import entering
from ..ir.graph import Graph
from ..ir.node import NO_PARAMS, Node, reachable
from ..ir.op import drawn, variable
from ..ir.optimize import optimized
from ..ir.recording import Handle, frozen, setting, state
from ..ops.arithmetic import add, floor_divide, negative, remainder, subtract
from ..ops.piecewise import absolute
from ..trace.array import recording_kind
from ..trace.calls import name_of, users_warnings
from ..trace.tree import TreeDef, flatten
from .opening import opened


@dataclass
class Traced:
    """One traced call.

    `graph` takes the leaves and then the drawn numbers, and returns the outputs, then what `changed` inputs became,
    then the guards. `expected` holds what Python saw of each guard, `kinds` what makes an output a Python number or an array without axes, `drawn` the
    numbers that were drawn while tracing.
    """

    graph: Graph
    tree: TreeDef
    outputs: int
    kinds: list[Any]
    changed: list[int]
    guards: list[str]
    expected: list[Any]
    draws: list[Callable[[], Any]] = field(default_factory=list)
    drawn: list[Any] = field(default_factory=list)

    def holds(self, seen: Sequence[Any]) -> bool:
        """Whether Python would have seen the same values."""
        return all(
            bool(s) == e if kind == "truth" else _alike(s, e)
            for kind, s, e in zip(self.guards, seen, self.expected, strict=True)
        )


def _alike(a: Any, b: Any) -> bool:
    """Whether two values cannot be told apart: NaN is like NaN, and 0.0 is not like -0.0."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "fc":
        return bool(np.all(a == b))
    if a.dtype.kind == "c":
        return _alike(a.real, b.real) and _alike(a.imag, b.imag)
    return bool(np.all(np.where(np.isnan(b), np.isnan(a), (a == b) & (np.signbit(a) == np.signbit(b)))))


def _leaves_64_bits(n: Node) -> bool:
    """Whether a Python integer is made so that it may need more than 64 bits, or so that Python would raise."""
    if n.op in (add, subtract):
        return not any(type(x) is int and abs(x) < 2**48 for x in n.inputs)
    if n.op in (floor_divide, remainder):
        return not (type(n.inputs[1]) is int and n.inputs[1] != 0)
    return not n.op.keeps and n.op not in (negative, absolute)


def _kind(x: Any) -> Any:
    if type(x) in (float, int, bool, complex):
        return type(x)
    if isinstance(x, np.ndarray) and not x.dtype.isnative:
        return functools.partial(np.asarray, dtype=x.dtype)
    return np.asarray if isinstance(x, np.ndarray) and not x.ndim else None


def _entering(x: Any) -> Any:
    """A leaf that may enter a graph; in foreign byte order as it is, so that results have it too."""
    made = entering(x)
    return x if type(x) is np.ndarray and not x.dtype.isnative else made


def traced(f: Callable[..., Any], call: Callable[[list[Any]], Any], leaves: Sequence[Any]) -> Traced:
    """Trace `call`, which applies `f` to leaves put in their places."""
    kind = recording_kind()
    nodes = [Node(variable, (), NO_PARAMS, _entering(x)) for x in leaves]
    first_of = {id(x): n for x, n in zip(reversed(leaves), reversed(nodes), strict=True) if type(x) is np.ndarray}
    own = {n: kind(n) for n in nodes}
    handles = [own[first_of.get(id(x), n)] for x, n in zip(leaves, nodes, strict=True)]
    observed: dict[Node, str] = {}
    with setting(depth=state.depth + 1, recording=True, observed=observed, refused=None), users_warnings():
        result = call(list(handles))
        if state.refused is not None:  # the function has caught it, and gone another way than with plain values
            raise state.refused
    outputs, tree = flatten(result)
    values = [o.node if isinstance(o, Handle) else frozen(o) if type(o) is np.ndarray else o for o in outputs]
    changed = [k for k, n in enumerate(nodes) if own[n].node is not n]
    values += [handles[k].node for k in changed]
    first = min((n.order for n in nodes), default=0)
    known = set(nodes)
    fixed: set[Node] = set()  # known where their inputs are
    found = reachable([*(v for v in values if type(v) is Node), *observed], 0)
    for n in found:
        if n.op is variable and n.params.get("owner"):
            raise InputError(
                f"jit: {name_of(f)} closes over a tensor that requires a gradient, of shape {n.shape}",
                "pass it as an argument, so that its value is not frozen into the compiled program",
            )
        if n in known or n.op is drawn or any(type(i) is Node and i in known for i in n.inputs):
            known.add(n)
            if type(n.value) is int and n.op not in (variable, drawn) and _leaves_64_bits(n):
                observed.update((i, "value") for i in n.inputs if type(i) is Node and type(i.value) is int)
                fixed.add(n)
    draws = [n for n, kind in observed.items() if kind == "drawn"]
    asked = [n for n in observed if n in known and n.order >= first and n.op is not drawn]
    whole = Graph([*nodes, *draws], [*values, *asked])
    small = optimized(opened(whole, fixed))
    kinds = [_kind(o.node.value) if isinstance(o, Handle) else None for o in outputs]
    return Traced(
        small,
        tree,
        len(outputs),
        kinds,
        changed,
        [observed[n] for n in asked],
        [bool(settled(n.value)) if observed[n] == "truth" else settled(n.value) for n in asked],
        [n.params["draw"] for n in draws],
        [n.value for n in draws],
    )
