"""Shapes, splitting, taking."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError, TraceError
from ...ir.recording import Handle
from ...ops import broadcasting as bc
from ...ops import indexing as ix
from ...ops import piecewise as pw
from ...ops import shape as sh
from ..handles import dtype_of, operand, view_of
from ..memory import copied
from .dispatch import axes, implements, implements_method, index_into, one_axis


def listed(x: Any) -> tuple[Any, ...]:
    """One or several, as NumPy's shapes and axes are given."""
    return tuple(x) if isinstance(x, (tuple, list, range)) or (isinstance(x, np.ndarray) and x.ndim) else (x,)


@implements(np.reshape)
def reshape(a: Any, shape: Any) -> Any:
    """A view of the entries in C order; another order is refused."""
    a = operand(a)
    sizes = [operator.index(n) for n in listed(shape)]
    total = int(np.size(a))
    if sizes.count(-1) == 1:
        known = -int(np.prod(sizes))
        sizes[sizes.index(-1)] = total // known if known else 0
    if int(np.prod(sizes)) != total or min(sizes, default=0) < 0:
        raise ShapeError(f"cannot reshape an array of shape {np.shape(a)} ({total} entries) into {tuple(sizes)}")
    return _view(a, bc.reshape, shape=tuple(sizes))


@implements_method("reshape")
def reshaped(a: Any, *shape: Any) -> Any:
    """The same entries in another shape; one length may be -1."""
    return reshape(a, shape[0] if len(shape) == 1 else shape)


def _view(a: Any, op: Any, **params: Any) -> Any:
    return view_of(a, op, params) if isinstance(a, Handle) else op(a, **params)


@implements(np.ravel)
def ravel(a: Any) -> Any:
    """`np.ravel`: a view of an array that lies in C order, of others a copy."""
    a = operand(a)
    if isinstance(a, Handle):
        return view_of(a, bc.reshape, {"shape": (math.prod(a.shape),)}, take=np.ravel)
    return reshape(a, (int(np.size(a)),))


@implements(np.copy)
def copy(a: Any, order: Any = "K") -> Any:
    """`np.copy`: a handle of its own."""
    return copied(a, order) if isinstance(a, Handle) else np.array(a, order=order)


@implements_method("copy")
def copy_method(a: Any, order: Any = "C") -> Any:
    """A copy in C order unless said, where `np.copy` keeps the order of the array."""
    return copy(a, order)


@implements_method("flatten")
def flatten(a: Any) -> Any:
    """A copy with one axis."""
    return copy(ravel(a))


@implements(np.transpose, np.permute_dims if hasattr(np, "permute_dims") else np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    """A view with the axes permuted."""
    a = operand(a)
    n = np.ndim(a)
    if axes is None:
        axes = range(-1, -n - 1, -1)
    found = tuple(one_axis(k, n) for k in axes)
    if sorted(found) != list(range(-n, 0)):
        raise ShapeError(f"axes {tuple(axes)} are no permutation of the {n} axes")
    return _view(a, sh.transpose, axes=found)


@implements_method("transpose")
def transposed(a: Any, *axes: Any) -> Any:
    """The axes permuted; reversed when none are given."""
    given = axes[0] if len(axes) == 1 else axes or None
    return transpose(a, given if given is None else listed(given))


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Any:
    """A view with two axes exchanged."""
    a = operand(a)
    n = np.ndim(a)
    i, j = one_axis(axis1, n), one_axis(axis2, n)
    order = list(range(-n, 0))
    order[i], order[j] = order[j], order[i]
    return transpose(a, order)


if hasattr(np, "matrix_transpose"):

    @implements(np.matrix_transpose)
    def matrix_transpose(x: Any) -> Any:
        """A view with the last two axes exchanged."""
        if np.ndim(x) < 2:
            raise ShapeError(f"np.matrix_transpose needs two axes, got shape {np.shape(x)}")
        return swapaxes(x, -1, -2)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """A view with axes at other places."""
    a = operand(a)
    n = np.ndim(a)
    src, dst = ([one_axis(k, n) + n for k in listed(given)] for given in (source, destination))
    if len(set(src)) < len(src) or len(set(dst)) < len(dst) or len(src) != len(dst):
        raise ShapeError(f"np.moveaxis cannot move the axes {source} to {destination}", "name each axis once")
    order = [k for k in range(n) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(a, order)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """A view without axes of length one."""
    a = operand(a)
    shape = np.shape(a)
    drop = (
        [k for k, n in enumerate(shape) if n == 1] if axis is None else [k + len(shape) for k in axes(axis, len(shape))]
    )
    if any(shape[k] != 1 for k in drop):
        raise ShapeError(f"cannot squeeze axis {axis} of shape {shape}: its length is not one")
    return reshape(a, tuple(n for k, n in enumerate(shape) if k not in drop))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """A view with new axes of length one."""
    a = operand(a)
    new = listed(axis)
    n = np.ndim(a) + len(new)
    where = [k + n for k in axes(new, n)]
    rest = iter(np.shape(a))
    return reshape(a, tuple(1 if k in where else next(rest) for k in range(n)))


def _each(one: Any, arrays: tuple[Any, ...]) -> Any:
    made = tuple(one(operand(a)) for a in arrays)
    return made[0] if len(made) == 1 else made


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Views with at least one axis."""
    return _each(lambda a: reshape(a, (1,)) if np.ndim(a) == 0 else a, arys)


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Views with at least two axes."""
    return _each(lambda a: a if np.ndim(a) >= 2 else reshape(a, (1, int(np.size(a)))), arys)


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Any:
    """A view whose entries stand for several: it cannot be written into."""
    return _view(operand(array), bc.broadcast_to, shape=tuple(map(operator.index, listed(shape))))


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> Any:
    """`broadcast_to` of all to one shape, as a tuple."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(broadcast_to(a, shape) for a in args)


def _sections(indices_or_sections: Any) -> int | list[int]:
    try:
        return operator.index(indices_or_sections)
    except TypeError:
        return [operator.index(s) for s in indices_or_sections]


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Views of parts as equal as can be, or cut at given places."""
    k = one_axis(axis, np.ndim(ary))
    n = np.shape(ary)[k]
    sections = _sections(indices_or_sections)
    if isinstance(sections, int):
        if sections <= 0:
            raise ShapeError(f"an array cannot be split into {sections} parts")
        size, more = divmod(n, sections)
        sections = list(itertools.accumulate(size + (j < more) for j in range(sections)))[:-1]
    tail = (slice(None),) * (-k - 1)
    cuts = itertools.pairwise([0, *sections, n])
    return [_view(ary, ix.getitem, index=(Ellipsis, slice(i, j), *tail)) for i, j in cuts]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Views of equal parts, or cut at given places."""
    sections, n = _sections(indices_or_sections), np.shape(ary)[one_axis(axis, np.ndim(ary))]
    if isinstance(sections, int) and (sections <= 0 or n % sections):
        raise ShapeError(f"np.split: {n} entries are not {sections} equal parts", "use np.array_split")
    return array_split(ary, sections, axis)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """A copy with the array repeated along each axis."""
    a = operand(A)
    reps = tuple(map(operator.index, listed(reps)))
    n = max(len(reps), np.ndim(a))
    shape = (1,) * (n - np.ndim(a)) + tuple(np.shape(a))
    reps = (1,) * (n - len(reps)) + reps
    wide = reshape(a, tuple(m for s in shape for m in (1, s)))
    wide = broadcast_to(wide, tuple(m for r, s in zip(reps, shape, strict=True) for m in (r, s)))
    return copy(reshape(wide, tuple(r * s for r, s in zip(reps, shape, strict=True))), "C")


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """A copy with each entry repeated; `repeats` is not traced."""
    a, axis = (ravel(a), 0) if axis is None else (operand(a), axis)
    return take(a, np.repeat(np.arange(np.shape(a)[one_axis(axis, np.ndim(a))]), repeats), axis)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """A view with axes reversed."""
    m = operand(m)
    return _view(m, sh.flip, axis=axes(axis, np.ndim(m)))


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """A copy with the entries moved around each axis; `shift` is not traced."""
    a = operand(a)
    if axis is None:
        return reshape(roll(ravel(a), sum(map(operator.index, listed(shift))), 0), np.shape(a))
    shifts, k = np.broadcast_arrays(listed(shift), [one_axis(i, np.ndim(a)) for i in listed(axis)])
    return sh.roll(a, shift=tuple(map(operator.index, shifts)), axis=tuple(map(operator.index, k)))


@implements(np.tril)
def tril(m: Any, k: Any = 0) -> Any:
    """Zero above a diagonal of the last two axes."""
    return sh.tril(_square(m), k=operator.index(k))


@implements(np.triu)
def triu(m: Any, k: Any = 0) -> Any:
    """Zero below a diagonal of the last two axes."""
    return sh.triu(_square(m), k=operator.index(k))


def _square(m: Any) -> Any:
    m = operand(m)
    return broadcast_to(m, np.shape(m) * 2) if np.ndim(m) == 1 else m


# ---- taking --------------------------------------------------------------------------------------------------


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, mode: Any = "raise") -> Any:
    """Entries at indices, which may be traced; each entry collects the derivatives of all the places it is taken to."""
    a, axis = (ravel(a), -1) if axis is None else (operand(a), one_axis(axis, np.ndim(a)))
    indices = indices if isinstance(indices, Handle) else np.asarray(indices)
    if dtype_of(indices).kind == "b":
        indices = sh.cast(indices, dtype=np.dtype(int))
    n = np.shape(a)[axis]
    if mode == "clip":
        indices = pw.clip(indices, 0, n - 1)
    elif mode == "wrap":
        indices = indices % n
    elif mode != "raise":
        raise InputError(f"np.take has no mode {mode!r}", "use 'raise', 'wrap' or 'clip'")
    return index_into(a, (Ellipsis, indices, *(slice(None),) * (-axis - 1)))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """One entry for each index along an axis; the indices may be traced, nothing flows into them."""
    arr, axis = (ravel(arr), -1) if axis is None else (operand(arr), axis)
    n = np.ndim(arr)
    indices = indices if isinstance(indices, Handle) else np.asarray(indices)
    if np.ndim(indices) != n or dtype_of(indices).kind not in "iu":
        raise ShapeError(
            f"np.take_along_axis: the indices have shape {np.shape(indices)} and dtype {dtype_of(indices)}, the array has {n} axes",
            "give integers with as many axes as the array",
        )
    k = one_axis(axis, n) + n
    grid = [np.arange(m).reshape((1,) * i + (m,) + (1,) * (n - i - 1)) for i, m in enumerate(np.shape(arr))]
    return index_into(arr, tuple(indices if i == k else g for i, g in enumerate(grid)))


PADS_BY_INDEX = ("edge", "reflect", "symmetric", "wrap")


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Any:
    """`np.pad` with plain constants, or with entries of the array."""
    array = operand(array)
    if isinstance(pad_width, dict):
        raise TraceError("np.pad of a traced value takes pad_width as numbers", "give (before, after) for each axis")
    counts = np.asarray(pad_width)
    if counts.dtype.kind not in "iu":
        raise InputError(f"np.pad: pad_width={pad_width!r} is not made of integers")
    width = np.broadcast_to(counts, (np.ndim(array), 2)).tolist()
    if mode in PADS_BY_INDEX:
        for k, both in enumerate(width):
            array = take(array, np.pad(np.arange(np.shape(array)[k]), both, mode), k) if any(both) else array
        return array
    if mode != "constant" or isinstance(constant_values, Handle):
        raise TraceError(
            f"np.pad of a traced value with mode={mode!r} is not supported", "add the border with np.concatenate"
        )
    padded = sh.pad(array, width=tuple((a, b) for a, b in width))
    if not np.any(constant_values):
        return padded
    border = np.pad(np.zeros(np.shape(array), dtype_of(array)), width, constant_values=constant_values)
    return pw.where(np.pad(np.ones(np.shape(array), bool), width), padded, border)
