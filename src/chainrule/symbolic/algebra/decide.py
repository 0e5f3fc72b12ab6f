"""Deciding whether an expression is zero: normal forms, with case splits over signs and over equal indices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from ...ir.relation import Relation
from .assumptions import Assumptions
from .budget import TooLarge
from .evaluate import Undefined
from .indices import Pattern, Ranges, is_named
from .interval import enclosure
from .meaning import at_zero, opened, step
from .normal import Normal
from .untyped import Undecided, sp

MOST_CASES = 800
MOST_SIGNS = 2  # indicators in one normal form
MOST_FLAT = 6  # the same, of indicators of which none is inside another
MOST_SIZES = 3  # values of one size that are looked at one by one


@dataclass
class Case:
    """One case of a decision: what was assumed in it, how it ended, and where it ended with equal sides, those."""

    assumed: tuple[tuple[Any, str, Any], ...]
    outcome: str  # "equal", "different", "impossible", "undefined", "a kink", "undecided"
    left: Any = None
    right: Any = None
    given: Assumptions | None = None
    why: str = ""

    def forms(self) -> tuple[Any, Any]:
        """Both sides in normal form, to be shown; left as they are where one alone has none."""
        given = self.given or Assumptions()
        try:
            return Normal(given).canonical(self.left), Normal(given).canonical(self.right)
        except (Undecided, TooLarge):
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


def decide(left: Any, right: Any, assumptions: Assumptions, nonnegative: Sequence[Any] = ()) -> Decision:
    """Compare two expressions in every case.

    Args:
        nonnegative: polynomials that are given to be >= 0.
    """
    decision = Decision()
    stack: list[_Open] = [(opened(left), opened(right), assumptions, ())]
    for p in nonnegative:
        stack = [
            case for a, b, given, path in stack for case in _split(sp.expand(p), a, b, given, path, decision, (1, 0))
        ]
    while stack:
        a, b, given, path = stack.pop()
        if len(decision.cases) + len(stack) > MOST_CASES:
            decision.cases.append(Case(path, "undecided"))
            return decision
        if a == b:
            decision.cases.append(Case(path, "equal", a, b, given))
            continue
        if _undefined(a - b):
            decision.cases.append(Case(path, "undefined"))
            continue
        a, b, open_ = _resolved(a, b, given)
        if open_:
            stack += _split(open_[0], a, b, given, path, decision)
            continue
        normal = Normal(given)
        try:
            numerator, _ = normal.fraction(a - b)
            equal = normal.vanishes(numerator)
            written = {normal.written(p): what for p, what in normal.conditions}
        except (Undecided, TooLarge) as error:
            decision.cases.append(Case(path, "undecided", why=str(error)))
            continue
        if any(_broken(p, what, given) for p, what in written.items()):
            decision.cases.append(Case(path, "undefined"))
        elif equal:
            decision.cases.append(Case(path, "equal", a, b, given))
        elif sizes := [n for e in normal.empty for n in _few(e, given.ranges)]:
            stack += _sized(sizes[0], a, b, given, path)
        elif normal.pairs:
            stack += _paired(next(iter(normal.pairs)), a, b, given, path, decision)
        elif splits := [p for p in normal.undetermined if is_named(p)]:
            stack += _split(splits[0], a, b, given, path, decision)
        else:
            decision.cases.append(Case(path, "different" if not normal.undetermined else "undecided"))
    return decision


def _resolved(a: Any, b: Any, given: Assumptions) -> tuple[Any, Any, list[Any]]:
    """Both sides with the indicators put in whose value is known, and where there are many others, what decides them.

    Many signs in one polynomial make it long, so they are decided one after the other, inner ones first, before it is written out.
    """
    while True:
        found = sorted({f for e in (a, b) for f in e.atoms(step, at_zero)}, key=str)
        inner = [f for f in found if not f.args[0].has(step, at_zero) and is_named(f)]
        known: dict[Any, Any] = {}
        undetermined: dict[Any, None] = {}
        for f in inner:
            normal = Normal(given)
            try:
                value, below = normal.fraction(f)
            except (Undecided, TooLarge):
                continue
            if value.is_Rational and below == 1:
                known[f] = value
            undetermined |= dict.fromkeys(p for p in normal.undetermined if is_named(p))
        if not known:
            nested = any(f.args[0].has(step, at_zero) for f in found)
            return a, b, list(undetermined) if len(found) > (MOST_SIGNS if nested or given.signs else MOST_FLAT) else []
        a, b = a.xreplace(known), b.xreplace(known)


def _undefined(e: Any) -> bool:
    """Whether an expression has no value anywhere; what a sum holds counts only where it is no sum of nothing."""
    outside = e.xreplace(dict.fromkeys(e.atoms(sp.Sum), sp.Integer(1)))
    return outside.has(sp.zoo, sp.nan, sp.oo) or any(
        x.base == 0 and not x.exp.is_nonnegative for x in outside.atoms(sp.Pow)
    )


_Open = tuple[Any, Any, Assumptions, tuple[Any, ...]]


def _few(e: Any, ranges: Ranges) -> Iterator[Any]:
    """The sizes on whose small values it depends whether a number of terms is negative."""
    for n in sorted(e.free_symbols, key=str):
        if n not in ranges.binders and n.is_integer and ranges.least.get(n, 1) <= MOST_SIZES:
            yield n


def _sized(n: Any, a: Any, b: Any, given: Assumptions, path: tuple[Any, ...]) -> list[_Open]:
    """The cases that a size has its least value, and that it is larger."""
    least = given.ranges.least.get(n, 1)
    larger = given.ranges.copy()
    larger.least[n] = least + 1
    by = {n: sp.Integer(least)}
    return [
        (a, b, replace(given, ranges=larger), (*path, (n, ">=", sp.Integer(least + 1)))),
        (a.xreplace(by), b.xreplace(by), given.replaced(by), (*path, (n, "=", sp.Integer(least)))),
    ]


def _paired(
    pair: tuple[Any, Any], a: Any, b: Any, given: Assumptions, path: tuple[Any, ...], decision: Decision
) -> list[_Open]:
    """The cases that two index expressions are equal, and that they differ."""
    i, j = pair
    gap = sp.expand(i - j)
    differ = replace(given, unequal=given.unequal | {frozenset(pair)}, ranges=given.ranges.copy())
    found: list[_Open] = [(a, b, differ, (*path, (i, "!=", j)))]
    here = (*path, (i, "=", j))
    candidates = [s for s in gap.free_symbols if s.is_Symbol and gap.coeff(s) in (1, -1)]
    candidates = [s for s in candidates if s not in (gap - gap.coeff(s) * s).free_symbols]
    if not candidates:
        decision.cases.append(Case(here, "undecided"))
        return found
    s = min(candidates, key=lambda s: (s not in given.ranges.binders, str(s)))
    value = sp.expand(s - gap.coeff(s) * gap)
    by, ranges = {s: value}, given.ranges
    if s in ranges.binders:
        low, high = ranges.binders[s].low, ranges.binders[s].high
    else:
        low, high = sp.Integer(ranges.least.get(s, 1)), value
        if value.is_Integer and value == low:
            differ.ranges.least[s] = int(low) + 1
    within = [sp.expand(value - low), sp.expand(high - value)]
    if any(ranges.nonnegative(sp.expand(-e - 1)) for e in within):
        decision.cases.append(Case(here, "impossible"))
        return found
    equal = given.replaced(by)
    equal.ranges.facts += [e for e in within if not e.is_Integer]
    return [*found, (a.xreplace(by), b.xreplace(by), equal, here)]


def _broken(p: Any, what: Relation, given: Assumptions) -> bool:
    """Whether a condition of meaning cannot hold in this case."""
    sign = _sign_of_number(p) if p.is_number else given.sign(p)
    return sign is not None and not what.holds(sign)


def _sign_of_number(p: Any) -> int | None:
    """The sign of a number; None where it is not known, as of a real one that is written with complex exponentials."""
    try:
        box = enclosure(p, {})
    except Undefined:
        return None
    return 1 if box.a > 0 else -1 if box.b < 0 else 0 if box.a == box.b else None


def _split(
    p: Any,
    a: Any,
    b: Any,
    given: Assumptions,
    path: tuple[Any, ...],
    decision: Decision,
    signs: Sequence[int] = (-1, 1, 0),
) -> list[_Open]:
    """The cases p < 0, p > 0 and p = 0, those that can occur."""
    found: list[_Open] = []
    for sign, word in ((-1, "<"), (1, ">")):
        here = (*path, (p, word, sp.Integer(0)))
        if sign not in signs:
            continue
        made = given.with_sign(p, sign)
        if possible(made.signs, made.positive, made.ranges):
            found.append((a, b, made, here))
        else:
            decision.cases.append(Case(here, "impossible"))
    if 0 not in signs:
        return found
    here = (*path, (p, "=", sp.Integer(0)))
    if given.is_kink(p):
        decision.cases.append(Case(here, "a kink"))
        return found
    solved = _solved(p)
    if solved is None:
        found.append((a, b, given.with_sign(p, 0), here))
        return found
    v, value = solved
    by = {v: value}
    made = given.replaced(by)
    if any(q.is_number and _sign_of_number(q) not in (s, None) for q, s in made.signs.items() if s) or (
        v.is_Symbol and v.name in given.positive and not possible({sp.expand(value): 1}, given.positive, given.ranges)
    ):
        decision.cases.append(Case(here, "impossible"))
        return found
    made = replace(made, signs={q: s for q, s in made.signs.items() if not q.is_number})
    if v.is_Symbol and v.name in given.positive:
        made = made.with_sign(value, 1)
    if not v.is_Symbol:  # a sum may hold the entry without naming it
        made = made.with_sign(p, 0)
    if not possible(made.signs, made.positive, made.ranges):
        decision.cases.append(Case(here, "impossible"))
        return found
    found.append((a.xreplace(by), b.xreplace(by), made, here))
    return found


def _solved(p: Any) -> tuple[Any, Any] | None:
    """A variable or an entry in which p is linear with a constant coefficient, and its value where p = 0."""
    entries = p.atoms(sp.Indexed)
    names = {s for x in entries for s in x.free_symbols}
    single = [s for s in p.free_symbols - names if s.is_Symbol and not s.is_integer]
    for v in [*sorted(single, key=str), *sorted(entries, key=str)]:
        c = sp.expand(p).coeff(v)
        rest = sp.expand(p - c * v)
        if c.is_Rational and c != 0 and v not in rest.free_symbols and not rest.has(v):
            return v, sp.expand(-rest / c)
    return None


def possible(signs: Mapping[Any, int], positive: frozenset[str] = frozenset(), ranges: Ranges | None = None) -> bool:
    """Whether polynomials can have these signs, as far as elimination (Fourier and Motzkin) can tell.

    Every monomial is taken as a variable of its own, so "no" is always right.
    """
    rows: list[tuple[dict[Any, Fraction], bool]] = [(_row(p, s), True) for p, s in signs.items() if s]
    symbols = {s for p in signs for s in p.free_symbols if s.is_Symbol}
    rows += [({s: Fraction(1)}, True) for s in symbols if s.name in positive]
    known = ranges or Ranges()
    for s in symbols:
        if s in known.binders:
            b = known.binders[s]
            rows += [(_row(sp.expand(s - b.low), 1), False), (_row(sp.expand(b.high - s), 1), False)]
        elif s.is_integer and s.is_positive:
            rows.append((_row(s - known.least.get(s, 1), 1), False))
    for v in {v for r, _ in rows for v in r} - {sp.S.One}:
        above = [r for r in rows if r[0].get(v, 0) > 0]
        below = [r for r in rows if r[0].get(v, 0) < 0]
        rows = [r for r in rows if not r[0].get(v, 0)]
        for (up, strict), (down, too) in itertools.product(above, below):
            new = {k: up.get(k, Fraction(0)) / up[v] - down.get(k, Fraction(0)) / down[v] for k in {*up, *down} - {v}}
            rows.append(({k: c for k, c in new.items() if c}, strict or too))
        if len(rows) > 2_000:
            return True
    return all(c > 0 or (c == 0 and not strict) for r, strict in rows for c in [r.get(sp.S.One, Fraction(0))])


def _row(p: Any, sign: int) -> dict[Any, Fraction]:
    row: dict[Any, Fraction] = {}
    for t in sp.Add.make_args(sp.expand(p)):
        c, rest = t.as_coeff_Mul()
        if not c.is_Rational:
            c, rest = sp.Integer(1), t
        row[rest] = row.get(rest, Fraction(0)) + Fraction(int(c.p), int(c.q)) * sign
    return row


def kinks_of(expressions: Sequence[Any]) -> tuple[Pattern, ...]:
    """The polynomials at whose zeros expressions of numbers have a kink or a jump."""
    found: dict[Any, None] = {}
    for e in expressions:
        for f in opened(e).atoms(step, at_zero):
            normal = Normal()
            try:
                normal.fraction(f)
            except (Undecided, TooLarge):
                continue
            found |= normal.undetermined
    return tuple(map(Pattern, found))
