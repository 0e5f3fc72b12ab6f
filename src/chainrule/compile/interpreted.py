"""The writer that needs nothing but NumPy: a graph as a Python function, one statement for each node."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..ir.graph import Graph
from ..ir.node import Node


def interpreted(graph: Graph, into: Mapping[Node, int] = MappingProxyType({})) -> Callable[..., list[Any]]:
    """A function of the graph's inputs, as a list, that gives its outputs.

    The nodes of `into`, whose values are ufuncs, are computed into arrays: that of their number in a second list.
    """
    names: dict[Node, str] = {n: f"x{k}" for k, n in enumerate(graph.inputs)}
    namespace: dict[str, Any] = {}
    bound: dict[Any, str] = {}

    def given(x: Any) -> str:
        if type(x) is Node:
            return names[x]
        namespace[f"c{len(namespace)}"] = x
        return f"c{len(namespace) - 1}"

    def function(n: Node) -> str:
        key = (n.op, repr(n.params))
        if key not in bound:
            bound[key] = f"{n.op.name}{len(bound)}"
            namespace[bound[key]] = functools.partial(n.op.value, **n.params) if n.params else n.op.value
        return bound[key]

    lines = [f"    {names[i]} = inputs[{k}]" for k, i in enumerate(graph.inputs)]
    for k, (n, finished) in enumerate(zip(graph.nodes, graph._finished, strict=True)):
        args = ", ".join(map(given, n.inputs))
        names[n] = f"v{k}"
        place = f", out=out[{into[n]}]" if n in into else ""
        lines.append(f"    v{k} = {function(n)}({args}{place})")
        if finished:
            lines.append(f"    del {', '.join(names[i] for i in finished)}")
    outputs = ", ".join(given(o) for o in graph.outputs)
    exec("\n".join(["def run(inputs, out=()):", *lines, f"    return [{outputs}]"]), namespace)
    return namespace["run"]
