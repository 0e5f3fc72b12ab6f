"""`numpy.linalg`: systems, determinants and factorisations, with NumPy's results. The norms are in `norms`."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError, TraceError
from ...ir.recording import state
from ...ops import factorizations as fz
from ...ops import linalg as la
from ...ops import piecewise as pw
from ...ops import shape as sh
from ...ops import systems as sy
from ...ops.complex import imag, real
from ...ops.reduction import reduce_min
from ..handles import constant_like, dtype_of, operand, plain
from .dispatch import implements
from .reductions import sum_
from .shapes import moveaxis, reshape
from .signatures import NO_VALUE


@functools.cache
def _result_of(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """NumPy's named tuple, where this NumPy has one."""
    return getattr(type(function(np.eye(1))), "_make", None)


def _results(function: Callable[..., Any], values: Sequence[Any]) -> Any:
    return (_result_of(function) or tuple)(values)


def matrices(name: str, a: Any) -> Any:
    """Matrices of floats, as NumPy reads what it is given."""
    a = operand(a)
    if np.ndim(a) < 2:
        raise ShapeError(f"np.linalg.{name} needs matrices, got shape {np.shape(a)}", "give at least two axes")
    return _floating(a)


def _square(name: str, a: Any) -> Any:
    a = matrices(name, a)
    if np.shape(a)[-1] != np.shape(a)[-2]:
        raise ShapeError(
            f"np.linalg.{name} needs square matrices, got shape {np.shape(a)}",
            "for others there are np.linalg.pinv, lstsq, qr and svd",
        )
    return a


def _floating(a: Any) -> Any:
    return a if dtype_of(a).kind in "fc" else sh.cast(a, dtype=np.dtype(float))


def _without_hermitian(name: str, hermitian: bool) -> None:
    if hermitian:
        raise TraceError(f"np.linalg.{name} of a traced value: hermitian=True is not supported", "leave it out")


def _all(holds: Any) -> bool:
    """Whether a condition holds everywhere; compiled code is made anew when the answer is another."""
    return math.prod(np.shape(holds)) == 0 or bool(reduce_min(holds, axis=tuple(range(-np.ndim(holds), 0))))


# ---- systems -------------------------------------------------------------------------------------------------


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """The solution of a x = b; as in NumPy 2, `b` is a vector only where it has one axis."""
    a, b = _square("solve", a), _floating(operand(b))
    if np.ndim(b) == 0 or np.shape(b)[-1 if np.ndim(b) == 1 else -2] != np.shape(a)[-1]:
        raise ShapeError(
            f"np.linalg.solve: shapes {np.shape(a)} and {np.shape(b)} do not fit",
            "b is a vector, or a matrix of columns, as long as a; a stack of vectors is b[..., None]",
        )
    if np.ndim(b) > 1 or np.ndim(a) == 2:
        return sy.solve(a, b)
    x = sy.solve(a, sy.column(b))
    return reshape(x, np.shape(x)[:-1])


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The solution x of tensordot(a, x, x.ndim) = b."""
    a, b = operand(a), operand(b)
    if axes is not None:
        a = moveaxis(a, axes, range(np.ndim(a) - len(axes), np.ndim(a)))
    shape = np.shape(a)[np.ndim(b) - np.ndim(a) :]  # as NumPy counts: all axes where b has as many as a
    n = math.prod(shape)
    if n * n != math.prod(np.shape(a)) or n != math.prod(np.shape(b)):
        raise ShapeError(
            f"np.linalg.tensorsolve: shapes {np.shape(a)} and {np.shape(b)} do not fit",
            "the first axes of a, as many as b has, need as many entries as the rest",
        )
    return reshape(solve(reshape(a, (n, n)), reshape(b, (n,))), shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: Any = 2) -> Any:
    """The inverse for tensordot: the first `ind` axes against the rest."""
    a, ind = operand(a), operator.index(ind)
    rows, columns = np.shape(a)[:ind], np.shape(a)[ind:]
    if ind <= 0 or np.ndim(a) == 0 or math.prod(rows) != math.prod(columns):
        raise ShapeError(
            f"np.linalg.tensorinv: the first {ind} axes of shape {np.shape(a)} have not as many entries as the rest",
            "choose ind so that they have",
        )
    return reshape(inv(reshape(a, (math.prod(rows), math.prod(columns)))), columns + rows)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """The inverse."""
    return sy.inv(_square("inv", a))


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, rtol: Any = NO_VALUE) -> Any:
    """The pseudoinverse, for a rank that stays the same."""
    _without_hermitian("pinv", hermitian)
    given = dtype_of(operand(a))
    a = matrices("pinv", a)
    if 0 in np.shape(a):
        return sh.cast(sy.pinv(a), dtype=given)
    if rcond is None and rtol is None:
        rcond = max(np.shape(a)[-2:]) * np.finfo(dtype_of(a)).eps
    elif rtol is not NO_VALUE:
        if rcond is not None:
            raise InputError("np.linalg.pinv takes rcond or rtol, and was given both", "leave one of them out")
        rcond = rtol
    return sy.pinv(a) if rcond is None else sy.pinv(a, rcond=plain(rcond))


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Least squares for a matrix of full column rank: solution, residuals, rank, singular values."""
    a, b = matrices("lstsq", a), _floating(operand(b))
    if np.ndim(a) != 2 or np.ndim(b) not in (1, 2) or np.shape(a)[0] != np.shape(b)[0]:
        raise ShapeError(
            f"np.linalg.lstsq: shapes {np.shape(a)} and {np.shape(b)} do not fit",
            "a is one matrix, and b a vector or a matrix with as many rows",
        )
    m, n = np.shape(a)
    s = svd(a, compute_uv=False)
    eps = np.finfo(dtype_of(a)).eps
    cut = eps * max(m, n) if rcond is None else eps if rcond < 0 else rcond
    if m < n or not _all(pw.greater(s, cut * s[:1])):
        raise TraceError(
            f"np.linalg.lstsq of a traced value needs full column rank, which this matrix of shape {(m, n)} has not",
            "use np.linalg.pinv(a) @ b",
        )
    q, r = fz.qr(a)
    x = solve(r, la.matmul(sy.adjoint(q), b))
    rest = b - la.matmul(a, x)
    residuals = sum_(pw.absolute(rest) ** 2, axis=0, keepdims=np.ndim(b) == 1) if m > n else np.zeros(0, dtype_of(s))
    return x, residuals, np.int32(n), s


# ---- determinants and products -------------------------------------------------------------------------------


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """The determinant; its gradient exists for singular matrices too."""
    return sy.det(_square("det", a))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Sign and logarithm of the determinant."""
    return _results(np.linalg.slogdet, sy.slogdet(_square("slogdet", a)))


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """A power of a square matrix, by squaring."""
    a, n = operand(a), operator.index(n)
    _square("matrix_power", a)
    if n == 0:
        return constant_like(a, np.broadcast_to(np.eye(np.shape(a)[-1], dtype=dtype_of(a)), np.shape(a)).copy())
    base, result = (a if n > 0 else inv(a)), None
    for bit in bin(abs(n))[:1:-1]:
        if bit == "1":
            result = base if result is None else la.matmul(result, base)
        base = la.matmul(base, base)
    return result


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any) -> Any:
    """A chain of products, in the order that takes the fewest multiplications."""
    factors = [operand(a) for a in arrays]
    if len(factors) < 2 or any(np.ndim(a) != 2 for a in factors[1:-1]):
        raise ShapeError(
            f"np.linalg.multi_dot: shapes {[np.shape(a) for a in factors]}",
            "give at least two matrices; the first and the last may be vectors",
        )
    rows = [1 if np.ndim(factors[0]) == 1 else np.shape(factors[0])[0], *(np.shape(a)[0] for a in factors[1:])]
    sizes = [*rows, 1 if np.ndim(factors[-1]) == 1 else np.shape(factors[-1])[-1]]

    @functools.cache
    def best(i: int, j: int) -> tuple[int, int]:
        """The least cost of the product of the factors from i to j, and behind which of them to divide it."""
        if i == j:
            return 0, i
        return min((best(i, k)[0] + best(k + 1, j)[0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))

    def product(i: int, j: int) -> Any:
        k = best(i, j)[1]
        return factors[i] if i == j else la.matmul(product(i, k), product(k + 1, j))

    return product(0, len(factors) - 1)


# ---- factorisations ------------------------------------------------------------------------------------------


@implements(np.linalg.cholesky)
def cholesky(a: Any, upper: bool = False) -> Any:
    """The triangular factor of a symmetric matrix, which must be symmetric to rounding."""
    lower = fz.cholesky(_square("cholesky", a))
    return sy.adjoint(lower) if upper else lower


def _eigh(name: str, a: Any, UPLO: str) -> list[Any]:
    if UPLO.upper() not in ("L", "U"):
        raise InputError(f"np.linalg.{name}: UPLO is {UPLO!r}", "choose 'L' or 'U'")
    return fz.eigh(_square(name, a))


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues and eigenvectors of a symmetric matrix, which must be symmetric to rounding, so that UPLO makes no difference."""
    return _results(np.linalg.eigh, _eigh("eigh", a, UPLO))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric matrix."""
    return _eigh("eigvalsh", a, UPLO)[0]


def _eig(name: str, a: Any) -> list[Any]:
    """Real where all of them are: that is asked of the eigenvalues, and under `vmap`, where examples differ, left as it is."""
    w, v = fz.eig(_square(name, a))
    if dtype_of(a).kind == "c" or state.level or not _all(pw.equal(imag(w), 0)):
        return [w, v]
    return [real(w), real(v)]


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors; under `vmap` always complex, since the examples may differ."""
    return _results(np.linalg.eig, _eig("eig", a))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """The eigenvalues; under `vmap` always complex."""
    return _eig("eigvals", a)[0]


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """The singular value decomposition; of a matrix that is not square, the reduced one only."""
    _without_hermitian("svd", hermitian)
    a = matrices("svd", a)
    m, n = np.shape(a)[-2:]
    if compute_uv and full_matrices and m != n:
        raise TraceError(
            "np.linalg.svd of a traced value: the additional columns of full_matrices=True are not determined",
            "use full_matrices=False",
        )
    u, s, vh = fz.svd(a)
    return _results(np.linalg.svd, (u, s, vh)) if compute_uv else s


if hasattr(np.linalg, "svdvals"):

    @implements(np.linalg.svdvals)
    def svdvals(x: Any) -> Any:
        """The singular values."""
        return svd(x, compute_uv=False)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """The QR decomposition, reduced; `mode="r"` gives the second factor alone."""
    a = matrices("qr", a)
    m, n = np.shape(a)[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise TraceError(f"np.linalg.qr of a traced value: mode={mode!r} is not supported", "use mode='reduced'")
    q, r = fz.qr(a)
    return r if mode == "r" else _results(np.linalg.qr, (q, r))
