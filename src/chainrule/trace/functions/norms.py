"""Norms of vectors and matrices, and condition numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ops import exponential as ex
from ...ops import factorizations as fz
from ...ops import piecewise as pw
from ...ops.reduction import reduce_max
from ..handles import dtype_of, operand
from .dispatch import implements, one_axis
from .factorizations import inv, matrices
from .reductions import in_dtype, max_, min_, sum_
from .shapes import listed, moveaxis, reshape, squeeze


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    """`np.linalg.norm`; zero has gradient zero (a subgradient)."""
    x = operand(x)
    x = x if dtype_of(x).kind in "fc" else in_dtype(x, float)
    n = np.ndim(x)
    if axis is None and (ord is None or (ord in ("fro", "f") and n == 2) or (ord == 2 and n == 1)):
        return _vector_norm(x, 2, None, keepdims)
    along = [one_axis(k, n) for k in (range(n) if axis is None else listed(axis))]
    if len(along) == 1:
        return _vector_norm(x, 2 if ord is None else ord, along[0], keepdims)
    if len(along) != 2 or along[0] == along[1]:
        raise ShapeError(
            f"np.linalg.norm: axis={axis} of an array of shape {np.shape(x)} with ord={ord!r}",
            "name one axis for vectors, or two for matrices",
        )
    if ord in (None, "fro", "f"):
        return _vector_norm(x, 2, tuple(along), keepdims)
    result = _matrix_norm(x, ord, along)
    return result if keepdims else squeeze(result, tuple(along))


def _matrix_norm(x: Any, ord: Any, along: list[int]) -> Any:
    """With the two axes kept, of length one."""
    if ord in (2, -2, "nuc"):
        values = fz.svd.results(moveaxis(x, along, (-2, -1)))[1]
        found = (sum_ if ord == "nuc" else max_ if ord > 0 else min_)(values, -1)
        shape = [1 if k - np.ndim(x) in along else n for k, n in enumerate(np.shape(x))]
        return reshape(found, shape)
    if ord not in (1, -1, np.inf, -np.inf):
        raise TraceError(
            f"np.linalg.norm of a matrix has no ord={ord!r}", "use None, 1, 2, np.inf, their negatives, 'fro' or 'nuc'"
        )
    summed, searched = along if abs(ord) == 1 else along[::-1]
    return (max_ if ord > 0 else min_)(sum_(pw.absolute(x), summed, keepdims=True), searched, keepdims=True)


def _vector_norm(x: Any, ord: Any, axis: Any, keepdims: Any) -> Any:
    if not isinstance(ord, (int, float, np.number)):
        raise TraceError(f"np.linalg.norm of a traced vector has no ord={ord!r}", "give a number")
    size = pw.absolute(x)
    if ord == 2:
        total = sum_(size**2, axis, keepdims=keepdims)
        return _from_zero(total, ex.sqrt)
    if ord == 1:
        return sum_(size, axis, keepdims=keepdims)
    if abs(ord) == np.inf:
        return (max_ if ord > 0 else min_)(size, axis, keepdims)
    if ord == 0:
        return in_dtype(sum_(pw.not_equal(x, 0), axis, keepdims=keepdims), dtype_of(size))
    total = sum_(size**ord, axis, keepdims=keepdims)
    return _from_zero(total, lambda t: t ** (1.0 / ord)) if ord > 0 else total ** (1.0 / ord)


def _from_zero(x: Any, root: Any) -> Any:
    """A root of x, with slope zero at zero."""
    zero = pw.equal(x, 0)
    return pw.where(zero, dtype_of(x).type(0), root(pw.where(zero, dtype_of(x).type(1), x)))


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """The condition number of a matrix; of a singular one it is infinite, and has no derivative."""
    x = matrices("cond", x)
    if p is None or p in (2, -2):
        s = fz.svd.results(x)[1]
        large, small = s[..., 0], s[..., -1]
        found = small / large if p == -2 else large / small
    else:
        found = norm(x, p, axis=(-2, -1)) * norm(inv(x), p, axis=(-2, -1))
    undefined = pw.logical_and(pw.isnan(found), pw.logical_not(reduce_max(pw.isnan(x), axis=(-2, -1))))
    return pw.where(undefined, dtype_of(found).type(np.inf), found)


if hasattr(np.linalg, "matrix_norm"):

    @implements(np.linalg.matrix_norm)
    def matrix_norm(x: Any, keepdims: Any = False, ord: Any = "fro") -> Any:
        """The norm of matrices."""
        return norm(x, ord, (-2, -1), keepdims)

    @implements(np.linalg.vector_norm)
    def vector_norm(x: Any, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:
        """The norm of vectors; along several axes, or all, the entries are one vector."""
        x = operand(x)
        x = x if dtype_of(x).kind in "fc" else in_dtype(x, float)
        return _vector_norm(x, ord, axis if axis is None or np.ndim(axis) == 0 else tuple(axis), keepdims)
