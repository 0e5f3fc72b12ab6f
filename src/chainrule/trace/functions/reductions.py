"""Reductions, sorting and counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import TraceError
from ...ops import broadcasting as bc
from ...ops import piecewise as pw
from ...ops import reduction as rd
from ...ops import shape as sh
from ..handles import from_nested
from .dispatch import axes, implements, one_axis
from .shapes import broadcast_to, expand_dims, ravel, reshape, take, take_along_axis


def _reduction(op: Any, *functions: Any) -> Callable[..., Any]:
    def version(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **params: Any
    ) -> Any:
        where, initial = params.pop("where", True), params.pop("initial", None)
        if where is not True or initial is not None:
            raise TraceError(
                f"np.{op.name} of a traced value: where= and initial= are not supported",
                "use np.where(condition, x, 0) first",
            )
        a = from_nested(a)
        if dtype is not None:
            a = sh.cast(a, dtype=np.dtype(dtype))
        return op(a, axis=axes(axis, np.ndim(a)), keepdims=bool(keepdims), **params)

    version.__name__ = version.__qualname__ = op.name.removeprefix("reduce_")
    version.__doc__ = f"`np.{version.__name__}` of a traced value."
    return implements(*functions)(version)


sum_ = _reduction(bc.sum, np.sum)
mean = _reduction(rd.mean, np.mean)
prod = _reduction(rd.prod, np.prod)
max_ = _reduction(rd.reduce_max, np.max, np.amax)
min_ = _reduction(rd.reduce_min, np.min, np.amin)
var = _reduction(rd.var, np.var)
std = _reduction(rd.std, np.std)
logsumexp = _reduction(rd.logsumexp)


def _along(op: Any) -> Callable[..., Any]:
    def version(x: Any, axis: Any = -1) -> Any:
        return op(x, axis=axes(axis, np.ndim(x)))

    version.__name__ = op.name
    version.__doc__ = op.__doc__
    return version


softmax, log_softmax = _along(rd.softmax), _along(rd.log_softmax)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    """`np.average`."""
    if weights is None:
        return mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        weights = broadcast_to(
            expand_dims(weights, tuple(k for k in range(np.ndim(a)) if k != axis % np.ndim(a))), np.shape(a)
        )
    return sum_(a * weights, axis=axis, keepdims=keepdims) / sum_(weights, axis=axis, keepdims=keepdims)


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.nansum`."""
    return sum_(pw.where(pw.isnan(a), 0, a), axis=axis, keepdims=keepdims)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.ptp`."""
    return max_(a, axis=axis, keepdims=keepdims) - min_(a, axis=axis, keepdims=keepdims)


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, **_: Any) -> Any:
    """`np.cumsum`."""
    return sh.cumsum(ravel(a), axis=-1) if axis is None else sh.cumsum(a, axis=one_axis(axis, np.ndim(a)))


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, **_: Any) -> Any:
    """`np.argmax`: an integer, nothing flows."""
    return rd.argmax(a, axis=axis)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, **_: Any) -> Any:
    """`np.argmin`: an integer, nothing flows."""
    return rd.argmin(a, axis=axis)


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, **_: Any) -> Any:
    """`np.argsort` (stable): integers, nothing flows."""
    return rd.argsort(a, axis=axis)


@implements(np.sort)
def sort(a: Any, axis: int = -1, **_: Any) -> Any:
    """`np.sort`: each entry's derivative goes to where it came from."""
    return take_along_axis(a, rd.argsort(a, axis=axis), axis)


@implements(np.median)
def median(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.median` over all entries or one axis."""
    if axis is None:
        result = median(ravel(a), axis=0)
        return reshape(result, (1,) * np.ndim(a)) if keepdims else result
    ordered, n = sort(a, axis), np.shape(a)[axis]
    return mean(take(ordered, [(n - 1) // 2, n // 2], axis), axis=axis, keepdims=keepdims)
