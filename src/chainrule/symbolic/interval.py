"""Rigorous values: an interval that holds the exact value of an expression at exact numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .algebra import iv, mp, mpmath, sp
from .meaning import at_zero, opened, step

DIGITS = 50
# Functions that interval arithmetic does not have: computed to many more digits than are trusted.
POINTWISE = {
    "asin": mpmath.asin,
    "atan": mpmath.atan,
    "erf": mpmath.erf,
    "loggamma": mpmath.loggamma,
    "digamma": mpmath.digamma,
    "floor": mpmath.floor,
    "ceiling": mpmath.ceil,
}


class Undefined(ValueError):
    """The expression has no value at these numbers."""


def enclosure(expression: Any, values: Mapping[Any, Any]) -> Any:
    """An interval (of `mpmath.iv`) that holds the value; what is not elementary is computed to 50 digits.

    Args:
        values: an exact number, or a pair of ends, for each symbol.

    Raises:
        Undefined: a logarithm of what is not positive, or a division by zero.
    """
    before, iv.dps = iv.dps, DIGITS
    known: dict[Any, Any] = {}
    try:
        with mp.workdps(DIGITS + 10):
            return _enclosed(opened(expression), values, known)
    except (ZeroDivisionError, mpmath.libmp.ComplexResult, TypeError) as error:
        raise Undefined(str(error)) from None
    finally:
        iv.dps = before


def middle(x: Any) -> Any:
    """The middle of an interval, to 50 digits."""
    with mp.workdps(DIGITS + 10):
        return (mp.mpf(x.a) + mp.mpf(x.b)) / 2


def certain(x: Any, relation: str) -> bool:
    """Whether every number of an interval satisfies a relation: "= 0", "> 0", ">= 0" or "!= 0"."""
    return {"= 0": x.a == x.b == 0, "> 0": x.a > 0, ">= 0": x.a >= 0, "!= 0": x.a > 0 or x.b < 0}[relation]


def _enclosed(e: Any, values: Mapping[Any, Any], known: dict[Any, Any]) -> Any:
    if e not in known:
        known[e] = _value(e, values, known)
    return known[e]


def _exact(r: Any) -> Any:
    return iv.mpf(int(r.p)) / int(r.q)


def _value(e: Any, values: Mapping[Any, Any], known: dict[Any, Any]) -> Any:
    if e in values:
        v = values[e]
        return (
            iv.mpf([_exact(sp.Rational(v[0])).a, _exact(sp.Rational(v[1])).b])
            if isinstance(v, tuple)
            else _exact(sp.Rational(v))
        )
    if e.is_Rational:
        return _exact(e)
    if e is sp.pi:
        return iv.pi
    if e is sp.E:
        return iv.exp(iv.mpf(1))
    if not e.is_Add and not e.is_Mul and not e.args:
        raise Undefined(f"{e} has no value")
    args = [_enclosed(a, values, known) for a in e.args]
    if e.is_Add:
        return sum(args[1:], args[0])
    if e.is_Mul:
        made = args[0]
        for a in args[1:]:
            made = made * a
        return made
    if e.is_Pow:
        return _power(*e.args, *args)
    if isinstance(e, step):
        return iv.mpf([int(args[0].a > 0), int(args[0].b > 0)])
    if isinstance(e, at_zero):
        hit = args[0].a <= 0 <= args[0].b
        return iv.mpf([int(hit and args[0].a == args[0].b), int(hit)])
    name = e.func.__name__
    if name == "log" and not args[0].a > 0:
        raise Undefined("a logarithm of what is not positive")
    if name in ("exp", "log", "sin", "cos"):
        return getattr(iv, name)(args[0])
    if name in POINTWISE and (width := args[0].b - args[0].a) < mpmath.mpf(10) ** (8 - DIGITS):
        value = POINTWISE[name](middle(args[0]))
        slack = mpmath.mpf(10) ** (-DIGITS // 2) * (1 + abs(value)) + width
        return iv.mpf([value - slack, value + slack])
    raise Undefined(f"{name} has no enclosure here")


def _power(base: Any, exponent: Any, b: Any, n: Any) -> Any:
    if exponent.is_Integer:
        k = int(exponent)
        if k < 0 and b.a <= 0 <= b.b:
            raise Undefined("a division by zero")
        return b**k if k >= 0 else 1 / b ** (-k)
    if b.a < 0 or (b.a <= 0 and n.a <= 0):
        if not (exponent.is_Rational and b.a == b.b == 0 and n.a > 0):
            raise Undefined("a root of what is negative")
        return iv.mpf(0)
    if b.a == 0:
        return iv.mpf([0, iv.exp(n * iv.log(iv.mpf(b.b))).b]) if b.b > 0 else iv.mpf(0)
    return iv.exp(n * iv.log(b))
