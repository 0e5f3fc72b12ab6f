"""Opening: a traced graph with its composite operations replaced by what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ..ir.deferred import settled
from ..ir.graph import Graph
from ..ir.node import NO_PARAMS, Node, rebuilt
from ..ir.op import constant, variable
from ..ir.recording import Handle, setting, state
from ..ops.kinds import Composite
from ..ops.loops import Loop, examples, scan, while_loop
from ..ops.structured import call, pick
from ..trace.array import recording_kind


def opened(graph: Graph, fixed: Collection[Node] = ()) -> Graph:
    """The same computation, without composites, `call` and graphs that hold no values; `fixed` nodes are their values."""
    new = _copies(graph.nodes, dict(zip(graph.inputs, graph.inputs, strict=True)), fixed)
    return Graph(graph.inputs, [new(o) for o in graph.outputs])


def _copies(nodes: Sequence[Node], changed: dict[Node, Any], fixed: Collection[Node] = ()) -> Callable[[Any], Any]:
    """What nodes became; one from before the graph (of a transform that has ended) is the value that it had."""
    return rebuilt(
        nodes, changed, lambda n, inputs: n.value if n in fixed else _copied(n, inputs), lambda n: settled(n.value)
    )


def _copied(n: Node, inputs: tuple[Any, ...]) -> Any:
    op = n.op
    if op is variable:  # of a transform inside, which stood for a plain value
        return settled(n.value)
    if isinstance(op, Composite) and not op.whole:
        return _body(n, inputs)
    if op is call:
        inner = _valued(n.params["graph"], [settled(v) for v in n.values])
        return tuple(map(_copies(inner.nodes, dict(zip(inner.inputs, inputs, strict=True))), inner.outputs))
    if op is pick and isinstance(inputs[0], tuple):
        return inputs[0][n.params["index"]]
    params = n.params
    if isinstance(op, Loop):
        graphs = iter([opened(_valued(g, values)) for g, values in examples(_settled(n))])
        if op is scan:
            params = {**params, "body": next(graphs)}
        elif op is while_loop:
            params = {**params, "test": next(graphs), "body": next(graphs)}
        else:
            params = {**params, "branches": tuple(graphs)}
    return n.on(inputs, n.value, params)


def _settled(n: Node) -> Node:
    """The node with inputs that have values."""
    return Node(n.op, tuple(settled(v) for v in n.values), n.params, n.value)


def _body(n: Node, inputs: tuple[Any, ...]) -> Any:
    kind = recording_kind()
    handles: list[Any] = []
    leaves: dict[Node, Any] = {}
    for i in inputs:
        if type(i) is Node and i.op is not constant:
            leaf = Node(variable, (), NO_PARAMS, i.value)
            leaves[leaf] = i
            handles.append(kind(leaf))
        else:
            handles.append(i.value if type(i) is Node else i)
    with setting(depth=state.depth + 1, recording=True, observed={}, hook=None), np.errstate(all="ignore"):
        result: Any = n.op.body(*handles, **n.params)  # type: ignore[misc]
    if not isinstance(result, Handle):
        return result
    if result.dtype != n.dtype:  # integers, which the operation itself takes in another precision than its parts do
        return n.on(inputs, n.value)
    inner = Graph(list(leaves), [result.node])
    for m in inner.nodes:
        m.code, m.lasti = n.code, n.lasti
    made = _copies(inner.nodes, leaves)(result.node)
    if type(made) is Node and made.given_name is None:
        made.given_name = n.given_name
    return made


def _valued(graph: Graph, values: list[Any]) -> Graph:
    """A graph with the values that its nodes have on given inputs."""
    inputs = [Node(i.op, (), i.params, v) for i, v in zip(graph.inputs, values, strict=True)]

    def made(n: Node, args: tuple[Any, ...]) -> Node:
        plain = [a.value if type(a) is Node else a for a in args]
        return n if n.op is constant else n.on(args, n.op.value(*plain, **n.params))

    new = rebuilt(graph.nodes, dict(zip(graph.inputs, inputs, strict=True)), made)
    return Graph(inputs, [new(o) for o in graph.outputs])
