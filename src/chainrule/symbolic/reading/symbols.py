"""The vocabulary of statements: operators, comparisons, and where functions are defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
DOMAINS: dict[str, Sequence[tuple[Callable[..., Any], str]]] = {
    "log": POSITIVE, "log2": POSITIVE, "log10": POSITIVE, "log1p": ((lambda u: 1 + u, "> 0"),), "sqrt": ((lambda u: u, ">= 0"),),
    "reciprocal": ((lambda u: u, "!= 0"),), "tan": ((sp.cos, "!= 0"),), "arcsin": ((lambda u: 1 - u**2, ">= 0"),),
    "arccos": ((lambda u: 1 - u**2, ">= 0"),), "arctanh": ((lambda u: 1 - u**2, "> 0"),), "arccosh": ((lambda u: u - 1, ">= 0"),),
}  # fmt: skip
INDEX_COMPARE: dict[str, Callable[..., Any]] = {"==": lambda d: d, "!=": lambda d: 1 - d, "≠": lambda d: 1 - d}
COMPARE: dict[str, Callable[..., Any]] = {
    ">": SHOWN["greater"], ">=": SHOWN["greater_equal"], "≥": SHOWN["greater_equal"], "<": SHOWN["less"], "<=": SHOWN["less_equal"],
    "≤": SHOWN["less_equal"], "==": SHOWN["equal"], "!=": SHOWN["not_equal"], "≠": SHOWN["not_equal"],
}  # fmt: skip
