"""What native code has of a graph, node by node, and why it leaves the others to NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir.node import Node, Spec
from ...ir.op import Op
from ...ir.optimize import uniform
from ...ops import broadcasting as bc
from ...ops import indexing as ix
from ...ops import reduction as rd
from ...ops.structured import pick
from .elementwise import COST, Expr, Expressions
from .gather import gathered, taking
from .index import count, moves, over
from .lowering import LOWERING, PRODUCTS, WRITES
from .memory import Unsupported
from .nests import WITHIN
from .numpy_calls import several

DTYPES = ("float32", "float64", "int64", "int32", "bool", "uint8", "int8", "int16")
REDUCTIONS: dict[Op, str] = {bc.sum: "add", rd.reduce_max: "max", rd.reduce_min: "min", rd.prod: "mul"}
INDEXED: dict[Op, int] = {  # which inputs are index arrays: those from here on
    ix.getitem: 1,
    ix.scatter: 1,
    ix.index_set: 2,
    ix.index_add: 2,
}


class Lowerable:
    """What the language that a plan is printed in has. `spell` writes one expression, and raises Unsupported where it cannot."""

    def __init__(self, spell: Callable[[Expr], object]) -> None:
        self.spell = spell
        self.tried: dict[Any, str] = {}

    def kind(self, n: Node) -> str:
        """How a node is computed: fused into a loop, a reduction, a write, opaque, or a pick from several results.

        Raises:
            Unsupported: NumPy has to do it; why.
        """
        if n.op is pick:
            return "pick"
        for spec in map(Spec.of, (*(n.value if several(n) else (n.value,)), *n.values)):
            if spec.dtype.name not in DTYPES:
                raise Unsupported(f"native code has no {spec.dtype.name}")
        if n.op in REDUCTIONS:
            return self._reduction(n)
        if n.op in INDEXED:
            given = n.inputs[0] if n.op is ix.getitem else n
            self._indexed(n, given.shape if type(given) is Node else np.shape(given))
        if n.op in WRITES:
            return "write"
        if n.op in LOWERING:
            return self._opaque(n)
        if moves(n) or n.op is ix.getitem or n.op in WITHIN:
            return "fused"
        if n.op not in COST:
            raise Unsupported(f"native code has no {n.op.name}")
        self._elementwise(n)
        return "fused"

    def _reduction(self, n: Node) -> str:
        x = n.inputs[0]
        spec = Spec.of(x.value if type(x) is Node else x)
        if n.op in (rd.reduce_max, rd.reduce_min) and count(n.shape) and not count(spec.shape):
            raise Unsupported(f"{n.op.name} of nothing")
        self._spelled(Expressions().cast(_entry(spec), n.dtype.name))
        return "reduction"

    def _indexed(self, n: Node, shape: tuple[int, ...]) -> None:
        arrays = n.inputs[INDEXED[n.op] :]
        if arrays:
            gathered(n.params["index"], arrays, over(taking(n.params["index"], arrays, shape)), shape)

    def _opaque(self, n: Node) -> str:
        if n.op in PRODUCTS:
            dtypes = {Spec.of(v).dtype.name for v in (n.value, *n.values)}
            if len(dtypes) != 1 or dtypes == {"bool"}:
                raise Unsupported(f"native code has no product of {' and '.join(sorted(dtypes))}")
        return "opaque"

    def _elementwise(self, n: Node) -> None:
        """Spell the operation once for each kind of arguments, to see whether the language has it."""
        numbers = [None if type(i) is Node else uniform(i) for i in n.inputs]
        specs = [Spec.of(v) for v in n.values]
        key = (n.op, repr(n.params), n.dtype, tuple((s.dtype, s.weak) for s in specs), repr(numbers))
        if key not in self.tried:
            self.tried[key] = ""
            build = Expressions()
            try:
                args = [
                    _entry(s) if x is None else build.constant(x, s.dtype.name)
                    for s, x in zip(specs, numbers, strict=True)
                ]
                build.operation(n, args, n.dtype.name)
                for e in build.order:
                    self._spelled(e)
            except Unsupported as why:
                self.tried[key] = f"native code has no {why}"
        if self.tried[key]:
            raise Unsupported(self.tried[key])

    def _spelled(self, e: Expr) -> None:
        if e.args:
            self.spell(e)


def _entry(spec: Spec) -> Expr:
    return Expr("load", spec.dtype.name)
