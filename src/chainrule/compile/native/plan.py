"""The scheduler: which nodes become one loop, what is stored, and in which order it all runs.

Nodes that work entry by entry are *fused*: they get memory only if something needs them there (an output, a matrix
product), or if they are dear and needed in another loop. All fused nodes and reductions over the same shape whose
inputs are ready at the same stage become one loop. What cannot be fused (matrix products, scatters, loops of the
program) runs between the stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.graph import Graph
from ...ir.node import Node
from ...ops.broadcasting import broadcast_to
from ...ops.indexing import getitem
from ...ops.loops import scan, while_loop
from ...ops.shape import flip
from ...ops.windows import windows
from .elementwise import COST
from .index import flat_index, moves, offset, over, source_index, strides_of
from .lowerable import REDUCTIONS, Lowerable
from .lowering import lowered
from .memory import Buffer, Memory, Unsupported
from .nests import Loop, Nest, Write
from .numpy_calls import joined
from .steps import FillStep, Plan, identity

CHEAP = 8  # operations that are sooner done again than stored


class Planner:
    """Builds the plan of a graph."""

    def __init__(self, graph: Graph, inputs: Sequence[Buffer], pool: list[Buffer], known: Lowerable) -> None:
        self.graph, self.inputs, self.known = graph, list(inputs), known
        self.memory = Memory(graph, inputs, pool)
        self.level: dict[Node, int] = dict.fromkeys(graph.inputs, 0)
        self.needed: set[Node] = set()  # those that something else than a loop reads
        self.calls: dict[Node, str] = {}  # what is left to NumPy, and why

    # ---- what is known of a node -----------------------------------------------------------------------------

    def kind(self, n: Node) -> str:
        """fused, reduction, write, opaque, pick; or call, for what is left to NumPy."""
        try:
            return self.known.kind(n)
        except Unsupported as why:
            self.calls[n] = str(why)
            return "call"

    def plan(self) -> Plan:
        """The whole plan."""
        nodes = self.graph.nodes
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
            if kinds.get(i) == "fused" and i in self.memory.computed and i.shape != n.shape and kinds[n] == "fused":
                level += 1
            ready = max(ready, level)
        kind = kinds[n]
        if kind == "fused":
            if not moves(n):
                self.memory.computed.add(n)
            else:
                source = n.inputs[0]
                if type(source) is Node:
                    if source in self.memory.computed:
                        self.memory.computed.add(n)
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
            for i in n.parents if kind in ("opaque", "call") else ():
                if n.op in (scan, while_loop) and kinds.get(i) == "fused":
                    self.needed.add(i)
                else:
                    self._need_view(i, kinds)

    def _gathered(self, n: Node) -> list[Node]:
        """Inputs that are read at places which arrays give."""
        if n.op is getitem and len(n.inputs) > 1 and type(n.inputs[0]) is Node:
            return [n.inputs[0]]
        return []

    def _need_view(self, i: Node, kinds: dict[Node, str]) -> None:
        """Make sure that a value is in memory, perhaps as a view of another."""
        while kinds.get(i) == "fused":
            if not moves(i) or type(i.inputs[0]) is not Node or i.op is windows:
                self.needed.add(i)
                return
            if source_index(i, over(i.shape), i.inputs[0].shape) is None and kinds.get(i.inputs[0]) == "fused":
                self.needed.add(i)
                return
            if i.op is flip or (i.op is broadcast_to and i.shape != i.inputs[0].shape):
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
            cost: dict[Node, int] = {}
            dear: set[Node] = set()
            for n in nodes:
                own = 0 if kinds[n] != "fused" or moves(n) else COST.get(n.op, 1)
                whole = own + min(sum(cost.get(i, 0) for i in n.parents), 1 << 20)
                if kinds[n] == "fused" and whole > CHEAP:
                    dear.add(n)
                cost[n] = 0 if n in stored else whole
            sites: dict[Node, set[Any]] = {}
            new = {n for n in stored if kinds[n] != "fused" or n in self.needed}
            for n in reversed(nodes):
                found: set[Any] = set()
                for c in self.memory.consumers.get(n, ()):
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
        self.memory.stored = stored

    # ---- the steps ---------------------------------------------------------------------------------------------

    def _emit(self, nodes: Sequence[Node], kinds: dict[Node, str]) -> Plan:
        memory = self.memory
        stages: dict[int, tuple[dict[Any, Loop], list[Node]]] = {}

        def stage(level: int) -> tuple[dict[Any, Loop], list[Node]]:
            return stages.setdefault(level, ({}, []))

        def loop(level: int, shape: tuple[int, ...]) -> Loop:
            groups = stage(level)[0]
            if shape not in groups:
                groups[shape] = Loop(shape)
            return groups[shape]

        fills: dict[int, list[Any]] = {}
        for n in nodes:
            kind = kinds[n]
            if kind == "fused" and n in self.memory.stored:
                step = loop(*self._group(n))
                b = self.memory.buffer(n)
                step.writes.append(Write(n, b, flat_index(step.index, n.shape), "store"))
            elif kind == "reduction":
                x = n.inputs[0]
                level, shape = self.level[n] - 1, np.shape(x) if type(x) is not Node else x.shape
                step = loop(level, shape)
                b = self.memory.buffer(n)
                axes = {a % len(shape) for a in n.params["axis"]} if shape else set()
                kept = [i for k, i in enumerate(step.index) if k not in axes]
                lengths = [m for k, m in enumerate(shape) if k not in axes]
                mode = REDUCTIONS[n.op]
                step.writes.append(Write((x, n), b, offset(tuple(kept), strides_of(lengths)), mode))
                fills.setdefault(level, []).append(FillStep(b, identity(mode, b.dtype)))
            elif kind in ("write", "opaque", "call"):
                stage(self.level[n] - 1)[1].append(n)
        steps: list[Any] = []
        for level in sorted(stages):
            loops, whole = stages[level]
            steps += [*fills.get(level, ()), *loops.values()]
            for n in whole:
                steps += lowered(n, memory, self.calls.get(n), self._inner)
        steps = joined(steps, memory.consumers, self.graph.outputs)
        outputs = [memory.buffer(o) for o in self.graph.outputs]
        return Plan(memory.pool, self.inputs, outputs, [Nest(memory, s) if isinstance(s, Loop) else s for s in steps])

    def _inner(self, body: Graph, inputs: Sequence[Buffer]) -> Plan:
        """The plan of a loop's body."""
        return Planner(body, inputs, self.memory.pool, self.known).plan()
