"""The scheduler: which nodes become one loop, what is stored, and in which order it all runs.

Nodes that work entry by entry are *fused*: they get memory only if something needs them there (an output, a matrix
product), or if they are dear and needed in another loop. All fused nodes and reductions over the same shape whose
inputs are ready at the same stage become one loop. What cannot be fused (matrix products, scatters, loops of the
program) runs between the stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ir.graph import Graph
from ...ir.node import Node, Spec
from .expressions import COST, known
from .index import Affine, Index, broadcast, count, flat_index, moves, offset, over, source_index, strides_of

DTYPES = ("float32", "float64", "int64", "int32", "bool", "uint8", "int8", "int16")
REDUCTIONS = {"sum": "add", "reduce_max": "max", "reduce_min": "min", "prod": "mul"}
OPAQUE = ("matmul", "scan", "while_loop", "einsum")
WRITES = ("concatenate", "stack", "pad", "scatter", "index_set", "index_add", "windows_sum")
CHEAP = 8  # operations that are sooner done again than stored


class Unsupported(Exception):
    """The graph holds something that native code does not know."""


class Buffer:
    """Memory for one value, contiguous. `role` is input, constant, output or temporary."""

    __slots__ = ("bytes", "data", "dtype", "first", "last", "number", "offset", "role", "shape", "slot")

    def __init__(
        self, role: str, shape: tuple[int, ...], dtype: np.dtype[Any], slot: int = 0, data: Any = None
    ) -> None:
        self.role, self.shape, self.slot, self.data = role, shape, slot, data
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


@dataclass
class Write:
    """A result of a loop: `node` at every entry, put at `address`; `mode` is store, add, max, min or mul."""

    node: Any
    buffer: Buffer
    address: Affine
    mode: str
    at: tuple[Any, ...] | None = None  # for addresses that are read from arrays: (index node, axis length, stride) each


@dataclass
class LoopStep:
    """One nest over a shape."""

    shape: tuple[int, ...]
    writes: list[Write]
    index: Index = ()

    built: Any = None

    def __post_init__(self) -> None:
        self.index = over(self.shape)

    def nest(self, planner: Planner) -> Any:
        """The loops and what they compute, built once."""
        if self.built is None:
            from .expressions import Nest

            self.built = Nest(planner, self)
        return self.built


@dataclass
class FillStep:
    """A buffer set to one number."""

    buffer: Buffer
    value: float


@dataclass
class CopyStep:
    """A buffer copied to another of the same size."""

    source: Buffer
    target: Buffer


@dataclass
class ProductStep:
    """C = A B for every entry of the batch; shapes (m, k), (k, n), (m, n); strides in entries."""

    a: View
    b: View
    c: View
    batch: tuple[int, ...]
    sizes: tuple[int, int, int]
    accumulate: float = 0.0


@dataclass
class ScanStep:
    """A loop of the program: the body runs `length` times; `carry` pairs (buffer, what the body leaves there)."""

    body: Plan
    length: int
    carry: list[tuple[Buffer, Buffer]]
    rows: list[tuple[Buffer, Buffer]]
    stacked: list[tuple[Buffer, Buffer]]
    test: Plan | None = None
    condition: Buffer | None = None
    limit: int | None = None


@dataclass
class Plan:
    """Steps in order, over buffers."""

    steps: list[Any] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    inputs: list[Buffer] = field(default_factory=list)
    outputs: list[Buffer] = field(default_factory=list)
    planner: Any = None


class Planner:
    """Builds the plan of a graph."""

    def __init__(self, graph: Graph, inputs: Sequence[Buffer], pool: list[Buffer]) -> None:
        self.graph, self.pool = graph, pool
        self.home: dict[Any, Buffer] = dict(zip(graph.inputs, inputs, strict=True))
        self.constants: dict[int, Buffer] = {}
        self.level: dict[Node, int] = dict.fromkeys(graph.inputs, 0)
        self.computed: set[Node] = set()
        self.stored: set[Node] = set()
        self.needed: set[Node] = set()  # those that something else than a loop reads
        self.consumers: dict[Node, list[Node]] = {}
        self.inputs = list(inputs)
        self.writing: dict[Any, set[Any]] = {}

    # ---- what is known of a node -----------------------------------------------------------------------------

    def kind(self, n: Node) -> str:
        """fused, reduction, write or opaque."""
        name = n.op.name
        if name in REDUCTIONS:
            return "reduction"
        if name in WRITES:
            return "write"
        if name in OPAQUE:
            return "opaque"
        if name == "pick":
            return "pick"
        if moves(n) or known(n):
            return "fused"
        raise Unsupported(f"{name} of {[str(Spec.of(v).dtype) for v in n.values]}")

    def plan(self) -> Plan:
        """The whole plan."""
        nodes = self.graph.nodes
        for n in nodes:
            specs = n.value if isinstance(n.value, tuple) and not isinstance(n.value, Spec) else (n.value,)
            for v in (*specs, *n.values):
                spec = Spec.of(v) if not (isinstance(v, tuple) and not isinstance(v, Spec)) else None
                if spec is not None and spec.dtype.name not in DTYPES:
                    raise Unsupported(f"dtype {spec.dtype}")
            for i in dict.fromkeys(n.parents):
                self.consumers.setdefault(i, []).append(n)
        kinds = {n: self.kind(n) for n in nodes}
        for n in nodes:
            self._place(n, kinds)
        for o in self.graph.outputs:
            if type(o) is Node:
                self.needed.add(o)
        self._decide(nodes, kinds)
        return self._emit(nodes, kinds)

    def _place(self, n: Node, kinds: dict[Node, str]) -> None:
        """The stage at which a node can run."""
        ready = 0
        for i in n.parents:
            level = self.level[i]
            if kinds.get(i) == "fused" and i in self.computed and i.shape != n.shape and kinds[n] == "fused":
                level += 1
            ready = max(ready, level)
        kind = kinds[n]
        if kind == "fused":
            if not moves(n):
                self.computed.add(n)
            else:
                source = n.inputs[0]
                if type(source) is Node:
                    if source in self.computed:
                        self.computed.add(n)
                    affine = source_index(n, over(n.shape), source.shape) is not None
                    if not affine and kinds.get(source) == "fused":
                        self.needed.add(source)
                        ready = max(ready, self.level[source] + 1)
            for i in self._gathered(n):
                if kinds.get(i) == "fused":
                    self.needed.add(i)
                    ready = max(ready, self.level[i] + 1)
            self.level[n] = ready
        elif kind == "reduction":
            self.level[n] = ready + 1
        elif kind == "pick":
            self.level[n] = self.level[n.inputs[0]]
        else:
            self.level[n] = ready + 1
            for i in n.parents if kind == "opaque" else ():
                if n.op.name in ("scan", "while_loop") and kinds.get(i) == "fused":
                    self.needed.add(i)
                else:
                    self._need_view(i, kinds)

    def _gathered(self, n: Node) -> list[Node]:
        """Inputs that are read at places which arrays give."""
        if n.op.name == "getitem" and len(n.inputs) > 1 and type(n.inputs[0]) is Node:
            return [n.inputs[0]]
        return []

    def _need_view(self, i: Node, kinds: dict[Node, str]) -> None:
        """Make sure that a value is in memory, perhaps as a view of another."""
        while kinds.get(i) == "fused":
            if not moves(i) or type(i.inputs[0]) is not Node or i.op.name == "windows":
                self.needed.add(i)
                return
            if source_index(i, over(i.shape), i.inputs[0].shape) is None and kinds.get(i.inputs[0]) == "fused":
                self.needed.add(i)
                return
            if i.op.name in ("flip",) or (i.op.name == "broadcast_to" and i.shape != i.inputs[0].shape):
                self.needed.add(i)
                return
            i = i.inputs[0]

    # ---- what is stored ----------------------------------------------------------------------------------------

    def _group(self, n: Node) -> tuple[int, tuple[int, ...]]:
        return self.level[n], n.shape

    def _decide(self, nodes: Sequence[Node], kinds: dict[Node, str]) -> None:
        """Store what is needed whole, and what is dear and used in another loop than its own."""
        stored = {n for n in nodes if kinds[n] != "fused"} | {n for n in self.needed if kinds.get(n) == "fused"}
        for _ in range(2):
            cost: dict[Any, int] = {}
            for n in nodes:
                below = sum(cost.get(i, 0) for i in n.parents)
                own = 0 if kinds[n] != "fused" or moves(n) else COST.get(n.op.name, 1)
                cost[n] = 0 if n in stored and kinds[n] != "fused" else own + min(below, 1 << 20)
                if n in stored:
                    self.price = cost[n]
                    cost[n] = 0
            dear = {n for n in nodes if kinds[n] == "fused" and self._full_cost(n, cost) > CHEAP}
            sites: dict[Node, set[Any]] = {}
            new = {n for n in stored if kinds[n] != "fused" or n in self.needed}
            for n in reversed(nodes):
                found: set[Any] = set()
                for c in self.consumers.get(n, ()):
                    kind = kinds[c]
                    if kind == "fused":
                        found |= {self._group(c)} if c in new else sites.get(c, set())
                    elif kind == "reduction":
                        found.add((self.level[n], n.shape))
                    elif kind == "write":
                        found.add((self.level[c], "write"))
                sites[n] = found
                if kinds[n] == "fused" and n not in new and found - {self._group(n)} and n in dear:
                    new.add(n)
                if n in new and kinds[n] == "fused":
                    sites[n] = {self._group(n)}
            stored = new
        self.stored = stored

    def _full_cost(self, n: Node, cost: dict[Any, int]) -> int:
        return (0 if moves(n) else COST.get(n.op.name, 1)) + sum(cost.get(i, 0) for i in n.parents)

    # ---- the steps ---------------------------------------------------------------------------------------------

    def buffer(self, n: Any, spec: Spec | None = None) -> Buffer:
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

    keep: list[Any]

    def _new(self, role: str, shape: tuple[int, ...], dtype: Any, data: Any = None) -> Buffer:
        made = Buffer(role, tuple(shape), np.dtype(dtype), data=data)
        made.number = len(self.pool)
        self.pool.append(made)
        return made

    def _emit(self, nodes: Sequence[Node], kinds: dict[Node, str]) -> Plan:
        self.keep = []
        plan = Plan(buffers=self.pool, inputs=self.inputs)
        stages: dict[int, tuple[dict[Any, LoopStep], list[Node]]] = {}

        def stage(level: int) -> tuple[dict[Any, LoopStep], list[Node]]:
            return stages.setdefault(level, ({}, []))

        def loop(level: int, shape: tuple[int, ...]) -> LoopStep:
            groups = stage(level)[0]
            if shape not in groups:
                groups[shape] = LoopStep(shape, [])
            return groups[shape]

        fills: dict[int, list[Any]] = {}
        for n in nodes:
            kind = kinds[n]
            if kind == "fused" and n in self.stored:
                step = loop(*self._group(n))
                b = self.buffer(n)
                step.writes.append(Write(n, b, flat_index(step.index, n.shape), "store"))
            elif kind == "reduction":
                x = n.inputs[0]
                level, shape = self.level[n] - 1, np.shape(x) if type(x) is not Node else x.shape
                step = loop(level, shape)
                b = self.buffer(n)
                axes = {a % len(shape) for a in n.params["axis"]} if shape else set()
                kept = [i for k, i in enumerate(step.index) if k not in axes]
                lengths = [m for k, m in enumerate(shape) if k not in axes]
                mode = REDUCTIONS[n.op.name]
                if mode in ("max", "min") and count(shape) == 0 and count(n.shape):
                    raise Unsupported("a maximum over nothing")
                step.writes.append(Write((x, n), b, offset(tuple(kept), strides_of(lengths)), mode))
                fills.setdefault(level, []).append(FillStep(b, _identity(mode, b.dtype)))
            elif kind in ("write", "opaque"):
                stage(self.level[n] - 1)[1].append(n)
        for level in sorted(stages):
            groups, opaque = stages[level]
            plan.steps += fills.get(level, [])
            plan.steps += groups.values()
            for n in opaque:
                getattr(self, "_" + n.op.name)(n, plan)
        for o in self.graph.outputs:
            plan.outputs.append(self.buffer(o))
        plan.planner = self
        return plan

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
            raise Unsupported(f"einsum {n.params['subscripts']}")
        views = [self.view(i) for i in n.inputs]
        step = contraction(parts, out, views, self.buffer(n))
        if step is None:
            raise Unsupported(f"einsum {n.params['subscripts']}")
        plan.steps.append(step)

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
            self._part(plan, i, shape, b, lambda ix, here=here: offset(_moved(ix, axis, here), strides_of(n.shape)))
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
        taken = np.zeros(n.shape, np.int8)[_example(n.params["index"], arrays)].shape if arrays else None
        if not arrays:
            shape = np.zeros(n.shape, np.int8)[n.params["index"]].shape
            step = LoopStep(tuple(shape), [])
            address = offset(_taken_index(n.params["index"], step.index, n.shape), strides_of(n.shape))
            step.writes.append(Write(v, b, address, mode))
        else:
            step = LoopStep(tuple(taken or ()), [])
            start, at = gathered(n.params["index"], arrays, step.index, n.shape)
            step.writes.append(Write(v, b, start, mode, at))
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
                raise Unsupported("a carry that changes its dtype")
            plan.steps.append(CopyStep(given[k], results[k]))
        inputs = [*results[:carried], *rows, *given[carried + scanned :]]
        for i, b in zip(body.inputs, inputs, strict=True):
            if Spec.of(i.value).dtype != b.dtype or i.shape != b.shape:
                raise Unsupported("a body of other dtypes than its inputs")
        inner = Planner(body, inputs, self.pool).plan()
        left = inner.outputs
        plan.steps.append(
            ScanStep(
                inner,
                p["length"],
                list(zip(results[:carried], left[:carried], strict=True)),
                list(zip(rows, given[carried : carried + scanned], strict=True)),
                list(zip(left[carried:], results[carried:], strict=True)),
            )
        )

    def _while_loop(self, n: Node, plan: Plan) -> None:
        p = n.params
        carried, tested = p["carried"], p["tested"]
        results = self.pick_buffers(n)
        given = [self._whole(i) for i in n.inputs]
        for k in range(carried):
            if given[k].dtype != results[k].dtype or given[k].shape != results[k].shape:
                raise Unsupported("a carry that changes its dtype")
            plan.steps.append(CopyStep(given[k], results[k]))
        if p["limit"] is not None:
            raise Unsupported("a limit on the steps")
        outside, inside = given[carried : carried + tested], given[carried + tested :]
        test = Planner(p["test"], [*results[:carried], *outside], self.pool).plan()
        body = Planner(p["body"], [*results[:carried], *inside], self.pool).plan()
        carry = list(zip(results[:carried], body.outputs[:carried], strict=True))
        plan.steps.append(ScanStep(body, -1, carry, [], [], test, test.outputs[0]))


def _identity(mode: str, dtype: np.dtype[Any]) -> float:
    if mode in ("max", "min"):
        low = mode == "max"
        if dtype.kind == "f":
            return -np.inf if low else np.inf
        if dtype.kind == "b":
            return 0 if low else 1
        return float(np.iinfo(dtype).min if low else np.iinfo(dtype).max)
    return 1.0 if mode == "mul" else 0.0


def _moved(index: Index, axis: int, by: int) -> Index:
    return tuple(i + by if k == axis else i for k, i in enumerate(index))


def _taken_index(template: tuple[Any, ...], index: Index, given: Sequence[int]) -> Index:
    from .index import _taken

    return _taken(template, index, given)


def _example(template: tuple[Any, ...], arrays: Sequence[Any]) -> tuple[Any, ...]:
    from ...ops.indexing import HERE

    rest = iter(arrays)
    return tuple(
        np.zeros(np.shape(a) if type(a := next(rest)) is not Node else a.shape, int) if k is HERE else k
        for k in template
    )


def gathered(
    template: tuple[Any, ...], arrays: Sequence[Any], index: Index, given: Sequence[int]
) -> tuple[Affine, tuple[Any, ...]]:
    """Where an index with integer arrays points in an array of shape `given`: a start, and (array, its index, length, stride)
    for each axis that an array gives.

    Raises:
        Unsupported: boolean arrays, or arrays apart from each other.
    """
    from ...ops.indexing import HERE

    for a in arrays:
        if Spec.of(a.value if type(a) is Node else a).dtype.kind not in "iu":
            raise Unsupported("a boolean index")
    parts = list(template)
    used = sum(1 for p in parts if p is not None and p is not Ellipsis)
    fill = [slice(None)] * (len(given) - used)
    if Ellipsis in parts:
        k = parts.index(Ellipsis)
        parts[k : k + 1] = fill
    else:
        parts += fill
    fancy = [k for k, p in enumerate(parts) if p is HERE or isinstance(p, (int, np.integer))]
    if fancy != list(range(fancy[0], fancy[-1] + 1)) or any(p is None for p in parts):
        raise Unsupported("index arrays apart from each other")
    shapes = [a.shape if type(a) is Node else np.shape(a) for a in arrays]
    common = np.broadcast_shapes(*shapes)
    lead = fancy[0]
    inner = index[lead : lead + len(common)]
    strides = strides_of(given)
    start = Affine()
    at: list[Any] = []
    rest = iter(zip(arrays, shapes, strict=True))
    position = 0
    for axis, p in enumerate(parts):
        if axis == lead:
            position += len(common)
        if p is HERE:
            a, shape = next(rest)
            at.append((a, broadcast(inner, shape), given[axis], strides[axis]))
        elif isinstance(p, slice):
            first, _, step = p.indices(given[axis])
            start = start + (index[position] * step + first) * strides[axis]
            position += 1
        else:
            start = start + (int(p) % given[axis]) * strides[axis]
    return start, tuple(at)


# ---- products --------------------------------------------------------------------------------------------------------


def _flat_strides(shape: Sequence[int], strides: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes of length one left out, neighbours that step alike merged."""
    result: list[tuple[int, int]] = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if result and result[-1][1] == s * n:
            result[-1] = (result[-1][0] * n, s)
        else:
            result.append((n, s))
    return tuple(n for n, _ in result), tuple(s for _, s in result)


def product(a: View, b: View, c: Buffer, shape: tuple[int, ...]) -> ProductStep:
    """`np.matmul` of two views into a buffer."""
    ash, ast, bsh, bst = list(a.shape), list(a.strides), list(b.shape), list(b.strides)
    cst = list(strides_of(shape))
    csh = list(shape)
    if len(ash) == 1:
        ash, ast = [1, *ash], [0, *ast]
        csh, cst = (
            [*csh[:-1], 1, csh[-1]] if len(bsh) > 1 else [*csh, 1],
            [*cst[:-1], 0, cst[-1]] if len(bsh) > 1 else [*cst, 0],
        )
    if len(bsh) == 1:
        bsh, bst = [*bsh, 1], [*bst, 0]
        csh, cst = [*csh, 1], [*cst, 0]
    batch = csh[:-2]
    sa = [0] * (len(batch) - len(ash) + 2) + [0 if n == 1 else s for n, s in zip(ash[:-2], ast[:-2], strict=True)]
    sb = [0] * (len(batch) - len(bsh) + 2) + [0 if n == 1 else s for n, s in zip(bsh[:-2], bst[:-2], strict=True)]
    m, k, n = ash[-2], ash[-1], bsh[-1]
    if all(s == 0 for s in sb) and batch and m * count(batch) > m:  # one matrix for all: the batch becomes rows
        rows, steps = _flat_strides([*batch, m], [*sa, ast[-2]])
        crows, csteps = _flat_strides([*batch, m], [*cst[:-2], cst[-2]])
        if len(rows) <= 1 and len(crows) <= 1:
            m, batch = count(batch) * m, []
            ast[-2] = steps[0] if steps else 0
            cst[-2] = csteps[0] if csteps else 0
            sa, sb = [], []
    return ProductStep(
        View(a.buffer, a.start, (*batch, m, k), (*sa, ast[-2], ast[-1])),
        View(b.buffer, b.start, (*batch, k, n), (*sb, bst[-2], bst[-1])),
        View(c, 0, (*batch, m, n), (*cst[: len(batch)], cst[-2], cst[-1])),
        tuple(batch),
        (m, k, n),
    )


def contraction(parts: Sequence[str], out: str, views: Sequence[View], c: Buffer) -> ProductStep | None:
    """A sum of products of two operands as a batch of matrix products, or None where the strides do not allow it."""
    ta, tb = parts
    batch = [x for x in out if x in ta and x in tb]
    m = [x for x in out if x in ta and x not in tb]
    n = [x for x in out if x in tb and x not in ta]
    k = [x for x in ta if x in tb and x not in out]
    if set(ta) - set(batch) - set(m) - set(k) or set(tb) - set(batch) - set(n) - set(k):
        return None
    sizes = {x: s for t, v in zip(parts, views, strict=True) for x, s in zip(t, v.shape, strict=True)}
    steps = [dict(zip(t, v.strides, strict=True)) for t, v in zip(parts, views, strict=True)]
    cstep = dict(zip(out, strides_of([sizes[x] for x in out]), strict=True))

    def flat(letters: list[str], table: dict[str, int]) -> tuple[int, int] | None:
        lengths, strides = _flat_strides([sizes[x] for x in letters], [table[x] for x in letters])
        return None if len(lengths) > 1 else (count([sizes[x] for x in letters]), strides[0] if strides else 0)

    found = [flat(m, steps[0]), flat(k, steps[0]), flat(k, steps[1]), flat(n, steps[1]), flat(m, cstep), flat(n, cstep)]
    if any(f is None for f in found):
        return None
    (mm, am), (kk, ak), (_, bk), (nn, bn), (_, cm), (_, cn) = found  # type: ignore[misc]
    shape = tuple(sizes[x] for x in batch)
    return ProductStep(
        View(views[0].buffer, views[0].start, (*shape, mm, kk), (*(steps[0][x] for x in batch), am, ak)),
        View(views[1].buffer, views[1].start, (*shape, kk, nn), (*(steps[1][x] for x in batch), bk, bn)),
        View(c, 0, (*shape, mm, nn), (*(cstep[x] for x in batch), cm, cn)),
        shape,
        (mm, kk, nn),
    )
