"""Opening: a traced graph with its composite operations replaced by what they are made of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ..ir.deferred import settled
from ..ir.graph import Graph
from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant, variable
from ..ir.recording import Handle, setting, state
from ..ops.kinds import Composite
from ..ops.loops import Loop, examples, scan, while_loop
from ..ops.structured import call, pick
from ..trace.array import recording_kind


def opened(graph: Graph, fixed: Collection[Node] = ()) -> Graph:
    """The same computation, without composites, `call` and graphs that hold no values; `fixed` nodes are their values."""
    changed: dict[Node, Any] = dict(zip(graph.inputs, graph.inputs, strict=True))
    for n in graph.nodes:
        changed[n] = n.value if n in fixed else _copied(n, changed)
    return Graph(graph.inputs, [_new(o, changed) for o in graph.outputs])


def _new(x: Any, changed: dict[Node, Any]) -> Any:
    """What an input became; a node from before the graph (of a transform that has ended) is the value that it had."""
    return (changed[x] if x in changed else settled(x.value)) if type(x) is Node else x


def _copied(n: Node, changed: dict[Node, Any]) -> Any:
    inputs = tuple(_new(i, changed) for i in n.inputs)
    op = n.op
    if op is variable:  # of a transform inside, which stood for a plain value
        return settled(n.value)
    if isinstance(op, Composite) and not op.whole:
        return _body(n, inputs)
    if op is call:
        inner = _valued(n.params["graph"], [settled(v) for v in n.values])
        return _substituted(inner, inputs)
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
    return _kept(n, inputs, params)


def _kept(n: Node, inputs: tuple[Any, ...], params: dict[str, Any] | None = None) -> Node:
    """The same operation on what its inputs became."""
    made = Node(n.op, inputs, n.params if params is None else params, n.value, n.code, n.lasti)
    made.given_name = n.given_name
    return made


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
        return _kept(n, inputs)
    inner = Graph(list(leaves), [result.node])
    changed: dict[Node, Any] = dict(leaves)
    for m in inner.nodes:
        m.code, m.lasti = n.code, n.lasti
        changed[m] = _copied(m, changed)
    made = changed[result.node]
    if type(made) is Node and made.given_name is None:
        made.given_name = n.given_name
    return made


def _valued(graph: Graph, values: list[Any]) -> Graph:
    """A graph with the values that its nodes have on given inputs."""
    inputs = [Node(i.op, (), i.params, v) for i, v in zip(graph.inputs, values, strict=True)]
    changed: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for n in graph.nodes:
        args = tuple(changed.get(i, i) if type(i) is Node else i for i in n.inputs)
        if n.op is constant:
            changed[n] = n
            continue
        plain = [a.value if type(a) is Node else a for a in args]
        changed[n] = Node(n.op, args, n.params, n.op.value(*plain, **n.params), n.code, n.lasti)
    return Graph(inputs, [changed.get(o, o) if type(o) is Node else o for o in graph.outputs])


def _substituted(graph: Graph, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    changed: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for n in graph.nodes:
        changed[n] = _copied(n, changed)
    return tuple(_new(o, changed) for o in graph.outputs)
