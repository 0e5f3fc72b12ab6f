"""Conditions on parameters: comparisons read from text, with increasing functions taken off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.relation import NONZERO, ZERO, Relation
from ...trace.formula import pointed, syntax_tree
from ..algebra import index_notation as tn
from ..algebra.interval import certain, enclosure
from ..algebra.untyped import sp
from .context import Context
from .statements import EQUATION, GRAMMAR, Reader

# Increasing functions: name -> the inverse, and the open range.
INCREASING: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "sigma": (lambda c: sp.log(c / (1 - c)), sp.Integer(0), sp.Integer(1)),
    "tanh": (sp.atanh, sp.Integer(-1), sp.Integer(1)),
    "exp": (sp.log, sp.Integer(0), sp.oo),
    "log": (sp.exp, -sp.oo, sp.oo),
}


def read_comparison(condition: str, context: Context) -> tuple[Any, Relation]:
    """A condition as an expression that is to be > 0, >= 0 or = 0."""
    rule = "equation" if isinstance(condition, str) and EQUATION.search(condition) else "condition"
    tree = syntax_tree(condition, GRAMMAR, rule)
    reader = Reader(condition, context)
    sides = [c for c in tree.children if hasattr(c, "children")]
    if rule == "equation":
        left, right = (reader.value(s) for s in sides)
        made = tn.elementwise(lambda a, b: a - b, left, right), ZERO
    else:
        made = reader.comparison(sides[0])
    if made is None or made[1] is NONZERO or made[0].rank:
        raise pointed(condition, len(condition), "this is no condition", 'write a comparison, as "a + b > 1"')
    return made[0].scalar, made[1]


def peeled(e: Any, relation: Relation) -> tuple[Any, Relation]:
    """An increasing function taken off: sigma(u) > 1/2 says u > 0."""
    for _ in range(5):
        functions = [f for f in e.atoms(sp.Function) if f.func.__name__ in INCREASING and f.free_symbols]
        outer = next(
            (
                f
                for f in functions
                if sp.expand(e).coeff(f) != 0 and not (sp.expand(e) - sp.expand(e).coeff(f) * f).free_symbols
            ),
            None,
        )
        if outer is None:
            return sp.expand(e), relation
        a = sp.expand(e).coeff(outer)
        if not a.is_number:
            return sp.expand(e), relation
        level = -(sp.expand(e) - a * outer) / a
        inverse, low, high = INCREASING[outer.func.__name__]
        if level <= low or level >= high:
            outside = sp.Integer(1) if (level <= low) == (a > 0) else sp.Integer(-1)
            return (outside if relation is not ZERO else sp.Integer(1)), relation
        e = sp.sign(a) * (outer.args[0] - inverse(level)) if relation is not ZERO else outer.args[0] - inverse(level)
    return sp.expand(e), relation


def holds(e: Any, relation: Relation) -> bool:
    """Whether a condition without parameters holds."""
    v = enclosure(e, {})
    return e == 0 if relation is ZERO else certain(v, relation)
