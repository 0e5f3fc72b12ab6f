"""Structured operations: their bodies are graphs."""

from __future__ import annotations

from typing import Any

from ..ir.graph import Bundle, Graph
from .kinds import Linear, Operation


class Structured(Operation):
    """An operation with graphs as parameters; its derivatives come from differentiating them."""

    def flows(self, i: int) -> bool:
        return True


def _call(*args: Any, graph: Graph) -> Bundle:
    return Bundle(graph.run(args))


def _pick_back(i: int, ct: Any, bundle: Any, index: int) -> Bundle:
    values = getattr(bundle, "value", bundle)
    return Bundle(ct if k == index else None for k in range(len(values)))


call = Structured(
    "call", _call, public=False, doc="A graph applied to inputs; its values are not kept but computed again in reverse."
)
pick = Linear(
    "pick",
    lambda bundle, index: bundle[index],
    _pick_back,
    inputs=1,
    public=False,
    text=lambda args, node: f"{args[0].atom}[{node.params['index']}]",
)
