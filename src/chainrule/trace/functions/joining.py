"""Several arrays made one, and grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError, ShapeError
from ...ir.entering import allowed
from ...ops import piecewise as pw
from ...ops import shape as sh
from ..handles import dtype_of, operand
from .dispatch import implements, one_axis
from .shapes import atleast_1d, atleast_2d, broadcast_arrays, broadcast_to, copy, ravel, reshape
from .signatures import NO_VALUE


def _parts(arrays: Any, dtype: Any, casting: Any) -> list[Any]:
    """The arrays, converted where a dtype is given and NumPy allows it."""
    parts = [operand(a) for a in arrays]
    if (dtype is None and casting in ("same_kind", "unsafe")) or not parts:
        return parts
    want = allowed(np.result_type(*map(dtype_of, parts)) if dtype is None else dtype)
    for p in parts:
        if not np.can_cast(dtype_of(p), want, casting):
            raise InputError(f"cannot join {dtype_of(p)} into {want} with casting={casting!r}", "convert with .astype")
    return [sh.cast(p, dtype=want) for p in parts]


@implements(np.concatenate, np.concat if hasattr(np, "concat") else np.concatenate)
def concatenate(arrays: Any, axis: Any = 0, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """As NumPy, `axis=None` included; what is joined is copied."""
    parts = _parts(arrays, dtype, casting)
    if axis is None:
        parts, axis = [ravel(p) for p in parts], 0
    if any(np.ndim(p) == 0 for p in parts):
        raise ShapeError(
            "np.concatenate: zero-dimensional arrays cannot be concatenated", "use np.stack([...]) for scalars"
        )
    return sh.concatenate(*parts, axis=one_axis(axis, np.ndim(parts[0])))


@implements(np.stack)
def stack(arrays: Any, axis: Any = 0, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Along a new axis; what is joined is copied."""
    parts = _parts(arrays, dtype, casting)
    return sh.stack(*parts, axis=one_axis(axis, np.ndim(parts[0]) + 1))


@implements(np.vstack)
def vstack(tup: Any, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """`concatenate` along the first axis, vectors as rows."""
    return concatenate([atleast_2d(a) for a in tup], 0, dtype, casting)


@implements(np.hstack)
def hstack(tup: Any, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """`concatenate` along the second axis, or the only one of vectors."""
    parts = [atleast_1d(a) for a in tup]
    return concatenate(parts, 0 if np.ndim(parts[0]) == 1 else 1, dtype, casting)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """`concatenate` along the second axis, vectors as columns."""
    return concatenate([a if np.ndim(a) >= 2 else reshape(a, (-1, 1)) for a in map(operand, tup)], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """`concatenate` of two; without an axis, of both as vectors."""
    return concatenate([ravel(arr), ravel(values)]) if axis is None else concatenate([arr, values], axis)


@implements(np.diff)
def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = NO_VALUE, append: Any = NO_VALUE) -> Any:
    """Recorded as slices and subtractions, `n` times."""
    a = operand(a)
    k = one_axis(axis, np.ndim(a))
    if n < 0:
        raise ShapeError(f"np.diff: the order is {n}", "give one that is not negative")
    if n == 0:
        return a
    ends = [None if e is NO_VALUE else operand(e) for e in (prepend, append)]
    one = list(np.shape(a))
    one[k] = 1
    before, after = ([] if e is None else [broadcast_to(e, one) if np.ndim(e) == 0 else e] for e in ends)
    if before or after:
        a = concatenate([*before, a, *after], k)
    for _ in range(n):
        tail = (slice(None),) * (-k - 1)
        high, low = a[(Ellipsis, slice(1, None), *tail)], a[(Ellipsis, slice(None, -1), *tail)]
        a = pw.not_equal(high, low) if dtype_of(a).kind == "b" else high - low
    return a


@implements(np.meshgrid)
def meshgrid(*xi: Any, sparse: Any = False, indexing: Any = "xy") -> Any:
    """Copies, as NumPy makes them unless it is asked for views; there is no `copy=False`."""
    if indexing not in ("xy", "ij"):
        raise InputError(f"np.meshgrid has no indexing {indexing!r}", "use 'xy' or 'ij'")
    n = len(xi)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    rows = [reshape(x, tuple(-1 if order[j] == k else 1 for j in range(n))) for k, x in enumerate(xi)]
    made = [copy(g, "C") for g in (rows if sparse else broadcast_arrays(*rows))]
    return tuple(made) if TUPLES else made


TUPLES = np.lib.NumpyVersion(np.__version__) >= "2.0.0"  # before, functions gave lists where they now give tuples
