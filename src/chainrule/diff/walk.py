"""The two walks over a recorded graph: cotangents backward, tangents forward. Neither recurses.

With `live` a type of handle, every derivative is recorded too, so that it can be differentiated again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..ir.node import Node, reachable
from ..ir.recording import Handle, state
from .rules import VJP, pulled_back, pushed_forward

FIRST, SECOND, BOTH = (0,), (1,), (0, 1)


def active_nodes(nodes: Sequence[Node], leaves: Sequence[Node]) -> set[Node]:
    """The nodes that depend on the leaves, the leaves included; `nodes` in order of computation."""
    active = set(leaves)
    for n in nodes:
        for i in n.inputs:
            if type(i) is Node and i in active:
                active.add(n)
                break
    return active


def accumulate(
    nodes: Sequence[Node],
    flows: dict[Node, Any],
    passed: Callable[[Node, Any], Iterable[tuple[Any, Any]]],
    add: Callable[[Any, Any], Any] = operator.add,
) -> dict[Node, Any]:
    """Reverse mode with anything that adds up: numbers, expressions, counts of paths, lists of terms.

    `reverse` is the same walk where every microsecond counts.

    Args:
        nodes: in order of computation.
        flows: what flows into the outputs; filled in with what flows into each node.
        passed: for a node and what flows into it, its inputs and what it passes to each.
    """
    for n in reversed(nodes):
        if n in flows:
            for i, c in passed(n, flows[n]):
                flows[i] = add(flows[i], c) if i in flows else c
    return flows


def reverse(
    outputs: Sequence[Node],
    cotangents: Sequence[Any],
    leaves: Sequence[Node],
    *,
    live: type[Handle] | None,
    release: bool = False,
    nodes: list[Node] | None = None,
    kept: dict[Node, Any] | None = None,
) -> list[Any]:
    """Reverse mode: the cotangent of each leaf (None for zero), given those of the outputs.

    `nodes` are those that the outputs are reached from, where they are known already; the list is used up.
    `kept` is filled in: for each of its nodes that is passed on the way, the cotangent.

    With `release`, every node is cut off once it has been passed, so that memory is freed on the way: for graphs that
    nobody walks again.
    """
    check = state.check
    release = release and live is None and check is None
    if nodes is None:
        nodes = reachable(outputs, min((v.order for v in leaves), default=0))
    active = active_nodes(nodes, leaves)
    stop = set(leaves)
    cot: dict[Node, Any] = {}
    for o, ct in zip(outputs, cotangents, strict=True):
        if o in active:
            cot[o] = cot[o] + ct if o in cot else ct
    buffers: set[Node] = set()
    while nodes:
        n = nodes.pop()
        if n in stop:
            continue
        ct = cot.pop(n, None)
        if ct is None:
            if release:
                n.inputs = ()
                active.discard(n)
            continue
        if kept is not None and n in kept:
            kept[n] = ct
        inputs, op, params = n.inputs, n.op, n.params
        if len(inputs) == 1:
            positions: Sequence[int] = FIRST
        elif len(inputs) == 2:
            a, b = inputs
            second = type(b) is Node and b in active
            positions = (BOTH if type(a) is Node and a in active else SECOND) if second else FIRST
        else:
            positions = [k for k, i in enumerate(inputs) if type(i) is Node and i in active]
        if release:
            n.inputs = ()
            active.discard(n)
        if live:
            args = [live(i) if type(i) is Node else i for i in inputs]
            out: Any = live(n)
        else:
            if len(inputs) == 2:
                a, b = inputs
                args = [a.value if type(a) is Node else a, b.value if type(b) is Node else b]
            else:
                args = [i.value if type(i) is Node else i for i in inputs]
            out = n.value
            if op.adds is not None and positions[0] == 0 and type(args[0]) is np.ndarray and not isinstance(ct, Handle):
                op.adds(_buffer(cot, buffers, inputs[0]), ct, *args[1:], **params)
                continue
        for k, c in zip(positions, VJP[type(op)](op, positions, ct, out, args, params)):  # noqa: B905
            if c is not None:
                if check is not None:
                    check(n, k, c)
                i = inputs[k]
                cot[i] = cot[i] + c if i in cot else c
                if buffers:
                    buffers.discard(i)
    return [cot.get(v) for v in leaves]


def step_back(n: Node, k: int, ct: Any) -> Any:
    """The cotangent that one node passes to its input k, on plain values."""
    return pulled_back(n.op, [k], ct, n.value, n.values, n.params)[0]


def _buffer(cot: dict[Node, Any], buffers: set[Node], source: Node) -> Any:
    """An array of our own, in which the cotangent of a node adds up: reading n entries costs n, not n squared."""
    if source not in buffers:
        before = cot.get(source)
        cot[source] = (
            np.zeros(np.shape(source.value), np.asarray(source.value).dtype) if before is None else np.array(before)
        )
        buffers.add(source)
    return cot[source]


def forward(
    leaves: Sequence[Node], tangents: Sequence[Any], outputs: Sequence[Node], *, live: type[Handle] | None
) -> list[Any]:
    """Forward mode: the tangent of each output (None for zero), given those of the leaves."""
    check = state.check
    nodes = reachable(outputs, min((v.order for v in leaves), default=0))
    moving: dict[Node, Any] = dict(zip(leaves, tangents, strict=True))
    for n in nodes:
        if n in moving:
            continue
        inputs = n.inputs
        ts = [moving.get(i) if type(i) is Node else None for i in inputs]
        if all(t is None for t in ts):
            continue
        if live:
            args = [live(i) if type(i) is Node else i for i in inputs]
            out: Any = live(n)
        else:
            args = n.values
            out = n.value
        t = pushed_forward(n.op, ts, out, args, n.params)
        if t is not None:
            moving[n] = t
            if check is not None:
                check(n, None, t)
    return [moving.get(o) for o in outputs]
