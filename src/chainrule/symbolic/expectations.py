"""Expectations in normal form: linear, and with symmetric variables replaced by their even parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .algebra import sp
from .meaning import opened, sign
from .tensors import Expectation

if TYPE_CHECKING:
    from .normal import Normal


def expectation_of(normal: Normal, u: Any) -> Any:
    """Linear in its argument; for a symmetric variable the mean with its mirror image is taken first."""
    e = opened(u)
    random = [s for s in e.free_symbols if s.name in normal.random]
    if len(random) == 1 and random[0].name in normal.even:  # with others, which it may depend on, its sign is not free
        e = _even_part(normal, e, random[0])
    terms, denominator = normal.monomials(normal.rational(e))
    if any(_random(normal, a) for a in denominator.free_symbols):
        return normal.atom("expectation", normal.written(normal.inner(e)), Expectation(normal.written(normal.inner(e))))
    made: Any = sp.Integer(0)
    for c, powers in terms:
        inside = sp.Mul(*(a**n for a, n in powers.items() if _random(normal, a)))
        outside = sp.Mul(*(a**n for a, n in powers.items() if not _random(normal, a)))
        written = normal.written(inside)
        made += c * outside * (1 if inside == 1 else normal.atom("expectation", written, Expectation(written)))
    return made / denominator


def _random(normal: Normal, a: Any) -> bool:
    return any(s.name in normal.random for s in normal.written(a).free_symbols)


def _even_part(normal: Normal, e: Any, a: Any) -> Any:
    """The mean of e(a) and e(-a), as a function of |a|: what holds for a > 0, where it holds at 0 as well."""
    even = (e + e.subs(a, -a)) / 2
    inner = type(normal)({**normal.signs, a: 1}, normal.positive_names, normal.unequal)
    above = inner.canonical(even)
    at = sp.simplify(opened(even.subs(a, 0)) - above.subs(a, 0))
    poly = above.as_poly(a) if not inner.undetermined else None
    if at != 0 or poly is None or poly.free_symbols_in_domain & {a}:
        return even
    return sp.Add(*(c * a**k * (1 if k % 2 == 0 else sign(a)) for (k,), c in poly.terms()))
