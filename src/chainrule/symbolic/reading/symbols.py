"""The vocabulary of statements: operators, comparisons, and where functions are defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ops import arithmetic as ar
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import trigonometric as tg
from ..algebra.meaning import SHOWN
from ..algebra.untyped import sp

NUMBERS = {"pi": sp.pi, "π": sp.pi, "e": sp.E}
RELATIONS = {
    ">": ("> 0", 1), "<": ("> 0", -1), ">=": (">= 0", 1), "≥": (">= 0", 1), "<=": (">= 0", -1), "≤": (">= 0", -1),
    "==": ("= 0", 1), "!=": ("!= 0", 1), "≠": ("!= 0", 1),
}  # fmt: skip
OPERATORS: dict[str, Callable[..., Any]] = {
    "negative": lambda a: -a, "positive": lambda a: a, "dotted": lambda a, b: a * b, "abs": sp.Abs, "indicator": lambda c: c,
}  # fmt: skip
CHAINS = (("add", "subtract"), ("multiply", "divide"))
COSTLY = ("gammaln", "digamma", "polygamma", "lgamma", "loggamma")  # of whole numbers, SymPy writes factorials out
POSITIVE = ((lambda u: u, "> 0"),)
DOMAINS: dict[Any, Sequence[tuple[Callable[..., Any], str]]] = {
    ex.log: POSITIVE, ex.log2: POSITIVE, ex.log10: POSITIVE, ex.log1p: ((lambda u: 1 + u, "> 0"),), ex.sqrt: ((lambda u: u, ">= 0"),),
    ar.reciprocal: ((lambda u: u, "!= 0"),), tg.tan: ((sp.cos, "!= 0"),), tg.arcsin: ((lambda u: 1 - u**2, ">= 0"),),
    tg.arccos: ((lambda u: 1 - u**2, ">= 0"),), tg.arctanh: ((lambda u: 1 - u**2, "> 0"),), tg.arccosh: ((lambda u: u - 1, ">= 0"),),
}  # fmt: skip
INDEX_COMPARE: dict[str, Callable[..., Any]] = {"==": lambda d: d, "!=": lambda d: 1 - d, "≠": lambda d: 1 - d}
COMPARE: dict[str, Callable[..., Any]] = {
    ">": SHOWN[pw.greater], ">=": SHOWN[pw.greater_equal], "≥": SHOWN[pw.greater_equal], "<": SHOWN[pw.less], "<=": SHOWN[pw.less_equal],
    "≤": SHOWN[pw.less_equal], "==": SHOWN[pw.equal], "!=": SHOWN[pw.not_equal], "≠": SHOWN[pw.not_equal],
}  # fmt: skip
