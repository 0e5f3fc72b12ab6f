"""The Tensor that stands for a value while a network is traced: all of Tensor's methods, and a refusal where values leave."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from ..errors import TraceError
from ..ir.node import Node
from ..ir.op import constant, variable
from ..ops.arithmetic import alias, stop_gradient
from ..tensors.tensor import Tensor
from ..trace.array import Array

_fixed: ContextVar[frozenset[Node]] = ContextVar("fixed", default=frozenset())


@contextmanager
def fixed(nodes: Iterable[Node]) -> Generator[None]:
    """Inside, these inputs of the traced program (data, buffers, frozen parameters) require no gradient."""
    before = _fixed.set(_fixed.get() | frozenset(nodes))
    try:
        yield
    finally:
        _fixed.reset(before)


def _needs_gradient(node: Node) -> bool:
    """Whether a derivative can flow from this node to an input that is not fixed."""
    known, stack, seen = _fixed.get(), [node], {node}
    while stack:
        n = stack.pop()
        if n.op is variable and n not in known:
            return True
        if n.op is stop_gradient:
            continue
        for i in n.inputs:
            if type(i) is Node and i not in seen:
                seen.add(i)
                stack.append(i)
    return False


def _leaves(what: str) -> Any:
    """A method that would hand a value to Python, where a compiled program cannot follow."""

    def method(self: Traced, *_: Any, **__: Any) -> NoReturn:
        raise TraceError(
            f"{what} takes a value out of a computation that is being compiled",
            "compute with the tensor itself, or leave it to run uncompiled",
        )

    method.__name__ = what
    method.__doc__ = f"Refused while tracing: `{what}` takes a value out of the computation."
    return method


class Traced(Tensor):
    """A Tensor whose value is an input of the program that is being made, or is computed from such."""

    __slots__ = ()

    rank = 1.5  # type: ignore[assignment]  # it wins over tensors that are constants of the program
    least = 1  # type: ignore[assignment]

    @property
    def requires_grad(self) -> bool:
        """Whether a derivative can flow back through this tensor."""
        return self.node.op is not constant and _needs_gradient(self.node)

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        raise TraceError(
            "requires_grad is set on a tensor that is being compiled", "freeze parameters outside of forward"
        )

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was given, not computed."""
        return not self.requires_grad or self.node.op is variable or self.node.op is alias

    item, tolist, numpy, backward = _leaves("item()"), _leaves("tolist()"), _leaves("numpy()"), _leaves("backward()")
    __float__, __complex__, __array__ = (
        _leaves("float()"),
        _leaves("complex()"),
        _leaves("a NumPy array made of a tensor"),
    )  # type: ignore[assignment]
    __format__ = __str__ = __repr__ = _leaves("printing")  # type: ignore[assignment]
    zero_grad = accumulate = _leaves("a change of .grad")


def as_traced(x: Any) -> Any:
    """A traced value as a Tensor; anything else as it is."""
    if isinstance(x, Tensor) or type(x) is not Array:
        return x
    return Traced(x.node, x._view)
