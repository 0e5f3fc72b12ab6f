"""The vocabulary of statements: operators, comparisons, and where functions are defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ir.relation import NONNEGATIVE, NONZERO, POSITIVE, ZERO, Relation
from ...ops import arithmetic as ar
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import trigonometric as tg
from ..algebra.meaning import SHOWN
from ..algebra.untyped import sp

NUMBERS = {"pi": sp.pi, "π": sp.pi, "e": sp.E}
RELATIONS = {
    ">": (POSITIVE, 1), "<": (POSITIVE, -1), ">=": (NONNEGATIVE, 1), "≥": (NONNEGATIVE, 1), "<=": (NONNEGATIVE, -1), "≤": (NONNEGATIVE, -1),
    "==": (ZERO, 1), "!=": (NONZERO, 1), "≠": (NONZERO, 1),
}  # fmt: skip
OPERATORS: dict[str, Callable[..., Any]] = {
    "negative": lambda a: -a, "positive": lambda a: a, "dotted": lambda a, b: a * b, "abs": sp.Abs, "indicator": lambda c: c,
}  # fmt: skip
CHAINS = (("add", "subtract"), ("multiply", "divide"))
COSTLY = ("gammaln", "digamma", "polygamma", "lgamma", "loggamma")  # of whole numbers, SymPy writes factorials out
ABOVE = ((lambda u: u, POSITIVE),)
DOMAINS: dict[Any, Sequence[tuple[Callable[..., Any], Relation]]] = {
    ex.log: ABOVE, ex.log2: ABOVE, ex.log10: ABOVE, ex.log1p: ((lambda u: 1 + u, POSITIVE),), ex.sqrt: ((lambda u: u, NONNEGATIVE),),
    ar.reciprocal: ((lambda u: u, NONZERO),), tg.tan: ((sp.cos, NONZERO),), tg.arcsin: ((lambda u: 1 - u**2, NONNEGATIVE),),
    tg.arccos: ((lambda u: 1 - u**2, NONNEGATIVE),), tg.arctanh: ((lambda u: 1 - u**2, POSITIVE),), tg.arccosh: ((lambda u: u - 1, NONNEGATIVE),),
}  # fmt: skip
INDEX_COMPARE: dict[str, Callable[..., Any]] = {"==": lambda d: d, "!=": lambda d: 1 - d, "≠": lambda d: 1 - d}
COMPARE: dict[str, Callable[..., Any]] = {
    ">": SHOWN[pw.greater], ">=": SHOWN[pw.greater_equal], "≥": SHOWN[pw.greater_equal], "<": SHOWN[pw.less], "<=": SHOWN[pw.less_equal],
    "≤": SHOWN[pw.less_equal], "==": SHOWN[pw.equal], "!=": SHOWN[pw.not_equal], "≠": SHOWN[pw.not_equal],
}  # fmt: skip
