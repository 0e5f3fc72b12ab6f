"""Products of vectors and matrices."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ir.recording import Handle
from ...ops import arithmetic as ar
from ...ops import indexing as ix
from ...ops import linalg as la
from ...ops.complex import conj
from ..handles import dtype_of, operand, view_of
from .dispatch import implements, one_axis
from .reductions import sum_
from .shapes import expand_dims, listed, moveaxis, ravel, reshape, take, transpose


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    """As NumPy: a product with a scalar, a matrix product up to two axes, a sum over the last and the last but one beyond."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ar.multiply(operand(a), operand(b))
    if np.ndim(b) <= 2 and np.ndim(a) <= 2:
        return la.matmul(operand(a), operand(b))
    return tensordot(a, b, ((-1,), (-1 if np.ndim(b) == 1 else -2,)))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    """`np.vdot`: the sum of conj(a) * b over all entries."""
    a = ravel(a)
    return la.matmul(conj(a) if dtype_of(a).kind == "c" else a, ravel(b))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    """`np.inner`: the last axes summed over."""
    a, b = operand(a), operand(b)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ar.multiply(a, b)
    return la.matmul(a, b) if np.ndim(a) == np.ndim(b) == 1 else tensordot(a, b, ((-1,), (-1,)))


@implements(np.outer)
def outer(a: Any, b: Any) -> Any:
    """The products of all pairs of entries, both arrays as vectors."""
    return la.outer(ravel(a), ravel(b))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """A sum of products over pairs of axes, recorded as one `einsum`."""
    a, b = operand(a), operand(b)
    na, nb = np.ndim(a), np.ndim(b)
    if isinstance(axes, int):
        axes = (range(-axes, 0), range(axes))
    left, right = ([one_axis(i, n) + n for i in listed(x)] for x, n in zip(axes, (na, nb), strict=True))
    if [np.shape(a)[i] for i in left] != [np.shape(b)[j] for j in right]:
        raise ShapeError(f"np.tensordot: the axes {axes} of shapes {np.shape(a)} and {np.shape(b)} do not fit")
    letters = string.ascii_letters
    ta, tb = list(letters[:na]), list(letters[na : na + nb])
    for i, j in zip(left, right, strict=True):
        tb[j] = ta[i]
    out = [c for k, c in enumerate(ta) if k not in left] + [c for k, c in enumerate(tb) if k not in right]
    return la.einsum(a, b, subscripts=f"{''.join(ta)},{''.join(tb)}->{''.join(out)}")


@implements(np.einsum)
def einsum(*operands: Any) -> Any:
    """`np.einsum` with a string of subscripts."""
    subscripts, *given = operands
    operands = tuple(map(operand, given)) if isinstance(subscripts, str) else ()
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
def trace(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None) -> Any:
    """The sum of a diagonal: its derivative lies on that diagonal."""
    return sum_(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """`np.diagonal`: a view that NumPy lets nobody write into."""
    return _diagonal_view(a, offset, axis1, axis2, read_only=True)


@implements(np.diag)
def diag(v: Any, k: Any = 0) -> Any:
    """The diagonal of a matrix, a view that cannot be written into; of a vector, the matrix with it on a diagonal."""
    v = operand(v)
    if np.ndim(v) == 2:
        return diagonal(v, k)
    if np.ndim(v) != 1:
        raise ShapeError(f"np.diag takes a vector or a matrix, not an array of shape {np.shape(v)}")
    n = np.shape(v)[0] + abs(k)
    i = np.arange(np.shape(v)[0])
    return ix.scatter(v, i - min(k, 0), i + max(k, 0), index=(ix.HERE, ix.HERE), shape=(n, n))


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Recorded as a broadcast product and a reshape."""
    a, b = operand(a), operand(b)
    n = max(np.ndim(a), np.ndim(b))
    a, b = (reshape(x, (1,) * (n - np.ndim(x)) + np.shape(x)) for x in (a, b))
    left = expand_dims(a, tuple(range(1, 2 * n, 2)))
    right = expand_dims(b, tuple(range(0, 2 * n, 2)))
    return reshape(left * right, tuple(p * q for p, q in zip(np.shape(a), np.shape(b), strict=True)))


@implements(np.cross)
def cross(a: Any, b: Any) -> Any:
    """`np.cross` of vectors along the last axis, of length 3."""
    a, b = operand(a), operand(b)
    if np.shape(a)[-1:] != (3,) or np.shape(b)[-1:] != (3,):
        raise ShapeError(
            f"np.cross of traced values needs vectors of length 3, got shapes {np.shape(a)} and {np.shape(b)}"
        )
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return take(a, ahead, -1) * take(b, behind, -1) - take(a, behind, -1) * take(b, ahead, -1)
