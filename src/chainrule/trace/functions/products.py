"""Products of vectors and matrices."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ir.recording import Handle
from ...ops import arithmetic as ar
from ...ops import exponential as ex
from ...ops import indexing as ix
from ...ops import linalg as la
from ...ops import piecewise as pw
from ..handles import operand, view_of
from .dispatch import implements
from .reductions import max_, min_, sum_
from .shapes import expand_dims, moveaxis, ravel, reshape, take, transpose


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    """`np.dot`."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ar.multiply(operand(a), operand(b))
    if np.ndim(b) <= 2 and np.ndim(a) <= 2:
        return la.matmul(operand(a), operand(b))
    return tensordot(a, b, ((-1,), (-1 if np.ndim(b) == 1 else -2,)))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    """`np.vdot`."""
    return la.matmul(ravel(a), ravel(b))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    """`np.inner`."""
    return ar.multiply(a, b) if np.ndim(a) == 0 or np.ndim(b) == 0 else tensordot(a, b, ((-1,), (-1,)))


@implements(np.outer)
def outer(a: Any, b: Any) -> Any:
    """`np.outer`."""
    return la.outer(ravel(a), ravel(b))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """`np.tensordot`."""
    na, nb = np.ndim(a), np.ndim(b)
    if isinstance(axes, int):
        axes = (range(na - axes, na), range(axes))
    left, right = (
        [i % n for i in (x if isinstance(x, (Sequence, range)) else (x,))] for x, n in zip(axes, (na, nb), strict=True)
    )
    letters = string.ascii_letters
    ta, tb = list(letters[:na]), list(letters[na : na + nb])
    for i, j in zip(left, right, strict=True):
        tb[j] = ta[i]
    out = [c for k, c in enumerate(ta) if k not in left] + [c for k, c in enumerate(tb) if k not in right]
    return la.einsum(a, b, subscripts=f"{''.join(ta)},{''.join(tb)}->{''.join(out)}")


@implements(np.einsum)
def einsum(subscripts: str, *operands: Any, **_: Any) -> Any:
    """`np.einsum` with a string of subscripts."""
    if not isinstance(subscripts, str):
        raise TraceError(
            "np.einsum of traced values takes its subscripts as a string", "write np.einsum('ij,jk->ik', a, b)"
        )
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ShapeError(f"np.einsum: {subscripts!r} names {len(terms)} operands, {len(operands)} were given")
    spare = [c for c in string.ascii_letters if c not in subscripts]
    extra = [np.ndim(x) - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, operands, strict=True)]
    dots = "".join(spare[: max(extra)])
    terms = [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, extra, strict=True)]
    if not arrow:
        joined = "".join(terms)
        output = ("..." if dots else "") + "".join(sorted(c for c in set(joined) - set(dots) if joined.count(c) == 1))
    output = output.replace("...", dots)
    if (
        len(terms) == 1
        and set(output) == set(terms[0])
        and isinstance(operands[0], Handle)
        and _square(*terms, *operands)
    ):
        return _taken_view(operands[0], terms[0], output)
    whole = [_unit_axes_dropped(x, t, terms, operands) for x, t in zip(operands, terms, strict=True)]
    return la.einsum(*(x for x, _ in whole), subscripts=f"{','.join(t for _, t in whole)}->{output}")


def _square(term: str, x: Any) -> bool:
    """Whether axes with the same letter have the same length."""
    return len(set(zip(term, np.shape(x), strict=True))) == len(set(term)) and len(term) == np.ndim(x)


def _taken_view(x: Handle, term: str, output: str) -> Any:
    """`np.einsum` of one operand that sums nothing: a view in which axes are diagonals, or stand in another order."""
    letters = list(term)
    for c in dict.fromkeys(term):
        while letters.count(c) > 1:
            i, j = [k for k, d in enumerate(letters) if d == c][:2]
            x = _diagonal_view(x, 0, i, j, read_only=False)
            letters = [d for k, d in enumerate(letters) if k not in (i, j)] + [c]
    return transpose(x, [letters.index(c) for c in output])


def _diagonal_view(a: Handle, offset: int, axis1: int, axis2: int, read_only: bool) -> Any:
    """The diagonal as NumPy has it, a view: the numbers are taken with an index, their place in memory is NumPy's."""
    moved = moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = np.shape(moved)[-2:]
    k = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    return view_of(
        moved,
        ix.getitem,
        {"index": (Ellipsis, ix.HERE, ix.HERE)},
        k - min(offset, 0),
        k + max(offset, 0),
        take=lambda x: np.diagonal(x, offset, -2, -1),
        read_only=read_only,
    )


def _unit_axes_dropped(x: Any, term: str, terms: list[str], operands: tuple[Any, ...]) -> tuple[Any, str]:
    """An operand without the axes of length one that einsum broadcasts against longer ones."""
    length: dict[str, int] = {}
    for t, o in zip(terms, operands, strict=True):
        for c, n in zip(t, np.shape(o), strict=True):
            length[c] = max(n, length.get(c, 1))
    keep = [k for k, (c, n) in enumerate(zip(term, np.shape(x), strict=True)) if n == length[c]]
    if len(keep) == len(term):
        return x, term
    return reshape(x, tuple(np.shape(x)[k] for k in keep)), "".join(term[k] for k in keep)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """`np.trace`."""
    return sum_(diagonal(a, offset, axis1, axis2), axis=-1)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """`np.diagonal`: a view that NumPy lets nobody write into."""
    return _diagonal_view(a, offset, axis1, axis2, read_only=True)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """`np.diag`."""
    if np.ndim(v) == 2:
        return diagonal(v, k)
    n = np.shape(v)[0] + abs(k)
    i = np.arange(np.shape(v)[0])
    return ix.scatter(v, i - min(k, 0), i + max(k, 0), index=(ix.HERE, ix.HERE), shape=(n, n))


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """`np.kron` of arrays with the same number of axes."""
    n = np.ndim(a)
    left = expand_dims(a, tuple(range(1, 2 * n, 2)))
    right = expand_dims(b, tuple(range(0, 2 * n, 2)))
    return reshape(left * right, tuple(p * q for p, q in zip(np.shape(a), np.shape(b), strict=True)))


@implements(np.cross)
def cross(a: Any, b: Any) -> Any:
    """`np.cross` of vectors along the last axis, of length 3."""
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise ShapeError(
            f"np.cross of traced values needs vectors of length 3, got shapes {np.shape(a)} and {np.shape(b)}"
        )
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return take(a, ahead, -1) * take(b, behind, -1) - take(a, behind, -1) * take(b, ahead, -1)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.linalg.norm`: Frobenius and vector norms; zero has gradient zero (a subgradient)."""
    if ord not in (None, 2, "fro") and not (np.ndim(x) == 1 or isinstance(axis, int)):
        raise TraceError(f"np.linalg.norm of a traced matrix with ord={ord!r} is not supported")
    if ord in (None, "fro") or (ord == 2 and (np.ndim(x) == 1 or isinstance(axis, int))):
        total = sum_(pw.absolute(x) ** 2, axis=axis, keepdims=keepdims)
        zero = pw.equal(total, 0)
        return pw.where(zero, 0.0, ex.sqrt(pw.where(zero, 1.0, total)))
    size = pw.absolute(x)
    if ord == 1:
        return sum_(size, axis=axis, keepdims=keepdims)
    if ord in (np.inf, -np.inf):
        return (max_ if ord > 0 else min_)(size, axis=axis, keepdims=keepdims)
    if (isinstance(ord, (int, float)) and np.ndim(x) == 1) or isinstance(axis, int):
        return sum_(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)
    raise TraceError(f"np.linalg.norm of a traced value with ord={ord!r} is not supported")
