"""Expectations in normal form: linear, and with symmetric variables replaced by their even parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .index_notation import Expectation
from .meaning import opened, sign
from .untyped import sp

if TYPE_CHECKING:
    from .normal import Normal


def expectation_of(normal: Normal, u: Any) -> Any:
    """Linear in its argument; for a symmetric variable the mean with its mirror image is taken first."""
    e = opened(u)
    random = [s for s in varying(e) if s.is_Symbol and s.name in normal.given.random]
    if (
        len(random) == 1 and random[0].name in normal.given.symmetric
    ):  # with others, which it may depend on, its sign is not free
        e = _even_part(normal, e, random[0])
    terms, denominator = normal.monomials(normal.rational(e))
    if any(_random(normal, a) for a in denominator.free_symbols):
        inner = normal.written(normal.inner(e))
        return normal.atom("expectation", inner, Expectation(inner))
    made: Any = sp.Integer(0)
    for c, powers in terms:
        inside = {a: n for a, n in powers.items() if _random(normal, a)}
        outside = sp.Mul(*(a**n for a, n in powers.items() if a not in inside))
        made += c * outside * _mean(normal, inside)
    return made / denominator


def _mean(normal: Normal, powers: dict[Any, int]) -> Any:
    """The expectation of a product of atoms; that of a sum is the sum of the expectations."""
    if not powers:
        return sp.Integer(1)
    sums = [a for a in powers if normal.kinds.get(a) == "sum"]
    if len(sums) == 1 and powers[sums[0]] == 1:
        e = normal.meaning[sums[0]]
        rest = normal.written(sp.Mul(*(a**n for a, n in powers.items() if a is not sums[0])))
        return normal.rational(sp.Sum(Expectation(rest * e.function), *e.limits))
    written = normal.written(sp.Mul(*(a**n for a, n in powers.items())))
    return normal.atom("expectation", written, Expectation(written))


def varying(e: Any) -> set[Any]:
    """The free symbols of an expression, without those that stand only inside an expectation."""
    means = e.atoms(Expectation)
    return (e.xreplace(dict.fromkeys(means, sp.Integer(1))) if means else e).free_symbols


def _random(normal: Normal, a: Any) -> bool:
    return any(s.is_Symbol and s.name in normal.given.random for s in varying(normal.written(a)))


def _even_part(normal: Normal, e: Any, a: Any) -> Any:
    """The mean of e(a) and e(-a), as a function of |a|: what holds for a > 0, where it holds at 0 as well."""
    even = (e + e.xreplace({a: -a})) / 2
    inner = type(normal)(
        replace(normal.given, signs={**normal.given.signs, a: 1}, symmetric=frozenset(), random=frozenset())
    )
    above = inner.canonical(even)
    poly = above.as_poly(a) if not inner.undetermined and not above.has(Expectation) else None
    if poly is None or poly.free_symbols_in_domain & {a}:
        return even
    at_zero = type(normal)(replace(normal.given, random=frozenset()))
    if at_zero.fraction(opened(even.xreplace({a: sp.Integer(0)})) - above.xreplace({a: sp.Integer(0)}))[0] != 0:
        return even
    return sp.Add(*(c * a**k * (1 if k % 2 == 0 else sign(a)) for (k,), c in poly.terms()))
