"""Facts that make a factor zero: exactly (`z1 <= 0`, `b2 = 0`), or only in the limit (a saturated sigmoid)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...ir.op import Op
from ...ir.relation import NONPOSITIVE, NONZERO, POSITIVE, ZERO, Relation
from .declared import OPERATIONS
from .meaning import at_zero, opened, step
from .normal import Normal
from .printing import latex, text
from .untyped import Undecided, sp

BOTH_WAYS = (ZERO, NONZERO)  # hold of -e where they hold of e


@dataclass(frozen=True, repr=False)
class Fact:
    """Something about values that makes a gradient vanish.

    Attributes:
        expression: what it is about.
        relation: its relation to zero, or for a limit the infinity that it goes to.
        value: for a limit, what is approached, as text: `a2 = 1`.
    """

    expression: Any
    relation: Relation | float
    value: str = ""

    @property
    def exact(self) -> bool:
        return isinstance(self.relation, Relation)

    def __str__(self) -> str:
        if not isinstance(self.relation, Relation):
            return f"{self.value} (only in the limit {text(self.expression)} → {'∞' if self.relation > 0 else '-∞'})"
        left, right = self._sides()
        return f"{left} {self.relation.sign} {right}"

    __repr__ = __str__

    def latex(self) -> str:
        """The fact as LaTeX."""
        if not isinstance(self.relation, Relation):
            return rf"{latex(self.expression)} \to {'' if self.relation > 0 else '-'}\infty"
        return f"{latex(self.expression)} {self.relation.latex} 0"

    def _sides(self) -> tuple[str, str]:
        """z = 1 instead of z - 1 = 0."""
        e = self.expression
        constant, rest = e.as_coeff_Add()
        if constant != 0 and rest.is_Symbol:
            return text(rest), text(-constant)
        if constant != 0 and (-rest).is_Symbol and self.relation in BOTH_WAYS:
            return text(-rest), text(constant)
        if (
            e.is_Add
            and len(e.args) == 2
            and any(a.could_extract_minus_sign() for a in e.args)
            and self.relation in BOTH_WAYS
        ):
            minus = next(a for a in e.args if a.could_extract_minus_sign())
            return text(e - minus), text(-minus)
        return text(e), "0"


def facts_of(factor: Any, made_by: Mapping[Any, tuple[Op, Any]]) -> list[Fact]:
    """The facts, each of which makes a local factor zero.

    Args:
        made_by: for symbols of values, the operation that makes them and the expression of its input.
    """
    found: dict[Fact, None] = {}
    numerator, _ = sp.fraction(sp.factor(sp.together(factor)))
    for part in sp.Mul.make_args(sp.factor(numerator)):
        base, power = part.as_base_exp()
        if base.is_number or (power.is_number and power.is_negative):
            continue
        found |= dict.fromkeys(_zeros(base, made_by))
    return list(found)


def _zeros(e: Any, made_by: Mapping[Any, tuple[Op, Any]]) -> list[Fact]:
    if isinstance(e, sp.exp):
        return [Fact(e.args[0], -math.inf, f"{text(e)} = 0")]
    indicators = list(e.atoms(step, at_zero))
    if len(indicators) == 1 and e.subs(indicators[0], sp.Symbol("i")).free_symbols == {sp.Symbol("i")}:
        return _indicated(e, indicators[0])
    if e in made_by and (relation := made_by[e][0].zero):
        return [Fact(made_by[e][1], relation)]
    bounded = _bounded(e, made_by)
    if bounded is not None:
        return bounded
    try:
        normal = Normal()
        if normal.is_positive(normal.fraction(e)[0]) or normal.is_positive(normal.fraction(-e)[0]):
            return []
    except Undecided:
        pass
    return [Fact(-e if e.could_extract_minus_sign() else e, ZERO)]


def _indicated(e: Any, indicator: Any) -> list[Fact]:
    """The value of an indicator at which the factor is zero."""
    u = indicator.args[0]
    words = (NONPOSITIVE, POSITIVE) if isinstance(indicator, step) else (NONZERO, ZERO)
    return [Fact(u, word) for value, word in zip((0, 1), words, strict=True) if e.subs(indicator, value) == 0]


def _bounded(e: Any, made_by: Mapping[Any, tuple[Op, Any]]) -> list[Fact] | None:
    """Where the factor is linear in one value whose range is known: reached, approached, or never."""
    candidates = [(s, *made_by[s]) for s in e.free_symbols if s in made_by]
    functions = [f for f in e.atoms(sp.Function) if f.func.__name__ in OPERATIONS and len(f.args) == 1]
    candidates += [(f, OPERATIONS[f.func.__name__], f.args[0]) for f in functions]
    for value, op, inner in candidates:
        held = sp.Symbol("held")
        replaced = e.subs(value, held)
        if replaced.free_symbols != {held} or sp.degree(replaced, held) != 1:
            continue
        root = -replaced.subs(held, 0) / sp.diff(replaced, held)
        low, high = op.range
        if float(root) in op.limits:
            return [Fact(inner, op.limits[float(root)], f"{text(value)} = {text(root)}")]
        if not low <= float(root) <= high:
            return []
        return [
            Fact(opened(value) - root if value.is_Function and value.func.__name__ == "Abs" else value - root, ZERO)
        ]
    return None
