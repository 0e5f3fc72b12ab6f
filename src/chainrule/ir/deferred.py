"""Values that are not computed until somebody asks: while tracing for `jit`, large arrays and loops are known by shape only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .node import Spec
from .op import Op

LARGE = 50_000  # entries from which on a value is not computed while tracing


class Deferred(NDArrayOperatorsMixin):
    """A value described by shape and dtype; `settled` computes it, and so does anything else that is done with it."""

    __slots__ = ("dtype", "known", "lies_as", "shape", "source")

    def __init__(self, spec: Spec, source: Callable[[], Any], lies_as: Any = None) -> None:
        self.shape, self.dtype, self.source, self.known = spec.shape, spec.dtype, source, None
        self.lies_as = lies_as  # the value whose place in memory it has, where it was given one

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    def settle(self) -> Any:
        """The value itself."""
        if self.known is None:
            self.known = self.source()
        return self.known

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.settle(), dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*map(settled, inputs), **options)

    def __getitem__(self, index: Any) -> Any:
        return self.settle()[index]

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.settle())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.settle(), name)


def settled(x: Any) -> Any:
    """A value, computed if it was deferred."""
    return x.settle() if type(x) is Deferred else x


def deferred(op: Op, values: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """The value of an operation, not computed where it is large and its shape is known."""
    lazy = op.postponed or any(type(v) is Deferred or (isinstance(v, np.ndarray) and v.size > LARGE) for v in values)
    if lazy and op.shape is not None:
        found = op.shape(op, values, params)
        if found is not None:
            given = tuple(values)

            def compute() -> Any:
                return op.value(*map(settled, given), **params)

            if isinstance(found, Spec):
                return Deferred(found, compute)
            whole: list[Any] = []

            def one(k: int) -> Callable[[], Any]:
                def part() -> Any:
                    if not whole:
                        whole.append(compute())
                    return whole[0][k]

                return part

            return type(found)(Deferred(Spec.of(s), one(k)) for k, s in enumerate(found))
    return op.value(*map(settled, values), **params)
