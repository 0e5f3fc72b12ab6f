"""A graph as it is read: one line for each value, with the user's name for it, its dtype and its shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..ir.graph import Bundle, Graph
from ..ir.node import Node, Spec
from ..ops.structured import pick
from ..trace.names import names_for, user_name
from .expression_text import NUMPY, Text, array_text, expression, write

DEEPEST = 3  # operations that are written in one line
FEW = 8  # entries of a constant array that are written out


def listing(graph: Graph, name: str = "f") -> str:
    """The graph as text: `z: f64[32, 10] = x @ W + b`.

    Values that have no name of the user's and are used once are written where they are used.
    """
    return "\n".join(_lines(graph, name))


def kind(value: Any) -> str:
    """`f64[32, 10]` for an array of doubles, `f64` for one number, in parentheses for several values."""
    if isinstance(value, Bundle):
        return f"({', '.join(map(kind, value))})"
    spec = Spec.of(value)
    letter = spec.dtype.name if spec.dtype.kind not in "fiuc" else f"{spec.dtype.kind}{8 * spec.dtype.itemsize}"
    return f"{letter}{list(spec.shape)}" if spec.shape else letter


def _lines(graph: Graph, name: str) -> Iterator[str]:
    inner = _within(graph)
    inputs = {n: n.given_name or f"x{k}" for k, n in enumerate(graph.inputs)}
    shown = [n for n in graph.nodes if n not in inner]
    names = names_for(shown, inputs, None, "result", (name, "np", "special"))
    yield f"{name}({', '.join(f'{names[i]}: {kind(i.value)}' for i in graph.inputs)})"
    for n in shown:
        yield f"    {names[n]}: {kind(n.value)} = {expression(n, names, NUMPY, _constant)}"
        for what, body in n.params.items():
            for one in body if isinstance(body, tuple) else (body,):
                if isinstance(one, Graph):
                    yield from ("        " + line for line in _lines(one, what))
    yield f"    return {', '.join(write(o, names, NUMPY, _constant) for o in graph.outputs)}"


def _within(graph: Graph) -> set[Node]:
    """The nodes that are written in the line of the one that uses them."""
    uses: dict[Node, int] = {}
    for n in graph.nodes:
        for p in n.parents:
            uses[p] = uses.get(p, 0) + 1
    for o in graph.outputs:
        if type(o) is Node:
            uses[o] = 2
    depth: dict[Node, int] = {}
    for n in graph.nodes:
        below = 1 + max((depth.get(p, 0) for p in n.parents), default=0)
        if n.op is pick or (uses.get(n) == 1 and below < DEEPEST and user_name(n) is None and not _several(n)):
            depth[n] = below
    return {n for n in depth if n.op is not pick or user_name(n) is None}


def _several(n: Node) -> bool:
    return isinstance(n.value, Bundle)


def _constant(x: Any) -> str:
    return Text(array_text(x) if np.size(x) <= FEW else f"<{kind(x)}>")
