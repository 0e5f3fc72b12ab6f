"""Memory: what each value of a graph lies in, and views of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.graph import Graph
from ...ir.node import Node, Spec
from ...ops.structured import pick
from .index import Affine, count, flat_index, moves, offset, over, source_index, strides_of


class Unsupported(Exception):
    """Native code does not have something, in the words of `schedule()`."""


class Buffer:
    """Memory for one value, contiguous. `role` is input, constant, output or temporary."""

    __slots__ = ("bytes", "data", "dtype", "first", "last", "number", "offset", "role", "shape")

    def __init__(self, role: str, shape: tuple[int, ...], dtype: np.dtype[Any], data: Any = None) -> None:
        if dtype.kind not in "biufc":
            raise Unsupported(f"values of dtype {dtype} have no place in native code")
        self.role, self.shape, self.data = role, shape, data
        self.dtype = np.dtype(dtype.name)  # in native byte order
        self.bytes = count(self.shape) * self.dtype.itemsize
        self.number = self.offset = 0
        self.first, self.last = 1 << 60, -1

    def __repr__(self) -> str:
        return f"{self.role}{self.number}{list(self.shape)}:{self.dtype.name}"


@dataclass
class View:
    """Part of a buffer, or all of it, with a stride for each axis."""

    buffer: Buffer
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Memory:
    """The buffers of a graph's values; `pool` holds those of the graphs inside it, too.

    `stored` are the nodes that get memory though a loop could compute them again, `computed` those that are more than other values
    moved, `consumers` the nodes that read each.
    """

    def __init__(self, graph: Graph, inputs: Sequence[Buffer], pool: list[Buffer]) -> None:
        self.pool = pool
        self.given = set(graph.inputs)
        self.home: dict[Node, Buffer] = dict(zip(graph.inputs, inputs, strict=True))
        self.constants: dict[int, tuple[Any, Buffer]] = {}
        self.stored: set[Node] = set()
        self.computed: set[Node] = set()
        self.consumers: dict[Node, list[Node]] = {}
        for n in graph.nodes:
            for i in dict.fromkeys(n.parents):
                self.consumers.setdefault(i, []).append(n)

    def new(self, role: str, shape: Sequence[int], dtype: Any, data: Any = None) -> Buffer:
        """A further buffer."""
        made = Buffer(role, tuple(shape), np.dtype(dtype), data)
        made.number = len(self.pool)
        self.pool.append(made)
        return made

    def buffer(self, n: Any) -> Buffer:
        """The memory of a node, or of a constant."""
        if type(n) is not Node:
            if id(n) not in self.constants:
                a = np.ascontiguousarray(n) if np.ndim(n) else np.asarray(n)
                self.constants[id(n)] = n, self.new("constant", a.shape, a.dtype, a)
            return self.constants[id(n)][1]
        if n not in self.home:
            spec = Spec.of(n.value)
            self.home[n] = self.new("temporary", spec.shape, spec.dtype)
        return self.home[n]

    def results(self, n: Node) -> list[Buffer]:
        """Memory for each of several results, the home of the `pick` that takes it."""
        found: list[Buffer | None] = [None] * len(n.value)
        for c in self.consumers.get(n, ()):
            if c.op is pick:
                k = c.params["index"]
                found[k] = self.home[c] = found[k] or self.buffer(c)
        return [f or self.new("temporary", *Spec.of(v)[:2]) for f, v in zip(found, n.value, strict=True)]

    def loaded(self, n: Node) -> bool:
        """Whether loops read a node from memory. What only moves entries is read where they come from: its own memory may be
        written by another loop of the same stage."""
        return n in self.given or ((n in self.home or n in self.stored) and (n in self.computed or not moves(n)))

    def view(self, n: Any) -> View:
        """A value as a view of memory."""
        chain: list[Node] = []
        while type(n) is Node and n not in self.home and n not in self.stored and moves(n):
            chain.append(n)
            n = n.inputs[0]
        b = self.buffer(n)
        shape = chain[0].shape if chain else b.shape
        index = over(shape)
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

    def whole(self, n: Any) -> Buffer:
        """A value as a contiguous buffer."""
        v = self.view(n)
        steps = [(s, w) for n, s, w in zip(v.shape, v.strides, strides_of(v.shape), strict=True) if n != 1]
        if v.start or count(v.shape) != count(v.buffer.shape) or any(s != w for s, w in steps):
            raise Unsupported("a loop over a view")
        return v.buffer
