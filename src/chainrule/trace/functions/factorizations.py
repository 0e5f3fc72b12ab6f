"""`numpy.linalg`: systems, determinants and factorisations, with NumPy's results."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ir.recording import Handle
from ...ops import factorizations as fz
from ...ops import linalg as la
from ...ops import piecewise as pw
from ...ops import shape as sh
from ..handles import operand, plain
from .dispatch import implements
from .products import norm
from .reductions import sum_
from .shapes import reshape

DEFAULT: Any = object()


def _results(name: str, *values: Any) -> Any:
    """NumPy's named tuple, where this NumPy has one."""
    kind = getattr(getattr(np.linalg, "_linalg", None), name, None)
    return values if kind is None else kind(*values)


def _square(name: str, a: Any) -> Any:
    a = operand(a)
    if np.ndim(a) < 2 or np.shape(a)[-1] != np.shape(a)[-2]:
        raise ShapeError(f"np.linalg.{name} needs square matrices, got shape {np.shape(a)}")
    return _floating(a)


def _floating(a: Any) -> Any:
    kind = np.asarray(plain(a)).dtype.kind if not isinstance(a, Handle) else a.dtype.kind
    return sh.cast(a, dtype=np.dtype(float)) if kind in "iub" else a


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """The solution of a x = b; as in NumPy 2, `b` is a vector only where it has one axis."""
    a, b = _square("solve", a), _floating(operand(b))
    if np.ndim(b) == 0 or np.shape(b)[-1 if np.ndim(b) == 1 else -2] != np.shape(a)[-1]:
        raise ShapeError(f"np.linalg.solve: shapes {np.shape(a)} and {np.shape(b)} do not fit")
    if np.ndim(b) > 1:
        return fz.solve(a, b)
    x = fz.solve(a, fz.column(b))
    return reshape(x, np.shape(x)[:-1])


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """The inverse."""
    return fz.inv(_square("inv", a))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """The determinant; its gradient exists for singular matrices too."""
    return fz.det(_square("det", a))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Sign and logarithm of the determinant."""
    return _results("SlogdetResult", *fz.slogdet.results(_square("slogdet", a)))


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, rtol: Any = None) -> Any:
    """The pseudoinverse, for a rank that stays the same."""
    if hermitian:
        raise TraceError("np.linalg.pinv of a traced value: hermitian=True is not supported", "leave it out")
    cut = rtol if rcond is None else rcond
    a = _floating(operand(a))
    return fz.pinv(a) if cut is None or cut is getattr(np, "_NoValue", None) else fz.pinv(a, rcond=plain(cut))


@implements(np.linalg.cholesky)
def cholesky(a: Any, *, upper: bool = False) -> Any:
    """The triangular factor of a symmetric matrix, which must be symmetric to rounding."""
    lower = fz.cholesky(_square("cholesky", a))
    return fz.adjoint(lower) if upper else lower


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues and eigenvectors of a symmetric matrix, which must be symmetric to rounding, so that UPLO makes no difference."""
    if UPLO.upper() not in ("L", "U"):
        raise ShapeError(f"np.linalg.eigh: UPLO is {UPLO!r}", "choose 'L' or 'U'")
    return _results("EighResult", *fz.eigh.results(_square("eigh", a)))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric matrix."""
    return eigh(a, UPLO)[0]


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors."""
    return _results("EigResult", *fz.eig.results(_square("eig", a)))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """The eigenvalues."""
    return eig(a)[0]


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """The singular value decomposition; of a matrix that is not square, the reduced one only."""
    a = _floating(operand(a))
    if hermitian:
        raise TraceError("np.linalg.svd of a traced value: hermitian=True is not supported", "leave it out")
    m, n = np.shape(a)[-2:]
    if compute_uv and full_matrices and m != n:
        raise TraceError(
            "np.linalg.svd of a traced value: the additional columns of full_matrices=True are not determined",
            "use full_matrices=False",
        )
    u, s, vh = fz.svd.results(a)
    return _results("SVDResult", u, s, vh) if compute_uv else s


if hasattr(np.linalg, "svdvals"):

    @implements(np.linalg.svdvals)
    def svdvals(x: Any) -> Any:
        """The singular values."""
        return svd(x, compute_uv=False)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """The QR decomposition, reduced; `mode="r"` gives the second factor alone."""
    a = _floating(operand(a))
    m, n = np.shape(a)[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise TraceError(f"np.linalg.qr of a traced value: mode={mode!r} is not supported", "use mode='reduced'")
    q, r = fz.qr.results(a if m >= n else a[..., :m])
    if m < n:
        r = sh.concatenate(r, la.matmul(fz.adjoint(q), a[..., m:]), axis=-1)
    return r if mode == "r" else _results("QRResult", q, r)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """A power of a square matrix, by squaring."""
    a = _square("matrix_power", a)
    if n == 0:
        return 0 * a + np.eye(np.shape(a)[-1])
    base, result = (a if n > 0 else fz.inv(a)), None
    for bit in bin(abs(n))[:1:-1]:
        if bit == "1":
            result = base if result is None else la.matmul(result, base)
        base = la.matmul(base, base)
    return result


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any) -> Any:
    """A chain of products, in the order that NumPy would choose by their sizes for plain arrays: here from the left."""
    return functools.reduce(la.matmul, map(operand, arrays))


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """The condition number of a matrix."""
    x = _floating(operand(x))
    if p is None or p in (2, -2):
        s = svd(x, compute_uv=False)
        top, low = s[..., 0], s[..., -1]
        return low / top if p == -2 else top / low
    return norm(x, p, axis=(-2, -1)) * norm(fz.inv(x), p, axis=(-2, -1))


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Least squares for a matrix of full column rank: solution, residuals, rank, singular values."""
    a, b = _floating(operand(a)), _floating(operand(b))
    m, n = np.shape(a)
    s = svd(a, compute_uv=False)
    cut = np.finfo(a.dtype).eps * max(m, n) if rcond is None else rcond
    rank = int(np.sum(plain(s) > cut * plain(s)[0]))
    if m < n or rank < n:
        raise TraceError(
            f"np.linalg.lstsq of a traced value needs full column rank; this matrix of shape {(m, n)} has rank {rank}",
            "use np.linalg.pinv(a) @ b",
        )
    q, r = fz.qr.results(a)
    x = solve(r, la.matmul(fz.adjoint(q), b))
    rest = b - la.matmul(a, x)
    residuals = sum_(pw.absolute(rest) ** 2, axis=0, keepdims=np.ndim(b) == 1) if m > n else np.zeros(0)
    return x, residuals, rank, s


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """The rank: an integer, nothing flows."""
    options = {} if rtol is None else {"rtol": plain(rtol)}
    return np.linalg.matrix_rank(plain(A), plain(tol), hermitian, **options)


__all__ = [
    "cholesky",
    "cond",
    "det",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matrix_power",
    "multi_dot",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
]
