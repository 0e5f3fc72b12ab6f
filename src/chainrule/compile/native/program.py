"""A graph as a native program, called with plain values."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ir.graph import Graph
from ...ir.node import Node, Spec
from .engine import blas, compiled, llvm, lock, threads
from .entry import Entry
from .instructions import spelled
from .lowerable import Lowerable
from .memory import Buffer, Unsupported
from .nests import Nest
from .objects import callable_at, numpy_functions, supported
from .plan import Planner
from .printer import Module
from .steps import CopyStep, Plan

ALIGN = 64


def laid_out(plan: Plan) -> int:
    """Give temporaries their places in one workspace, those that are never alive together sharing; its size in bytes."""
    for k, step in enumerate(plan.steps):
        for b in (*step.reads(), *step.writes()):
            b.first, b.last = min(b.first, k), max(b.last, k)
    alive = [b for b in plan.buffers if b.role == "temporary" and b.last >= 0]
    placed: list[Buffer] = []
    total = 0
    for b in sorted(alive, key=lambda b: -b.bytes):
        size = -(-max(b.bytes, 1) // ALIGN) * ALIGN
        others = sorted((o for o in placed if o.first <= b.last and b.first <= o.last), key=lambda o: o.offset)
        at = 0
        for o in others:
            if at + size <= o.offset:
                break
            at = max(at, o.offset + -(-max(o.bytes, 1) // ALIGN) * ALIGN)
        b.offset = at
        placed.append(b)
        total = max(total, at + size)
    return total


class NativeProgram:
    """A compiled graph: takes values in the order of the graph's inputs, and gives its outputs."""

    def __init__(
        self, graph: Graph, entry: Entry | None = None, donated: Sequence[int] | Mapping[int, int] = ()
    ) -> None:
        self.graph = graph
        pool: list[Buffer] = []
        inputs: list[Buffer] = []
        for i in graph.inputs:
            spec = Spec.of(i.value)
            b = Buffer("input", spec.shape, spec.dtype)
            b.number = len(pool)
            pool.append(b)
            inputs.append(b)
        self.plan = Planner(graph, inputs, pool, Lowerable(spelled)).plan()
        self.plan.checked({b.number for b in inputs})
        self._own_outputs()
        self.reused = self._reuse(donated)
        self.workspace = laid_out(self.plan)
        constants = [b for b in pool if b.role == "constant"]
        placed = [*inputs, *(None if k in self.reused else b for k, b in enumerate(self.results)), *constants]
        self.slots = {b.number: k for k, b in enumerate(placed) if b is not None}
        size = len(placed)
        found = blas()
        module = Module(self.plan, None if found is None else found.wide, threads())
        text = module.text(self.slots, size)
        self.text = text
        addresses = {} if found is None else found.addresses
        symbols = {f"chainrule_{k}": v for k, v in addresses.items()}
        self.objects = module.objects
        if self.objects:
            if not supported():
                raise Unsupported("arrays lie in memory as on no machine that native code knows")
            symbols |= numpy_functions()
        self.constants = [b.data for b in constants]
        self.entry: Any = None
        if entry is not None:
            try:
                self.text = text = text + entry.text(self)
                symbols |= numpy_functions()
            except NotImplementedError:
                entry = None
        with lock:
            self.engine = compiled(text, symbols)
            address = self.engine.get_function_address("run")
        kind = ctypes.PYFUNCTYPE if self.objects else ctypes.CFUNCTYPE  # the first passes on what a call raises
        self.function = kind(ctypes.c_int32, ctypes.c_void_p)(address)
        self.fixed = [c.ctypes.data for c in self.constants]
        self.dtypes = [b.dtype for b in inputs]
        self.shapes = [(b.shape, b.dtype) for b in self.results]
        self.spare: list[Any] = []
        if entry is not None:
            table = ctypes.CFUNCTYPE(ctypes.c_void_p)(self.engine.get_function_address("table"))()
            ctypes.memmove(
                table, (ctypes.c_void_p * len(entry.objects))(*map(id, entry.objects)), 8 * len(entry.objects)
            )
            self.entry = callable_at(self.engine.get_function_address("entry"), (self.engine, entry.objects))

    def work(self) -> int:
        """About how many operations one run does."""
        return sum(s.work() for s in self.plan.steps)

    def _own_outputs(self) -> None:
        """Memory of its own for every output; plain numbers among them stay as they are."""
        seen: set[int] = set()
        self.results: list[Buffer] = []
        self.given: list[Any] = []
        for o, b in zip(self.graph.outputs, self.plan.outputs, strict=True):
            if type(o) is not Node:
                self.given.append(("constant", o))
                continue
            if b.role != "temporary" or b.number in seen:
                new = Buffer("output", b.shape, b.dtype)
                new.number = len(self.plan.buffers)
                self.plan.buffers.append(new)
                self.plan.steps.append(CopyStep(b, new))
                b = new
            else:
                b.role = "output"
            seen.add(b.number)
            self.given.append(("buffer", len(self.results)))
            self.results.append(b)

    def _reuse(self, donated: Sequence[int] | Mapping[int, int]) -> dict[int, int]:
        """Results that are written into the memory of a donated input, by number: the input's position.

        `donated` says which inputs are free for any result or, for outputs by position, which input is free for that one only.
        """
        if not donated:
            return {}
        outputs = {r: k for k, (kind, r) in enumerate(self.given) if kind == "buffer"}
        only = donated if isinstance(donated, Mapping) else None
        steps = self.plan.steps
        uses = [{b.number for b in (*s.reads(), *s.writes())} for s in steps]
        found: dict[int, int] = {}
        free = list(donated if only is None else only.values())
        for k, out in enumerate(self.results):
            at = [j for j, u in enumerate(uses) if out.number in u]
            for i in free if only is None else [i for i in free if i == only.get(outputs[k])]:
                given = self.plan.inputs[i]
                last = max((j for j, u in enumerate(uses) if given.number in u), default=-1)
                if given.shape != out.shape or given.dtype != out.dtype or not at or not out.shape or last > at[0]:
                    continue
                if last == at[0] and not _in_place(steps[last], given, out):
                    continue
                out.number = given.number  # from here on they are the same memory
                self.results[k] = given
                found[k] = i
                free.remove(i)
                break
        return found

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """Run on plain values."""
        arrays = [_contiguous(v, d) for v, d in zip(values, self.dtypes, strict=True)]
        for i in self.reused.values():
            others = (a for k, a in enumerate(arrays) if k != i)
            if not arrays[i].flags.writeable or any(np.may_share_memory(arrays[i], a) for a in others):
                arrays[i] = arrays[i].copy()
        outputs = [
            arrays[self.reused[k]] if k in self.reused else np.empty(shape, dtype)
            for k, (shape, dtype) in enumerate(self.shapes)
        ]
        try:
            space = self.spare.pop()
        except IndexError:
            space = np.empty(self.workspace + ALIGN, np.uint8)
        start = space.ctypes.data
        pointers = [
            *(a.ctypes.data for a in arrays),
            *(o.ctypes.data for o in outputs),
            *self.fixed,
            start + -start % ALIGN,
            *map(id, self.objects),
        ]
        bad = self.function((ctypes.c_void_p * len(pointers))(*pointers))
        self.spare.append(space)
        if bad:
            raise ShapeError(
                "an index is out of range of the axis that it reads", "check the index arrays that were passed"
            )
        return [
            o if kind == "constant" else outputs[o][()] if not outputs[o].ndim else outputs[o] for kind, o in self.given
        ]


def _in_place(nest: Any, given: Buffer, out: Buffer) -> bool:
    """Whether a loop may write a result over an input: every entry of it is read where it is written, and nowhere else."""
    if not isinstance(nest, Nest):
        return False
    written = [a for _, b, a, mode, at in nest.results if b is out and mode == "store" and not at]
    read = [e.data[1] for e in nest.order if e.kind == "load" and e.data[0] is given]
    gathered = any(e.kind == "gather" and e.data[0] is given for e in nest.order)
    return len(written) == 1 and not gathered and all(a == written[0] for a in read)


def _contiguous(v: Any, dtype: np.dtype[Any]) -> Any:
    a = np.asarray(v, dtype)
    return a if a.flags.c_contiguous and a.flags.aligned else np.array(a, order="C")


def native(graph: Graph, entry: Entry | None = None, donated: Sequence[int] | Mapping[int, int] = ()) -> NativeProgram:
    """The graph as native code, with an entry for Python.

    Raises:
        Unsupported: NumPy has to run all of it; why.
    """
    if llvm() is None:
        raise Unsupported("llvmlite is not installed")
    if os.environ.get("CHAINRULE_NATIVE") == "0":
        raise Unsupported("CHAINRULE_NATIVE is 0")
    if not graph.nodes:
        raise Unsupported("there is nothing to compute")
    return NativeProgram(graph, entry, donated)
