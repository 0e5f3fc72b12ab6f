"""How values come into memory, and the operations that do not work entry by entry, as steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir.graph import Graph
from ...ir.node import Node, Spec
from .gather import gathered, moved, taking
from .index import Affine, Index, count, flat_index, moves, offset, over, source_index, strides_of, taken
from .numpy_calls import several
from .products import contraction, product
from .steps import Buffer, CallStep, CopyStep, FillStep, LoopStep, Plan, ScanStep, Unsupported, View, Write


class Lowering:
    """The part of the planner that knows memory. `lowered` makes the plan of a loop's body."""

    home: dict[Any, Buffer]
    stored: set[Node]
    consumers: dict[Node, list[Node]]
    pool: list[Buffer]
    constants: dict[int, Buffer]
    keep: list[Any]
    calls: dict[Node, str]
    lowered: Callable[[Graph, Sequence[Buffer]], Plan]

    def buffer(self, n: Any) -> Buffer:
        """The memory of a node, or of a constant."""
        if type(n) is not Node:
            if id(n) not in self.constants:
                a = np.ascontiguousarray(n) if np.ndim(n) else np.asarray(n)
                self.constants[id(n)] = self._new("constant", a.shape, a.dtype, a)
                self.keep.append(n)
            return self.constants[id(n)]
        if n not in self.home:
            spec = Spec.of(n.value)
            self.home[n] = self._new("temporary", spec.shape, spec.dtype)
        return self.home[n]

    def _new(self, role: str, shape: tuple[int, ...], dtype: Any, data: Any = None) -> Buffer:
        made = Buffer(role, tuple(shape), np.dtype(dtype), data=data)
        made.number = len(self.pool)
        self.pool.append(made)
        return made

    # ---- values that are read whole ----------------------------------------------------------------------------

    def view(self, n: Any) -> View:
        """A value as a view of memory."""
        chain: list[Node] = []
        while type(n) is Node and n not in self.home and n not in self.stored and moves(n):
            chain.append(n)
            n = n.inputs[0]
        b = self.buffer(n)
        index = over(chain[0].shape if chain else b.shape)
        shape = chain[0].shape if chain else b.shape
        address: Affine | None = None
        for k, m in enumerate(chain):
            given = chain[k + 1].shape if k + 1 < len(chain) else b.shape
            found = source_index(m, index, given)
            if found is None:  # a reshape of what is contiguous
                address = flat_index(index, m.shape)
                if k + 1 < len(chain):
                    raise Unsupported("a reshape of a view")
                break
            index = found
        if address is None:
            address = offset(index, strides_of(b.shape))
        return View(b, address.constant, tuple(shape), tuple(address.coefficient(k) for k in range(len(shape))))

    def _matmul(self, n: Node, plan: Plan) -> None:
        a, b = self.view(n.inputs[0]), self.view(n.inputs[1])
        if 0 in a.shape or 0 in b.shape:
            plan.steps.append(FillStep(self.buffer(n), 0.0))
            return
        plan.steps.append(product(a, b, self.buffer(n), n.shape))

    def _einsum(self, n: Node, plan: Plan) -> None:
        terms, out = n.params["subscripts"].split("->")
        parts = terms.split(",")
        if len(parts) != 2 or any(len(set(t)) != len(t) for t in (*parts, out)):
            raise Unsupported(f"native code has no einsum {n.params['subscripts']}")
        views = [self.view(i) for i in n.inputs]
        step = contraction(parts, out, views, self.buffer(n))
        if step is None:
            raise Unsupported(f"native code has no einsum {n.params['subscripts']}")
        plan.steps.append(step)

    def lower(self, n: Node, plan: Plan) -> None:
        """The steps of a node that is computed whole."""
        why, before = self.calls.get(n), len(plan.steps)
        if why is None:
            try:
                return getattr(self, "_" + n.op.name)(n, plan)
            except Unsupported as reason:
                why = str(reason)
                del plan.steps[before:]
        self._called(n, plan, why)
        return None

    def _called(self, n: Node, plan: Plan, why: str) -> None:
        """A step that leaves the node to NumPy."""
        homes = self.pick_buffers(n) if several(n) else [self.buffer(n)]
        filled = [View(b, 0, b.shape, strides_of(b.shape)) for b in homes]
        plan.steps.append(CallStep({n: why}, {n: filled}, {i: self.view(i) for i in n.parents}))

    # ---- writes into parts -------------------------------------------------------------------------------------

    def _part(self, plan: Plan, node: Any, shape: tuple[int, ...], b: Buffer, place: Any, mode: str = "store") -> None:
        """A loop over `shape` that puts `node` where `place(index)` says."""
        step = LoopStep(tuple(shape), [])
        step.writes.append(Write(node, b, place(step.index), mode))
        plan.steps.append(step)

    def _concatenate(self, n: Node, plan: Plan) -> None:
        b, axis, start = self.buffer(n), n.params["axis"] % len(n.shape), 0
        for i in n.inputs:
            shape = i.shape if type(i) is Node else np.shape(i)
            here = start
            self._part(plan, i, shape, b, lambda ix, here=here: offset(moved(ix, axis, here), strides_of(n.shape)))
            start += shape[axis]

    def _stack(self, n: Node, plan: Plan) -> None:
        b, axis = self.buffer(n), n.params["axis"] % len(n.shape)
        for k, i in enumerate(n.inputs):
            shape = i.shape if type(i) is Node else np.shape(i)
            self._part(
                plan, i, shape, b,
                lambda ix, k=k: offset((*ix[:axis], Affine(k), *ix[axis:]), strides_of(n.shape)),
            )  # fmt: skip

    def _pad(self, n: Node, plan: Plan) -> None:
        b, widths = self.buffer(n), n.params["width"]
        plan.steps.append(FillStep(b, 0.0))
        x = n.inputs[0]
        self._part(
            plan, x, x.shape, b,
            lambda ix: offset(tuple(i + w[0] for i, w in zip(ix, widths, strict=True)), strides_of(n.shape)),
        )  # fmt: skip

    def _windows_sum(self, n: Node, plan: Plan) -> None:
        b, x, p = self.buffer(n), n.inputs[0], n.params
        plan.steps.append(FillStep(b, 0.0))
        d = len(p["size"])
        lead = len(n.shape) - d

        def place(ix: Index) -> Affine:
            inner, outer = ix[lead : lead + d], ix[lead + d :]
            space = tuple(o * s + i * e for o, s, i, e in zip(outer, p["stride"], inner, p["dilation"], strict=True))
            return offset((*ix[:lead], *space), strides_of(n.shape))

        self._part(plan, x, x.shape, b, place, "add")

    def _scatter(self, n: Node, plan: Plan) -> None:
        b = self.buffer(n)
        plan.steps.append(FillStep(b, 0.0))
        self._indexed(n, n.inputs[0], n.inputs[1:], b, plan, "add")

    def _index_set(self, n: Node, plan: Plan) -> None:
        self._based(n, plan, "store")

    def _index_add(self, n: Node, plan: Plan) -> None:
        self._based(n, plan, "add")

    def _based(self, n: Node, plan: Plan, mode: str) -> None:
        b = self.buffer(n)
        self._part(plan, n.inputs[0], n.shape, b, lambda ix: offset(ix, strides_of(n.shape)))
        self._indexed(n, n.inputs[1], n.inputs[2:], b, plan, mode)

    def _indexed(self, n: Node, v: Any, arrays: Sequence[Any], b: Buffer, plan: Plan, mode: str) -> None:
        """A loop over what an index takes from an array of the node's shape, writing `v` there."""
        index = n.params["index"]
        step = LoopStep(taking(index, arrays, n.shape), [])
        if arrays:
            start, at = gathered(index, arrays, step.index, n.shape)
            step.writes.append(Write(v, b, start, mode, at))
        else:
            address = offset(taken(index, step.index, n.shape), strides_of(n.shape))
            step.writes.append(Write(v, b, address, mode))
        plan.steps.append(step)

    # ---- loops of the program ----------------------------------------------------------------------------------

    def pick_buffers(self, n: Node) -> list[Buffer]:
        """Memory for each result of a loop, the home of the `pick` that takes it."""
        found: list[Buffer | None] = [None] * len(n.value)
        for c in self.consumers.get(n, ()):
            if c.op.name == "pick":
                k = c.params["index"]
                if found[k] is None:
                    found[k] = self.buffer(c)
                else:
                    self.home[c] = found[k]  # type: ignore[assignment]
        return [
            f if f is not None else self._new("temporary", Spec.of(v).shape, Spec.of(v).dtype)
            for f, v in zip(found, n.value, strict=True)
        ]

    def _whole(self, i: Any) -> Buffer:
        """A value as a contiguous buffer."""
        v = self.view(i)
        steps = [(s, w) for n, s, w in zip(v.shape, v.strides, strides_of(v.shape), strict=True) if n != 1]
        if v.start or count(v.shape) != count(v.buffer.shape) or any(s != w for s, w in steps):
            raise Unsupported("a loop over a view")
        return v.buffer

    def _scan(self, n: Node, plan: Plan) -> None:
        p = n.params
        body: Graph = p["body"]
        carried, scanned = p["carried"], p["scanned"]
        results = self.pick_buffers(n)
        given = [self._whole(i) for i in n.inputs]
        rows = [self._new("temporary", i.shape, i.dtype) for i in body.inputs[carried : carried + scanned]]
        for k in range(carried):
            if given[k].dtype != results[k].dtype or given[k].shape != results[k].shape:
                raise Unsupported("what the loop carries changes its dtype")
            plan.steps.append(CopyStep(given[k], results[k]))
        inputs = [*results[:carried], *rows, *given[carried + scanned :]]
        for i, b in zip(body.inputs, inputs, strict=True):
            if Spec.of(i.value).dtype != b.dtype or i.shape != b.shape:
                raise Unsupported("the body of the loop was made for other dtypes")
        inner = self.lowered(body, inputs)
        left = self._apart(inner, results[:carried])
        plan.steps.append(
            ScanStep(
                inner,
                p["length"],
                list(zip(results[:carried], left[:carried], strict=True)),
                list(zip(rows, given[carried : carried + scanned], strict=True)),
                list(zip(left[carried:], results[carried:], strict=True)),
            )
        )

    def _apart(self, body: Plan, carried: Sequence[Buffer]) -> list[Buffer]:
        """What a body leaves: a carried value that goes to the place of another is copied first, as in `a, b = b, a + b`."""
        left = list(body.outputs)
        for k, b in enumerate(left):
            if b in carried and (k >= len(carried) or b is not carried[k]):
                left[k] = self._new("temporary", b.shape, b.dtype)
                body.steps.append(CopyStep(b, left[k]))
        return left

    def _while_loop(self, n: Node, plan: Plan) -> None:
        p = n.params
        carried, tested = p["carried"], p["tested"]
        results = self.pick_buffers(n)
        given = [self._whole(i) for i in n.inputs]
        for k in range(carried):
            if given[k].dtype != results[k].dtype or given[k].shape != results[k].shape:
                raise Unsupported("what the loop carries changes its dtype")
            plan.steps.append(CopyStep(given[k], results[k]))
        if p["limit"] is not None:
            raise Unsupported("native code has no loop with a limit on its steps")
        outside, inside = given[carried : carried + tested], given[carried + tested :]
        test = self.lowered(p["test"], [*results[:carried], *outside])
        if test.outputs[0].dtype != bool:
            raise Unsupported("its condition is no truth value")
        body = self.lowered(p["body"], [*results[:carried], *inside])
        carry = list(zip(results[:carried], self._apart(body, results[:carried]), strict=False))
        plan.steps.append(ScanStep(body, -1, carry, [], [], test, test.outputs[0]))
