"""Deciding whether an expression is zero: normal forms, with case splits over signs and over equal indices."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from .algebra import Undecided, sp
from .meaning import at_zero, opened, step
from .normal import Normal
from .tensors import is_named

MOST_CASES = 800


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted.

    Attributes:
        signs: polynomials with their sign, 1, 0 or -1.
        positive: names of positive variables.
        unequal: pairs of indices that differ.
        random, symmetric: names of random variables, and of those that are symmetric about 0.
        kinks: polynomials at whose zeros a derivative was not taken.
    """

    signs: Mapping[Any, int] = field(default_factory=dict[Any, int])
    positive: frozenset[str] = frozenset()
    unequal: frozenset[Any] = frozenset()
    random: frozenset[str] = frozenset()
    symmetric: frozenset[str] = frozenset()
    kinks: frozenset[Any] = frozenset()

    def normal(self) -> Normal:
        """A normaliser under these assumptions."""
        return Normal(self.signs, self.positive, self.unequal, self.random, self.symmetric)


@dataclass
class Case:
    """One case of a decision: what was assumed in it, how it ended, and where it ended with equal sides, those."""

    assumed: tuple[tuple[Any, str, Any], ...]
    outcome: str  # "equal", "different", "impossible", "undefined", "a kink", "undecided"
    left: Any = None
    right: Any = None
    given: Assumptions | None = None

    def forms(self) -> tuple[Any, Any]:
        """Both sides in normal form, to be shown; left as they are where one alone has none."""
        given = self.given or Assumptions()
        try:
            return given.normal().canonical(self.left), given.normal().canonical(self.right)
        except Undecided:
            return self.left, self.right


@dataclass
class Decision:
    """Whether two expressions are equal in every case."""

    cases: list[Case] = field(default_factory=list["Case"])

    @property
    def equal(self) -> bool:
        return (
            bool(self.cases)
            and all(c.outcome in ("equal", "impossible", "undefined", "a kink") for c in self.cases)
            and any(c.outcome == "equal" for c in self.cases)
        )


def decide(left: Any, right: Any, assumptions: Assumptions) -> Decision:
    """Compare two expressions in every case."""
    decision = Decision()
    stack: list[tuple[Any, Any, Assumptions, tuple[Any, ...]]] = [(opened(left), opened(right), assumptions, ())]
    while stack:
        a, b, given, path = stack.pop()
        if len(decision.cases) + len(stack) > MOST_CASES:
            decision.cases.append(Case(path, "undecided"))
            return decision
        if (a - b).has(sp.zoo, sp.nan, sp.oo) or any(x.base == 0 for x in (a - b).atoms(sp.Pow)):
            decision.cases.append(Case(path, "undefined"))
            continue
        normal = given.normal()
        try:
            numerator, _ = normal.fraction(a - b)
            equal = normal.vanishes(numerator)
            written = {normal.written(p): what for p, what in normal.conditions}
        except Undecided:
            decision.cases.append(Case(path, "undecided"))
            continue
        if any(_broken(p, what, given) for p, what in written.items()):
            decision.cases.append(Case(path, "undefined"))
        elif equal:
            decision.cases.append(Case(path, "equal", a, b, given))
        elif normal.pairs:
            i, j = next(iter(normal.pairs))
            stack.append((a, b, replace(given, unequal=given.unequal | {frozenset((i, j))}), (*path, (i, "!=", j))))
            stack.append((a.subs(i, j), b.subs(i, j), given, (*path, (i, "=", j))))
        elif splits := [p for p in normal.undetermined if is_named(p)]:
            stack += _split(splits[0], a, b, given, path, decision)
        else:
            decision.cases.append(Case(path, "different" if not normal.undetermined else "undecided"))
    return decision


def _broken(p: Any, what: str, given: Assumptions) -> bool:
    """Whether a condition of meaning cannot hold in this case."""
    if p.is_number:
        return bool({"> 0": p <= 0, ">= 0": p < 0, "!= 0": p == 0}[what])
    sign = given.signs.get(p)
    return sign is not None and {"> 0": sign <= 0, ">= 0": sign < 0, "!= 0": sign == 0}[what]


def _split(p: Any, a: Any, b: Any, given: Assumptions, path: tuple[Any, ...], decision: Decision) -> list[Any]:
    """The cases p > 0, p = 0 and p < 0."""
    found: list[Any] = []
    for sign, word in ((-1, "<"), (1, ">")):
        signs = {**given.signs, p: sign}
        here = (*path, (p, word, sp.Integer(0)))
        if possible(signs, given.positive):
            found.append((a, b, replace(given, signs=signs), here))
        else:
            decision.cases.append(Case(here, "impossible"))
    here = (*path, (p, "=", sp.Integer(0)))
    if p in given.kinks:
        decision.cases.append(Case(here, "a kink"))
        return found
    solved = _solved(p)
    if solved is None:
        found.append((a, b, replace(given, signs={**given.signs, p: 0}), here))
        return found
    v, value = solved
    signs: dict[Any, int] = {}
    for q, s in given.signs.items():
        r = sp.expand(q.subs(v, value))
        if r.is_number and (r == 0 or sp.sign(r) != s):
            decision.cases.append(Case(here, "impossible"))
            return found
        if not r.is_number:
            signs |= {r: s} if not r.could_extract_minus_sign() else {sp.expand(-r): -s}
    if v.name in given.positive and not possible({sp.expand(value): 1}, given.positive):
        decision.cases.append(Case(here, "impossible"))
        return found
    found.append((a.subs(v, value), b.subs(v, value), replace(given, signs=signs), here))
    return found


def _solved(p: Any) -> tuple[Any, Any] | None:
    """A variable in which p is linear with a constant coefficient, and its value where p = 0."""
    for v in sorted(p.free_symbols, key=str):
        if v.is_integer:
            continue
        poly = p.as_poly(v)
        if poly is not None and poly.degree() == 1 and poly.LC().is_Rational and not poly.free_symbols_in_domain & {v}:
            return v, -poly.nth(0) / poly.LC()
    return None


def possible(signs: Mapping[Any, int], positive: frozenset[str] = frozenset()) -> bool:
    """Whether polynomials can have these signs, as far as elimination (Fourier and Motzkin) can tell.

    Every monomial is taken as a variable of its own, so "no" is always right.
    """
    rows: list[dict[Any, Fraction]] = []
    for p, s in signs.items():
        if s == 0:
            continue
        row: dict[Any, Fraction] = {}
        for t in sp.Add.make_args(sp.expand(p)):
            c, rest = t.as_coeff_Mul()
            if not c.is_Rational:
                c, rest = sp.Integer(1), t
            row[rest] = row.get(rest, Fraction(0)) + Fraction(int(c.p), int(c.q)) * s
        rows.append(row)
    rows += [{sp.Symbol(name, real=True): Fraction(1)} for name in positive]
    for v in {v for r in rows for v in r} - {sp.S.One}:
        above = [r for r in rows if r.get(v, 0) > 0]
        below = [r for r in rows if r.get(v, 0) < 0]
        rows = [r for r in rows if not r.get(v, 0)]
        for up, down in itertools.product(above, below):
            new = {k: up.get(k, Fraction(0)) / up[v] - down.get(k, Fraction(0)) / down[v] for k in {*up, *down} - {v}}
            rows.append({k: c for k, c in new.items() if c})
        if len(rows) > 2_000:
            return True
    return all(r.get(sp.S.One, Fraction(0)) > 0 for r in rows)


def kinks_of(expressions: Sequence[Any]) -> frozenset[Any]:
    """The polynomials at whose zeros the expressions have a kink or a jump."""
    found: set[Any] = set()
    for e in expressions:
        o = opened(e)
        for f in o.atoms(step, at_zero):
            normal = Normal()
            try:
                normal.fraction(f)
            except Undecided:
                continue
            found |= {*normal.undetermined}
    return frozenset(found)
