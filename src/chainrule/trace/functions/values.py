"""Choices, copies, creation, and questions with plain answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ...errors import InputError, TraceError
from ...ir.deferred import settled
from ...ir.entering import allowed
from ...ir.recording import Handle, record, state
from ...ops import arithmetic as ar
from ...ops import complex as cx
from ...ops import piecewise as pw
from ...ops import shape as sh
from ...ops.reduction import reduce_max, reduce_min
from ...ops.trigonometric import sin
from ..handles import constant_like, dtype_of, operand, plain
from ..lost import lost
from ..memory import as_seen
from .dispatch import FUNCTIONS, PLAIN, axes, implements, implements_method
from .shapes import copy
from .signatures import NO_VALUE


@implements(np.where)
def where(condition: Any, x: Any = NO_VALUE, y: Any = NO_VALUE) -> Any:
    """`np.where`; with the condition alone, the concrete indices where it holds."""
    if x is NO_VALUE:
        return nonzero(condition)
    if y is NO_VALUE:
        raise InputError("np.where takes both or neither of x and y", "write np.where(condition, x, y)")
    condition = operand(condition)
    return pw.where(
        condition if dtype_of(condition).kind == "b" else pw.not_equal(condition, 0), operand(x), operand(y)
    )


@implements(np.real)
def real(val: Any) -> Any:
    """`np.real`: a view."""
    return operand(val).real


@implements(np.imag)
def imag(val: Any) -> Any:
    """`np.imag`: a view, of a complex array."""
    return operand(val).imag


@implements(np.clip)
def clip(a: Any, a_min: Any = NO_VALUE, a_max: Any = NO_VALUE, min: Any = NO_VALUE, max: Any = NO_VALUE) -> Any:
    """Kept between two bounds; both bounds are differentiated, and `None` is none."""
    if a_min is not NO_VALUE and a_max is not NO_VALUE and min is max is NO_VALUE:
        return clipped(a, a_min, a_max)
    if a_min is not NO_VALUE or a_max is not NO_VALUE:
        raise InputError("np.clip takes both a_min and a_max, or min and max instead", "give None for a missing bound")
    return clipped(a, *(None if bound is NO_VALUE else bound for bound in (min, max)))


@implements_method("clip")
def clipped(a: Any, min: Any = None, max: Any = None) -> Any:
    """Kept between two bounds, each of which may be missing."""
    if min is not None and max is not None:
        return pw.clip(operand(a), operand(min), operand(max))
    if min is None:
        return pw.minimum(operand(a), operand(max)) if max is not None else ar.positive(operand(a))
    return pw.maximum(operand(a), operand(min))


@implements(np.nan_to_num)
def nan_to_num(x: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """`np.nan_to_num`: numbers in the place of NaN and the infinities, from which nothing flows."""
    x = operand(x)
    dtype = dtype_of(x)
    if dtype.kind == "c":
        raise TraceError("np.nan_to_num of a traced complex value", "apply it to x.real and x.imag")
    if dtype.kind != "f":
        return copy(x)
    limits = np.finfo(dtype)
    high, low = limits.max if posinf is None else posinf, limits.min if neginf is None else neginf
    number, high, low = (v if isinstance(v, Handle) else np.asarray(v).astype(dtype)[()] for v in (nan, high, low))
    return pw.where(pw.isnan(x), number, pw.where(pw.isinf(x), pw.where(x > 0, high, low), x))


@implements(np.round, np.around)
def round_(a: Any, decimals: Any = 0) -> Any:
    """`np.round`: nothing flows."""
    a = operand(a)
    if decimals < 0 and dtype_of(a).kind in "iu":
        raise TraceError("np.round of traced integers to tens or hundreds", "write x // 10 * 10, or round floats")
    return pw.rint(a) if decimals == 0 and dtype_of(a).kind in "fc" else pw.rounded(a, decimals=decimals)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """`np.sinc`, smooth through zero."""
    x = operand(x)
    near = pw.absolute(x) < 1e-3
    y = np.pi * pw.where(near, 1.0, x)
    z = (np.pi * x) ** 2
    return pw.where(near, 1 - z / 6 * (1 - z / 20 * (1 - z / 42)), sin(y) / y)


@implements(np.angle)
def angle(z: Any, deg: Any = False) -> Any:
    """The argument of complex numbers; its derivative is not defined at 0."""
    found = cx.angle(z)
    return found * (180 / np.pi) if deg else found


@implements_method("conj")
@implements_method("conjugate")
def conjugate(a: Any) -> Any:
    """The complex conjugate; a real array itself."""
    return cx.conj(a) if dtype_of(a).kind == "c" else a


@implements_method("astype")
def astype(a: Any, dtype: Any, casting: Any = "unsafe", copy: Any = True) -> Any:
    """The value in another dtype; nothing flows through an integer."""
    dtype = allowed(dtype)
    if not np.can_cast(a.dtype, dtype, casting):
        raise InputError(f"x.astype: {a.dtype} cannot become {dtype} with casting={casting!r}", "leave casting out")
    return a if not copy and dtype == a.dtype else sh.cast(a, dtype=dtype)


@implements_method("fill")
def fill(a: Any, value: Any) -> None:
    """Set every entry."""
    if isinstance(settled(a.node.value), np.generic):
        raise TraceError("x.fill of a scalar, which cannot be written into", "write x = value")
    a[...] = value


@implements_method("item")
def item(a: Any, *args: Any) -> NoReturn:
    """Refused: a Python number would lose the derivative."""
    raise lost("item")


@implements_method("tolist")
def tolist(a: Any) -> NoReturn:
    """Refused: Python numbers would lose the derivative."""
    raise lost("item")


def _filled(function: Any) -> Callable[..., Any]:
    def version(a: Any, dtype: Any = None, order: Any = "K", shape: Any = None) -> Any:
        return constant_like(a, function(settled(as_seen(a)), dtype, order=order, subok=False, shape=shape))

    version.__doc__ = f"`np.{function.__name__}`: a traced array to write into."
    return implements(function)(version)


zeros_like, ones_like = _filled(np.zeros_like), _filled(np.ones_like)


@implements(np.empty_like)
def empty_like(prototype: Any, dtype: Any = None, order: Any = "K", shape: Any = None) -> Any:
    """`np.empty_like`, filled with zeros: what it holds may not depend on chance."""
    return zeros_like(prototype, dtype, order, shape)


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", shape: Any = None) -> Any:
    """A constant, unless the value is traced: then every entry has its derivative."""
    dtype = dtype_of(a) if dtype is None else allowed(dtype)
    if isinstance(fill_value, Handle):
        made = zeros_like(a, dtype, order, shape)
        made[...] = sh.cast(fill_value, dtype=dtype)
        return made
    return constant_like(a, np.full_like(settled(as_seen(a)), fill_value, dtype, order=order, shape=shape))


def _array(function: Any) -> Callable[..., Any]:
    def version(object: Any, dtype: Any = None, like: Any = None) -> Any:
        made = operand(object)
        made = made if dtype is None else sh.cast(made, dtype=allowed(dtype))
        made = made if isinstance(made, Handle) else constant_like(like, np.array(made))
        return copy(made) if function is np.array else made

    if function is not np.array:

        def called_a(a: Any, dtype: Any = None, like: Any = None) -> Any:
            return version(a, dtype, like)

        return implements(function)(called_a)
    return implements(function)(version)


array, asarray, asanyarray = map(_array, (np.array, np.asarray, np.asanyarray))
ascontiguousarray = _array(np.ascontiguousarray)


# ---- questions: plain answers, from which no derivative can flow ----


PLAIN.update((np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj))


def _plainly(*functions: Any) -> None:
    def about(function: Any) -> Callable[..., Any]:
        def version(*args: Any, **options: Any) -> Any:
            return function(*(_bare(a) for a in args), **{k: _bare(v) for k, v in options.items()})

        return version

    for f in functions:
        FUNCTIONS[f] = about(f)
        PLAIN.add(f)


def _bare(x: Any) -> Any:
    return type(x)(map(_bare, x)) if type(x) in (list, tuple) else plain(x)


_plainly(
    np.count_nonzero, np.linalg.matrix_rank, np.isclose, np.allclose, np.array_equal, np.result_type, np.can_cast,
    np.may_share_memory, np.shares_memory, np.nonzero, np.flatnonzero, np.argwhere,
    np.searchsorted, np.array_repr, np.array_str, np.array2string, np.digitize, np.min_scalar_type, np.common_type,
)  # fmt: skip


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """`np.shape`: plain."""
    return a.shape if isinstance(a, Handle) else operand(a).shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """`np.ndim`: plain."""
    return len(shape(a))


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """`np.iscomplexobj`: plain."""
    return dtype_of(x).kind == "c"


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """`np.isrealobj`: plain."""
    return dtype_of(x).kind != "c"


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    """`np.size`: plain."""
    return math.prod(a.shape) if axis is None else math.prod(a.shape[k] for k in axes(axis, len(a.shape)))


def nonzero(a: Any) -> Any:
    """The indices of the entries that are not zero, as plain arrays."""
    return np.nonzero(plain(a))


def _truth(function: Any, somewhere: Callable[[Any], Any]) -> Callable[..., Any]:
    def version(a: Any, axis: Any = None, keepdims: Any = False, where: Any = True) -> Any:
        if axis is None and not keepdims and where is True and _asked(a):
            return somewhere(a)
        return function(_bare(a), axis=axis, keepdims=keepdims, where=_bare(where))

    version.__doc__ = f"`np.{function.__name__}`: a plain truth value."
    return implements(function)(version)


def _asked(a: Any) -> bool:
    """Whether somebody notes what is asked (`jit`), and the question is one truth value instead of all entries."""
    return state.observed is not None and isinstance(a, Handle) and math.prod(a.shape) > 0


def _settled(op: Any, a: Any) -> bool:
    hit = a if a.dtype == bool else a != 0
    return bool(record(op, (hit,), {"axis": tuple(range(-len(hit.shape), 0))}))


all_ = _truth(np.all, lambda a: np.bool_(_settled(reduce_min, a)))
any_ = _truth(np.any, lambda a: np.bool_(_settled(reduce_max, a)))
