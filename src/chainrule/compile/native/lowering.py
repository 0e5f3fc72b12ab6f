"""The operations that do not work entry by entry, as steps: a table of what makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir.graph import Graph
from ...ir.node import Node, Spec
from ...ir.op import Op
from ...ops import linalg as la
from ...ops import shape as sh
from ...ops.indexing import index_add, index_set, scatter
from ...ops.loops import scan, while_loop
from ...ops.windows import windows_sum
from .gather import gathered, moved, taking
from .index import Affine, Index, offset, spaced, strides_of, taken
from .memory import Buffer, Memory, Unsupported, View
from .nests import Loop, Write
from .numpy_calls import several
from .products import contraction, product
from .steps import CallStep, CopyStep, FillStep, Plan, ScanStep

Planned = Callable[[Graph, Sequence[Buffer]], Plan]  # makes the plan of a loop's body
Steps = list[Any]


def lowered(n: Node, m: Memory, why: str | None, planned: Planned) -> Steps:
    """The steps of a node that is computed whole; `why` says that it is left to NumPy."""
    if why is None:
        try:
            return LOWERING[n.op](n, m, planned)
        except Unsupported as reason:
            why = str(reason)
    homes = m.results(n) if several(n) else [m.buffer(n)]
    filled = [View(b, 0, b.shape, strides_of(b.shape)) for b in homes]
    return [CallStep({n: why}, {n: filled}, {i: m.view(i) for i in n.parents})]


def _shape(x: Any) -> tuple[int, ...]:
    return x.shape if type(x) is Node else np.shape(x)


# ---- products --------------------------------------------------------------------------------------------------------


def _matmul(n: Node, m: Memory, planned: Planned) -> Steps:
    a, b = m.view(n.inputs[0]), m.view(n.inputs[1])
    if 0 in a.shape or 0 in b.shape:
        return [FillStep(m.buffer(n), 0.0)]
    return [product(a, b, m.buffer(n), n.shape)]


def _einsum(n: Node, m: Memory, planned: Planned) -> Steps:
    terms, out = n.params["subscripts"].split("->")
    parts = terms.split(",")
    step = None
    if len(parts) == 2 and all(len(set(t)) == len(t) for t in (*parts, out)):
        step = contraction(parts, out, [m.view(i) for i in n.inputs], m.buffer(n))
    if step is None:
        raise Unsupported(f"native code has no einsum {n.params['subscripts']}")
    return [step]


# ---- writes into parts -----------------------------------------------------------------------------------------------


def _part(x: Any, shape: Sequence[int], b: Buffer, place: Callable[[Index], Affine], mode: str = "store") -> Loop:
    """A loop over `shape` that puts `x` where `place(index)` says."""
    loop = Loop(tuple(shape))
    loop.writes.append(Write(x, b, place(loop.index), mode))
    return loop


def _concatenate(n: Node, m: Memory, planned: Planned) -> Steps:
    b, axis, start = m.buffer(n), n.params["axis"] % len(n.shape), 0
    steps: Steps = []
    for i in n.inputs:
        here = start
        steps.append(_part(i, _shape(i), b, lambda ix, here=here: offset(moved(ix, axis, here), strides_of(n.shape))))
        start += _shape(i)[axis]
    return steps


def _stack(n: Node, m: Memory, planned: Planned) -> Steps:
    b, axis = m.buffer(n), n.params["axis"] % len(n.shape)

    def place(k: int) -> Callable[[Index], Affine]:
        return lambda ix: offset((*ix[:axis], Affine(k), *ix[axis:]), strides_of(n.shape))

    return [_part(i, _shape(i), b, place(k)) for k, i in enumerate(n.inputs)]


def _pad(n: Node, m: Memory, planned: Planned) -> Steps:
    b, widths, x = m.buffer(n), n.params["width"], n.inputs[0]

    def place(ix: Index) -> Affine:
        return offset(tuple(i + w[0] for i, w in zip(ix, widths, strict=True)), strides_of(n.shape))

    return [FillStep(b, 0.0), _part(x, x.shape, b, place)]


def _windows_sum(n: Node, m: Memory, planned: Planned) -> Steps:
    b, x, p = m.buffer(n), n.inputs[0], n.params
    lead = len(n.shape) - len(p["size"])

    def place(ix: Index) -> Affine:
        return offset(spaced(ix, p, lead), strides_of(n.shape))

    return [FillStep(b, 0.0), _part(x, x.shape, b, place, "add")]


def _scatter(n: Node, m: Memory, planned: Planned) -> Steps:
    return [FillStep(m.buffer(n), 0.0), _indexed(n, n.inputs[0], n.inputs[1:], m.buffer(n), "add")]


def _index_set(n: Node, m: Memory, planned: Planned, mode: str = "store") -> Steps:
    b = m.buffer(n)
    base = _part(n.inputs[0], n.shape, b, lambda ix: offset(ix, strides_of(n.shape)))
    return [base, _indexed(n, n.inputs[1], n.inputs[2:], b, mode)]


def _index_add(n: Node, m: Memory, planned: Planned) -> Steps:
    return _index_set(n, m, planned, "add")


def _indexed(n: Node, v: Any, arrays: Sequence[Any], b: Buffer, mode: str) -> Loop:
    """A loop over what an index takes from an array of the node's shape, writing `v` there."""
    index = n.params["index"]
    loop = Loop(taking(index, arrays, n.shape))
    if arrays:
        start, at = gathered(index, arrays, loop.index, n.shape)
        loop.writes.append(Write(v, b, start, mode, at))
    else:
        loop.writes.append(Write(v, b, offset(taken(index, loop.index, n.shape), strides_of(n.shape)), mode))
    return loop


# ---- loops of the program --------------------------------------------------------------------------------------------


def _carried(given: Sequence[Buffer], results: Sequence[Buffer]) -> Steps:
    """What a loop begins with, put where it carries it."""
    for a, b in zip(given, results, strict=True):
        if a.dtype != b.dtype or a.shape != b.shape:
            raise Unsupported("what the loop carries changes its dtype")
    return [CopyStep(a, b) for a, b in zip(given, results, strict=True)]


def _apart(body: Plan, carried: Sequence[Buffer], m: Memory) -> list[Buffer]:
    """What a body leaves: a carried value that goes to the place of another is copied first, as in `a, b = b, a + b`."""
    left = list(body.outputs)
    for k, b in enumerate(left):
        if b in carried and (k >= len(carried) or b is not carried[k]):
            left[k] = m.new("temporary", b.shape, b.dtype)
            body.steps.append(CopyStep(b, left[k]))
    return left


def _scan(n: Node, m: Memory, planned: Planned) -> Steps:
    p = n.params
    body: Graph = p["body"]
    carried, scanned = p["carried"], p["scanned"]
    results, given = m.results(n), [m.whole(i) for i in n.inputs]
    start = _carried(given[:carried], results[:carried])
    rows = [m.new("temporary", i.shape, i.dtype) for i in body.inputs[carried : carried + scanned]]
    inputs = [*results[:carried], *rows, *given[carried + scanned :]]
    for i, b in zip(body.inputs, inputs, strict=True):
        if Spec.of(i.value).dtype != b.dtype or i.shape != b.shape:
            raise Unsupported("the body of the loop was made for other dtypes")
    plan = planned(body, inputs)
    left = _apart(plan, results[:carried], m)
    carry = list(zip(results[:carried], left[:carried], strict=True))
    taken_rows = list(zip(rows, given[carried : carried + scanned], strict=True))
    stacked = list(zip(left[carried:], results[carried:], strict=True))
    return [*start, ScanStep(plan, p["length"], carry, taken_rows, stacked)]


def _while_loop(n: Node, m: Memory, planned: Planned) -> Steps:
    p = n.params
    carried, tested = p["carried"], p["tested"]
    if p["limit"] is not None:
        raise Unsupported("native code has no loop with a limit on its steps")
    results, given = m.results(n), [m.whole(i) for i in n.inputs]
    start = _carried(given[:carried], results[:carried])
    test = planned(p["test"], [*results[:carried], *given[carried : carried + tested]])
    if test.outputs[0].dtype != bool:
        raise Unsupported("its condition is no truth value")
    body = planned(p["body"], [*results[:carried], *given[carried + tested :]])
    carry = list(zip(results[:carried], _apart(body, results[:carried], m), strict=False))
    return [*start, ScanStep(body, -1, carry, [], [], test, test.outputs[0])]


WRITES: dict[Op, Callable[[Node, Memory, Planned], Steps]] = {  # into parts of what they make
    sh.concatenate: _concatenate, sh.stack: _stack, sh.pad: _pad, windows_sum: _windows_sum,
    scatter: _scatter, index_set: _index_set, index_add: _index_add,
}  # fmt: skip
PRODUCTS: dict[Op, Callable[[Node, Memory, Planned], Steps]] = {la.matmul: _matmul, la.einsum: _einsum}
LOWERING = {**WRITES, **PRODUCTS, scan: _scan, while_loop: _while_loop}
