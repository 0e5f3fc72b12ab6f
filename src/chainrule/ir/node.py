"""Node: one value in a computation, and the operation that made it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from operator import attrgetter
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import line_of, place

if TYPE_CHECKING:
    from .op import Op

NO_PARAMS: dict[str, Any] = {}
_counter = itertools.count()


def now() -> int:
    """A number between the orders of the nodes that have been made and of those that will be."""
    return next(_counter)


class Spec(NamedTuple):
    """What is known of a value without having it; `weak` marks a Python number, which takes the dtype of what it meets."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @classmethod
    def of(cls, x: Any) -> Spec:
        """The description of a concrete value."""
        if isinstance(x, Spec):
            return x
        weak = type(x) in (bool, int, float, complex)
        return cls(np.shape(x), np.asarray(x).dtype if weak or not hasattr(x, "dtype") else x.dtype, weak)


class Node:
    """One value: its operation, inputs, static parameters, and where in the user's code it was made.

    `inputs` holds nodes and plain constants (numbers and arrays). `order` grows with every node made,
    so sorting by it is a topological order. `value` is the concrete value seen while tracing.
    """

    __slots__ = ("__weakref__", "code", "given_name", "inputs", "lasti", "op", "order", "outer", "params", "value")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Any, ...],
        params: dict[str, Any],
        value: Any,
        code: CodeType | None = None,
        lasti: int = 0,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.params = params
        self.value = value
        self.order = next(_counter)
        self.code = code
        self.lasti = lasti
        self.given_name: str | None = None

    def on(self, inputs: tuple[Any, ...], value: Any, params: dict[str, Any] | None = None) -> Node:
        """The same operation on other inputs, of the same line and with the same name."""
        made = Node(self.op, inputs, self.params if params is None else params, value, self.code, self.lasti)
        made.given_name = self.given_name
        return made

    @property
    def calls(self) -> tuple[tuple[CodeType, int], ...]:
        """The line that made this value and, where they were recorded, the calls around it, innermost first."""
        if self.code is None:
            return ()
        return ((self.code, self.lasti), *getattr(self, "outer", ()))

    @property
    def shape(self) -> tuple[int, ...]:
        return getattr(self.value, "shape", ())

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype = getattr(self.value, "dtype", None)
        return np.asarray(self.value).dtype if dtype is None else dtype

    @property
    def parents(self) -> list[Node]:
        """The inputs that are nodes, once for each use."""
        return [i for i in self.inputs if type(i) is Node]

    @property
    def values(self) -> list[Any]:
        """The concrete values of all inputs."""
        return [i.value if type(i) is Node else i for i in self.inputs]

    @property
    def operations(self) -> int:
        """The arithmetic operations that it takes."""
        cost = self.op.cost
        if callable(cost):
            return cost(self)
        return cost * max(math.prod(s) for s in (self.shape, *map(np.shape, self.values))) if cost else 0

    @property
    def line(self) -> int | None:
        """The line of the user's file on which this value was made."""
        return None if self.code is None else line_of(self.code, self.lasti)

    @property
    def place(self) -> str:
        """`file:line: source`, or an empty string for a value that was not made by a line of code."""
        return "" if self.code is None else place(self.code.co_filename, self.line or 0)

    def __repr__(self) -> str:
        inputs = ", ".join(f"n{i.order}" if type(i) is Node else repr(i) for i in self.inputs)
        return f"n{self.order} = {self.op.name}({inputs})"


def reachable(outputs: Iterable[Node], since: int = -1) -> list[Node]:
    """The nodes that `outputs` are computed from, themselves included, in order of computation.

    Nodes made before `since` are left out, and nothing is looked for behind them.
    """
    stack = [n for n in outputs if n.order >= since]
    seen = set(stack)
    while stack:
        for i in stack.pop().inputs:
            if type(i) is Node and i not in seen and i.order >= since:
                seen.add(i)
                stack.append(i)
    return sorted(seen, key=attrgetter("order"))


def rebuilt(
    nodes: Iterable[Node],
    changed: dict[Node, Any],
    made: Callable[[Node, tuple[Any, ...]], Any],
    outside: Callable[[Node], Any] = lambda n: n,
) -> Callable[[Any], Any]:
    """Rebuild nodes in order of computation; gives back the function from what stood in the graph to what it became.

    Args:
        changed: what the first nodes became: filled in.
        made: what a node becomes, given what its inputs became.
        outside: what becomes of a node that is read and is not among them.
    """

    def new(x: Any) -> Any:
        return x if type(x) is not Node else changed[x] if x in changed else outside(x)

    for n in nodes:
        changed[n] = made(n, tuple(map(new, n.inputs)))
    return new
