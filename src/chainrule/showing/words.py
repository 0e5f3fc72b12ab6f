"""Sensitivity in words: what a small change in each variable does, and which subgradient was used at a kink or a tie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.node import Node
from ..programs.staged import Staged
from .show import shown


def _at_zero(what: str, used: str, range_: str) -> Callable[[Node], str]:
    def said(n: Node) -> str:
        count = int(np.count_nonzero(np.asarray(n.values[0]) == 0))
        return (
            f"{what} at 0{_often(count)}: the slope used is {used}; every number {range_} is a subgradient"
            if count
            else ""
        )

    return said


def _often(count: int) -> str:
    return "" if count == 1 else f" in {count} entries"


def _tie(n: Node) -> str:
    a, b = np.broadcast_arrays(*(np.asarray(v) for v in n.values[:2]))
    count = int(np.count_nonzero(a == b))
    word = "maximum" if n.op.name in ("maximum", "fmax") else "minimum"
    return (
        f"a tie in the {word}{_often(count)}: each side gets half of the gradient; every split is a subgradient"
        if count
        else ""
    )


def _ties(n: Node) -> str:
    x, axis = np.asarray(n.values[0]), n.params["axis"]
    kept = np.asarray(
        n.value
        if n.params.get("keepdims")
        else np.expand_dims(n.value, tuple(a % x.ndim for a in axis))
        if x.ndim
        else n.value
    )
    most = int(np.max(np.sum(x == kept, axis=tuple(axis)), initial=0)) if x.ndim else 1
    return (
        f"a tie of {most} entries in {n.op.name.removeprefix('reduce_')}: they share the gradient equally"
        if most > 1
        else ""
    )


KINKS: dict[str, Callable[[Node], str]] = {
    "relu": _at_zero("ReLU", "0", "from 0 to 1"),
    "leaky_relu": _at_zero("leaky ReLU", "that below 0", "between its two slopes"),
    "abs": _at_zero("the absolute value", "0", "from -1 to 1"),
    "maximum": _tie,
    "minimum": _tie,
    "fmax": _tie,
    "fmin": _tie,
    "reduce_max": _ties,
    "reduce_min": _ties,
}


class Sensitivity:
    """One sentence for each variable, and one for each subgradient used. `str` shows them."""

    def __init__(self, staged: Staged) -> None:
        self.output = staged.names[staged.output]
        self.sentences = {staged.names[v]: self._sentence(staged.names[v], staged.gradients[v], v) for v in staged.wrt}
        self.subgradients = [
            f"{staged.names[n]}: {said}" for n in staged.stages if n.op.name in KINKS and (said := KINKS[n.op.name](n))
        ]

    def _sentence(self, name: str, gradient: Any, v: Node) -> str:
        g = np.broadcast_to(np.asarray(gradient, float), v.shape)
        if not np.any(g):
            return f"a small change of {name} does not change {self.output}"
        if g.ndim == 0:
            return f"{self.output} {_moves(float(g))} as fast as {name} grows"
        at = np.unravel_index(int(np.argmax(np.abs(g))), g.shape)
        where = ", ".join(map(str, map(int, at)))
        return f"{self.output} {_moves(float(g[at]))} as fast as {name}[{where}] grows, which matters most; all together up to {shown(np.linalg.norm(g))} times"

    def __str__(self) -> str:
        return "\n".join([*self.sentences.values(), *self.subgradients])

    __repr__ = __str__


def _moves(slope: float) -> str:
    if abs(slope) == 1:
        return f"{'grows' if slope > 0 else 'falls'} just"
    return f"{'grows' if slope > 0 else 'falls'} {shown(abs(slope))} times"
