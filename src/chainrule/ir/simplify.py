"""Simplification: constants folded, neutral elements dropped, signs and quotients put where a person writes them.

Nodes are rebuilt one by one, each against its inputs, which are simplified already; how, the operations declare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .node import NO_PARAMS, Node, rebuilt
from .op import Op


def value_of(x: Any) -> Any:
    """The concrete value of a node, or the constant itself."""
    return x.value if type(x) is Node else x


def is_number(x: Any) -> bool:
    """Whether an input is a single constant number."""
    return type(x) is not Node and np.ndim(x) == 0


def is_truth(x: Any) -> bool:
    """Whether an input is a truth value: times one it is a number, and it has no negative."""
    return np.asarray(value_of(x)).dtype.kind == "b"


def converts(number: Any, x: Any) -> bool:
    """Whether `x` beside a number becomes another kind of number: a truth value, or an integer beside a float."""
    kind = np.asarray(value_of(x)).dtype.kind
    return kind == "b" or (kind in "iu" and np.asarray(number).dtype.kind not in "iu")


class Simplifier:
    """Builds simplified nodes. It looks only into nodes that it has built, so that named values stay whole."""

    def __init__(self) -> None:
        self.built: set[Node] = set()

    def make(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any] = NO_PARAMS) -> Any:
        """A simplified node, one of its inputs, or a number."""
        if inputs and all(is_number(i) for i in inputs) and not params:
            return op.value(*inputs)
        same = _unchanged(op, inputs, params)
        if same is not None:
            return same
        found = None if op.simpler is None else op.simpler(self, *inputs, **params)
        if found is not None:
            return found
        node = Node(op, inputs, params, op.value(*(value_of(i) for i in inputs), **params))
        self.built.add(node)
        return node

    def build(self, op: Op, *inputs: Any) -> Any:
        """`make` of inputs alone."""
        return self.make(op, inputs)

    def made_by(self, x: Any, op: Op) -> bool:
        """Whether `x` is an inner node made by that operation."""
        return type(x) is Node and x in self.built and x.op is op


def simplified(nodes: Sequence[Node], output: Node) -> Any:
    """Rebuild `nodes` (in order of computation), equal expressions shared; what `output` became."""
    simplifier = Simplifier()
    shared: dict[Any, Any] = {}

    def made(n: Node, inputs: tuple[Any, ...]) -> Any:
        if not inputs:  # a constant, or the variable that a body was opened on
            return n.value
        key = (n.op, tuple(_same(i) for i in inputs), repr(n.params))
        if key not in shared:
            shared[key] = simplifier.make(n.op, inputs, n.params)
        return shared[key]

    return rebuilt(nodes, {}, made)(output)


def _same(x: Any) -> Any:
    """What tells an input from another: itself for a node, type and digits for a number (0.0 is not -0.0), identity else."""
    return x if type(x) is Node else (type(x), repr(x)) if isinstance(x, (int, float, np.number)) else id(x)


def _unchanged(op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The input that the operation returns as it is: x + 0, 1 * x, a reshape to the same shape; None otherwise."""
    for position, neutral in op.neutral.items():
        if len(inputs) == 2 and is_number(inputs[position]) and inputs[position] == neutral:
            other = inputs[1 - position]
            if not converts(inputs[position], other) and np.shape(value_of(other)) == np.broadcast_shapes(
                *(np.shape(value_of(i)) for i in inputs)
            ):
                return other
    if op.keeps and not op.stops:
        first = value_of(inputs[0])
        if np.shape(first) == params.get("shape", np.shape(first)) and np.asarray(first).dtype == params.get(
            "dtype", np.asarray(first).dtype
        ):
            return inputs[0]
    return None
