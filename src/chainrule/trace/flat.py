"""`x.flat`: the entries of an array in order, whatever its shape and its place in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir.recording import Handle
from ..ops import broadcasting as bc
from ..ops import indexing as ix
from .handles import operand, split_index
from .memory import copied, overlapping


class Flat:
    """What `x.flat` is: it can be indexed, written into and walked over.

    Args:
        whole: the array.
    """

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def __len__(self) -> int:
        return math.prod(self.whole.shape)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def _line(self) -> Any:
        return bc.reshape(self.whole, shape=(len(self),))

    def __getitem__(self, index: Any) -> Any:
        taken = self._line()[index]
        return copied(taken) if taken.shape else taken

    def __setitem__(self, index: Any, values: Any) -> None:
        if isinstance(values, Handle) and values.shape and overlapping([self.whole, values]):
            raise TraceError(
                "writing into x.flat from memory that x shares: NumPy reads entries that it has written already",
                "take a copy first: x.flat[...] = y.copy()",
            )
        template, arrays = split_index(index)
        count = np.arange(len(self))[index].size
        values = operand(values)
        given = math.prod(np.shape(values))
        if np.shape(values) and given not in (count, 0):  # NumPy begins anew where there are too few
            values = bc.reshape(values, shape=(given,))[np.arange(count) % given]
        elif given:
            values = bc.reshape(values, shape=np.shape(np.arange(len(self))[index]) if np.shape(values) else ())
        line = ix.index_set(self._line(), values, *arrays, index=template)
        self.whole.assign(bc.reshape(line, shape=self.whole.shape))
