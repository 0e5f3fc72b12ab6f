"""Factorisations of matrices in the last two axes; the axes before them are batches.

Sources: M. Giles, "Collected matrix derivative results" (2008); S. Walter, L. Lehmann, "Algorithmic differentiation of
linear algebra functions" (2010) for `qr`; I. Murray, "Differentiation of the Cholesky decomposition" (2016).

Where eigenvalues or singular values are equal, the vectors that belong to them are not determined and have no derivative:
it is infinite or NaN. The derivatives of the values themselves (in the order in which they are given) do not need them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .broadcasting import dtype_of, sum
from .complex import conj, imag, real
from .indexing import getitem
from .kinds import Linear
from .linalg import matmul, matrix_transpose
from .piecewise import absolute, equal, where
from .reduction import argmax
from .shape import concatenate, tril
from .shapes import like_first
from .systems import (
    BATCH,
    SQUARE,
    TALL,
    adjoint,
    column,
    conjugate,
    diagonal,
    halved,
    identity,
    of_matrices,
    refuse_asymmetric,
    row,
    solve,
    spoken,
)  # fmt: skip

DEFINITE = ((BATCH[0][0][1],), {})
WIDE = ((np.array([[1.0, -0.4, 0.3], [0.2, 0.9, 0.7]]),), {})


def _cholesky_value(a: Any) -> Any:
    refuse_asymmetric("cholesky", a)
    return spoken("cholesky", np.linalg.cholesky)(a)


def _cholesky_jvp(ts: Sequence[Any], y: Any, a: Any) -> Any:
    inner = solve(y, adjoint(solve(y, halved(ts[0]))))
    return matmul(y, tril(inner, k=-1) + inner * (identity(y) / 2))


def _cholesky_vjp(ct: Any, y: Any, a: Any) -> tuple[Any]:
    t = matmul(matrix_transpose(y), ct)
    inner = solve(matrix_transpose(y), tril(t, k=-1) + t * (identity(y) / 2))
    found = halved(solve(adjoint(y), matrix_transpose(inner)))
    return (conjugate(found),)


cholesky = of_matrices(
    "cholesky",
    _cholesky_value,
    _cholesky_jvp,
    _cholesky_vjp,
    text="np.linalg.cholesky({0})",
    examples=(DEFINITE,),
    doc="The lower triangular L with a = L L^H, of a symmetric positive definite matrix.",
)


def gaps(values: Any) -> Any:
    """1 / (v[j] - v[i]) at (i, j), infinite where two are equal; 0 on the diagonal."""
    one = identity(values)
    return 1 / (row(values) - column(values) + one) - one


def _eigh_value(a: Any) -> Any:
    refuse_asymmetric("eigh", a)
    return spoken("eigh", np.linalg.eigh)(a)


def _eigh_jvp(ts: Sequence[Any], out: Sequence[Any], a: Any) -> list[Any]:
    w, v = out
    turned = matmul(matmul(adjoint(v), halved(ts[0])), v)
    return [real(diagonal(turned)), matmul(v, gaps(w) * turned)]


def _eigh_vjp(cts: Sequence[Any], out: Sequence[Any], a: Any) -> tuple[Any]:
    w, v = out
    left, right = conjugate(v), matrix_transpose(v)
    if cts[1] is None:
        return (matmul(left * row(cts[0]), right),)
    inner = gaps(w) * matmul(right, cts[1])
    if cts[0] is not None:
        inner = inner + column(cts[0]) * identity(v)
    return (halved(matmul(matmul(left, inner), right)),)


eigh = of_matrices(
    "eigh",
    _eigh_value,
    _eigh_jvp,
    _eigh_vjp,
    outputs=("w", "v"),
    text="np.linalg.eigh({0})",
    examples=(DEFINITE,),
    doc="Eigenvalues in ascending order and eigenvectors (as columns) of a symmetric matrix.",
)


def _eig_jvp(ts: Sequence[Any], out: Sequence[Any], a: Any) -> list[Any]:
    """Eigenvectors keep the length 1, and stay real in their largest entry, as LAPACK has them."""
    w, v = out
    turned = solve(v, matmul(ts[0], v))
    moved = matmul(v, gaps(w) * turned)
    length = sum(real(conj(v) * moved), axis=(-2,), keepdims=True)
    moved = moved - v * length
    largest = equal(row(argmax(absolute(v), axis=-2)), np.arange(np.shape(v)[-1])[:, None])
    phase = sum(where(largest, imag(moved / where(largest, v, 1)), 0), axis=(-2,), keepdims=True)
    return [diagonal(turned), moved - v * (1j * phase)]


def _eig_value(a: Any) -> tuple[Any, ...]:
    return tuple(x.astype(np.result_type(a, np.complex64)) for x in spoken("eig", np.linalg.eig)(a))


eig = of_matrices(
    "eig",
    _eig_value,
    _eig_jvp,
    outputs=("w", "v"),
    text="np.linalg.eig({0})",
    examples=(SQUARE, BATCH),
    doc="Eigenvalues and eigenvectors (as columns) of a square matrix, as complex numbers.",
)


def _svd_jvp(ts: Sequence[Any], out: Sequence[Any], a: Any) -> list[Any]:
    u, s, vh = out
    v, t = adjoint(vh), ts[0]
    turned = matmul(matmul(adjoint(u), t), v)
    ds = real(diagonal(turned))
    f = gaps(s * s)
    left, right = turned * row(s), column(s) * turned
    du = matmul(u, f * (left + adjoint(left)))
    dv = matmul(v, f * (right + adjoint(right)))
    if dtype_of(a).kind == "c":
        du = du + u * row(1j * imag(diagonal(turned)) / s)
    m, n = np.shape(a)[-2:]
    if m > n:
        side = matmul(t, v)
        du = du + (side - matmul(u, matmul(adjoint(u), side))) / row(s)
    if n > m:
        side = matmul(adjoint(t), u)
        dv = dv + (side - matmul(v, matmul(vh, side))) / row(s)
    return [du, ds, adjoint(dv)]


def _svd_vjp(cts: Sequence[Any], out: Sequence[Any], a: Any) -> Any:
    """Of the values alone it needs no differences between them."""
    u, _, vh = out
    if cts[0] is not None or cts[2] is not None:
        return NotImplemented
    return (matmul(conjugate(u) * row(cts[1]), conjugate(vh)),)


svd = of_matrices(
    "svd",
    lambda a: spoken("svd", np.linalg.svd)(a, full_matrices=False),
    _svd_jvp,
    _svd_vjp,
    outputs=("u", "s", "vh"),
    text="np.linalg.svd({0}, full_matrices=False)",
    examples=(SQUARE, TALL, BATCH),
    doc="The reduced singular value decomposition: U, the singular values in descending order, V^H.",
)


def _independent_value(r: Any) -> Any:
    diagonals = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    if np.any(
        diagonals <= np.shape(r)[-1] * np.finfo(r.dtype).eps * np.max(diagonals, axis=-1, keepdims=True, initial=0.0)
    ):
        raise InputError(
            "np.linalg.qr has no derivative where the columns of the matrix depend on each other",
            "use np.linalg.pinv or np.linalg.svd",
        )
    return r


independent = Linear(
    "independent",
    _independent_value,
    (lambda ct, r: ct,),
    text="{0}",
    torch="{0}",
    latex="{0}",
    shape=like_first,
    batch="elementwise",
    examples=(SQUARE, BATCH),
    public=False,
    doc="A triangular factor, which is refused where it is singular to rounding.",
)


def _qr_jvp(ts: Sequence[Any], out: Sequence[Any], a: Any) -> list[Any]:
    q, r = out
    m, n = np.shape(r)[-2:]
    first, rest = (Ellipsis, slice(None), slice(None, m)), (Ellipsis, slice(None), slice(m, None))
    t = ts[0]
    left, square = (t, r) if m == n else (getitem(t, index=first), getitem(r, index=first))
    moved = matrix_transpose(solve(matrix_transpose(independent(square)), matrix_transpose(left)))  # t r^-1
    inner = matmul(adjoint(q), moved)
    low = tril(inner, k=-1)
    turn = low - adjoint(low)
    if dtype_of(a).kind == "c":  # the diagonal of r stays real
        turn = turn + identity(q) * (1j * imag(inner))
    dq, dr = matmul(q, turn - inner) + moved, matmul(inner - turn, square)
    if n > m:  # the further columns follow the first ones: q^H a
        further = matmul(adjoint(dq), getitem(a, index=rest)) + matmul(adjoint(q), getitem(t, index=rest))
        dr = concatenate(dr, further, axis=-1)
    return [dq, dr]


qr = of_matrices(
    "qr",
    spoken("qr", np.linalg.qr),
    _qr_jvp,
    outputs=("q", "r"),
    text="np.linalg.qr({0})",
    examples=(SQUARE, TALL, WIDE, BATCH),
    doc="The reduced QR decomposition.",
)
