"""What the names and signs of formulas mean: by entry, as NumPy does it, wherever mathematics has no other meaning."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.recording import Handle
from ..ops import REGISTRY, by_name
from ..ops import arithmetic as ar
from ..ops import exponential as ex
from ..ops import linalg as la
from ..ops import piecewise as pw
from ..ops.kinds import Elementwise, Op
from . import functions as fn
from .handles import from_nested, plain

CONSTANTS = {"pi": np.pi, "π": np.pi, "e": np.e}
COMPARISONS = {
    ">": pw.greater, ">=": pw.greater_equal, "≥": pw.greater_equal, "<": pw.less, "<=": pw.less_equal, "≤": pw.less_equal,
    "==": pw.equal, "!=": pw.not_equal, "≠": pw.not_equal,
}  # fmt: skip


def _extreme(reduce: Any, pairwise: Any) -> Any:
    def function(*args: Any, **options: Any) -> Any:
        if len(args) > 1 and options:
            raise InputError("options are for one array", "write max(x, axis=0), or max(x, y)")
        return reduce(args[0], **options) if len(args) == 1 else functools.reduce(pairwise, args)

    return function


def _inverse(x: Any) -> Any:
    """inv(x) of a number."""
    if np.ndim(x):
        raise ShapeError(
            "inv of an array", "write 1/x for the reciprocal of each entry; formulas have no inverse of a matrix"
        )
    return ar.divide(1, x)


def _norm(x: Any, **options: Any) -> Any:
    """norm(x): of a number its absolute value."""
    return fn.norm(x, **options) if np.ndim(x) or options else pw.absolute(x)


FUNCTIONS: dict[str, Any] = {
    "max": _extreme(fn.max_, pw.maximum),
    "min": _extreme(fn.min_, pw.minimum),
    "softmax": fn.softmax,
    "log_softmax": fn.log_softmax,
    "logsumexp": fn.logsumexp,
    "norm": _norm,
    "T": fn.transpose,
    "inv": _inverse,
}
SPELLED = {  # what other notations call by these names
    "lg": "log10(x), or log2(x)", "lb": "log2(x)", "log_2": "log2(x)", "log_10": "log10(x)", "log_e": "log(x)", "Log": "log(x)",
    "sgn": "sign(x)", "tr": "trace(X)", "tg": "tan(x)", "arctg": "arctan(x)", "cot": "1/tan(x)", "sec": "1/cos(x)", "csc": "1/sin(x)",
    "det": "the determinant in a Python function", "Σ": "sum(x)", "Π": "prod(x)", "gamma": "exp(gammaln(x))", "Γ": "exp(gammaln(x))", "Φ": "(1 + erf(x/sqrt(2)))/2",
    "int": "floor(x), trunc(x)", "len": "sum(ones_like(x))", "if": "where(x > 0, a, b)",
}  # fmt: skip


def function_named(name: str) -> Any:
    """What a formula calls by `name`: an operation, an alias of one, or a NumPy function; None if unknown."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    of_numpy = getattr(np, name, None) if name.isascii() else None
    version = fn.FUNCTIONS.get(of_numpy) if callable(of_numpy) else None
    return version or by_name(name)


def closest(name: str) -> str:
    """The known function whose name is nearest, as a question."""
    known = [*FUNCTIONS, *(n for op in REGISTRY.values() if op.public for n in (op.name, *op.aliases))]
    import difflib  # only for messages

    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else "use a declared operation, such as exp, tanh, sigma, max"


ANY = 1_000
_COUNTS = {"clip": (3, 3), "where": (3, 3), "round": (1, 2), "max": (1, ANY), "min": (1, ANY), "concatenate": (1, 1)}


@functools.cache
def arguments(name: str) -> tuple[int, int]:
    """How many arguments a known function takes at least and at most, without its options."""
    function = function_named(name)
    if name in _COUNTS:
        return _COUNTS[name]
    if isinstance(function, Elementwise):
        return len(function.partials), len(function.partials)
    if isinstance(function, Op):
        count = getattr(function, "inputs", None)
        return (count, count) if isinstance(count, int) else _needed(function.value)
    return _needed(function if name in FUNCTIONS else getattr(np, name))


def _needed(f: Any) -> tuple[int, int]:
    try:
        found = list(inspect.signature(f).parameters.values())
    except ValueError:  # NumPy does not say
        return 1, ANY
    if any(p.kind is p.VAR_POSITIONAL for p in found):
        return 1, ANY
    count = sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in found)
    return count, count


# ---- what the signs mean -------------------------------------------------------------------------------------------


def _power(x: Any, y: Any) -> Any:
    """x^y by entry, among the real numbers: NaN where Python goes over to the complex ones."""
    if isinstance(x, Handle) or isinstance(y, Handle):
        return ex.power(x, y)
    made = np.power(np.asarray(x, float) if np.asarray(x).dtype.kind in "iub" else x, y)
    return float(made) if type(x) in (int, float) and type(y) in (int, float) else made


def negative_power(x: Any, y: Any) -> Any:
    """x^-n by entry; of a matrix it would be its inverse."""
    if np.ndim(x) > 1:
        raise ShapeError(
            f"the power {plain(y)} of a matrix", "write 1/A for the reciprocal of each entry; formulas have no inverse"
        )
    return _power(x, y)


def _dotted(x: Any, y: Any) -> Any:
    """x·y, x×y: the product of numbers, and of a number and an array."""
    if np.ndim(x) and np.ndim(y):
        raise ShapeError("· or × of two arrays", "write x*y by entry, x @ y for the inner product, cross(x, y)")
    return ar.multiply(x, y)


def _matmul(x: Any, y: Any) -> Any:
    """x @ y, of vectors and matrices."""
    if not np.ndim(x) or not np.ndim(y):
        raise ShapeError("@ is a product of vectors and matrices; this is a number", "write *")
    return la.matmul(x, y)


def matmul_transposed(x: Any, y: Any) -> Any:
    """x @ y.T, which of two vectors would be their outer product."""
    if np.ndim(y) == 1:
        raise ShapeError("a vector transposed is the same vector", "write outer(x, y), or x @ y for the inner product")
    return _matmul(x, y)


def _absolute(x: Any) -> Any:
    """|x| by entry; of a matrix it would be its determinant."""
    if np.ndim(x) > 1:
        raise ShapeError("|A| of a matrix", "write abs(A) for the absolute value of each entry, norm(A) for the norm")
    return pw.absolute(x)


def entry_of(x: Any, index: Any) -> Any:
    """x[0], x[1:3]."""
    if not np.ndim(x):
        raise ShapeError("a number has no entries", "give an array, or declare its shape: x=3")
    return x[index]


def _vector(*items: Any) -> Any:
    """[x, y, 1]: an array of real numbers."""
    made = from_nested(list(items))
    return made if isinstance(made, Handle) or made.dtype.kind not in "iu" else made.astype(float)


SIGNS: dict[str, Any] = {
    "add": ar.add, "subtract": ar.subtract, "multiply": ar.multiply, "divide": ar.divide, "matmul": _matmul, "dotted": _dotted,
    "negative": ar.negative, "positive": ar.positive, "power": _power, "abs": _absolute, "indicator": pw.indicator,
    "transpose": fn.transpose, "vector": _vector,
}  # fmt: skip
