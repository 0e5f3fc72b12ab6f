"""torch's reductions: sums, means, extremes, norms; sorting and counting are in `selection`."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.op import Op
from ..ir.recording import Handle, record
from ..ops import broadcasting as bc
from ..ops import exponential as ex
from ..ops import piecewise as pw
from ..ops import reduction as rd
from ..trace import functions as fn
from ..trace.handles import constant_like, plain
from .axes import axes_of, axis_of
from .elementwise import to_dtype
from .promotion import converted, dtype_named, floating, wide
from .storage import decided


class Extreme(NamedTuple):
    """The values along an axis, and the indices at which they are."""

    values: Any
    indices: Any


def _integers(input: Any) -> Any:
    return to_dtype(input, np.dtype(np.int64)) if input.dtype.kind in "iub" else input


@wide
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum along axes, or of all entries; integers are summed as int64."""
    x = _integers(input) if dtype is None else to_dtype(input, dtype_named(dtype))
    return to_dtype(record(bc.sum, (x,), {"axis": axes_of(input, dim), "keepdims": bool(keepdim)}), x.dtype)


@wide
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean along axes, or of all entries, of floats."""
    x = input if dtype is None else to_dtype(input, dtype_named(dtype))
    if x.dtype.kind not in "fc":
        raise InputError(
            f"mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {x.dtype}",
            "convert it: x.float().mean()",
        )
    return record(rd.mean, (x,), {"axis": axes_of(input, dim), "keepdims": bool(keepdim)})


@wide
def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product along an axis, or of all entries."""
    x = _integers(input) if dtype is None else to_dtype(input, dtype_named(dtype))
    axis = axes_of(input, None) if dim is None else axes_of(input, axis_of(input, dim))
    return to_dtype(record(rd.prod, (x,), {"axis": axis, "keepdims": bool(keepdim)}), x.dtype)


def _skipping(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def skipping(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        x = input if dtype is None else to_dtype(input, dtype_named(dtype))
        if x.dtype.kind not in "fc":
            return function(x, dim, keepdim)
        nan = decided(pw.isnan, (x,))
        total = sum(record(pw.where, (nan, x.dtype.type(0), x)), dim, keepdim)
        return total if function is sum else total / sum(decided(pw.logical_not, (nan,)), dim, keepdim)

    skipping.__name__ = name
    skipping.__doc__ = f"`{function.__name__}` of what is not NaN."
    return skipping


nansum, nanmean = _skipping("nansum", sum), _skipping("nanmean", mean)


# ---- extremes ----------------------------------------------------------------------------------------------------


def _ordered(name: str, input: Any) -> None:
    if input.dtype.kind == "c":
        raise InputError(f"{name} is not defined for complex tensors", "take x.abs() first")


def _not_empty(name: str, input: Any, axes: tuple[int, ...]) -> None:
    if builtins.any(input.shape[a] == 0 for a in axes):
        raise ShapeError(
            f"{name}(): expected the reduced axes not to be empty; the tensor has shape {list(input.shape)}"
        )


def _shared(name: str, op: Op) -> Callable[..., Any]:
    """The extreme along axes, whose derivative is shared equally at a tie."""

    def extreme(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
        _ordered(name, input)
        axes = axes_of(input, dim)
        _not_empty(name, input, axes)
        return record(op, (input,), {"axis": axes, "keepdims": bool(keepdim)})

    extreme.__name__ = name
    extreme.__doc__ = f"The {name[1:]}imum along axes; at a tie the derivative is shared equally."
    return extreme


amax, amin = _shared("amax", rd.reduce_max), _shared("amin", rd.reduce_min)


def along(input: Any, indices: Any, axis: int, keepdim: bool) -> Extreme:
    """The entries at one index along an axis, with the index. indices: without that axis."""
    if not len(input.shape):
        return Extreme(input.clone(), indices)
    kept = fn.expand_dims(indices, axis)
    values = fn.take_along_axis(input, kept, axis)
    return Extreme(values, kept) if keepdim else Extreme(fn.squeeze(values, axis), indices)


def argument(name: str, op: Op, input: Any, axis: int) -> Any:
    """The index of the extreme along an axis."""
    _ordered(name, input)
    if not len(input.shape):
        return constant_like(input, np.int64(0))
    _not_empty(name, input, (axis,))
    return decided(op, (input,), {"axis": axis})


def _extreme(name: str, op: Op, index: Op, whole: Callable[..., Any], pairwise: str) -> Callable[..., Any]:
    def extreme(input: Any, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("dim", kwargs.get("other"))
        if given is None and not args and not kwargs:
            return whole(input)
        if isinstance(given, Handle) or "other" in kwargs:
            return _two(input, *args, **kwargs)
        return _one(input, *args, **kwargs)

    def _two(input: Any, other: Any) -> Any:
        from . import elementwise

        return getattr(elementwise, pairwise)(input, other)

    def _one(input: Any, dim: int, keepdim: bool = False) -> Extreme:
        axis = axis_of(input, dim)
        return along(input, argument(name, index, input, axis), axis, keepdim)

    extreme.__name__ = name
    extreme.__doc__ = (
        f"`{name}()` of all entries, whose derivative is shared at a tie; `{name}(dim, keepdim)`, a pair (values, indices), "
        f"whose derivative goes to the entry at the index; `{name}(other)` of corresponding entries."
    )
    return extreme


max = _extreme("max", rd.reduce_max, rd.argmax, amax, "maximum")
min = _extreme("min", rd.reduce_min, rd.argmin, amin, "minimum")


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest, along an axis or of all."""
    return MinMax(amin(input, () if dim is None else dim, keepdim), amax(input, () if dim is None else dim, keepdim))


class MinMax(NamedTuple):
    """The smallest and the largest."""

    min: Any
    max: Any


def _where(name: str, op: Op) -> Callable[..., Any]:
    def where(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        if input.dtype.kind == "b":
            raise InputError(f"{name} is not defined for bool tensors", "convert it: x.int()")
        if dim is None:
            found = argument(name, op, fn.ravel(input), -1)
            return fn.reshape(found, (1,) * len(input.shape)) if keepdim else found
        axis = axis_of(input, dim)
        found = argument(name, op, input, axis)
        return fn.expand_dims(found, axis) if keepdim and len(input.shape) else found

    where.__name__ = name
    where.__doc__ = "The index of the extreme along an axis, or among all entries in order; the first at a tie."
    return where


argmax, argmin = _where("argmax", rd.argmax), _where("argmin", rd.argmin)


# ---- moments -----------------------------------------------------------------------------------------------------


def _variance(name: str, input: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    if input.dtype.kind not in "fc":
        raise InputError(f"{name} only supports floating point and complex dtypes", "convert it: x.float()")
    axes = axes_of(input, dim)
    count = bc.count(input, axes)
    centred = input - mean(input, axes, True)
    squares = centred * centred if input.dtype.kind == "f" else record(pw.absolute, (centred,)) ** 2
    total = record(bc.sum, (squares,), {"axis": axes, "keepdims": bool(keepdim)})
    left = builtins.max(count - correction, 0)
    return total / left if left else total * input.dtype.type(0).real / converted(np.zeros(()), total.dtype)


def _moment(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def moment(input: Any, *args: Any, **kwargs: Any) -> Any:
        if (args and isinstance(args[0], bool)) or (not args and "unbiased" in kwargs and "dim" not in kwargs):
            return _of_all(input, *args, **kwargs)
        if "unbiased" in kwargs or (len(args) > 1 and isinstance(args[1], bool)):
            return _unbiased(input, *args, **kwargs)
        return _corrected(input, *args, **kwargs)

    def _of_all(input: Any, unbiased: bool) -> Any:
        return function(name, input, None, 1 if unbiased else 0, False)

    def _unbiased(input: Any, dim: Any, unbiased: bool = True, keepdim: bool = False) -> Any:
        return function(name, input, dim, 1 if unbiased else 0, keepdim)

    def _corrected(input: Any, dim: Any = None, *, correction: float | None = 1, keepdim: bool = False) -> Any:
        return function(name, input, dim, 1 if correction is None else correction, keepdim)

    moment.__name__ = name
    moment.__doc__ = (
        f"`{name}(dim, unbiased, keepdim)` or `{name}(dim, correction=1, keepdim=False)`: over n - 1 unless said."
    )
    return moment


def _deviation(name: str, input: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    return _root(_variance(name, input, dim, correction, keepdim))


def _root(total: Any) -> Any:
    """A square root whose derivative at 0 is 0."""
    zero = decided(pw.equal, (total, 0))
    one = total.dtype.type(1)
    root = record(ex.sqrt, (record(pw.where, (zero, one, total)),))
    return record(pw.where, (zero, total.dtype.type(0), root))


var, std = wide(_moment("var", _variance)), wide(_moment("std", _deviation))


def _with_mean(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def both(name: str, input: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
        return function(name, input, dim, correction, keepdim), mean(input, dim, keepdim)

    return _moment(name, both)


var_mean, std_mean = wide(_with_mean("var_mean", _variance)), wide(_with_mean("std_mean", _deviation))


# ---- exponentials, norms, truth ----------------------------------------------------------------------------------


@wide
def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    """log(sum(exp(x))) along axes, without overflow."""
    (x,) = floating(input)
    _ordered("logsumexp", x)
    return record(rd.logsumexp, (x,), {"axis": axes_of(input, dim), "keepdims": bool(keepdim)})


def _exponential(name: str, op: Op) -> Callable[..., Any]:
    def along(input: Any, dim: int, dtype: Any = None) -> Any:
        x = input if dtype is None else to_dtype(input, dtype_named(dtype))
        if x.dtype.kind != "f":
            raise InputError(f"{name} is not defined for tensors of dtype {x.dtype}", "convert it: x.float()")
        axis = axis_of(x, dim)
        if not math.prod(x.shape):
            return x.clone()
        if not len(x.shape):
            return fn.reshape(record(op, (fn.reshape(x, (1,)),), {"axis": (-1,)}), ())
        return record(op, (x,), {"axis": (axis,)})

    along.__name__ = name
    along.__doc__ = f"{op.__doc__}"
    return along


softmax, log_softmax = wide(_exponential("softmax", rd.softmax)), wide(_exponential("log_softmax", rd.log_softmax))


@wide
def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The norm of the entries along axes; its derivative at 0 is 0."""
    x = x if dtype is None else to_dtype(x, dtype_named(dtype))
    if x.dtype.kind not in "fc":
        raise InputError(
            f"vector_norm: expected a floating point or complex tensor; got {x.dtype}", "convert: x.float()"
        )
    axes, p = axes_of(x, dim), float(ord)
    options = {"axis": axes, "keepdims": bool(keepdim)}
    size = record(pw.absolute, (x,))
    if p == 0:  # how many are not zero; NaN is not
        one = record(pw.where, (decided(pw.isnan, (size,)), size.dtype.type(1), record(pw.sign, (size,))))
        return record(bc.sum, (one,), options)
    if math.isinf(p):
        if p < 0 or bc.count(x, axes) == 0:
            _not_empty("vector_norm", x, axes)
        return record(rd.reduce_max if p > 0 else rd.reduce_min, (size,), options)
    if p == 1:
        return record(bc.sum, (size,), options)
    if p == 2:
        squares = record(ex.square, (x,)) if x.dtype.kind == "f" else record(ex.square, (size,))
        return _root(record(bc.sum, (squares,), options))
    zero = decided(pw.equal, (size, 0))
    safe = record(pw.where, (zero, size.dtype.type(1), size))
    powers = record(pw.where, (zero, size.dtype.type(0 if p > 0 else np.inf), record(ex.power, (safe, p))))
    total = record(bc.sum, (powers,), options)
    empty = decided(pw.equal, (total, 0))
    root = record(ex.power, (record(pw.where, (empty, size.dtype.type(1), total)), 1 / p))
    return record(pw.where, (empty, size.dtype.type(0), root))


def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None) -> Any:
    """The p-norm along axes, or of all entries; its derivative at 0 is 0."""
    if out is not None:
        raise InputError("norm: out= is not supported", "assign the result")
    if p is None or p == "fro":
        p = 2
    if isinstance(p, str):
        raise InputError(f"norm: p={p!r} is not supported", "choose a number, or 'fro'")
    return vector_norm(input, p, dim, keepdim, dtype=dtype)


@wide
def dist(input: Any, other: Any, p: Any = 2) -> Any:
    """The p-norm of a difference."""
    return vector_norm(input - other, p)


def _truth(name: str, function: Any, op: Op) -> Callable[..., Any]:
    def truth(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
        axes = axes_of(input, dim)
        hits = input if input.dtype.kind == "b" else decided(pw.not_equal, (input, 0))
        if bc.count(input, axes) == 0 or not axes:
            found = function(np.asarray(plain(hits)), axis=axes, keepdims=bool(keepdim))
        else:
            found = decided(op, (hits,), {"axis": axes, "keepdims": bool(keepdim)})
            return to_dtype(found, np.dtype(np.uint8)) if input.dtype == np.uint8 else found
        found = constant_like(input, np.asarray(found)[()])
        return to_dtype(found, np.dtype(np.uint8)) if input.dtype == np.uint8 else found

    truth.__name__ = name
    truth.__doc__ = f"Whether {name} entries along axes are true."
    return truth


all, any = _truth("all", np.all, rd.reduce_min), _truth("any", np.any, rd.reduce_max)


def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many entries are not zero."""
    return sum(decided(pw.not_equal, (input, 0)), dim)
