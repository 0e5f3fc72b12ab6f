"""Vectors and matrices with symbolic sizes, in index notation: a list of dimensions and the expression of one entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .indices import fresh_index
from .untyped import sp

ONE = sp.Integer(1)


class Expectation(sp.Function):
    """The expected value of its argument; random are the variables that were declared so."""

    nargs = 1


def total(body: Any, index: Any, low: Any, high: Any) -> Any:
    """The sum of an expression over an index from `low` to `high`; 0 where there is nothing between them."""
    beyond = low - high
    if body == 0 or (beyond.is_Integer and beyond > 0):
        return sp.Integer(0)
    return sp.Sum(body, (index, low, high))


class Tensor:
    """An array of any rank: `dims`, and `entry`, a function of as many indices."""

    def __init__(self, dims: Sequence[Any], entry: Callable[..., Any]) -> None:
        self.dims, self.entry = tuple(dims), entry

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def scalar(self) -> Any:
        """The expression, where the rank is 0."""
        return self.entry()

    def indices(self) -> list[Any]:
        return [fresh_index() for _ in self.dims]

    def __str__(self) -> str:
        return f"({' × '.join(map(str, self.dims))})" if self.dims else "a number"


def number(expression: Any) -> Tensor:
    """A tensor of rank 0."""
    return Tensor((), lambda: expression)


def variable(name: str, dims: Sequence[Any]) -> Tensor:
    """A variable with its dimensions; a number is a symbol, anything else is indexed."""
    if not dims:
        return number(sp.Symbol(name, real=True))
    base = sp.IndexedBase(name, real=True)
    return Tensor(dims, lambda *i: base[i])


class Misfit(ValueError):
    """Dimensions that do not fit, or a value that does not exist; `fix` says what to do."""

    def __init__(self, what: str, fix: str = "give the sizes, as x='n', W='m, n'") -> None:
        super().__init__(what)
        self.fix = fix


def elementwise(f: Callable[..., Any], *parts: Tensor) -> Tensor:
    """A function of each entry, with broadcasting from the right."""
    rank = max(p.rank for p in parts)
    dims: list[Any] = []
    for k in range(-rank, 0):
        sizes = {p.dims[k] for p in parts if p.rank >= -k} - {sp.Integer(1)}
        if len(sizes) > 1:
            raise Misfit(f"the sizes do not fit: {' and '.join(map(str, parts))}")
        dims.append(sizes.pop() if sizes else sp.Integer(1))

    def entry(*i: Any) -> Any:
        return f(
            *(p.entry(*(1 if d == 1 else j for d, j in zip(p.dims, i[rank - p.rank :], strict=True))) for p in parts)
        )

    return Tensor(dims, entry)


def reduce_sum(x: Tensor) -> Tensor:
    """The sum of all entries."""
    i = x.indices()
    e = x.entry(*i)
    for j, d in zip(reversed(i), reversed(x.dims), strict=True):
        e = total(e, j, ONE, d)
    return number(e)


def mean(x: Tensor) -> Tensor:
    """The mean of all entries."""
    return number(reduce_sum(x).scalar / sp.Mul(*x.dims))


def transpose(x: Tensor) -> Tensor:
    """The transpose: all axes reversed."""
    return Tensor(x.dims[::-1], lambda *i: x.entry(*i[::-1]))


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product, as NumPy's `@` on vectors and matrices."""
    if not 1 <= a.rank <= 2 or not 1 <= b.rank <= 2 or a.dims[-1] != b.dims[0]:
        raise Misfit(f"the sizes do not fit: {a} @ {b}")

    def entry(*i: Any) -> Any:
        k = fresh_index()
        return total(a.entry(*i[: a.rank - 1], k) * b.entry(k, *i[a.rank - 1 :]), k, ONE, a.dims[-1])

    return Tensor(a.dims[:-1] + b.dims[1:], entry)


def outer(a: Tensor, b: Tensor) -> Tensor:
    """The outer product of two vectors: entry (i, j) is a[i]*b[j]."""
    return Tensor(a.dims + b.dims, lambda *i: a.entry(*i[: a.rank]) * b.entry(*i[a.rank :]))


def _row(x: Tensor, i: Sequence[Any], f: Callable[[Any], Any]) -> Any:
    """The sum of f over the last axis."""
    k = fresh_index()
    return total(f(x.entry(*i[:-1], k)), k, ONE, x.dims[-1])


def _vector(x: Tensor, name: str) -> None:
    if not x.rank:
        raise Misfit(f"{name} needs a vector, and was given a number")


def softmax(x: Tensor) -> Tensor:
    """exp(x) / sum(exp(x)) over the last axis."""
    _vector(x, "softmax")
    return Tensor(x.dims, lambda *i: sp.exp(x.entry(*i)) / _row(x, i, sp.exp))


def logsumexp(x: Tensor) -> Tensor:
    """log(sum(exp(x))) over all entries."""
    _vector(x, "logsumexp")
    return number(sp.log(reduce_sum(elementwise(sp.exp, x)).scalar))


def log_softmax(x: Tensor) -> Tensor:
    """x - logsumexp(x) over the last axis."""
    _vector(x, "log_softmax")
    return Tensor(x.dims, lambda *i: x.entry(*i) - sp.log(_row(x, i, sp.exp)))


def norm(x: Tensor) -> Tensor:
    """The Euclidean norm of all entries."""
    return number(sp.sqrt(reduce_sum(elementwise(lambda v: v**2, x)).scalar))


def trace(x: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if x.rank != 2 or x.dims[0] != x.dims[1]:
        raise Misfit(f"a trace needs a square matrix, and was given {x}")
    i = fresh_index()
    return number(total(x.entry(i, i), i, ONE, x.dims[0]))


STRUCTURAL: dict[str, Callable[..., Tensor]] = {
    "sum": reduce_sum, "mean": mean, "T": transpose, "transpose": transpose, "matmul": matmul, "dot": matmul, "outer": outer,
    "softmax": softmax, "log_softmax": log_softmax, "logsumexp": logsumexp, "norm": norm, "trace": trace,
}  # fmt: skip
