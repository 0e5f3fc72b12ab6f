"""How long an expression is when it is written out as a fraction of polynomials, estimated before it is."""

from __future__ import annotations

from typing import Any

from .budget import MOST_TERMS, TooLarge

MOST_DEGREE = 200


def spend(e: Any) -> None:
    """Refuse an expression that would be too long when it is written out, before it is."""
    terms, degree, below = _estimate(e)
    for p, k in below.items():
        more, high, _ = _estimate(p)
        terms, degree = max(terms, _multichoose(more, k)), max(degree, high * k)
    if terms > MOST_TERMS:
        raise TooLarge(
            f"a polynomial with about {terms:,} terms" if terms < 10**9 else "a polynomial with very many terms"
        )
    if degree > MOST_DEGREE:
        raise TooLarge(f"a polynomial of degree {degree:,}")


def _estimate(e: Any) -> tuple[int, int, dict[Any, int]]:
    """Bounds on the number of terms and on the degree of the numerator, and the powers in the denominator."""
    if e.is_Add:
        parts = [_estimate(a) for a in e.args]
        below: dict[Any, int] = {}
        for _, _, b in parts:
            below |= {p: max(k, below.get(p, 0)) for p, k in b.items()}
        terms, degree = 0, 0
        for t, g, b in parts:
            for p, k in below.items():
                more, high, _ = _estimate(p)
                t, g = t * _multichoose(more, k - b.get(p, 0)), g + high * (k - b.get(p, 0))
            terms, degree = terms + t, max(degree, g)
        return min(terms, 10**12), degree, below
    if e.is_Mul:
        terms, degree, below = 1, 0, dict[Any, int]()
        for t, g, b in map(_estimate, e.args):
            terms, degree = min(terms * t, 10**12), degree + g
            below |= {p: k + below.get(p, 0) for p, k in b.items()}
        return terms, degree, below
    if e.is_Pow and e.exp.is_Integer:
        n = abs(int(e.exp))
        if e.exp < 0:
            return 1, 0, {e.base: n}
        t, g, b = _estimate(e.base)
        return _multichoose(t, n), g * n, {p: k * n for p, k in b.items()}
    return 1, 0 if e.is_number else 1, {}


def _multichoose(terms: int, n: int) -> int:
    """The number of terms of the n-th power of a sum."""
    if terms <= 1:
        return terms
    made = 1
    for k in range(1, min(n, terms - 1) + 1):
        made = made * (n + terms - k) // k
        if made > 10**12:
            return 10**12
    return made
