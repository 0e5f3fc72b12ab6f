"""Shapes, joining, splitting, taking."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ir.recording import Handle
from ...ops import broadcasting as bc
from ...ops import indexing as ix
from ...ops import shape as sh
from ..handles import from_nested, operand, view_of
from ..memory import copied
from .dispatch import axes, implements, one_axis


@implements(np.reshape)
def reshape(a: Any, shape: Any = None, order: str = "C", **options: Any) -> Any:
    """`np.reshape`."""
    if order != "C":
        raise TraceError(
            f"reshape with order={order!r} of a traced value is not supported", "transpose before and after instead"
        )
    want = options.get("newshape", shape)
    sizes = [operator.index(n) for n in (want if isinstance(want, (tuple, list)) else (want,))]
    total = int(np.size(a))
    if sizes.count(-1) == 1:
        known = -int(np.prod(sizes))
        sizes[sizes.index(-1)] = total // known if known else 0
    if int(np.prod(sizes)) != total or min(sizes, default=0) < 0:
        raise ShapeError(f"cannot reshape an array of shape {np.shape(a)} ({total} entries) into {tuple(sizes)}")
    return _view(a, bc.reshape, shape=tuple(sizes))


def _view(a: Any, op: Any, **params: Any) -> Any:
    return view_of(a, op, params) if isinstance(a, Handle) else op(a, **params)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """`np.ravel`: a view of an array that lies in C order, of others a copy."""
    if order == "C" and isinstance(a, Handle):
        return view_of(a, bc.reshape, {"shape": (math.prod(a.shape),)}, take=np.ravel)
    return reshape(a, (int(np.size(a)),), order=order)


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """`np.copy`: a handle of its own."""
    return copied(a, order) if isinstance(a, Handle) else np.array(a)


def copy_method(a: Any, order: str = "C") -> Any:
    """`ndarray.copy`, whose order is not that of `np.copy`."""
    return copy(a, order)


def flatten(a: Any, order: str = "C") -> Any:
    """A copy with one axis."""
    return copy(ravel(a, order))


@implements(np.transpose, np.permute_dims if hasattr(np, "permute_dims") else np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    """`np.transpose`."""
    n = np.ndim(a)
    if axes is None:
        axes = range(-1, -n - 1, -1)
    found = tuple(one_axis(k, n) for k in axes)
    if sorted(found) != list(range(-n, 0)):
        raise ShapeError(f"axes {tuple(axes)} are no permutation of the {n} axes")
    return _view(a, sh.transpose, axes=found)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """`np.swapaxes`."""
    order = list(range(np.ndim(a)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(a, order)


if hasattr(np, "matrix_transpose"):

    @implements(np.matrix_transpose)
    def matrix_transpose(a: Any) -> Any:
        """`np.matrix_transpose`."""
        return swapaxes(a, -1, -2)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """`np.moveaxis`."""
    n = np.ndim(a)
    src = [k % n for k in (source if isinstance(source, (tuple, list)) else (source,))]
    dst = [k % n for k in (destination if isinstance(destination, (tuple, list)) else (destination,))]
    order = [k for k in range(n) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(a, order)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """`np.squeeze`."""
    shape = np.shape(a)
    drop = (
        [k for k, n in enumerate(shape) if n == 1] if axis is None else [k + len(shape) for k in axes(axis, len(shape))]
    )
    if any(shape[k] != 1 for k in drop):
        raise ShapeError(f"cannot squeeze axis {axis} of shape {shape}: its length is not one")
    return reshape(a, tuple(n for k, n in enumerate(shape) if k not in drop))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """`np.expand_dims`."""
    new = axis if isinstance(axis, (tuple, list)) else (axis,)
    n = np.ndim(a) + len(new)
    where = {one_axis(k, n) + n for k in new}
    rest = iter(np.shape(a))
    return reshape(a, tuple(1 if k in where else next(rest) for k in range(n)))


@implements(np.atleast_1d)
def atleast_1d(a: Any) -> Any:
    """`np.atleast_1d`."""
    return reshape(a, (1,)) if np.ndim(a) == 0 else a


@implements(np.atleast_2d)
def atleast_2d(a: Any) -> Any:
    """`np.atleast_2d`."""
    return a if np.ndim(a) >= 2 else reshape(a, (1, int(np.size(a))))


@implements(np.broadcast_to)
def broadcast_to(a: Any, shape: Any, **_: Any) -> Any:
    """`np.broadcast_to`."""
    return _view(a, bc.broadcast_to, shape=tuple(shape) if isinstance(shape, (tuple, list)) else (shape,))


@implements(np.broadcast_arrays)
def broadcast_arrays(*arrays: Any, **_: Any) -> Any:
    """`np.broadcast_arrays`."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    return tuple(broadcast_to(a, shape) for a in arrays)


@implements(np.concatenate, np.concat if hasattr(np, "concat") else np.concatenate)
def concatenate(arrays: Any, axis: Any = 0, dtype: Any = None, **_: Any) -> Any:
    """`np.concatenate`."""
    parts = [from_nested(a) if dtype is None else sh.cast(from_nested(a), dtype=np.dtype(dtype)) for a in arrays]
    if axis is None:
        parts, axis = [ravel(p) for p in parts], 0
    if any(np.ndim(p) == 0 for p in parts):
        raise ShapeError(
            "np.concatenate: zero-dimensional arrays cannot be concatenated", "use np.stack([...]) for scalars"
        )
    return sh.concatenate(*parts, axis=one_axis(axis, np.ndim(parts[0])))


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, **_: Any) -> Any:
    """`np.stack`."""
    parts = [from_nested(a) for a in arrays]
    return sh.stack(*parts, axis=one_axis(axis, np.ndim(parts[0]) + 1))


@implements(np.vstack)
def vstack(arrays: Any, **_: Any) -> Any:
    """`np.vstack`."""
    return concatenate([atleast_2d(a) for a in arrays], 0)


@implements(np.hstack)
def hstack(arrays: Any, **_: Any) -> Any:
    """`np.hstack`."""
    parts = [atleast_1d(a) for a in arrays]
    return concatenate(parts, 0 if np.ndim(parts[0]) == 1 else 1)


@implements(np.column_stack)
def column_stack(arrays: Any) -> Any:
    """`np.column_stack`."""
    return concatenate([a if np.ndim(a) >= 2 else reshape(a, (-1, 1)) for a in arrays], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """`np.append`."""
    return concatenate([arr, values] if axis is not None else [ravel(operand(arr)), ravel(operand(values))], axis or 0)


@implements(np.split, np.array_split)
def split(a: Any, sections: Any, axis: int = 0) -> Any:
    """`np.split` and `np.array_split`."""
    n = np.shape(a)[axis]
    if isinstance(sections, int):
        size, more = divmod(n, sections)
        sections = list(np.cumsum([size + (k < more) for k in range(sections)]))[:-1]
    bounds = [0, *(int(s) for s in sections), n]
    k = one_axis(axis, np.ndim(a))
    tail = (slice(None),) * (-k - 1)
    return [_view(a, ix.getitem, index=(Ellipsis, slice(i, j), *tail)) for i, j in itertools.pairwise(bounds)]


@implements(np.tile)
def tile(a: Any, reps: Any) -> Any:
    """`np.tile`."""
    reps = tuple(reps) if isinstance(reps, (tuple, list)) else (reps,)
    n = max(len(reps), np.ndim(a))
    shape = (1,) * (n - np.ndim(a)) + tuple(np.shape(a))
    reps = (1,) * (n - len(reps)) + reps
    wide = reshape(a, tuple(m for s in shape for m in (1, s)))
    wide = broadcast_to(wide, tuple(m for r, s in zip(reps, shape, strict=True) for m in (r, s)))
    whole = reshape(wide, tuple(r * s for r, s in zip(reps, shape, strict=True)))
    return copied(whole, "C") if isinstance(whole, Handle) else whole


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """`np.repeat`."""
    if axis is None:
        return repeat(ravel(a), repeats, 0)
    return take(a, np.repeat(np.arange(np.shape(a)[axis]), repeats), axis)


@implements(np.flip)
def flip(a: Any, axis: Any = None) -> Any:
    """`np.flip`."""
    return _view(a, sh.flip, axis=axes(axis, np.ndim(a)))


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """`np.roll`."""
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), np.shape(a))
    k = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (shift,) * len(k)
    return sh.roll(a, shift=shifts, axis=tuple(one_axis(i, np.ndim(a)) for i in k))


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0, **_: Any) -> Any:
    """`np.pad` with zeros."""
    if mode != "constant" or np.any(constant_values != 0):
        raise TraceError(
            f"np.pad of a traced value pads with zeros only, not mode={mode!r}", "add the border with np.concatenate"
        )
    width = np.broadcast_to(np.asarray(pad_width, int), (np.ndim(array), 2)).tolist()
    return sh.pad(array, width=tuple((a, b) for a, b in width))


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """`np.tril`."""
    return sh.tril(m, k=k)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """`np.triu`."""
    return sh.triu(m, k=k)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """`np.diff`."""
    for _ in range(n):
        tail = (slice(None),) * (-one_axis(axis, np.ndim(a)) - 1)
        a = a[(Ellipsis, slice(1, None), *tail)] - a[(Ellipsis, slice(None, -1), *tail)]
    return a


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, **_: Any) -> Any:
    """`np.take`."""
    if axis is None:
        return ravel(a)[indices]
    return a[(Ellipsis, indices, *(slice(None),) * (-one_axis(axis, np.ndim(a)) - 1))]


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """`np.take_along_axis`."""
    if axis is None:
        return ravel(arr)[indices]
    k, n = one_axis(axis, np.ndim(arr)) + np.ndim(arr), np.ndim(arr)
    grid = [np.arange(m).reshape((1,) * i + (m,) + (1,) * (n - i - 1)) for i, m in enumerate(np.shape(arr))]
    return arr[tuple(indices if i == k else g for i, g in enumerate(grid))]


@implements(np.meshgrid)
def meshgrid(*xs: Any, indexing: str = "xy", **_: Any) -> Any:
    """`np.meshgrid`."""
    n = len(xs)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = broadcast_arrays(
        *(reshape(x, tuple(-1 if order[j] == k else 1 for j in range(n))) for k, x in enumerate(xs))
    )
    return [copied(g, "C") if isinstance(g, Handle) else g for g in grids]
