"""Structured operations: their bodies are graphs."""

from __future__ import annotations

from typing import Any

from ..ir.graph import Bundle, Graph
from ..ir.node import Spec
from ..ir.recording import record
from .kinds import Linear, Operation


class Structured(Operation):
    """An operation with graphs as parameters; its derivatives come from differentiating them."""

    def flows(self, i: int) -> bool:
        return True


def _call(*args: Any, graph: Graph) -> Bundle:
    return Bundle(graph.run(args))


def _pick_back(i: int, ct: Any, bundle: Any, index: int, count: int) -> Bundle:
    return Bundle(ct if k == index else None for k in range(count))


call = Structured(
    "call",
    _call,
    batch="call",
    cost=lambda n: n.params["graph"].operations,
    public=False,
    doc="A graph applied to inputs; its values are not kept but computed again in reverse.",
)
pick = Linear(
    "pick",
    lambda bundle, index, count: bundle[index],
    _pick_back,
    inputs=1,
    cost=0,
    shape=lambda op, values, params: Spec.of(values[0][params["index"]]),
    batch=lambda op, values, each, params, n: values[0][params["index"]],
    public=False,
    text=lambda args, node: f"{args[0].atom}[{node.params['index']}]",
    torch=lambda args, node: f"{args[0].atom}[{node.params['index']}]",
    jax=lambda args, node: f"{args[0].atom}[{node.params['index']}]",
)


def picked(bundle: Any, count: int) -> list[Any]:
    """The values under a bundled node, each as a node of its own."""
    return [record(pick, (bundle,), {"index": k, "count": count}) for k in range(count)]
