"""Rigorous values: exact where only numbers are added and multiplied, and intervals that hold the exact value elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ...ir.relation import NONZERO, Relation
from .budget import MOST_DIGITS, TooLarge
from .evaluate import Evaluator, Undefined, World
from .meaning import opened
from .untyped import iv, mp, mpmath, sp

DIGITS = 50
LARGEST = 10**7  # argument of an exponential or a sine
HIGHEST = 10**12  # power
EXACT_BITS = 4_000  # of a number that is kept exactly
# Functions that interval arithmetic does not have, and that only grow: their values at both ends, with a margin.
GROWING = {"asin": mpmath.asin, "atan": mpmath.atan, "erf": mpmath.erf}
SLACK = mpmath.mpf(10) ** (-DIGITS // 2)


def enclosure(expression: Any, values: Mapping[Any, Any], integers: Mapping[Any, int] | None = None) -> Any:
    """An interval (of `mpmath.iv`) that holds the value; what is not elementary is computed to 50 digits.

    Args:
        values: an exact number, or a pair of ends, for each symbol.
        integers: the number of each size and index.

    Raises:
        Undefined: a logarithm of what is not positive, or a division by zero.
    """
    numbers = {k: exact_number(v) for k, v in values.items()}

    def known(key: Any) -> Any:
        if key not in numbers:
            raise Undefined(f"{key} has no value")
        return numbers[key]

    return rigorous(lambda: Evaluator(Intervals(), integers or {}, known, World()).value(opened(expression)))


def rigorous(work: Callable[[], Any]) -> Any:
    """What an evaluation with intervals gives, as an interval of 50 digits."""
    before, iv.dps = iv.dps, DIGITS
    try:
        with mp.workdps(DIGITS + 10):
            return box(work())
    except (ZeroDivisionError, mpmath.libmp.ComplexResult, TypeError, OverflowError) as error:
        raise Undefined(str(error)) from None
    finally:
        iv.dps = before


def exact_number(v: Any) -> Any:
    """A number as an exact fraction; a pair as an interval."""
    if isinstance(v, tuple):
        low, high = (box(exact_number(x)) for x in v)
        return iv.mpf([low.a, high.b])
    r = sp.Rational(v)
    return Fraction(int(r.p), int(r.q))


def box(x: Any) -> Any:
    """A number or an interval as an interval."""
    return iv.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else x


def middle(x: Any) -> Any:
    """The middle of an interval, to 50 digits."""
    with mp.workdps(DIGITS + 10):
        return (mp.mpf(x.a) + mp.mpf(x.b)) / 2


def certain(x: Any, relation: Relation) -> bool:
    """Whether every number of an interval satisfies a relation."""
    if isinstance(x, Fraction):
        return relation.holds(x)
    if relation is NONZERO:  # no number between the ends is 0 either
        return bool(x.a > 0 or x.b < 0)
    return bool(relation.holds(x.a) and relation.holds(x.b))


def tame(e: Any) -> None:
    """Refuse a constant that is too large to be computed with, before anything computes it."""
    try:
        size = enclosure(e, {})
        if max(abs(size.a), abs(size.b)) > mpmath.mpf(10) ** MOST_DIGITS:
            raise TooLarge(f"a number with more than {MOST_DIGITS:,} digits")
    except Undefined:
        if any(isinstance(f, (sp.exp, sp.Pow)) and _tower(f) > 2 for f in e.atoms(sp.exp, sp.Pow)):
            raise TooLarge(f"a number with more than {MOST_DIGITS:,} digits") from None


def _tower(e: Any) -> int:
    return 0 if e.is_Atom else int(isinstance(e, (sp.exp, sp.Pow))) + max(_tower(a) for a in e.args)


class Intervals:
    """Fractions as long as they are short, and intervals."""

    def number(self, x: Any) -> Any:
        if x.is_Rational:
            return Fraction(int(x.p), int(x.q))
        if x is sp.pi:
            return iv.pi
        if x is sp.E:
            return iv.exp(iv.mpf(1))
        raise Undefined(f"{x} has no value")

    def add(self, parts: Sequence[Any]) -> Any:
        exact = [p for p in parts if isinstance(p, Fraction)]
        boxes = [p for p in parts if not isinstance(p, Fraction)]
        return self._joined(sum(exact, Fraction(0)), boxes, lambda a, b: a + b, 0)

    def multiply(self, parts: Sequence[Any]) -> Any:
        exact = Fraction(1)
        for p in parts:
            if isinstance(p, Fraction):
                exact *= p
        return self._joined(exact, [p for p in parts if not isinstance(p, Fraction)], lambda a, b: a * b, 1)

    def _joined(self, exact: Fraction, boxes: Sequence[Any], join: Callable[[Any, Any], Any], neutral: int) -> Any:
        if not boxes:
            return _short(exact)
        made = boxes[0]
        for b in boxes[1:]:
            made = join(made, b)
        return made if exact == neutral else join(made, box(exact))

    def power(self, base: Any, exponent: Any, e: Any) -> Any:
        if isinstance(exponent, Fraction) and exponent.denominator == 1:
            return self._whole(base, int(exponent))
        b, n = box(base), box(exponent)
        if b.a < 0 or (b.a <= 0 and n.a <= 0):
            raise Undefined("a root of what is negative")
        if b.a == 0:
            return iv.mpf([0, iv.exp(n * iv.log(iv.mpf(b.b))).b]) if b.b > 0 else Fraction(0)
        return self.function("exp", [n * iv.log(b)])

    def _whole(self, b: Any, k: int) -> Any:
        if isinstance(b, Fraction):
            if b == 0 and k < 0:
                raise Undefined("a division by zero")
            if (b.numerator.bit_length() + b.denominator.bit_length()) * abs(k) <= EXACT_BITS:
                return b**k
            b = box(b)
        if abs(k) > HIGHEST:
            raise Undefined("a power that is too large")
        if k < 0 and b.a <= 0 <= b.b:
            raise Undefined("a division by zero")
        return b**k if k >= 0 else 1 / b ** (-k)

    def positive(self, x: Any) -> Any:
        if isinstance(x, Fraction):
            return Fraction(x > 0)
        low, high = int(x.a > 0), int(x.b > 0)
        return Fraction(low) if low == high else iv.mpf([low, high])

    def zero(self, x: Any) -> Any:
        if isinstance(x, Fraction):
            return Fraction(x == 0)
        hit = x.a <= 0 <= x.b
        return iv.mpf([int(hit and x.a == x.b), 1]) if hit else Fraction(0)

    def function(self, name: str, parts: Sequence[Any]) -> Any:
        x = parts[0]
        if name in ("floor", "ceiling"):
            return self._rounded(x, mpmath.floor if name == "floor" else mpmath.ceil)
        if name == "Abs":
            return abs(x)
        if name in ("exp", "sin", "log") and x == (1 if name == "log" else 0) and isinstance(x, Fraction):
            return Fraction(name == "exp")
        x = box(x)
        if name == "log" and not x.a > 0:
            raise Undefined("a logarithm of what is not positive")
        if name in ("exp", "sin", "cos") and not (x.a > -LARGEST and x.b < LARGEST):
            raise Undefined(f"the {name} of a large number")
        if name in ("exp", "log", "sin", "cos"):
            return getattr(iv, name)(x)
        if name in GROWING:
            if name == "asin" and not (x.a >= -1 and x.b <= 1):
                raise Undefined("an arcsine of what is not between -1 and 1")
            low, high = (GROWING[name](mp.mpf(end)) for end in (x.a, x.b))
            return iv.mpf([low - SLACK * (1 + abs(low)), high + SLACK * (1 + abs(high))])
        return self._smooth(name, [x, *parts[1:]])

    def _rounded(self, x: Any, f: Callable[[Any], Any]) -> Any:
        if isinstance(x, Fraction):
            return Fraction(
                int(x.numerator // x.denominator) if f is mpmath.floor else -int(-x.numerator // x.denominator)
            )
        if not abs(x.b) < 10**DIGITS:
            raise Undefined("rounding a large number")
        return iv.mpf([f(mp.mpf(x.a)), f(mp.mpf(x.b))])

    def _smooth(self, name: str, parts: Sequence[Any]) -> Any:
        """The gamma functions, at narrow intervals of numbers that are positive."""
        f: Any = {"loggamma": mpmath.loggamma, "digamma": mpmath.digamma}.get(name)
        x = parts[-1]
        if name == "polygamma":
            x, order = box(parts[1]), parts[0]
            k = int(mp.mpf(order.a)) if order.a == order.b else -1
            f = None if not 0 <= k <= 20 else lambda v: mpmath.psi(k, v)
        if f is None:
            raise Undefined(f"{name} has no enclosure here")
        width = x.b - x.a
        if not (x.a > SLACK and width < SLACK**2 * x.a**4 and x.b < 10**10):
            raise Undefined(f"{name} has no enclosure here")
        value = f(middle(x))
        slack = SLACK * (1 + abs(value))
        return iv.mpf([value - slack, value + slack])


def _short(x: Fraction) -> Any:
    long = x.numerator.bit_length() + x.denominator.bit_length() > EXACT_BITS
    return box(x) if long else x
