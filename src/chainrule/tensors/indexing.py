"""Indices as torch reads them, and what is put at one."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.recording import Handle, record
from ..ops import indexing as ix
from ..trace.handles import plain, split_index
from . import namespace
from .operators import in_place, known
from .promotion import converted, number_dtype
from .storage import tracing
from .views import a_view


def index_parts(index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """An index as torch reads it: a tensor that holds one integer is that integer, steps are positive."""
    parts = index if isinstance(index, tuple) else (index,)
    found: list[Any] = []
    for part in parts:
        if isinstance(part, slice) and part.step is not None and operator.index(part.step) < 1:
            raise InputError("slice step must be positive", "use .flip(dim)")
        if isinstance(part, Handle) and not part.shape and part.dtype.kind in "iu" and not tracing():
            part = operator.index(part)  # type: ignore[arg-type]
        elif isinstance(part, Handle) and part.dtype.kind == "u":
            raise InputError("indexing with a uint8 tensor is ambiguous", "convert it: .bool() for a mask, .long()")
        elif isinstance(part, (float, np.floating)) or (isinstance(part, Handle) and part.dtype.kind not in "iub"):
            raise InputError(
                "tensors used as indices must be long, int, byte or bool tensors", "convert it: x[i.long()]"
            )
        found.append(part)
    return split_index(tuple(found))


def part_shape(x: Any, template: tuple[Any, ...], arrays: Sequence[Any]) -> tuple[int, ...]:
    """The shape of the part of `x` at an index."""
    filled = ix.filled(template, tuple(plain(a) for a in arrays))
    return np.broadcast_to(np.zeros((), bool), x.shape)[filled].shape


def put(self: Any, index: Any, value: Any) -> None:
    """Give the entries at an index other values, in place."""
    template, arrays = index_parts(index)
    tie: Any = value._view if isinstance(value, Handle) else None
    if a_view(tie) and tie.base is self and tie.op is ix.getitem and tie.params["index"] == template:
        return  # the end of a[i] += v: the view has written through already
    if not known(value):
        raise InputError(f"can't assign a {type(value).__name__} to a tensor", "assign a number or a tensor")
    dtype = self.dtype
    kind = number_dtype(value)
    if (kind or value.dtype).kind == "c" and dtype.kind != "c":
        raise InputError(f"a complex value cannot go into a tensor of dtype {dtype}")

    def changed(x: Any) -> Any:
        new = converted(value, dtype)
        lead = len(np.shape(new)) - len(part_shape(x, template, arrays))
        if lead > 0 and not isinstance(new, (int, float)):
            new = namespace.FUNCTIONS["reshape"](new, np.shape(new)[lead:])  # axes of length one in front
        return record(ix.index_set, (x, new, *arrays), {"index": template})

    in_place(changed, self, (), {})
