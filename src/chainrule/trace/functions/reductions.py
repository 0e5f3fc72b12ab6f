"""Reductions, sorting and counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError, TraceError
from ...ir.entering import allowed
from ...ir.recording import Handle
from ...ops import arithmetic as ar
from ...ops import broadcasting as bc
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import reduction as rd
from ...ops import shape as sh
from ...ops.complex import conj, real
from ..handles import dtype_of, operand
from .binding import put
from .dispatch import axes, implements, implements_method, index_into, one_axis
from .shapes import broadcast_to, copy, expand_dims, ravel, take, take_along_axis, transpose
from .signatures import NO_VALUE


def in_dtype(x: Any, dtype: Any) -> Any:
    """The value converted to a dtype; as it is for None."""
    if dtype is None or dtype_of(x) == np.dtype(dtype):
        return x
    return sh.cast(x, dtype=allowed(dtype))


def only(x: Any, where: Any, neutral: Any) -> Any:
    """The entries where a condition holds, and elsewhere one that changes nothing."""
    if where is True:
        return x
    condition = operand(where)
    if dtype_of(condition).kind != "b":
        raise TypeError(f"where= takes booleans, not {dtype_of(condition)}")
    if np.broadcast_shapes(np.shape(condition), np.shape(x)) != np.shape(x):
        raise ShapeError(f"where= of shape {np.shape(condition)} does not broadcast to the array's {np.shape(x)}")
    return pw.where(condition, x, neutral if isinstance(neutral, Handle) else dtype_of(x).type(neutral))


def _start(initial: Any, like: Any) -> Any:
    """The start of a reduction, in its dtype."""
    if initial is None or np.shape(initial) != ():
        raise InputError(f"initial={initial!r:.40} of a reduction is no number", "leave it out, or give a number")
    if not isinstance(initial, Handle):
        exact = np.asarray(initial)
        if not np.can_cast(exact.dtype, dtype_of(like), "same_kind") and exact.astype(dtype_of(like)) != exact:
            raise InputError(f"initial={initial!r} is no {dtype_of(like)}", "give one of the dtype of the result")
    return in_dtype(initial, dtype_of(like))


def _total(op: Any, identity: int, join: Any, *functions: Any) -> Callable[..., Any]:
    def version(
        a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
    ) -> Any:
        a = operand(a)
        if dtype is not None:
            a = in_dtype(a, dtype)
        if where is not True:
            a = only(a, where, identity)
        result = op(a, axis=axes(axis, np.ndim(a)), keepdims=bool(keepdims))
        if dtype is not None:
            result = in_dtype(result, dtype)
        return result if initial is NO_VALUE else join(result, _start(initial, result))

    return _named(version, op, functions)


def _named(version: Any, op: Any, functions: Any) -> Callable[..., Any]:
    version.__name__ = version.__qualname__ = op.name.removeprefix("reduce_")
    version.__doc__ = f"`np.{version.__name__}` of a traced value."
    return implements(*functions)(version)


def _extreme(op: Any, pairwise: Any, *functions: Any) -> Callable[..., Any]:
    def version(a: Any, axis: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True) -> Any:
        a = operand(a)
        where_ = axes(axis, np.ndim(a))
        if initial is NO_VALUE:
            if where is not True:
                raise ShapeError(f"where= of {op.name} needs initial=", "give the value for entries that are left out")
            return op(a, axis=where_, keepdims=bool(keepdims))
        start = _start(initial, a)
        if where is not True:
            a = only(a, where, start)
        if bc.count(a, where_) == 0:
            return in_dtype(bc.sum(a, axis=where_, keepdims=bool(keepdims)), dtype_of(a)) + start
        return pairwise(op(a, axis=where_, keepdims=bool(keepdims)), start)

    return _named(version, op, functions)


sum_ = _total(bc.sum, 0, ar.add, np.sum)
prod = _total(rd.prod, 1, ar.multiply, np.prod)
max_ = _extreme(rd.reduce_max, pw.maximum, np.max, np.amax)
min_ = _extreme(rd.reduce_min, pw.minimum, np.min, np.amin)


def _counted(a: Any, where: Any, axis: Any) -> Any:
    """How many entries of each reduction count, with its axes kept."""
    mask = np.broadcast_to(where, np.shape(a)) if not isinstance(where, Handle) else broadcast_to(where, np.shape(a))
    return sum_(mask, axis=axis, keepdims=True)


def _floating(a: Any, dtype: Any, name: str, kinds: str = "fc") -> Any:
    if dtype is not None and np.dtype(dtype).kind not in kinds:
        raise TraceError(f"np.{name} of a traced value in dtype {np.dtype(dtype)}", "convert the result with .astype")
    return in_dtype(operand(a), dtype)


@implements(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, where: Any = True) -> Any:
    """`np.mean` of a traced value."""
    a = _floating(a, dtype, "mean")
    if where is True:
        return rd.mean(a, axis=axes(axis, np.ndim(a)), keepdims=bool(keepdims))
    a = a if dtype_of(a).kind in "fc" else in_dtype(a, float)
    result = sum_(a, axis, keepdims=True, where=where) / in_dtype(_counted(a, where, axis), dtype_of(a))
    return result if keepdims else _dropped(result, axis)


def _dropped(x: Any, axis: Any) -> Any:
    """Without the axes that a reduction kept."""
    found = axes(axis, np.ndim(x))
    return bc.reshape(x, shape=tuple(n for k, n in enumerate(np.shape(x), -np.ndim(x)) if k not in found))


def _moment(op: Any, finish: Any, function: Any) -> Callable[..., Any]:
    def version(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        where: Any = True,
        mean: Any = NO_VALUE,
        correction: Any = NO_VALUE,
    ) -> Any:
        if correction is not NO_VALUE:
            if ddof != 0:
                raise InputError("ddof and correction are the same: give one of them")
            ddof = correction
        known = mean is not NO_VALUE and mean is not None
        a = _floating(a, dtype, op.name, "" if known or dtype_of(a).kind == "c" else "f")
        if where is True and not known:
            return op(a, axis=axes(axis, np.ndim(a)), keepdims=bool(keepdims), ddof=ddof)
        a = a if dtype_of(a).kind in "fc" else in_dtype(a, float)
        count = in_dtype(_counted(a, where, axis), dtype_of(real(a))) - ddof
        centre = mean if known else sum_(a, axis, keepdims=True, where=where) / (count + ddof)
        centred = a - operand(centre)
        squared = real(centred * conj(centred)) if dtype_of(centred).kind == "c" else centred * centred
        result = finish(sum_(squared, axis, keepdims=True, where=where) / pw.maximum(count, 0))
        return result if keepdims else _dropped(result, axis)

    return _named(version, op, (function,))


var = _moment(rd.var, lambda x: x, np.var)
std = _moment(rd.std, ex.sqrt, np.std)


def logsumexp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(a))), without overflow."""
    a = operand(a)
    return rd.logsumexp(a, axis=axes(axis, np.ndim(a)), keepdims=bool(keepdims))


def _along(op: Any) -> Callable[..., Any]:
    def version(x: Any, axis: Any = -1) -> Any:
        return op(x, axis=axes(axis, np.ndim(x)))

    version.__name__ = op.name
    version.__doc__ = op.__doc__
    return version


softmax, log_softmax = _along(rd.softmax), _along(rd.log_softmax)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: Any = False) -> Any:
    """As NumPy; the weights are differentiated too."""
    a = operand(a)
    if weights is None:
        result = mean(a, axis, keepdims=keepdims)
        total: Any = bc.count(a, axes(axis, np.ndim(a))) + np.zeros((), dtype_of(result))
    else:
        weights = operand(weights)
        dtype = np.result_type(dtype_of(a), dtype_of(weights), *(() if dtype_of(a).kind in "fc" else ("f8",)))
        a, weights = in_dtype(a, dtype), in_dtype(_weights(weights, a, axis), dtype)
        total = sum_(weights, axis, keepdims=keepdims)
        if not isinstance(total, Handle) and np.any(total == 0):
            raise ShapeError("np.average: the weights sum to zero", "give weights with another sum")
        result = sum_(a * weights, axis, keepdims=keepdims) / total
    return (result, copy(broadcast_to(total, np.shape(result)))) if returned else result


def _weights(weights: Any, a: Any, axis: Any) -> Any:
    """Weights given for some axes, with the array's axes."""
    if np.shape(weights) == np.shape(a):
        return weights
    if axis is None:
        raise InputError("np.average: weights of another shape than the array's need an axis", "give axis=")
    n = np.ndim(a)
    given = [one_axis(k, n) for k in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if np.shape(weights) != tuple(np.shape(a)[k] for k in given):
        raise ShapeError(f"np.average: weights of shape {np.shape(weights)} along axis {axis} of {np.shape(a)}")
    weights = transpose(weights, tuple(np.argsort(given)))
    return expand_dims(weights, tuple(k for k in range(-n, 0) if k not in given))


@implements(np.nansum)
def nansum(
    a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
) -> Any:
    """The sum with zeros where an entry is NaN; nothing flows into those."""
    a = operand(a)
    return sum_(pw.where(pw.isnan(a), dtype_of(a).type(0), a), axis, dtype, keepdims, initial, where)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """`max - min`; at ties each shares its derivative equally."""
    return max_(a, axis, keepdims) - min_(a, axis, keepdims)


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """As NumPy: of all entries in a row without an axis."""
    a = in_dtype(operand(a), dtype)
    a, axis = (ravel(a), -1) if axis is None else (a, one_axis(axis, np.ndim(a)))
    return in_dtype(sh.cumsum(a, axis=axis), dtype)


def _searched(op: Any, function: Any) -> Callable[..., Any]:
    def version(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
        a = operand(a)
        found = op(a, axis=None if axis is None else one_axis(axis, np.ndim(a)))
        if not keepdims:
            return found
        return expand_dims(found, tuple(range(np.ndim(a))) if axis is None else one_axis(axis, np.ndim(a)))

    version.__doc__ = f"`np.{op.name}`: integers, nothing flows."
    return _named(version, op, (function,))


argmax, argmin = _searched(rd.argmax, np.argmax), _searched(rd.argmin, np.argmin)


def _kind(kind: Any, stable: Any) -> Any:
    if stable is None:
        return kind
    if kind is not None:
        raise InputError("kind and stable are the same option of a sort: give one of them")
    return "stable" if stable else None


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, kind: Any = None, stable: Any = None) -> Any:
    """`np.argsort`: integers, nothing flows."""
    a, axis = (ravel(a), -1) if axis is None else (operand(a), axis)
    kind = _kind(kind, stable)
    return rd.argsort(a, axis=one_axis(axis, np.ndim(a)), **({} if kind is None else {"kind": kind}))


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, stable: Any = None) -> Any:
    """`np.sort`: each entry's derivative goes to where it came from."""
    a, axis = (ravel(a), -1) if axis is None else (operand(a), axis)
    return take_along_axis(a, argsort(a, axis, kind, stable), axis)


@implements_method("sort")
def sort_in_place(a: Any, axis: Any = -1, kind: Any = None, stable: Any = None) -> None:
    """Sort the array itself."""
    if axis is None:
        raise InputError("x.sort sorts along an axis, not None", "write np.sort(x, axis=None)")
    put(a, sort(a, axis, kind, stable), "x.sort")


@implements(np.median)
def median(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """`np.median`; NaN where there is one."""
    a = operand(a)
    found = axes(axis, np.ndim(a))
    rest = [k for k in range(-np.ndim(a), 0) if k not in found]
    rows = bc.reshape(transpose(a, (*rest, *found)), shape=(*(np.shape(a)[k] for k in rest), bc.count(a, found)))
    ordered, n = sort(rows), np.shape(rows)[-1]
    middle = mean(take(ordered, [n // 2] if n % 2 else [n // 2 - 1, n // 2], -1), -1)
    if dtype_of(a).kind in "fc":  # NaN comes last
        last = index_into(ordered, (Ellipsis, -1))
        middle = pw.where(pw.isnan(last), last, middle)
    return expand_dims(middle, found) if keepdims else middle


@implements_method("compress")
def compress(a: Any, condition: Any, axis: Any = None) -> Any:
    """The slices along an axis for which a plain condition holds."""
    if isinstance(condition, Handle) or np.ndim(condition) != 1:
        raise TraceError("x.compress takes a plain list of booleans", "write x[mask]")
    return take(a, np.flatnonzero(condition), axis)
