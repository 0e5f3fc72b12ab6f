"""torch's functions that repeat, turn, cut to triangles, and accumulate."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.recording import record
from ..ops import indexing as ix
from ..ops import shape as sh
from ..trace import functions as fn
from ..trace.handles import constant_like, plain
from .axes import axes_of, axis_of, sizes_of
from .elementwise import to_dtype
from .promotion import dtype_named, wide
from .reductions import Extreme
from .shapes import broadcast_tensors, cat, listed, ravel, reshape, slice_of, stack, unbind


@listed("repeats")
def repeat(input: Any, *repeats: Any) -> Any:
    """The whole repeated along each axis, new ones in front."""
    counts = sizes_of(repeats)
    if len(counts) < len(input.shape):
        raise ShapeError(
            f"Number of dimensions of repeat dims {list(counts)} can not be smaller than number of dimensions of tensor {list(input.shape)}"
        )
    if any(n < 0 for n in counts):
        raise ShapeError(f"repeat: {list(counts)} holds a negative number")
    return _copied(fn.tile(input, counts), input)


def _copied(made: Any, input: Any) -> Any:
    """A tensor that shares nothing with another, however it was made."""
    return made.clone() if made is input or made._view is not None else made


@listed("dims")
def tile(input: Any, *dims: Any) -> Any:
    """The whole repeated along each axis; axes that are not named are not repeated."""
    counts = sizes_of(dims)
    return repeat(input, (1,) * (len(input.shape) - len(counts)) + counts)


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Any:
    """Each entry repeated along an axis, so many times or as often as its number says."""
    if dim is None:
        input, dim = ravel(input), 0
    axis = axis_of(input, dim)
    counts = np.asarray(plain(repeats))
    if counts.dtype.kind not in "iu" or np.any(counts < 0):
        raise InputError("repeats must be integers that are not negative")
    if not len(input.shape):
        input = reshape(input, (1,))
    n = input.shape[axis]
    if counts.ndim and counts.size not in (1, n):
        raise ShapeError(f"repeats must have the same size as input along dim: {counts.size}, {n}")
    index = np.repeat(np.arange(n), counts.reshape(-1) if counts.ndim else int(counts))
    if output_size is not None and output_size != len(index):
        raise ShapeError(f"repeat_interleave: allocated size {output_size} does not match required size {len(index)}")
    return record(ix.getitem, (input, index), {"index": (Ellipsis, ix.HERE) + (slice(None),) * (-axis - 1)})


@listed("dims")
def flip(input: Any, *dims: Any) -> Any:
    """A copy with axes reversed."""
    named = sizes_of(dims)
    return _copied(record(sh.flip, (input,), {"axis": axes_of(input, named)}), input) if named else input.clone()


def fliplr(input: Any) -> Any:
    """A copy with the second axis reversed."""
    if len(input.shape) < 2:
        raise ShapeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """A copy with the first axis reversed."""
    if not len(input.shape):
        raise ShapeError("Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Entries moved along axes, around the end."""
    if dims is None or (isinstance(dims, Sequence) and not dims):
        return reshape(roll(ravel(input), shifts, 0), tuple(input.shape)) if len(input.shape) else input.clone()
    shift = tuple(shifts) if isinstance(shifts, Sequence) else (shifts,)
    axes = tuple(axis_of(input, d) for d in (dims if isinstance(dims, Sequence) else (dims,)))
    if len(shift) != len(axes):
        raise ShapeError(f"shifts and dimensions must align. shifts: {len(shift)}, dims:{len(axes)}")
    return record(sh.roll, (input,), {"shift": shift, "axis": axes}) if len(input.shape) else input.clone()


def _triangle(name: str, op: Any) -> Callable[..., Any]:
    def triangle(input: Any, diagonal: int = 0) -> Any:
        if len(input.shape) < 2:
            raise ShapeError(f"{name}: input tensor must have at least 2 dimensions")
        return record(op, (input,), {"k": operator.index(diagonal)})

    triangle.__name__ = name
    triangle.__doc__ = "The entries on one side of a diagonal, zeros on the other."
    return triangle


tril, triu = _triangle("tril", sh.tril), _triangle("triu", sh.triu)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Any, ...]:
    """Vectors broadcast against each other, each along an axis of its own; `indexing` is "ij" unless said."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in (None, "ij", "xy"):
        raise InputError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing}")
    if any(len(x.shape) > 1 for x in given):
        raise ShapeError("meshgrid expects 0D or 1D tensors")
    n = len(given)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    placed = [reshape(x, tuple(-1 if order[j] == k else 1 for j in range(n))) for k, x in enumerate(given)]
    return broadcast_tensors(*placed)


def cartesian_prod(*tensors: Any) -> Any:
    """Every combination of entries, one a row."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([ravel(g) for g in meshgrid(*tensors, indexing="ij")], 1)


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The differences of neighbours along an axis, n times."""
    axis = axis_of(input, dim)
    if not len(input.shape):
        raise ShapeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise InputError(f"order must be non-negative but got {n}")
    if prepend is not None or append is not None:
        input = cat([x for x in (prepend, input, append) if x is not None], dim)
    for _ in range(n):
        m = input.shape[axis]
        if m == 0:
            return input.clone()
        a, b = slice_of(input, axis, 1, m), slice_of(input, axis, 0, m - 1)
        input = a ^ b if input.dtype.kind == "b" else a - b
    return input.clone() if n == 0 else input


@wide
def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Sums of all entries up to each along an axis; integers are summed as int64."""
    axis = axis_of(input, dim)
    x = input if dtype is None else to_dtype(input, dtype_named(dtype))
    x = to_dtype(x, np.dtype(np.int64)) if x.dtype.kind in "iub" and dtype is None else x
    return to_dtype(record(sh.cumsum, (x,), {"axis": axis}), x.dtype) if len(x.shape) else x.clone()


@wide
def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Products of all entries up to each along an axis."""
    axis = axis_of(input, dim)
    x = input if dtype is None else to_dtype(input, dtype_named(dtype))
    x = to_dtype(x, np.dtype(np.int64)) if x.dtype.kind in "iub" and dtype is None else x
    if not len(x.shape) or not x.shape[axis]:
        return x.clone()
    parts = unbind(x, axis)
    return stack(list(itertools.accumulate(parts, operator.mul)), axis)


def _cumulative(name: str, larger: Any) -> Callable[..., Any]:
    def cumulative(input: Any, dim: int) -> Extreme:
        axis = axis_of(input, dim)
        if not len(input.shape):
            return Extreme(input.clone(), constant_like(input, np.int64(0)))
        values = np.moveaxis(np.asarray(plain(input)), axis, 0)
        at = np.zeros(values.shape, np.int64)
        for k in range(1, len(values)):
            best = np.take_along_axis(values, at[k - 1][None], 0)[0]
            with np.errstate(invalid="ignore"):
                at[k] = np.where(larger(values[k], best) | np.isnan(values[k]), k, at[k - 1])
        index = constant_like(input, np.ascontiguousarray(np.moveaxis(at, 0, axis)))
        return Extreme(fn.take_along_axis(input, index, axis), index)

    cumulative.__name__ = name
    cumulative.__doc__ = "The extreme of all entries up to each along an axis, and where it is: the last at a tie."
    return cumulative


cummax, cummin = _cumulative("cummax", np.greater_equal), _cumulative("cummin", np.less_equal)
