"""What is known of the sign of a polynomial in atoms without looking at cases: a sum of terms of which none is negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .indices import Binder, fresh_index
from .untyped import sp

if TYPE_CHECKING:
    from .normal import Normal


def least_sign(normal: Normal, p: Any) -> int:
    """1 where a polynomial is known to be positive, 0 where to be not negative, -1 where nothing is known."""
    found = [_sign_of_term(normal, t) for t in sp.Add.make_args(sp.expand(p))]
    return -1 if min(found) < 0 else max(found)


def _sign_of_term(normal: Normal, term: Any) -> int:
    c, factors = term.as_coeff_mul()
    if not (c.is_Rational and c >= 0):
        return -1
    least = int(bool(c > 0))
    for f in factors:
        base, power = f.as_base_exp()
        here = _sign_of_atom(normal, base)
        if here < 0 and power.is_Integer and power.is_even and normal.kinds.get(base) != "complex" and base is not sp.I:
            here = 0
        if here < 0:
            return -1
        least = min(least, here)
    return least


def _sign_of_atom(normal: Normal, a: Any) -> int:
    kind, meaning = normal.kinds.get(a), normal.meaning.get(a, a)
    if kind in ("exp", "pi", "positive"):
        return 1
    if kind == "root":
        return max(least_sign(normal, normal.relations[a][1]), 0)
    if kind in ("sum", "range"):
        return _sign_of_sum(normal, meaning)
    if kind == "count":
        return 0
    if kind == "variable" and meaning.base.label.name in normal.given.positive:
        return 1
    if kind in (None, "variable"):
        known = normal.given.sign(normal.written(a))
        if known is not None:
            return known if known >= 0 else -1
    if kind is None and a.is_integer:
        return 1 if normal.ranges.nonnegative(a - 1) else 0 if normal.ranges.nonnegative(a) else -1
    return 1 if a.is_positive or (a.is_Symbol and a.name in normal.given.positive and kind is None) else -1


def _sign_of_sum(normal: Normal, e: Any) -> int:
    new = {i: fresh_index() for i, _, _ in e.limits}
    binders = [Binder(new[i], low.xreplace(new), high.xreplace(new)) for i, low, high in e.limits]
    for b in binders:
        normal.ranges.bind(b)
    found = least_sign(normal, normal.rational(e.function.xreplace(new)))
    some = all(normal.ranges.nonnegative(sp.expand(b.high - b.low)) for b in binders)
    return found if some else min(found, 0)
