"""Choices, copies, creation, and questions with plain answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir.deferred import settled
from ...ir.recording import Handle, record, state
from ...ops import piecewise as pw
from ...ops import shape as sh
from ...ops.reduction import reduce_max, reduce_min
from ...ops.trigonometric import sin
from ..handles import constant_like, dtype_of, from_nested, operand, plain
from ..memory import as_seen, copied
from .dispatch import FUNCTIONS, implements


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """`np.where`; with the condition alone, the concrete indices where it holds."""
    if x is None and y is None:
        return nonzero(condition)
    condition = operand(condition)
    return pw.where(
        condition if dtype_of(condition).kind == "b" else pw.not_equal(condition, 0), operand(x), operand(y)
    )


@implements(np.real)
def real(val: Any) -> Any:
    """`np.real`: a view."""
    return val.real


@implements(np.imag)
def imag(val: Any) -> Any:
    """`np.imag`: a view, of a complex array."""
    return val.imag


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, **options: Any) -> Any:
    """`np.clip`."""
    low, high = options.get("min", a_min), options.get("max", a_max)
    if low is None:
        return pw.minimum(a, high) if high is not None else a
    return pw.maximum(a, low) if high is None else pw.clip(a, low, high)


@implements(np.nan_to_num)
def nan_to_num(x: Any, nan: float = 0.0, **_: Any) -> Any:
    """`np.nan_to_num` for NaN; infinities stay."""
    return pw.where(pw.isnan(x), nan, x)


@implements(np.round, np.around)
def round_(a: Any, decimals: int = 0, **_: Any) -> Any:
    """`np.round`: nothing flows."""
    return pw.rint(a) if decimals == 0 else pw.rint(a * 10.0**decimals) / 10.0**decimals


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """`np.sinc`, smooth through zero."""
    near = pw.absolute(x) < 1e-3
    y = np.pi * pw.where(near, 1.0, x)
    z = (np.pi * x) ** 2
    return pw.where(near, 1 - z / 6 * (1 - z / 20 * (1 - z / 42)), sin(y) / y)


def fill(a: Any, value: Any) -> None:
    """Set every entry."""
    a[...] = value


def _filled(function: Any) -> Callable[..., Any]:
    def version(a: Any, *args: Any, **options: Any) -> Any:
        return constant_like(a, function(settled(as_seen(a)), *args, **options))

    version.__doc__ = f"`np.{function.__name__}`: a traced array to write into."
    return implements(function)(version)


zeros_like, ones_like, empty_like = _filled(np.zeros_like), _filled(np.ones_like), _filled(np.empty_like)


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, **_: Any) -> Any:
    """`np.full_like`."""
    base = (
        zeros_like(a, dtype=dtype, shape=shape) if isinstance(a, Handle) else np.zeros_like(a, dtype=dtype, shape=shape)
    )
    if isinstance(fill_value, Handle):
        return pw.where(True, fill_value, base)
    base[...] = fill_value
    return base


@implements(np.array)
def array(x: Any, dtype: Any = None, **_: Any) -> Any:
    """`np.array(..., like=x)`, in which traced values may stand."""
    made = from_nested(x)
    if made is x and isinstance(made, Handle) and _.get("copy", True):
        made = copied(made)
    if dtype is not None:
        made = sh.cast(made, dtype=np.dtype(dtype))
    return made


@implements(np.asarray, np.asanyarray)
def asarray(a: Any, dtype: Any = None, **_: Any) -> Any:
    """`np.asarray(..., like=x)`: the array itself, where it is one already."""
    return array(a, dtype, copy=False)


# ---- questions: plain answers, from which no derivative can flow ----


def _plainly(*functions: Any) -> None:
    def about(function: Any) -> Callable[..., Any]:
        def version(*args: Any, **options: Any) -> Any:
            return function(*(_bare(a) for a in args), **{k: _bare(v) for k, v in options.items()})

        return version

    for f in functions:
        FUNCTIONS[f] = about(f)


def _bare(x: Any) -> Any:
    return [_bare(i) for i in x] if isinstance(x, (list, tuple)) else plain(x)


_plainly(
    np.count_nonzero, np.isclose, np.allclose, np.array_equal, np.result_type, np.can_cast,
    np.may_share_memory, np.shares_memory, np.nonzero, np.flatnonzero, np.argwhere,
    np.searchsorted, np.array_repr, np.array_str, np.array2string, np.digitize, np.min_scalar_type, np.common_type,
)  # fmt: skip


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """`np.shape`: plain."""
    return a.shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """`np.ndim`: plain."""
    return len(a.shape)


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """`np.iscomplexobj`: plain."""
    return dtype_of(x).kind == "c"


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """`np.isrealobj`: plain."""
    return dtype_of(x).kind != "c"


@implements(np.size)
def size(a: Any, axis: int | None = None) -> int:
    """`np.size`: plain."""
    return math.prod(a.shape) if axis is None else a.shape[axis]


def nonzero(a: Any) -> Any:
    """The indices of the entries that are not zero, as plain arrays."""
    return np.nonzero(plain(a))


@implements(np.all)
def all_(a: Any, axis: Any = None, **options: Any) -> Any:
    """`np.all`: a plain truth value."""
    return np.bool_(_settled(reduce_min, a)) if _asked(a, axis, options) else np.all(plain(a), axis=axis, **options)


@implements(np.any)
def any_(a: Any, axis: Any = None, **options: Any) -> Any:
    """`np.any`: a plain truth value."""
    return np.bool_(_settled(reduce_max, a)) if _asked(a, axis, options) else np.any(plain(a), axis=axis, **options)


def _asked(a: Any, axis: Any, options: dict[str, Any]) -> bool:
    """Whether somebody notes what is asked (`jit`), and the question is one truth value instead of all entries."""
    return state.observed is not None and axis is None and not options and math.prod(a.shape) > 0


def _settled(op: Any, a: Any) -> bool:
    hit = a if a.dtype == bool else a != 0
    return bool(record(op, (hit,), {"axis": tuple(range(-len(hit.shape), 0))}))
