"""Asked: the handle of a program that is to be read. Every question of the user's code about it is noted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

from ..errors import LIBRARY
from ..ir.deferred import settled
from ..ir.recording import Questions, state
from .array import Array, known_here

_SIZES = (np.shape, np.ndim, np.size)


def _sized(asking: FrameType | None) -> None:
    """Note that a length was asked for, unless it was by a library, which treats all lengths alike."""
    if type(state.observed) is Questions and (asking is None or not asking.f_code.co_filename.startswith(LIBRARY)):
        state.observed.sizes = True


class Asked(Array):
    """A traced array or scalar that remembers what depends on its value, and whether anything depends on its lengths."""

    __slots__ = ()

    @property
    def value(self) -> Any:
        """The concrete value, which the program then checks."""
        known_here("a value is asked for here, and no values were given")
        if state.observed is not None:
            state.observed[self.node] = "value"
        return settled(self.node.value)

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The lengths of its axes."""
        _sized(sys._getframe(1))
        return self.node.shape

    @property
    def size(self) -> int:
        """The number of entries."""
        _sized(sys._getframe(1))
        return super().size

    def __len__(self) -> int:
        _sized(sys._getframe(1))
        return super().__len__()

    def __iter__(self) -> Iterator[Any]:
        _sized(None)
        return super().__iter__()

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if function in _SIZES:
            _sized(sys._getframe(1))
        return super().__array_function__(function, types, args, options)
