"""Sorting, ranking, gathering and scattering, as torch has them: what depends on where an entry stands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.recording import Handle, record
from ..ops import indexing as ix
from ..ops import piecewise as pw
from ..ops import reduction as rd
from ..trace import functions as fn
from ..trace.handles import constant_like, plain
from .axes import axis_of
from .promotion import converted, number_dtype
from .reductions import Extreme, along, amax
from .storage import decided


def _order(input: Any, axis: int, descending: bool) -> Any:
    """The stable order along an axis."""
    if input.dtype.kind == "c":
        raise InputError("complex tensors have no order", "sort x.abs()")
    if not descending:
        return decided(rd.argsort, (input,), {"axis": axis})
    turned = fn.flip(input, axis)  # stable from the other end, so that ties keep their order
    n = input.shape[axis]
    return fn.flip(n - 1 - decided(rd.argsort, (turned,), {"axis": axis}), axis)


def sort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Extreme:
    """The entries in order along an axis, and where they came from; ties keep their order. `stable` is always the case."""
    axis = axis_of(input, dim)
    if not len(input.shape):
        return Extreme(input.clone(), constant_like(input, np.int64(0)))
    order = _order(input, axis, descending)
    return Extreme(fn.take_along_axis(input, order, axis), order)


def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The indices that sort along an axis; ties keep their order."""
    return sort(input, dim, descending).indices


def msort(input: Any) -> Any:
    """The entries in order along the first axis."""
    return sort(input, 0).values


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extreme:
    """The k largest (or smallest) entries along an axis, in order, and their indices."""
    axis = axis_of(input, dim)
    n = input.shape[axis] if len(input.shape) else 1
    if not 0 <= k <= n:
        raise ShapeError(f"selected index k out of range: {k} of {n}")
    if not len(input.shape):
        return sort(input) if k else Extreme(input[None][:0], constant_like(input, np.zeros(0, np.int64)))
    if input.dtype.kind == "b":
        raise InputError("topk is not defined for bool tensors", "convert it: x.int()")
    ordered = sort(input, dim, largest)
    cut = (..., slice(0, k)) + (slice(None),) * (-axis - 1)
    return Extreme(ordered.values[cut], ordered.indices[cut])


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Extreme:
    """The k-th smallest entry along an axis, counted from 1, and its index."""
    axis = axis_of(input, dim)
    n = input.shape[axis] if len(input.shape) else 1
    if not 1 <= k <= n:
        raise ShapeError(f"kthvalue(): selected number k out of range: {k} of {n}")
    if input.dtype.kind == "b":
        raise InputError("kthvalue is not defined for bool tensors", "convert it: x.int()")
    if not len(input.shape):
        return along(input, constant_like(input, np.int64(0)), axis, keepdim)
    order = _order(input, axis, False)
    at = order[(..., k - 1) + (slice(None),) * (-axis - 1)]
    return along(input, at, axis, keepdim)


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle entry, the lower of two: of all entries, or with its index along an axis. NaN where there is one."""
    if dim is not None:
        axis = axis_of(input, dim)
        if not len(input.shape):
            return along(input, constant_like(input, np.int64(0)), axis, keepdim)
        n = input.shape[axis]
        if not n:
            raise ShapeError(
                f"median(): expected the reduced axis not to be empty; the tensor has shape {list(input.shape)}"
            )
        order = _order(input, axis, False)
        tail = (slice(None),) * (-axis - 1)
        at = order[(..., (n - 1) // 2, *tail)]
        if input.dtype.kind == "f":
            nan = decided(pw.isnan, (input,))
            first = decided(rd.argmax, (nan,), {"axis": axis})
            at = decided(pw.where, (decided(rd.reduce_max, (nan,), {"axis": (axis,)}), first, at))
        return along(input, at, axis, keepdim)
    if not math.prod(input.shape):
        return constant_like(input, input.dtype.type(np.nan))
    flat = fn.ravel(input)
    middle = median(flat, 0).values
    return _shared(flat, middle)


def _shared(flat: Any, value: Any) -> Any:
    """A value among entries, its derivative shared by those that are equal to it."""
    if flat.dtype.kind != "f" or bool(np.isnan(plain(value))):
        return value
    hit = decided(pw.equal, (flat, value))
    return amax(record(pw.where, (hit, flat, flat.dtype.type(-np.inf))))


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Extreme:
    """The commonest entry along an axis, the smallest at a tie, and its last index."""
    axis = axis_of(input, dim)
    if not len(input.shape):
        return along(input, constant_like(input, np.int64(0)), axis, keepdim)
    values = np.asarray(plain(input))
    if not values.shape[axis]:
        raise ShapeError("mode(): expected the reduced axis not to be empty")

    def commonest(row: Any) -> int:
        seen, counts = np.unique(row, return_counts=True)
        return int(np.flatnonzero(row == seen[np.argmax(counts)])[-1])

    return along(
        input, constant_like(input, np.apply_along_axis(commonest, axis, values).astype(np.int64)), axis, keepdim
    )


# ---- gathering and scattering ------------------------------------------------------------------------------------


def _positions(index: Any, axis: int) -> tuple[Any, ...]:
    """The index of `gather` and `scatter`: along an axis by `index`, along the others where it stands."""
    shape = index.shape
    n = len(shape)
    return tuple(
        index if k - n == axis else np.arange(shape[k]).reshape(tuple(-1 if j == k else 1 for j in range(n)))
        for k in range(n)
    )


def _checked(name: str, input: Any, axis: int, index: Any) -> None:
    if index.dtype.kind not in "iu" or index.dtype == np.uint8:
        raise InputError(f"{name}(): Expected dtype int32/int64 for index", "convert it: index.long()")
    if len(index.shape) != len(input.shape):
        raise ShapeError(
            f"{name}: Index tensor must have the same number of dimensions as input tensor: {list(index.shape)}, {list(input.shape)}"
        )
    n = input.shape[axis] if len(input.shape) else 1
    seen = np.asarray(plain(index))
    if seen.size and (seen.min() < 0 or seen.max() >= n):
        raise ShapeError(
            f"{name}: index {seen.min() if seen.min() < 0 else seen.max()} is out of bounds for dimension {axis} with size {n}"
        )
    for k in range(len(input.shape)):
        if k - len(input.shape) != axis and index.shape[k] > input.shape[k]:
            raise ShapeError(
                f"{name}: the index {list(index.shape)} is larger than the tensor {list(input.shape)} beside dim {axis}"
            )


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    """The entries at an index along an axis; the other axes stand where the index stands."""
    if sparse_grad:
        raise InputError("gather: sparse_grad is not supported", "leave it out: the values are the same")
    axis = axis_of(input, dim)
    _checked("gather", input, axis, index)
    if not len(input.shape):
        return input.clone()
    here = (ix.HERE,) * len(input.shape)
    return record(ix.getitem, (input, *_positions(index, axis)), {"index": here})


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """The entries at indices along an axis, both broadcast against each other."""
    if dim is None:
        return fn.ravel(input)[fn.ravel(indices)]
    axis = axis_of(input, dim)
    n = len(input.shape)
    if len(indices.shape) != n:
        raise ShapeError(f"take_along_dim: {list(indices.shape)} and {list(input.shape)} differ in the number of axes")
    a, b = list(input.shape), list(indices.shape)
    a[axis], b[axis] = 1, 1
    whole = list(np.broadcast_shapes(tuple(a), tuple(b)))
    left, right = list(whole), list(whole)
    left[axis], right[axis] = input.shape[axis], indices.shape[axis]
    return gather(fn.broadcast_to(input, tuple(left)), axis, fn.broadcast_to(indices, tuple(right)))


def scatter(input: Any, dim: int, index: Any, *args: Any, **kwargs: Any) -> Any:
    """A copy with the entries at an index along an axis replaced: by `src`, or by a number (`value`)."""
    return _scatter(input, dim, index, *args, **kwargs)


def _scatter(input: Any, dim: int, index: Any, src: Any = None, value: Any = None, *, reduce: str | None = None) -> Any:
    if reduce is not None:
        raise InputError("scatter: reduce= is not supported", "use scatter_add, or index_add")
    return _scattered("scatter", ix.index_set, input, dim, index, value if src is None else src)


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """A copy with the entries of `src` added at an index along an axis; repeated indices count each time."""
    return _scattered("scatter_add", ix.index_add, input, dim, index, src)


def _scattered(name: str, op: Any, input: Any, dim: int, index: Any, src: Any) -> Any:
    axis = axis_of(input, dim)
    _checked(name, input, axis, index)
    if isinstance(src, Handle):
        if src.dtype != input.dtype:
            raise InputError(f"{name}(): Expected self.dtype to be equal to src.dtype: {input.dtype}, {src.dtype}")
        if len(src.shape) != len(index.shape) or np.any(np.less(src.shape, index.shape)):
            raise ShapeError(f"{name}: the index {list(index.shape)} is larger than the source {list(src.shape)}")
        whole: Any = src
        src = whole[tuple(slice(0, n) for n in index.shape)]
    else:
        src = converted(src, input.dtype)
    if not len(input.shape):
        part = src if not isinstance(src, Handle) else fn.reshape(src, (1,))
        made = record(op, (fn.reshape(input, (1,)), part, fn.reshape(index, (1,))), {"index": (ix.HERE,)})
        return fn.reshape(made, ())
    here = (ix.HERE,) * len(input.shape)
    return record(op, (input, src, *_positions(index, axis)), {"index": here})


def _rows(name: str, input: Any, dim: int, index: Any) -> tuple[Any, tuple[Any, ...]]:
    """An index along one axis, as the indexing operations take it."""
    axis = axis_of(input, dim)
    if index.dtype.kind not in "iu" or index.dtype == np.uint8:
        raise InputError(f"{name}(): Expected dtype int32 or int64 for index", "convert it: index.long()")
    if len(index.shape) > 1:
        raise ShapeError(f"{name}(): Index is supposed to be a vector; it has shape {list(index.shape)}")
    seen, n = np.asarray(plain(index)), input.shape[axis] if len(input.shape) else 1
    if seen.size and (seen.min() < (0 if name == "index_select" else -n) or seen.max() >= n):
        raise ShapeError(f"{name}(): index out of range in dim {dim} of {list(input.shape)}")
    index = fn.reshape(index, (-1,)) if not len(index.shape) else index
    return index, (Ellipsis, ix.HERE) + (slice(None),) * (-axis - 1)


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The parts at these indices along an axis."""
    index, template = _rows("index_select", input, dim, index)
    if not len(input.shape):
        return input.clone()
    return record(ix.getitem, (input, index), {"index": template})


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """A copy with alpha times the parts of `source` added at these indices along an axis."""
    index, template = _rows("index_add", input, dim, index)
    if source.dtype != input.dtype:
        raise InputError(f"index_add: self ({input.dtype}) and source ({source.dtype}) must have the same dtype")
    if not len(input.shape):
        return input + alpha * fn.reshape(source, ())
    part = source if alpha == 1 else converted(alpha, input.dtype) * source
    part = fn.reshape(part, (1,)) if not len(part.shape) else part
    want = list(input.shape)
    want[axis_of(input, dim)] = index.shape[0]
    if list(part.shape) != want:
        raise ShapeError(f"index_add: the source has shape {list(source.shape)}, expected {want}")
    return record(ix.index_add, (input, part, index), {"index": template})


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """A copy with the parts at these indices along an axis replaced by those of `source`."""
    index, template = _rows("index_copy", input, dim, index)
    if source.dtype != input.dtype:
        raise InputError(f"index_copy: self ({input.dtype}) and source ({source.dtype}) must have the same dtype")
    if not len(input.shape):
        return fn.reshape(source, ()).clone()
    want = list(input.shape)
    want[axis_of(input, dim)] = index.shape[0]
    part = fn.reshape(source, (1,)) if not len(source.shape) else source
    if list(part.shape) != want:
        raise ShapeError(f"index_copy: the source has shape {list(source.shape)}, expected {want}")
    return record(ix.index_set, (input, part, index), {"index": template})


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """A copy with the parts at these indices along an axis filled with a number."""
    index, template = _rows("index_fill", input, dim, index)
    if number_dtype(value) is None and len(value.shape):
        raise InputError("index_fill_ only supports a 0-dimensional value tensor")
    if not len(input.shape):
        return fn.reshape(index_fill(fn.reshape(input, (1,)), 0, index, value), ())
    return record(ix.index_set, (input, converted(value, input.dtype), index), {"index": template})


def masked_select(input: Any, mask: Any) -> Any:
    """The entries where a mask holds, in order."""
    if mask.dtype.kind != "b":
        raise InputError(f"masked_select: expected BoolTensor for mask, got {mask.dtype}", "compare first")
    shape = np.broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    return fn.reshape(fn.broadcast_to(input, shape)[fn.broadcast_to(mask, shape)], (-1,))


def take(input: Any, index: Any) -> Any:
    """The entries at indices into the tensor as if it had one axis."""
    if index.dtype != np.int64:
        raise InputError(f"take(): Expected a long tensor for index, but got {index.dtype}", "convert it: index.long()")
    return fn.ravel(input)[index]


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The indices of the entries that are not zero: one a row, or a tuple with one tensor for each axis."""
    found = np.nonzero(np.atleast_1d(plain(input)))
    if as_tuple:
        return tuple(constant_like(input, i) for i in found)
    rows = np.stack(found, 1) if len(input.shape) else np.zeros((len(found[0]), 0), np.int64)
    return constant_like(input, rows)


def argwhere(input: Any) -> Any:
    """The indices of the entries that are not zero, one a row."""
    return nonzero(input)


def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The different entries in order, with where each entry is among them and how often each occurs, where asked for."""
    if dim is not None:
        axis_of(input, dim)
    found: Any = np.unique(np.asarray(plain(input)), return_inverse=True, return_counts=True, axis=dim)
    shape = input.shape if dim is None else found[1].shape
    parts = [found[0], *([found[1].reshape(shape)] if return_inverse else []), *([found[2]] if return_counts else [])]
    made = tuple(constant_like(input, p) for p in parts)
    return made if return_inverse or return_counts else made[0]  # type: ignore[misc]


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each number occurs, or the sum of its weights."""
    if input.dtype.kind not in "iu" or len(input.shape) != 1 or np.any(np.less(plain(input), 0)):
        raise InputError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise InputError("bincount: minlength should be >= 0")
    values = None if weights is None else np.asarray(plain(weights))
    found = np.bincount(np.asarray(plain(input)), values, minlength)
    if values is not None and values.dtype == np.float32:
        found = found.astype(np.float32)
    return constant_like(input, found)


def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Where to put numbers into a sorted sequence of one axis so that it stays sorted."""
    if sorter is not None or len(sorted_sequence.shape) != 1:
        raise InputError("searchsorted: only a sequence with one axis, without sorter, is supported")
    if side is not None and right and side == "left":
        raise InputError("searchsorted: side and right can't be set to opposites")
    found = np.searchsorted(plain(sorted_sequence), plain(input), "right" if right or side == "right" else "left")
    return constant_like(sorted_sequence, np.asarray(found).astype(np.int32 if out_int32 else np.int64)[()])


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each entry is one of others."""
    like = elements if isinstance(elements, Handle) else test_elements
    return constant_like(
        like, np.isin(plain(elements), plain(test_elements), assume_unique=assume_unique, invert=invert)[()]
    )
