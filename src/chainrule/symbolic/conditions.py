"""What must hold for a statement to have a meaning: said once, simply, and only where it does not hold anyway."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from .algebra import Undecided, sp
from .decide import Assumptions
from .meaning import at_zero, opened, step
from .normal import Normal
from .printing import text
from .tensors import is_named


def conditions_of(
    domain: Sequence[tuple[Any, str]],
    assumptions: Assumptions,
    kinks: Collection[Any],
    given: Collection[tuple[Any, str]],
) -> list[str]:
    """The conditions of meaning that are not implied by others, as text.

    Args:
        domain: expressions as they were read, with "> 0", ">= 0" or "!= 0".
        kinks: where a derivative does not exist.
        given: what was assumed, and need not be said.
    """
    domain = [(e, what) for e, what in domain if is_named(e)]
    named = {e.name for e, what in domain if e.is_Symbol and what == "> 0"}
    normal = replace(assumptions, signs={}, positive=assumptions.positive | frozenset(named)).normal()
    simple = [c for e, what in domain for c in _simple(e, what, normal)]
    above = {sp.expand(p) for p, what in [*simple, *given] if what == "> 0"}
    kept: list[str] = []
    for p, what in simple:
        implied = what != "> 0" and bool({sp.expand(p), sp.expand(-p) if what == "!= 0" else p} & above)
        said = f"{text(p)} {what}"
        if not implied and (p, what) not in given and said not in kept:
            kept.append(said)
    return [*kept, *(f"{text(k)} != 0 (a kink)" for k in kinks if f"{text(k)} != 0" not in kept)]


def _simple(e: Any, what: str, normal: Normal) -> list[tuple[Any, str]]:
    """A condition as conditions on irreducible factors; none where it always holds."""
    if e.is_Symbol:
        return [] if e.is_positive else [(e, what)]
    o = opened(e)
    try:
        numerator, denominator = normal.fraction(o)
        if normal.is_positive(numerator) and normal.is_positive(denominator):
            return []
        if o.has(step, at_zero, sp.sin, sp.cos):
            return [(e, what)]
        if what == "!= 0":
            factors = [
                p for p, _ in sp.factor_list(numerator)[1] if not normal.is_positive(p) and not normal.is_positive(-p)
            ]
            return [(normal.written(p), what) for p in factors]
        return [(normal.written(sp.factor(numerator / denominator)), what)]
    except Undecided:
        return [(e, what)]
