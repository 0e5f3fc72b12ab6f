"""torch's functions that move entries: shapes, joining, splitting, repeating. Those that torch calls views share memory."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.recording import Handle, record
from ..ops import broadcasting as bc
from ..ops import indexing as ix
from ..ops import shape as sh
from ..trace import functions as fn
from ..trace.handles import plain
from .axes import axis_of, sizes_of
from .promotion import converted, dtype_named, result_type
from .storage import tracing
from .views import part
from .views import view as _view


def listed(keyword: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lengths or axes that are given one by one, as a sequence, or by this keyword."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(input: Any, *given: Any, **named: Any) -> Any:
            if named:
                if given or set(named) != {keyword}:
                    raise InputError(f"{function.__name__} takes {keyword}; got {given} {named}")
                given = (named[keyword],)
            elif not given:
                raise InputError(f"{function.__name__} needs {keyword}")
            return function(input, *given)

        return call

    return register


def _shape_for(input: Any, sizes: Sequence[Any]) -> tuple[int, ...]:
    """Lengths of which one may be -1."""
    wanted, total = list(sizes_of(sizes)), math.prod(input.shape)
    if wanted.count(-1) == 1:
        known = -math.prod(wanted)
        if not known:
            raise ShapeError(f"cannot reshape tensor of {total} elements into shape {wanted}: -1 can be any length")
        wanted[wanted.index(-1)] = total // known
    if math.prod(wanted) != total or any(n < 0 for n in wanted):
        raise ShapeError(
            f"shape '{wanted}' is invalid for input of size {total} (the tensor has shape {list(input.shape)})"
        )
    return tuple(wanted)


@listed("shape")
def reshape(input: Any, *shape: Any) -> Any:
    """The same entries in another shape, of which one length may be -1; it shares memory where it can."""
    wanted = _shape_for(input, shape)
    return fn.reshape(input, wanted) if tracing() else _shared(input, wanted)


def _shared(input: Any, shape: tuple[int, ...]) -> Any:
    """A reshaped tensor, tied to the other unless its entries had to be copied."""
    made = record(bc.reshape, (input,), {"shape": shape})
    old, new = input.node.value, made.node.value
    if getattr(new, "size", 0) > 1 and type(old) is np.ndarray is type(new) and not np.may_share_memory(old, new):
        return made
    return _view(input, bc.reshape, shape=shape)


@listed("size")
def view(input: Any, *shape: Any) -> Any:
    """The same entries in another shape, sharing memory; or, given a dtype, in that dtype if it is its own."""
    if len(shape) == 1 and not isinstance(shape[0], (int, Sequence)) and not hasattr(shape[0], "__index__"):
        if dtype_named(shape[0]) == input.dtype:
            return input
        raise InputError("view(dtype) would reinterpret the bytes: it is not supported", "convert: x.to(dtype)")
    return _view(input, bc.reshape, shape=_shape_for(input, shape))


def view_as(input: Any, other: Any) -> Any:
    """The same entries in the shape of another."""
    return view(input, *other.shape) if len(other.shape) else view(input, ())


def reshape_as(input: Any, other: Any) -> Any:
    """The same entries in the shape of another."""
    return reshape(input, tuple(other.shape))


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The axes from `start_dim` to `end_dim` made one."""
    shape, n = tuple(input.shape), max(len(input.shape), 1)
    start, stop = axis_of(input, start_dim) + n, axis_of(input, end_dim) + n + 1
    if start >= stop:
        raise ShapeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if len(shape) and stop - start == 1:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start:stop]), *shape[stop:]))


def ravel(input: Any) -> Any:
    """The entries along one axis."""
    return reshape(input, (-1,)) if math.prod(input.shape) else reshape(input, (0,))


def unflatten(input: Any, dim: int, sizes: Any) -> Any:
    """One axis made several."""
    k = axis_of(input, dim) + len(input.shape)
    inner = _shape_for(np.empty(input.shape[k]), (sizes,))
    return view(input, (*input.shape[:k], *inner, *input.shape[k + 1 :]))


@listed("dims")
def permute(input: Any, *dims: Any) -> Any:
    """The axes in another order."""
    order = tuple(axis_of(input, d) for d in sizes_of(dims))
    if sorted(order) != list(range(-len(input.shape), 0)):
        raise ShapeError(
            f"permute: {list(sizes_of(dims))} is no order of the axes of a tensor of shape {list(input.shape)}"
        )
    return _view(input, sh.transpose, axes=order)


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two axes exchanged."""
    order = list(range(-len(input.shape), 0))
    a, b = axis_of(input, dim0), axis_of(input, dim1)
    if order:
        order[a], order[b] = order[b], order[a]
    return _view(input, sh.transpose, axes=tuple(order))


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """Two axes exchanged."""
    return transpose(input, axis0, axis1)


def t(input: Any) -> Any:
    """The transpose of a matrix; a vector is returned as it is."""
    if len(input.shape) > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {len(input.shape)}D", "use x.mT")
    return transpose(input, 0, 1) if len(input.shape) == 2 else _view(input, bc.reshape, shape=tuple(input.shape))


def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places."""
    n = len(input.shape)
    places = max(n, 1)  # a tensor without axes has one that does not matter
    src = [axis_of(input, k) % places for k in (source if isinstance(source, Sequence) else (source,))]
    dst = [axis_of(input, k) % places for k in (destination if isinstance(destination, Sequence) else (destination,))]
    if len(src) != len(dst) or len({*src}) < len(src) or len({*dst}) < len(dst):
        raise ShapeError(f"movedim: {source} and {destination} must name as many axes, each once")
    order = [k for k in range(n) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return permute(input, order[:n])


def unsqueeze(input: Any, dim: int) -> Any:
    """A new axis of length one."""
    n = len(input.shape) + 1
    if not -n <= operator.index(dim) < n:
        raise ShapeError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    k = dim % n
    return _view(input, bc.reshape, shape=(*input.shape[:k], 1, *input.shape[k:]))


def squeeze(input: Any, dim: Any = None) -> Any:
    """Axes of length one left out: all, or those named that have it."""
    n = len(input.shape)
    named = (
        range(n)
        if dim is None
        else [axis_of(input, d) + max(n, 1) for d in (dim if isinstance(dim, Sequence) else (dim,))]
    )
    drop = {k for k in named if n and input.shape[k] == 1}
    return _view(input, bc.reshape, shape=tuple(m for k, m in enumerate(input.shape) if k not in drop))


@listed("size")
def expand(input: Any, *sizes: Any) -> Any:
    """Broadcast to a shape without copying; -1 keeps a length."""
    wanted = sizes_of(sizes)
    if len(wanted) < len(input.shape):
        raise ShapeError(f"expand: {list(wanted)} has fewer axes than the tensor {list(input.shape)}")
    have = (1,) * (len(wanted) - len(input.shape)) + tuple(input.shape)
    lead = len(wanted) - len(input.shape)
    if any(w == -1 and k < lead for k, w in enumerate(wanted)):
        raise ShapeError("expand: -1 is not allowed for a new axis")
    shape = tuple(h if w == -1 else w for h, w in zip(have, wanted, strict=True))
    if any(h not in (1, s) for h, s in zip(have, shape, strict=True)):
        raise ShapeError(
            f"The expanded size of the tensor {list(shape)} must match the existing size {list(input.shape)}"
        )
    return _view(input, bc.broadcast_to, shape=shape)


def expand_as(input: Any, other: Any) -> Any:
    """Broadcast to the shape of another."""
    return expand(input, tuple(other.shape))


def broadcast_to(input: Any, size: Any) -> Any:
    """Broadcast to a shape."""
    return expand(input, size)


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Tensors broadcast against each other."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = broadcast_shape(*(tuple(x.shape) for x in given))
    return tuple(expand(x, shape) for x in given)


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which shapes meet."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"the shapes {', '.join(map(str, map(list, shapes)))} cannot be broadcast together") from None


def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """The part of so many entries from a place along an axis."""
    axis, begin = axis_of(input, dim), operator.index(start)
    if not len(input.shape):
        raise ShapeError("narrow() cannot be applied to a 0-dim tensor.")
    n = input.shape[axis]
    begin = begin + n if begin < 0 else begin
    if length < 0 or not 0 <= begin <= n or begin + length > n:
        raise ShapeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return slice_of(input, axis, begin, begin + length)


def slice_of(input: Any, axis: int, start: int, stop: int) -> Any:
    """The part between two places along an axis."""
    return _view(input, ix.getitem, index=(Ellipsis, slice(start, stop)) + (slice(None),) * (-axis - 1))


def select(input: Any, dim: int, index: int) -> Any:
    """The part at an index along an axis."""
    axis = axis_of(input, dim)
    if not len(input.shape):
        raise ShapeError("select() cannot be applied to a 0-dim tensor.")
    if not -input.shape[axis] <= index < input.shape[axis]:
        raise ShapeError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return _view(input, ix.getitem, index=(Ellipsis, operator.index(index)) + (slice(None),) * (-axis - 1))


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of two axes, as the last axis."""
    a, b = axis_of(input, dim1), axis_of(input, dim2)
    if a == b:
        raise ShapeError("diagonal: the dimensions cannot be identical")
    moved = movedim(input, (a, b), (-2, -1))
    rows, columns = moved.shape[-2:]
    k = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    index = (Ellipsis, ix.HERE, ix.HERE)
    return part(
        moved,
        ix.getitem,
        {"index": index},
        lambda whole: np.diagonal(whole, offset, -2, -1),
        k - min(offset, 0),
        k + max(offset, 0),
    )


diagonal_of = diagonal


def diag(input: Any, diagonal: int = 0) -> Any:
    """The diagonal of a matrix, or the matrix with a diagonal."""
    if len(input.shape) not in (1, 2):
        raise ShapeError(f"diag(): Supports 1D or 2D tensors. Got {len(input.shape)}D")
    if len(input.shape) == 2:
        return diagonal_of(input, diagonal).clone()
    n = input.shape[0] + max(diagonal, -diagonal)
    i = np.arange(input.shape[0])
    where = {"index": (ix.HERE, ix.HERE), "shape": (n, n)}
    return record(ix.scatter, (input, i - min(diagonal, 0), i + max(diagonal, 0)), where)


# ---- joining and splitting ---------------------------------------------------------------------------------------


def _joined(tensors: Any, name: str) -> list[Any]:
    """Tensors of one dtype."""
    if isinstance(tensors, Handle) or not isinstance(tensors, (list, tuple)):
        raise InputError(f"{name} takes a list or tuple of tensors; got {type(tensors).__name__}")
    items = list(tensors)
    if not items:
        raise InputError(f"{name}: expected a non-empty list of tensors")
    for x in items:
        if not isinstance(x, Handle):
            raise InputError(f"{name}: expected tensors; got {type(x).__name__}", "make it one with torch.tensor")
    dtype = items[0].dtype
    for x in items[1:]:
        dtype = _promoted(dtype, x.dtype)
    return [converted(x, dtype) for x in items]


def _promoted(a: Any, b: Any) -> Any:
    return a if a == b else result_type(np.empty(1, a), np.empty(1, b))


def cat(tensors: Any, dim: int = 0) -> Any:
    """Tensors joined along an axis that they have."""
    items = _joined(tensors, "cat")
    if any(not len(x.shape) for x in items):
        raise ShapeError("zero-dimensional tensor (at position 0) cannot be concatenated", "use torch.stack")
    full = [x for x in items if tuple(x.shape) != (0,)] or items[:1]  # torch lets an empty vector stand beside anything
    axis = axis_of(full[0], dim)
    for x in full:
        if len(x.shape) != len(full[0].shape) or any(
            m != n and k - len(x.shape) != axis for k, (m, n) in enumerate(zip(x.shape, full[0].shape, strict=True))
        ):
            raise ShapeError(
                f"Sizes of tensors must match except in dimension {dim}: {', '.join(str(list(x.shape)) for x in items)}"
            )
    return record(sh.concatenate, tuple(full), {"axis": axis})


def stack(tensors: Any, dim: int = 0) -> Any:
    """Tensors joined along a new axis."""
    items = _joined(tensors, "stack")
    n = len(items[0].shape) + 1
    if any(tuple(x.shape) != tuple(items[0].shape) for x in items):
        raise ShapeError(f"stack expects each tensor to be equal size: {', '.join(str(list(x.shape)) for x in items)}")
    if not -n <= dim < n:
        raise ShapeError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return record(sh.stack, tuple(items), {"axis": dim if dim < 0 else dim - n})


def atleast_1d(*tensors: Any) -> Any:
    """At least one axis."""
    return _each(tensors, lambda x: reshape(x, (1,)) if not len(x.shape) else x)


def atleast_2d(*tensors: Any) -> Any:
    """At least two axes."""
    return _each(tensors, lambda x: x if len(x.shape) >= 2 else reshape(x, (1, math.prod(x.shape))))


def _each(tensors: Any, function: Callable[[Any], Any]) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Handle):
        return function(tensors[0])
    return tuple(map(function, tensors[0] if len(tensors) == 1 else tensors))


def hstack(tensors: Any) -> Any:
    """Joined side by side: along the second axis, vectors along their own."""
    items = atleast_1d(*_joined(tensors, "hstack")) if len(tensors) > 1 else [atleast_1d(tensors[0])]
    return cat(items, 0 if len(items[0].shape) == 1 else 1)


def vstack(tensors: Any) -> Any:
    """Joined one above the other."""
    return cat([atleast_2d(x) for x in _joined(tensors, "vstack")], 0)


def column_stack(tensors: Any) -> Any:
    """Vectors as the columns of a matrix, matrices side by side."""
    return cat([x if len(x.shape) >= 2 else reshape(x, (-1, 1)) for x in _joined(tensors, "column_stack")], 1)


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Parts of so many entries along an axis (the last may have fewer), or of the lengths given."""
    axis = axis_of(tensor, dim)
    if not len(tensor.shape):
        raise ShapeError("split expects at least a 1-dimensional tensor")
    n = tensor.shape[axis]
    if isinstance(split_size_or_sections, Sequence):
        lengths = [operator.index(k) for k in split_size_or_sections]
        if sum(lengths) != n:
            raise ShapeError(f"split_with_sizes expects split_sizes to sum exactly to {n}, but got {lengths}")
    else:
        size = operator.index(split_size_or_sections)
        if size < 0 or (size == 0 and n):
            raise ShapeError(f"split expects split_size be positive, but got {size}")
        lengths = [min(size, n - k) for k in range(0, n, size)] if n else [0]
    ends = [0, *itertools.accumulate(lengths)]
    return tuple(slice_of(tensor, axis, a, b) for a, b in itertools.pairwise(ends))


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most so many parts of equal length along an axis, the last perhaps shorter."""
    if chunks < 1:
        raise ShapeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    if not len(input.shape):
        raise ShapeError("chunk expects at least a 1-dimensional tensor")
    n = input.shape[axis_of(input, dim)]
    if not n:
        return tuple(split(input, [0] * chunks, dim))
    return split(input, -(-n // chunks), dim)


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """So many parts as equal as can be, or parts that end at these places."""
    axis = axis_of(input, dim)
    if not len(input.shape):
        raise ShapeError("tensor_split expected at least a 1-dimensional tensor")
    n = input.shape[axis]
    given = plain(indices_or_sections)
    if isinstance(given, Sequence) or np.ndim(given):
        bounds = [0, *(max(0, min(n, k if k >= 0 else k + n)) for k in map(int, given)), n]
        return tuple(slice_of(input, axis, a, max(a, b)) for a, b in itertools.pairwise(bounds))
    if given < 1:
        raise ShapeError(f"number of sections must be larger than 0, got {given}")
    size, more = divmod(n, int(given))
    ends = [0, *itertools.accumulate(size + (k < more) for k in range(int(given)))]
    return tuple(slice_of(input, axis, a, b) for a, b in itertools.pairwise(ends))


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The parts along an axis, without it."""
    if not len(input.shape):
        raise ShapeError("Dimension specified as 0 but tensor has no dimensions")
    return tuple(select(input, dim, k) for k in range(input.shape[axis_of(input, dim)]))
