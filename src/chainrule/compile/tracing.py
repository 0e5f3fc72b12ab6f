"""Tracing a function for compilation: its graph on arguments of given shapes, and what Python asked of their values."""

from __future__ import annotations

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
from ..ir.recording import Handle, setting, state
from ..trace.array import recording_kind
from ..trace.calls import name_of, users_warnings
from ..trace.tree import TreeDef, flatten
from .opening import opened


@dataclass
class Traced:
    """One traced call.

    `graph` takes the leaves and then the drawn numbers, and returns the outputs, then what `changed` inputs became,
    then the guards. `expected` holds what Python saw of each guard, `kinds` whether an output is a Python number, `drawn` the
    numbers that were drawn while tracing.
    """

    graph: Graph
    tree: TreeDef
    outputs: int
    kinds: list[type | None]
    changed: list[int]
    guards: list[str]
    expected: list[Any]
    draws: list[Callable[[], Any]] = field(default_factory=list)
    drawn: list[Any] = field(default_factory=list)

    def holds(self, seen: Sequence[Any]) -> bool:
        """Whether Python would have seen the same values."""
        return all(
            bool(s) == e if kind == "truth" else np.array_equal(s, e)
            for kind, s, e in zip(self.guards, seen, self.expected, strict=True)
        )


def traced(f: Callable[..., Any], call: Callable[[list[Any]], Any], leaves: Sequence[Any]) -> Traced:
    """Trace `call`, which applies `f` to leaves put in their places."""
    kind = recording_kind()
    handles = [kind(Node(variable, (), NO_PARAMS, entering(x))) for x in leaves]
    nodes = [h.node for h in handles]
    observed: dict[Node, str] = {}
    with setting(depth=state.depth + 1, recording=True, observed=observed), users_warnings():
        result = call(list(handles))
    outputs, tree = flatten(result)
    values = [o.node if isinstance(o, Handle) else o for o in outputs]
    changed = [k for k, (h, n) in enumerate(zip(handles, nodes, strict=True)) if h.node is not n]
    values += [handles[k].node for k in changed]
    first = min((n.order for n in nodes), default=0)
    known = set(nodes)
    found = reachable([*(v for v in values if type(v) is Node), *observed], 0)
    for n in found:
        if n.op is variable and n not in known:
            owner = n.params.get("owner")
            what = "a tensor that requires a gradient" if owner else "a traced value of another transform"
            raise InputError(
                f"jit: {name_of(f)} closes over {what}, of shape {n.shape}",
                "pass it as an argument, so that its value is not frozen into the compiled program",
            )
        if n in known or n.op is drawn or any(type(i) is Node and i in known for i in n.inputs):
            known.add(n)
    draws = [n for n, kind in observed.items() if kind == "drawn"]
    asked = [n for n in observed if n in known and n.order >= first and n.op is not drawn]
    whole = Graph([*nodes, *draws], [*values, *asked])
    small = optimized(opened(whole))
    kinds = [type(o.node.value) if isinstance(o, Handle) else None for o in outputs]
    return Traced(
        small,
        tree,
        len(outputs),
        [k if k in (float, int, bool) else None for k in kinds],
        changed,
        [observed[n] for n in asked],
        [bool(settled(n.value)) if observed[n] == "truth" else settled(n.value) for n in asked],
        [n.params["draw"] for n in draws],
        [n.value for n in draws],
    )
