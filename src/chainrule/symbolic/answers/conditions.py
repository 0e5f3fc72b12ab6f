"""What must hold for a statement to have a meaning: said once, simply, and only where it does not hold anyway."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from ...ir.relation import NONNEGATIVE, NONZERO, POSITIVE, Relation
from ..algebra.assumptions import Assumptions
from ..algebra.budget import TooLarge
from ..algebra.indices import Binder, Pattern
from ..algebra.meaning import at_zero, opened, step
from ..algebra.normal import Normal
from ..algebra.printing import names_of, text
from ..algebra.untyped import Undecided, sp

Condition = tuple[Pattern, Relation]


def conditions_of(
    domain: Sequence[Condition],
    assumptions: Assumptions,
    kinks: Sequence[Pattern],
    given: Collection[Condition],
    required: Sequence[Any],
) -> list[str]:
    """The conditions of meaning that are not implied by others, as text.

    Args:
        domain: expressions as they were read, with their relation to zero.
        kinks: where a derivative does not exist.
        given: what was assumed, and need not be said.
        required: what sizes must satisfy: >= 0.
    """
    named = {p.expression.name for p, what in domain if p.expression.is_Symbol and what is POSITIVE}
    ranges = assumptions.ranges.copy()
    for p, _ in domain:
        for b in p.binders:
            ranges.bind(b)
    normal = Normal(replace(assumptions, signs={}, positive=assumptions.positive | named, ranges=ranges))
    simple = [(Pattern(c, p.binders), w) for p, what in domain for c, w in _simple(p.expression, what, normal)]
    above = {sp.expand(p.expression) for p, what in [*simple, *given] if what is POSITIVE}
    assumed = {said(p, what) for p, what in given}
    kept: list[str] = []
    for p, what in simple:
        e = p.expression
        implied = what is not POSITIVE and bool({sp.expand(e), sp.expand(-e) if what is NONZERO else e} & above)
        condition = said(p, what)
        if not implied and condition not in assumed and condition not in kept:
            kept.append(condition)
    least = {e.as_coeff_Add()[1]: e.as_coeff_Add()[0] for e in sorted(required, key=lambda e: -e.as_coeff_Add()[0])}
    kept += [f"{text(n)} >= {-below}" for n, below in least.items()]
    for k in kinks:
        condition = said(_oriented(k), NONZERO)
        if condition not in kept and condition not in assumed and f"{condition} (a kink)" not in kept:
            kept.append(f"{condition} (a kink)")
    return kept


def _oriented(k: Pattern) -> Pattern:
    return Pattern(-k.expression, k.binders) if k.expression.could_extract_minus_sign() else k


def said(p: Pattern, what: Relation) -> str:
    """A condition in words; where it speaks of entries, for which of them: `f[i] != 0 for i=1..n`."""
    names = names_of(p.expression, [b.index for b in p.binders])
    used = [b for b in p.binders if b.index in p.expression.free_symbols]
    ends = ", ".join(_range(b, names) for b in used)
    return f"{text(p.expression.xreplace(names))} {what}" + (f" for {ends}" if ends else "")


def _range(b: Binder, names: dict[Any, Any]) -> str:
    low, high = (text(e.xreplace(names)) for e in (b.low, b.high))
    return f"{names.get(b.index, b.index)}={low}..{high}"


def _simple(e: Any, what: Relation, normal: Normal) -> list[tuple[Any, Relation]]:
    """A condition as conditions on irreducible factors; none where it always holds."""
    if e.is_Symbol:
        return [] if e.is_positive else [(e, what)]
    o = opened(e)
    try:
        numerator, denominator = normal.fraction(o)
        if normal.is_positive(denominator) and normal.least_sign(numerator) >= (what is not NONNEGATIVE):
            return []
        if o.has(step, at_zero, sp.sin, sp.cos):
            return [(e, what)]
        if what is POSITIVE and normal.least_sign(numerator) == 0 and normal.is_positive(denominator):
            what = NONZERO
        if what is NONZERO:
            factors = [
                p for p, _ in sp.factor_list(numerator)[1] if not normal.is_positive(p) and not normal.is_positive(-p)
            ]
            return [(normal.written(p), what) for p in factors]
        return [(normal.written(sp.factor(numerator / denominator)), what)]
    except (Undecided, TooLarge):
        return [(e, what)]
