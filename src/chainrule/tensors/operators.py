"""The operators of tensors, and what an in-place operation is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.node import NO_PARAMS, Node
from ..ir.op import Op, constant, variable
from ..ir.recording import Handle, record, record_with_number
from ..ops import arithmetic as ar
from . import namespace
from .promotion import number_dtype, together


def _meeting(op: Op, a: Any, b: Any, bring: Callable[..., list[Any]]) -> Any:
    """An operation on two operands of different dtypes."""
    a, b = bring(a, b)
    return record(op, (a, b))


def binary(op: Op, reflected: bool = False, bring: Callable[..., list[Any]] = together) -> Callable[..., Any]:
    """An operator of two operands, brought to one dtype where they differ."""
    whole = bring is together

    def method(self: Any, other: Any) -> Any:
        node = self._node if self._view is None else self.node
        try:
            dtype = node.value.dtype
        except AttributeError:  # a Python number, under a transform
            dtype = node.dtype
        kind = other.__class__
        if kind is float or kind is int:
            if dtype.kind == "f":
                return record_with_number(op, self, other, reflected)
        elif kind is self.__class__ and other.node.dtype is dtype and (whole or dtype.kind == "f"):
            return record(op, (other, self) if reflected else (self, other))
        if not known(other):
            return NotImplemented
        return _meeting(op, other, self, bring) if reflected else _meeting(op, self, other, bring)

    return method


def known(x: Any) -> bool:
    """Whether `x` can stand beside a tensor."""
    return isinstance(x, (Handle, np.ndarray)) or number_dtype(x) is not None


def unary(op: Op) -> Callable[..., Any]:
    """An operator of one."""

    def method(self: Any) -> Any:
        return record(op, (self,))

    return method


def in_place_operator(name: str) -> Callable[..., Any]:
    """An operator such as `+=`, by the in-place function of that name."""
    function = namespace.IN_PLACE[name]

    def method(self: Any, other: Any) -> Any:
        return NotImplemented if not known(other) else in_place(function, self, (other,), {})

    return method


def twin(name: str, reflected: bool = False) -> Callable[..., Any]:
    """An operator that is the function of that name, for which speed does not matter."""
    function = namespace.FUNCTIONS[name]

    def method(self: Any, other: Any) -> Any:
        if not known(other):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return method


def collects(node: Node) -> bool:
    """Whether a node is a leaf in which `backward()` collects."""
    return node.op is variable and "owner" in node.params


def in_place(function: Callable[..., Any], x: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Give `x` the value of a function of it, with that function's history.

    What the function itself needs of the old values is kept; whatever else was recorded from them has lost them.
    """
    old = x.may_change()
    if old.op is constant:
        x._node = Node(constant, (), NO_PARAMS, old.value)
    elif not collects(old):
        x._node = Node(ar.alias, (old,), NO_PARAMS, old.value)
    try:
        x.become(function(x, *args, **kwargs), old)
    except BaseException:
        if x._node is not old:
            x._node = old
        raise
    return x
