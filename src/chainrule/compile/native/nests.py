"""Nests: what one entry of a loop computes, and the loops themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.node import Node, Spec
from ...ir.op import Op
from ...ir.optimize import uniform
from ...ops import arithmetic as ar
from ...ops import piecewise as pw
from ...ops.indexing import getitem
from ...ops.linalg import outer
from ...ops.shape import tril, triu
from .elementwise import COST, Expr, Expressions
from .gather import gathered
from .index import Affine, Index, broadcast, flat_index, moves, offset, over, source_index, strides_of
from .memory import Buffer, Memory

WITHIN: dict[Op, Op] = {tril: pw.less_equal, triu: pw.greater_equal}  # how a column compares with what the row allows


@dataclass
class Write:
    """A result of a loop: `node` at every entry, put at `address`; `mode` is store, add, max, min or mul."""

    node: Any
    buffer: Buffer
    address: Affine
    mode: str
    at: tuple[Any, ...] | None = None  # for addresses that are read from arrays: (index node, axis length, stride) each


class Loop:
    """What a nest over a shape is built from: the results that it writes."""

    def __init__(self, shape: tuple[int, ...], *writes: Write) -> None:
        self.shape, self.index, self.writes = shape, over(shape), list(writes)


class Builder:
    """Expressions for the writes of one loop. What the loop itself is `writing` is computed, not loaded."""

    def __init__(self, memory: Memory, writing: set[Any]) -> None:
        self.memory, self.writing = memory, writing
        self.made: dict[Any, Expr] = {}
        self.express = Expressions()

    def value(self, n: Any, index: Index) -> Expr:
        """The entry of a node, or of a constant, at an index."""
        if type(n) is not Node:
            return self._constant(n, index)
        root = (n, index)
        known_ = self.made.get(("node", root))
        if known_ is not None:
            return known_
        # depth first without recursion: `visit` yields what it needs
        stack = [self._visit(n, index)]
        sent: Any = None
        while stack:
            try:
                need = stack[-1].send(sent)
                found = self.made.get(("node", need)) if type(need[0]) is Node else self._constant(*need)
                if found is None:
                    stack.append(self._visit(*need))
                    sent = None
                else:
                    sent = found
            except StopIteration as done:
                stack.pop()
                sent = done.value
        return self.made[("node", root)]

    def _constant(self, x: Any, index: Index) -> Expr:
        number = uniform(x)
        spec = Spec.of(x)
        if number is not None:
            return self.express.constant(number, spec.dtype.name)
        b = self.memory.buffer(x)
        return self.express.load(b, offset(broadcast(index, b.shape), strides_of(b.shape)))

    def _visit(self, n: Node, index: Index) -> Any:
        made = yield from self._made(n, index)
        self.made[("node", (n, index))] = made
        return made

    def _made(self, n: Node, index: Index) -> Any:
        if n not in self.writing and self.memory.loaded(n):
            b = self.memory.buffer(n)
            return self.express.load(b, offset(index, strides_of(b.shape)))
        made = yield from self._operation(n, index)
        return made

    def _operation(self, n: Node, index: Index) -> Any:
        dtype = Spec.of(n.value).dtype.name
        if moves(n):
            source = n.inputs[0]
            given = source.shape if type(source) is Node else np.shape(source)
            at = source_index(n, index, given)
            if at is None:
                b = self.memory.buffer(source)
                return self.express.load(b, flat_index(index, n.shape))
            made = yield (source, at)
            return made
        if n.op is getitem:
            made = yield from self._gather(n, index)
            return made
        if n.op is outer:
            a = yield (n.inputs[0], (index[0],))
            b = yield (n.inputs[1], (index[1],))
            return self.express.operation(n, [a, b], dtype)
        args: list[Expr] = []
        for i in n.inputs:
            shape = i.shape if type(i) is Node else np.shape(i)
            e = yield (i, broadcast(index, shape))
            args.append(e)
        if n.op in WITHIN:
            row, column = (self.express.shared("index", "int64", data=i) for i in index[-2:])
            limit = self.express.shared(ar.add, "int64", (row, self.express.constant(n.params.get("k", 0), "int64")))
            keep = self.express.shared(WITHIN[n.op], "bool", (column, limit))
            return self.express.shared(pw.where, dtype, (keep, args[0], self.express.constant(0, dtype)))
        return self.express.operation(n, args, dtype)

    def _gather(self, n: Node, index: Index) -> Any:
        source = n.inputs[0]
        b = self.memory.buffer(source)
        start, at = gathered(n.params["index"], n.inputs[1:], index, b.shape)
        places: list[Expr] = []
        for array, inner, _, _ in at:
            e = yield (array, inner)
            places.append(self.express.cast(e, "int64"))
        key = (b.number, start, tuple((length, stride) for _, _, length, stride in at))
        return self.express.shared(
            "gather",
            b.dtype.name,
            tuple(places),
            (b, start, [(length, stride) for _, _, length, stride in at]),
            key=key,
        )


class Nest:
    """The loops of one step, after neighbours have been merged: lengths, and expressions with their addresses rewritten."""

    def __init__(self, memory: Memory, step: Loop) -> None:
        own = {w.node for w in step.writes if type(w.node) is Node and memory.home.get(w.node) is w.buffer}
        build = Builder(memory, own)
        self.results: list[tuple[Expr, Buffer, Affine, str, list[tuple[Expr, int, int]]]] = []
        for w in step.writes:
            if isinstance(w.node, tuple):
                x, reduction = w.node
                e = build.value(x, step.index)
                e = build.express.cast(e, Spec.of(reduction.value).dtype.name)
            else:
                shape = w.node.shape if type(w.node) is Node else np.shape(w.node)
                e = build.express.cast(build.value(w.node, broadcast(step.index, shape)), w.buffer.dtype.name)
            at = [
                (build.express.cast(build.value(a, i), "int64"), length, stride) for a, i, length, stride in w.at or ()
            ]
            self.results.append((e, w.buffer, w.address, w.mode, at))
        needed: set[int] = set()
        stack = [e for e, *_ in self.results] + [p for *_, at in self.results for p, _, _ in at]
        while stack:
            e = stack.pop()
            if id(e) not in needed:
                needed.add(id(e))
                stack += e.args
        self.order = [e for e in build.express.order if id(e) in needed]
        self._merge(step.shape)

    def _addresses(self) -> list[Affine]:
        found = [address for _, _, address, _, _ in self.results]
        for e in self.order:
            if e.kind in ("load", "gather"):
                found.append(e.data[1])
            elif e.kind == "index":
                found.append(e.data)
        return found

    def _merge(self, shape: tuple[int, ...]) -> None:
        """Merge neighbouring loops that every address steps through as if they were one."""
        variables = [k for k, n in enumerate(shape) if n != 1]
        addresses = self._addresses()
        groups: list[list[int]] = []
        for k in variables:
            n = shape[k]
            if groups and all(a.coefficient(groups[-1][-1]) == a.coefficient(k) * n for a in addresses):
                groups[-1].append(k)
            else:
                groups.append([k])
        self.lengths = [math.prod(shape[k] for k in g) for g in groups]
        new = {g[-1]: i for i, g in enumerate(groups)}

        def rewritten(a: Affine) -> Affine:
            return Affine(a.constant, tuple((new[v], c) for v, c in a.terms if v in new))

        self.results = [(e, b, rewritten(a), mode, at) for e, b, a, mode, at in self.results]
        for e in self.order:
            if e.kind in ("load", "gather"):
                e.data = (e.data[0], rewritten(e.data[1]), *e.data[2:])
            elif e.kind == "index":
                e.data = rewritten(e.data)
        self.empty = any(n == 0 for n in shape)

    def reads(self) -> list[Buffer]:
        """What is loaded, and what is added to."""
        loaded = [e.data[0] for e in self.order if e.kind in ("load", "gather")]
        return [*loaded, *(b for _, b, _, mode, _ in self.results if mode != "store")]

    def writes(self) -> list[Buffer]:
        """What results are put into."""
        return [b for _, b, _, _, _ in self.results]

    def buffers(self) -> list[Buffer]:
        """All memory that the nest touches, each once, in order of number."""
        found = {b.number: b for b in (*self.writes(), *self.reads())}
        return [found[k] for k in sorted(found)]

    def work(self) -> int:
        """About how many operations the whole nest does."""
        return math.prod(self.lengths) * sum(COST.get(e.kind, 1) for e in self.order)

    def parallel(self) -> bool:
        """Whether threads may share the outermost loop: what they all add to must be small, and no address read from arrays."""
        for _, b, address, mode, at in self.results:
            if at:
                return False
            if not address.coefficient(0) and (mode == "store" or b.bytes > 1 << 14):
                return False
            if mode != "store" and address.coefficient(0) and _overlaps(address):
                return False
        return bool(self.lengths) and self.lengths[0] > 1


def _overlaps(address: Affine) -> bool:
    """Whether two values of the outermost variable may reach the same place: windows that overlap."""
    own = abs(address.coefficient(0))
    return any(abs(c) >= own for v, c in address.terms if v != 0)
