"""Sensitivity in words: what a small change in each variable does, and which subgradient was used at a kink or a tie."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.node import Node
from ..programs.staged import Staged
from .show import shown


class Sensitivity:
    """One sentence for each variable, and one for each subgradient used. `str` shows them."""

    def __init__(self, staged: Staged) -> None:
        self.output = staged.names[staged.output]
        self.sentences = {staged.names[v]: self._sentence(staged.names[v], staged.gradients[v], v) for v in staged.wrt}
        self.subgradients = [
            f"{staged.names[n]}: {said}" for n in staged.stages if n.op.kink and (said := n.op.kink(n))
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
