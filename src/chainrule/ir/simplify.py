"""Simplification: constants folded, neutral elements dropped, signs and quotients put where a person writes them.

Nodes are rebuilt one by one, each against its inputs, which are simplified already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .node import NO_PARAMS, Node
from .op import REGISTRY, Op


def value_of(x: Any) -> Any:
    """The concrete value of a node, or the constant itself."""
    return x.value if type(x) is Node else x


def is_number(x: Any) -> bool:
    """Whether an input is a single constant number."""
    return type(x) is not Node and np.ndim(x) == 0


def is_truth(x: Any) -> bool:
    """Whether an input is a truth value: times one it is a number, and it has no negative."""
    return np.asarray(value_of(x)).dtype.kind == "b"


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
        rule = _RULES.get(op.name)
        found = rule(self, *inputs, **params) if rule is not None else None
        if found is not None:
            return found
        node = Node(op, inputs, params, op.value(*(value_of(i) for i in inputs), **params))
        self.built.add(node)
        return node

    def build(self, name: str, *inputs: Any) -> Any:
        """`make` by the name of the operation."""
        return self.make(REGISTRY[name], inputs)

    def made_by(self, x: Any, name: str) -> bool:
        """Whether `x` is an inner node made by that operation."""
        return type(x) is Node and x in self.built and x.op.name == name


def simplified(nodes: Sequence[Node], output: Node) -> Any:
    """Rebuild `nodes` (in order of computation), equal expressions shared; what `output` became."""
    simplifier = Simplifier()
    changed: dict[Node, Any] = {}
    made: dict[Any, Any] = {}
    for n in nodes:
        if not n.inputs:  # a constant, or the variable that a body was opened on
            changed[n] = n.value
            continue
        inputs = tuple(changed.get(i, i) if type(i) is Node else i for i in n.inputs)
        key = (n.op, tuple(_same(i) for i in inputs), repr(n.params))
        if key not in made:
            made[key] = simplifier.make(n.op, inputs, n.params)
        changed[n] = made[key]
    return changed.get(output, output)


def _same(x: Any) -> Any:
    """What tells an input from another: itself for a node, type and digits for a number (0.0 is not -0.0), identity else."""
    return x if type(x) is Node else (type(x), repr(x)) if isinstance(x, (int, float, np.number)) else id(x)


def _unchanged(op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The input that the operation returns as it is: x + 0, 1 * x, a reshape to the same shape; None otherwise."""
    for position, neutral in op.neutral.items():
        if len(inputs) == 2 and is_number(inputs[position]) and inputs[position] == neutral:
            other = inputs[1 - position]
            if not is_truth(other) and np.shape(value_of(other)) == np.broadcast_shapes(
                *(np.shape(value_of(i)) for i in inputs)
            ):
                return other
    if op.name == "alias":
        return inputs[0]
    if op.name in ("reshape", "broadcast_to") and np.shape(value_of(inputs[0])) == params["shape"]:
        return inputs[0]
    if op.name == "cast" and np.asarray(value_of(inputs[0])).dtype == params["dtype"]:
        return inputs[0]
    return None


def _negative(s: Simplifier, x: Any) -> Any:
    return x.inputs[0] if s.made_by(x, "negative") else None


def _add(s: Simplifier, a: Any, b: Any) -> Any:
    if s.made_by(b, "negative"):
        return s.build("subtract", a, b.inputs[0])
    return s.build("subtract", b, a.inputs[0]) if s.made_by(a, "negative") else None


def _subtract(s: Simplifier, a: Any, b: Any) -> Any:
    return s.build("add", a, b.inputs[0]) if s.made_by(b, "negative") else None


def _multiply(s: Simplifier, a: Any, b: Any) -> Any:
    pairs: tuple[tuple[Any, Any], ...] = ((a, b), (b, a))
    for x, other in pairs:
        if is_number(x) and x == -1.0 and not is_truth(other):
            return s.build("negative", other)
        if s.made_by(x, "negative"):
            return s.build("negative", s.build("multiply", *((x.inputs[0], other) if x is a else (other, x.inputs[0]))))
    if s.made_by(b, "reciprocal"):
        return s.build("divide", a, b.inputs[0])
    if s.made_by(a, "reciprocal"):
        return s.build("divide", b, a.inputs[0])
    if s.made_by(b, "divide"):
        return s.build("divide", s.build("multiply", a, b.inputs[0]), b.inputs[1])
    if is_number(b) and type(a) is Node:
        return s.build("multiply", b, a)
    if _scaled(s, b) and not is_number(a) and not _scaled(s, a):  # a (2 x) is written 2 x a
        return s.build("multiply", b, a)
    return None


def _scaled(s: Simplifier, x: Any) -> bool:
    return s.made_by(x, "multiply") and is_number(x.inputs[0])


def _divide(s: Simplifier, a: Any, b: Any) -> Any:
    if s.made_by(a, "negative"):
        return s.build("negative", s.build("divide", a.inputs[0], b))
    return s.build("reciprocal", b) if is_number(a) and a == 1 and type(b) is Node else None


def _transpose(s: Simplifier, x: Any, axes: tuple[int, ...]) -> Any:
    """The transpose of a matrix that is a transpose or a product itself."""
    if axes != (-1, -2):
        return None
    if s.made_by(x, "transpose") and x.params["axes"] == axes:
        return x.inputs[0]
    return s.build("outer", x.inputs[1], x.inputs[0]) if s.made_by(x, "outer") else None


_RULES: dict[str, Callable[..., Any]] = {
    "transpose": _transpose,
    "negative": _negative,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
}
