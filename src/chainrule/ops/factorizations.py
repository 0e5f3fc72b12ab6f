"""Linear systems and factorisations of matrices, in the last two axes; the axes before them are batches.

Sources: M. Giles, "Collected matrix derivative results" (2008); S. Walter, L. Lehmann, "Algorithmic differentiation of
linear algebra functions" (2010) for `qr`; I. Murray, "Differentiation of the Cholesky decomposition" (2016).

Where eigenvalues or singular values are equal, the vectors that belong to them are not determined and have no derivative:
it is infinite or NaN. The derivatives of the values themselves (in the order in which they are given) do not need them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.graph import Bundle
from .broadcasting import dtype_of, lifted, reshape, sum
from .complex import conj, imag, real
from .indexing import getitem
from .kinds import Linear
from .linalg import matmul, matrix_transpose, outer
from .piecewise import absolute, equal, where
from .primitive import Primitive
from .reduction import argmax
from .shape import concatenate, tril
from .shapes import like_first

SQUARE = ((np.array([[2.0, 0.3, -0.5], [0.1, 1.5, 0.4], [-0.7, 0.2, 1.1]]),), {})
BATCH = ((np.stack([SQUARE[0][0], SQUARE[0][0].T @ SQUARE[0][0] + np.diag([0.1, 0.5, 1.0])]),), {})
DEFINITE = ((BATCH[0][0][1],), {})
WIDE = ((np.array([[1.0, -0.4, 0.3], [0.2, 0.9, 0.7]]),), {})
TALL = ((np.array([[1.0, 0.2], [-0.4, 0.9], [0.3, 0.7]]),), {})


def conjugate(x: Any) -> Any:
    """The conjugate; of real numbers, themselves."""
    return conj(x) if dtype_of(x).kind == "c" else x


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return conjugate(matrix_transpose(x))


def column(x: Any) -> Any:
    """A vector as a matrix with one column."""
    return reshape(x, shape=(*np.shape(x), 1))


def row(x: Any) -> Any:
    """A vector beside the rows of a matrix."""
    return x if np.ndim(x) == 1 else reshape(x, shape=(*np.shape(x)[:-1], 1, np.shape(x)[-1]))


def scaled(factor: Any, x: Any) -> Any:
    """Matrices times a number for each."""
    return factor * x if np.ndim(factor) == 0 else column(column(factor)) * x


def diagonal(x: Any) -> Any:
    """The diagonals of square matrices."""
    return sum(x * identity(x), axis=(-1,))


def identity(x: Any) -> Any:
    """The identity matrix of the size of the last axis, in the precision of x."""
    return np.eye(np.shape(x)[-1], dtype=dtype_of(x).char.lower())


def _spoken(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's whose complaint is in our words."""

    def value(*args: Any, **params: Any) -> Any:
        try:
            return function(*args, **params)
        except np.linalg.LinAlgError as error:
            raise InputError(
                f"np.linalg.{name}: {error}",
                "check the matrix: a singular one has no inverse, and cholesky needs a positive definite one",
            ) from error

    return value


def _symmetric(name: str, a: Any) -> None:
    """Refuse a matrix that is not symmetric: NumPy would read one half of it, and a derivative would belong to another function."""
    other = np.conj(np.swapaxes(a, -1, -2))
    size = np.max(np.abs(a), axis=(-2, -1), keepdims=True, initial=0.0)
    if np.any(np.abs(a - other) > 1e3 * np.finfo(a.dtype).eps * size):
        raise InputError(
            f"np.linalg.{name} of a traced matrix that is not symmetric: NumPy reads one half of it only",
            "pass (a + a.T) / 2",
        )


def halved(x: Any) -> Any:
    """The symmetric part: how a symmetric matrix moves."""
    return (x + adjoint(x)) / 2


def _work(node: Any) -> int:
    """A number of operations of the order of those that NumPy takes."""
    return math.prod(np.shape(node.values[0])) * max(np.shape(node.values[0])[-2:])


Text = str | Callable[..., str]


def _to_torch(text: Text) -> Text:
    if callable(text):
        return lambda args, node: text(args, node).replace("np.", "torch.")
    return text.replace("np.", "torch.")


def _of_matrices(name: str, value: Any, jvp: Any, vjp: Any = None, *, text: Text, **facts: Any) -> Primitive:
    """Leading axes broadcast, so a batch axis in front of them is one of them; torch has the same names as NumPy."""
    common: dict[str, Any] = {"batch": "elementwise", "cost": _work, "public": False, "torch": _to_torch(text)}
    return Primitive(name, value, jvp, vjp, text=text, **common | facts)


# ---- linear systems ------------------------------------------------------------------------------------------


def _solve_value(a: Any, b: Any) -> Any:
    if np.ndim(b) == 1:
        return np.linalg.solve(a, b)
    lead = np.broadcast_shapes(np.shape(a)[:-2], np.shape(b)[:-2])
    return np.linalg.solve(a, np.broadcast_to(b, (*lead, *np.shape(b)[-2:])))


def _solve_jvp(ts: Sequence[Any], x: Any, a: Any, b: Any) -> Any:
    da, db = ts
    if da is None:
        return solve(a, db)
    moved = -matmul(da, x)
    return solve(a, moved if db is None else db + moved)


def _solve_vjp(ct: Any, x: Any, a: Any, b: Any) -> tuple[Any, Any]:
    back = solve(matrix_transpose(a), ct)
    return -(outer(back, x) if np.ndim(b) == 1 else matmul(back, matrix_transpose(x))), back


def _solve_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A vector becomes a matrix with one column."""
    a, b = values
    vector = np.ndim(b) - each[1] == 1
    b = column(b) if vector else b
    ndim = max(np.ndim(v) - e for v, e in zip((a, b), each, strict=True))
    x = op(lifted(a, each[0], ndim), lifted(b, each[1], ndim))
    return reshape(x, shape=np.shape(x)[:-1]) if vector else x


solve = _of_matrices(
    "solve",
    _spoken("solve", _solve_value),
    _solve_jvp,
    _solve_vjp,
    inputs=2,
    batch=_solve_batch,
    text="np.linalg.solve({0}, {1})",
    latex=r"{0.atom}^{{-1}} {1}",
    examples=(((SQUARE[0][0], (3,)), {}), ((SQUARE[0][0], (3, 2)), {}), ((BATCH[0][0], (3, 1)), {})),
    doc="The solution of a x = b; b is a matrix of columns, or for one matrix a vector.",
)


def _inv_vjp(ct: Any, y: Any, a: Any) -> tuple[Any]:
    t = matrix_transpose(y)
    return (-matmul(matmul(t, ct), t),)


inv = _of_matrices(
    "inv",
    _spoken("inv", np.linalg.inv),
    lambda ts, y, a: -matmul(matmul(y, ts[0]), y),
    _inv_vjp,
    text="np.linalg.inv({0})",
    latex=r"{0.atom}^{{-1}}",
    examples=(SQUARE, BATCH),
    doc="The inverse of a matrix.",
)


def _cofactors(a: Any) -> Any:
    """By the singular values, so that a singular matrix has them too: cof(USV) = det(U) det(V) conj(U cof(S) V)."""
    u, s, v = np.linalg.svd(a)
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., ::-1]
    turned = np.linalg.det(u) * np.linalg.det(v)
    return turned[..., None, None] * np.conj((u * (before * after)[..., None, :]) @ v)


def _cofactors_jvp(ts: Sequence[Any], c: Any, a: Any) -> Any:
    back = matrix_transpose(inv(a))
    moved = matmul(matmul(back, matrix_transpose(ts[0])), c)
    return sum(back * ts[0], axis=(-2, -1), keepdims=True) * c - moved


def _cofactors_text(args: list[Any], node: Any) -> str:
    """As a person writes it, which takes a matrix that is not singular."""
    if np.ndim(node.value) == 2:
        return f"(np.linalg.det({args[0]}) * np.linalg.inv({args[0]}).T)"
    return f"(np.linalg.det({args[0]})[..., None, None] * np.swapaxes(np.linalg.inv({args[0]}), -1, -2))"


cofactors = _of_matrices(
    "cofactors",
    _spoken("det", _cofactors),
    _cofactors_jvp,
    text=_cofactors_text,
    examples=(SQUARE, BATCH),
    doc="The derivative of the determinant; its own derivative needs a matrix that is not singular.",
)
det = _of_matrices(
    "det",
    _spoken("det", np.linalg.det),
    lambda ts, y, a: sum(cofactors(a) * ts[0], axis=(-2, -1)),
    lambda ct, y, a: (scaled(ct, cofactors(a)),),
    text="np.linalg.det({0})",
    latex=r"\det {0.atom}",
    examples=(SQUARE, BATCH),
    doc="The determinant.",
)


def _slogdet_jvp(ts: Sequence[Any], out: Sequence[Any], a: Any) -> list[Any]:
    t = sum(matrix_transpose(inv(a)) * ts[0], axis=(-2, -1))
    return [out[0] * (1j * imag(t)), real(t)] if dtype_of(a).kind == "c" else [None, t]


def _slogdet_vjp(cts: Sequence[Any], out: Sequence[Any], a: Any) -> Any:
    if cts[0] is not None and dtype_of(a).kind == "c":
        return NotImplemented
    return (None if cts[1] is None else scaled(cts[1], matrix_transpose(inv(a))),)


slogdet = _of_matrices(
    "slogdet",
    lambda a: Bundle(_spoken("slogdet", np.linalg.slogdet)(a)),
    _slogdet_jvp,
    _slogdet_vjp,
    outputs=("sign", "logdet"),
    text="np.linalg.slogdet({0})",
    examples=(SQUARE, BATCH),
    doc="The sign and the logarithm of the absolute value of the determinant.",
)


def _pinv_jvp(ts: Sequence[Any], p: Any, a: Any, rcond: Any = None) -> Any:
    """G. Golub, V. Pereyra (1973), for a rank that stays the same."""
    t, h = ts[0], adjoint(ts[0])
    inner = matmul(p, adjoint(p))
    outer = matmul(adjoint(p), p)
    return (
        -matmul(matmul(p, t), p)
        + matmul(inner, h - matmul(matmul(h, a), p))
        + matmul(h - matmul(matmul(p, a), h), outer)
    )


pinv = _of_matrices(
    "pinv",
    lambda a, rcond=None: np.linalg.pinv(a) if rcond is None else np.linalg.pinv(a, rcond),
    _pinv_jvp,
    text=lambda args, node: (
        f"np.linalg.pinv({args[0]}{', ' + repr(node.params['rcond']) if 'rcond' in node.params else ''})"
    ),
    torch=lambda args, node: f"torch.linalg.pinv({args[0]}, rtol={node.params.get('rcond', 1e-15)!r})",
    jax=lambda args, node: f"jnp.linalg.pinv({args[0]}, rtol={node.params.get('rcond', 1e-15)!r})",
    latex=r"{0.atom}^{{+}}",
    examples=(SQUARE, TALL, BATCH),
    doc="The pseudoinverse, near which the rank is taken to stay the same.",
)


# ---- factorisations ------------------------------------------------------------------------------------------


def _cholesky_value(a: Any) -> Any:
    _symmetric("cholesky", a)
    return _spoken("cholesky", np.linalg.cholesky)(a)


def _cholesky_jvp(ts: Sequence[Any], y: Any, a: Any) -> Any:
    inner = solve(y, adjoint(solve(y, halved(ts[0]))))
    return matmul(y, tril(inner, k=-1) + inner * (identity(y) / 2))


def _cholesky_vjp(ct: Any, y: Any, a: Any) -> tuple[Any]:
    t = matmul(matrix_transpose(y), ct)
    inner = solve(matrix_transpose(y), tril(t, k=-1) + t * (identity(y) / 2))
    found = halved(solve(adjoint(y), matrix_transpose(inner)))
    return (conjugate(found),)


cholesky = _of_matrices(
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


def _eigh_value(a: Any) -> Bundle:
    _symmetric("eigh", a)
    return Bundle(_spoken("eigh", np.linalg.eigh)(a))


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


eigh = _of_matrices(
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


def _eig_value(a: Any) -> Bundle:
    return Bundle(x.astype(np.result_type(a, np.complex64)) for x in _spoken("eig", np.linalg.eig)(a))


eig = _of_matrices(
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


svd = _of_matrices(
    "svd",
    lambda a: Bundle(_spoken("svd", np.linalg.svd)(a, full_matrices=False)),
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


qr = _of_matrices(
    "qr",
    lambda a: Bundle(_spoken("qr", np.linalg.qr)(a)),
    _qr_jvp,
    outputs=("q", "r"),
    text="np.linalg.qr({0})",
    examples=(SQUARE, TALL, WIDE, BATCH),
    doc="The reduced QR decomposition.",
)
