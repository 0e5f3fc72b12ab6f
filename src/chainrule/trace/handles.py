"""Operands, indices and views: what stands beside a traced value, and what shares memory with it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import ShapeError, TraceError, caller
from ..ir.deferred import Deferred, settled
from ..ir.entering import NATIVE, NUMBERS, entering
from ..ir.node import NO_PARAMS, Node, reachable
from ..ir.op import Op, constant
from ..ir.recording import Handle, Questions, View, record, state
from ..ops import arithmetic as ar
from ..ops import broadcasting as bc
from ..ops import complex as cx
from ..ops import indexing as ix
from ..ops import shape as sh
from ..ops.broadcasting import dtype_of as dtype_of
from .memory import as_seen


def plain(x: Any) -> Any:
    """The concrete value of a handle, or the value itself."""
    return x.value if isinstance(x, Handle) else x


def seen_plain(x: Any) -> bool:
    """Whether a handle stands for what is a plain value where the function is not compiled: no derivative depends on it."""
    if state.observed is None or x.rank:
        return False
    active = state.active
    return not active or not set(active).intersection(reachable([x.node], min(n.order for n in active)))


def recorded(x: Any) -> bool:
    """Whether `x` is a handle that records at the current level; under `vmap`, others are values to it."""
    return isinstance(x, Handle) and x.records and (state.array is None or x.rank >= state.array.least)


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
        shapes = {np.shape(i) for i in items}
        if len(shapes) > 1:
            raise ShapeError(f"rows of different shapes are no array: {x!r:.60}", "give rows of one length")
        return entering(np.array([entering(i) for i in items]))
    return entering(x)


def _index_set(view: View, new: Any) -> Any:
    return record(ix.index_set, (view.base, new, *view.arrays), view.params)


WRITTEN: dict[Op, Any] = {  # by the operation of a view: the base with the view's new value in it
    ix.getitem: _index_set,
    bc.reshape: lambda view, new: record(bc.reshape, (new,), {"shape": view.base.shape}),
    sh.transpose: lambda view, new: record(sh.transpose, (new,), {"axes": sh.inverse(view.params["axes"])}),
    sh.flip: lambda view, new: record(sh.flip, (new,), view.params),
    cx.real: lambda view, new: _complex(new, record(cx.imag, (view.base,))),
    cx.imag: lambda view, new: _complex(record(cx.real, (view.base,)), new),
}


def _complex(a: Any, b: Any) -> Any:
    """a + ib, of finite numbers: i times an infinity would be NaN."""
    if not np.all(np.isfinite(settled(as_seen(b)))):
        raise TraceError(
            "cannot write into the real or imaginary part where the imaginary part is not finite",
            "build the complex array anew: z = a + 1j * b",
        )
    return record(ar.add, (a, record(ar.multiply, (b, 1j))))


def written(view: View, new: Any) -> Any:
    """The base of a view with the view's new value in it."""
    if view.read_only or view.op not in WRITTEN:
        raise TraceError(
            f"assigning into the result of {view.op.name} is read-only in NumPy", "take a copy first: a = a.copy()"
        )
    return WRITTEN[view.op](view, new)


def view_of(
    base: Any,
    op: Op,
    params: dict[str, Any],
    *arrays: Any,
    take: Callable[..., Any] | None = None,
    read_only: bool = False,
) -> Any:
    """The result of an operation that may share memory with `base`; if it does, the handle stays tied to it. See `View`."""
    whole = base.node.value
    known = take(whole) if take is not None and type(whole) is np.ndarray and base.records else None
    made = record(op, (base, *arrays), params, known)
    value, ask = made.node.value, None
    view = View(base, op, params, arrays, take, read_only)
    if type(whole) is type(value) is np.ndarray and made.records:
        shared = np.may_share_memory(value, whole)
    else:
        seen = as_seen(base)
        if type(seen) is not Deferred:
            shared = _shares(view, seen)
        elif op is bc.reshape and seen.shape:
            shared, ask = True, functools.partial(_shares, view, seen)
        else:
            shared = bool(seen.shape) and (made.shape != () or Ellipsis in params.get("index", ()))
    if not shared:
        return made
    view.ask = ask
    return type(made)(made.node, view)


def _shares(view: View, whole: Any) -> bool:
    whole = settled(whole)
    part = view.of(whole) if type(whole) is np.ndarray else None
    return type(part) is np.ndarray and np.may_share_memory(part, whole)


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
            if kind == "b" and type(state.observed) is Questions and isinstance(a, Handle) and not state.level:
                if state.abstract is not None:
                    raise TraceError(
                        "the shape of what a mask takes depends on its values, which are not known here",
                        "use np.where(mask, x, 0)" if state.abstract else "give the point at which to trace",
                    )
                state.observed.setdefault(a.node, "count")
            elif (
                kind == "b" and state.observed is not None and not state.level
            ):  # its shape is its value's: jit looks at it
                found = np.nonzero(plain(a)) if a.shape else (plain(a),)
                parts += [ix.HERE] * len(found)
                arrays += found
                continue
            parts.append(ix.HERE)
            arrays.append(a)
    return tuple(parts), arrays
