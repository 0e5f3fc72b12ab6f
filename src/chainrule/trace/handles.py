"""Operands, indices and views: what stands beside a traced value, and what shares memory with it."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import TraceError, caller
from ..ir.deferred import Deferred, settled
from ..ir.entering import NATIVE, NUMBERS, entering
from ..ir.node import NO_PARAMS, Node
from ..ir.op import Op, constant
from ..ir.recording import Handle, View, record, state
from ..ops import broadcasting as bc
from ..ops import indexing as ix
from ..ops import shape as sh
from ..ops.broadcasting import dtype_of as dtype_of


def plain(x: Any) -> Any:
    """The concrete value of a handle, or the value itself."""
    return x.value if isinstance(x, Handle) else x


def recorded(x: Any) -> bool:
    """Whether `x` is a handle that records at the current level; under `vmap`, others are values to it."""
    return isinstance(x, Handle) and x.records and (state.array is None or x.rank >= state.array.rank)


def lowered(x: Any) -> Any:
    """The value behind a handle that records at the current level, or `x` itself."""
    return x.node.value if recorded(x) else x


def kind_of(xs: Iterable[Any]) -> type[Handle] | None:
    """The type of handle that records an operation on these values; None when none of them is traced."""
    kinds = {type(x) for x in xs if recorded(x)}
    return max(kinds, key=lambda k: k.rank) if kinds else None


def constant_like(x: Handle, value: Any) -> Any:
    """A value without history, as a handle of the same type as `x`, made on the user's line."""
    frame = caller()
    code, lasti = (frame.f_code, frame.f_lasti) if frame else (None, 0)
    return type(x)(Node(constant, (), NO_PARAMS, entering(value), code, lasti))


def operand(x: Any) -> Any:
    """What the user wrote beside a traced value, as an input of an operation."""
    if isinstance(x, Handle) or x.__class__ in NUMBERS or (x.__class__ is np.ndarray and x.dtype in NATIVE):
        return x
    if isinstance(x, (float, int, complex, np.ndarray, np.generic)):
        return entering(x)
    if isinstance(x, (list, tuple)):
        return from_nested(x)
    raise TraceError(f"cannot compute with a traced value and {type(x).__name__} {x!r:.60}", "use numbers or arrays")


def from_nested(x: Any) -> Any:
    """`np.array` of nested lists and tuples, in which traced values may stand."""
    if isinstance(x, (list, tuple)):
        items = [from_nested(i) for i in x]
        if any(isinstance(i, Handle) for i in items):
            return sh.stack(*items, axis=-1 - max(np.ndim(i) for i in items))
        return entering(np.array([entering(i) for i in items]))
    return x


def written(view: View, new: Any) -> Any:
    """The base of a view with the view's new value in it."""
    base = view.base
    if view.op is ix.getitem:
        return record(ix.index_set, (base, new), view.params)
    if view.op is bc.reshape:
        return record(bc.reshape, (new,), {"shape": base.shape})
    if view.op is sh.transpose:
        return record(sh.transpose, (new,), {"axes": sh.inverse(view.params["axes"])})
    if view.op is sh.flip:
        return record(sh.flip, (new,), view.params)
    raise TraceError(
        f"assigning into the result of {view.op.name} is read-only in NumPy", "take a copy first: a = a.copy()"
    )


def view_of(base: Any, op: Op, params: dict[str, Any]) -> Any:
    """The result of an operation that may share memory with `base`; if it does, the handle stays tied to it."""
    made = record(op, (base,), params)
    value, whole = made.node.value, base.node.value
    while isinstance(value, Handle) and isinstance(whole, Handle):
        value, whole = value.node.value, whole.node.value
    if type(whole) is Deferred and op is bc.reshape and base.node.op.view:
        whole = whole.settle()  # whether a reshape copies depends on the layout
    shared = type(value) is np.ndarray and np.may_share_memory(value, settled(whole))
    if shared or (type(value) is type(whole) is Deferred):
        return type(made)(made.node, View(base, op, params))
    return made


def split_index(index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """An index as written, as (template, arrays): see `chainrule.ops.indexing`."""
    parts: list[Any] = []
    arrays: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, slice):
            bounds = (None if b is None else operator.index(b) for b in (part.start, part.stop, part.step))
            parts.append(slice(*bounds))
        elif part is None or part is Ellipsis or (isinstance(part, (int, np.integer)) and not isinstance(part, bool)):
            parts.append(part)
        else:
            a = (
                part
                if isinstance(part, Handle)
                else np.asarray(from_nested(part) if isinstance(part, list) and part else entering(part))
            )
            if isinstance(part, list) and not part:
                a = np.asarray([], int)
            kind = dtype_of(a).kind
            if kind not in "iub":
                raise TraceError(
                    "an index must be made of integers or booleans", "round and convert it: x[int(i)], or i.astype(int)"
                )
            if (
                kind == "b" and state.observed is not None and not state.level
            ):  # its shape is its value's: jit looks at it
                found = np.nonzero(plain(a))
                parts += [ix.HERE] * len(found)
                arrays += found
                continue
            parts.append(ix.HERE)
            arrays.append(a)
    return tuple(parts), arrays
