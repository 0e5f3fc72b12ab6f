"""Views: tensors that share the memory of another, and follow it when it is changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ..ir.node import Node
from ..ir.op import Op
from ..ir.recording import Handle, View, record


class Part(View):
    """A view through which nothing can be written here, though torch would write.

    Args:
        take: the part of the base's array, as NumPy takes it.
        arrays: further inputs of the operation.
    """

    __slots__ = ("arrays", "read_only", "take")

    def __init__(
        self, base: Handle, op: Op, params: Any, take: Callable[[Any], Any] | None = None, arrays: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(base, op, params)
        self.take, self.arrays, self.read_only = take, arrays, True


def view(base: Any, op: Op, **params: Any) -> Any:
    """The result of an operation that only looks at `base` in another way, tied to it; plain values are looked at as they are."""
    if not isinstance(base, Handle):
        return op(base, **params)  # type: ignore[operator]
    made = record(op, (base,), params)
    return type(made)(made.node, View(base, op, params))


def part(base: Any, op: Op, params: Any, take: Callable[[Any], Any] | None = None, *arrays: Any) -> Any:
    """The same for a `Part`."""
    made = record(op, (base, *arrays), params)
    return type(made)(made.node, Part(base, op, params, take, arrays))


def a_view(tie: Any) -> bool:
    """Whether what ties a tensor to memory is that it is a view of another."""
    return isinstance(tie, View)


def read(tie: View) -> Node:
    """What a view is of its base now."""
    return record(tie.op, (tie.base, *getattr(tie, "arrays", ())), tie.params).node


def part_of(tie: View, whole: Any) -> Any:
    """The part of the base's array that a view is."""
    take = getattr(tie, "take", None)
    return tie.op.value(whole, *getattr(tie, "arrays", ()), **tie.params) if take is None else take(whole)


def tied(tie: View, base: Any) -> View:
    """The same view of another tensor."""
    made = copy.copy(tie)
    made.base, made.seen = base, base.node
    return made
