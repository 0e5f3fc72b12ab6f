"""What native code has of a graph, node by node, and why it leaves the others to NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir.node import Node, Spec
from ...ir.optimize import uniform
from .elementwise import Expr, Expressions, known
from .gather import gathered, taking
from .index import count, moves, over
from .memory import Unsupported
from .numpy_calls import several

DTYPES = ("float32", "float64", "int64", "int32", "bool", "uint8", "int8", "int16")
REDUCTIONS = {"sum": "add", "reduce_max": "max", "reduce_min": "min", "prod": "mul"}
OPAQUE = ("matmul", "scan", "while_loop", "einsum")
WRITES = ("concatenate", "stack", "pad", "scatter", "index_set", "index_add", "windows_sum")
INDEXED = {
    "getitem": 1,
    "scatter": 1,
    "index_set": 2,
    "index_add": 2,
}  # which inputs are index arrays: those from here on


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
        name = n.op.name
        if name == "pick":
            return "pick"
        for spec in map(Spec.of, (*(n.value if several(n) else (n.value,)), *n.values)):
            if spec.dtype.name not in DTYPES:
                raise Unsupported(f"native code has no {spec.dtype.name}")
        if name in REDUCTIONS:
            return self._reduction(n)
        if name in INDEXED:
            given = n.inputs[0] if name == "getitem" else n
            self._indexed(n, given.shape if type(given) is Node else np.shape(given))
        if name in WRITES:
            return "write"
        if name in OPAQUE:
            return self._opaque(n)
        if moves(n) or name in ("getitem", "tril", "triu"):
            return "fused"
        if not known(n):
            raise Unsupported(f"native code has no {name}")
        self._elementwise(n)
        return "fused"

    def _reduction(self, n: Node) -> str:
        x, name = n.inputs[0], n.op.name
        spec = Spec.of(x.value if type(x) is Node else x)
        if name in ("reduce_max", "reduce_min") and count(n.shape) and not count(spec.shape):
            raise Unsupported(f"{name} of nothing")
        self._spelled(Expressions().cast(_entry(spec), n.dtype.name))
        return "reduction"

    def _indexed(self, n: Node, shape: tuple[int, ...]) -> None:
        arrays = n.inputs[INDEXED[n.op.name] :]
        if arrays:
            gathered(n.params["index"], arrays, over(taking(n.params["index"], arrays, shape)), shape)

    def _opaque(self, n: Node) -> str:
        if n.op.name in ("matmul", "einsum"):
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
