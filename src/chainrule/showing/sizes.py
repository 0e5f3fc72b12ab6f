"""Sizes: the shape of every value, gradient and Jacobian factor, with the user's names for dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InputError
from ..ir.node import Node
from ..programs.staged import Staged


@dataclass(frozen=True)
class Factor:
    """One Jacobian factor: of what, by what, and its shape, output entries by input entries."""

    of: str
    by: str
    shape: str


class Sizes:
    """Shapes with named dimensions, and what multiplying the Jacobian factors costs in either order.

    Attributes:
        shapes: the shape of every value, by name; a gradient has the shape of its value.
        factors: the Jacobian factors, in the order of computation.
        forward, reverse: multiplications to get all derivatives of the result by dense products of the factors, from the
            inputs to the result, and from the result to the inputs.
    """

    def __init__(self, staged: Staged, dims: Mapping[str, int]) -> None:
        by_size: dict[int, str] = {}
        for name, n in dims.items():
            if n in by_size:
                raise InputError(
                    f"the dimensions {by_size[n]} and {name} have the same size {n}, so they cannot be told apart",
                    "explain at a point where every named dimension has a size of its own",
                    where="",
                )
            by_size[int(n)] = name
        self._names = by_size
        self.shapes = {staged.names[n]: self._shape(n) for n in (*staged.inputs, *staged.live_stages)}
        self.factors: list[Factor] = []
        inputs = sum(math.prod(v.shape) for v in staged.wrt)
        result = math.prod(staged.output.shape)
        self.forward = self.reverse = 0
        for n in staged.live_stages:
            for p in dict.fromkeys(i for k, i in enumerate(n.inputs) if type(i) is Node and n.op.flows(k)):
                self.factors.append(
                    Factor(staged.names[n], staged.names[p], f"{self._entries(n)} × {self._entries(p)}")
                )
                entries = math.prod(n.shape) * math.prod(p.shape)
                self.forward += entries * inputs
                self.reverse += entries * result

    def _shape(self, n: Node) -> str:
        return "(" + " × ".join(self._names.get(d, str(d)) for d in n.shape) + ")" if n.shape else "number"

    def _entries(self, n: Node) -> str:
        return "·".join(self._names.get(d, str(d)) for d in n.shape) or "1"

    @property
    def cheaper(self) -> str:
        """The cheaper order of multiplication: "reverse" or "forward"."""
        return "reverse" if self.reverse <= self.forward else "forward"

    def __str__(self) -> str:
        width = max(map(len, self.shapes), default=0)
        lines = ["value and gradient", *(f"  {name:<{width}}  {shape}" for name, shape in self.shapes.items())]
        factors = [(f"∂{f.of}/∂{f.by}", f.shape) for f in self.factors]
        width = max((len(a) for a, _ in factors), default=0)
        lines += ["Jacobian factors", *(f"  {a:<{width}}  {b}" for a, b in factors)]
        lines.append(f"products of the factors: {self.reverse:,} multiplications in reverse, {self.forward:,} forward")
        return "\n".join(lines)

    __repr__ = __str__
