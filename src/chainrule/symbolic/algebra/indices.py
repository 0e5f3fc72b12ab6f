"""Integers of a statement: sizes, which are at least 1, and indices, each an object of its own with a range of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .untyped import sp

MOST_CANDIDATES = 6  # index expressions that are tried for each index of a pattern


def fresh_index(name: str = "i") -> Any:
    """An index that stands nowhere else, whatever other indices are called."""
    return sp.Dummy(name, integer=True)


def free_index(name: str) -> Any:
    """An index that a statement leaves free, and that is the same wherever it is named."""
    return sp.Symbol(name, integer=True)


def size(name: str) -> Any:
    """A symbolic size; it is at least 1."""
    return sp.Symbol(name, integer=True, positive=True)


def is_named(expression: Any) -> bool:
    """Whether every free index in an expression is one that the reader knows by its name."""
    return not any(isinstance(s, sp.Dummy) for s in expression.free_symbols)


@dataclass(frozen=True)
class Binder:
    """An index with its range: both ends belong to it, and where the second is below the first it is empty."""

    index: Any
    low: Any
    high: Any

    def replaced(self, by: Mapping[Any, Any]) -> Binder:
        """The same, with symbols of its ends replaced."""
        return Binder(self.index, self.low.xreplace(by), self.high.xreplace(by))


class Ranges:
    """What is known of the integers of a statement, and what follows for sums of them.

    Args:
        least: the least value of sizes; 1 where nothing is said.
        binders: the indices with their ranges.
        facts: expressions that are >= 0.
    """

    def __init__(
        self, least: Mapping[Any, int] | None = None, binders: Sequence[Binder] = (), facts: Sequence[Any] = ()
    ) -> None:
        self.least = dict(least or {})
        self.binders = {b.index: b for b in binders}
        self.facts = list(facts)
        self._known: dict[Any, bool] = {}

    def copy(self) -> Ranges:
        return Ranges(self.least, list(self.binders.values()), self.facts)

    def replaced(self, by: Mapping[Any, Any]) -> Ranges:
        """The same, with symbols replaced: a size by a number, an index by another."""
        binders = [b.replaced(by) for i, b in self.binders.items() if i not in by]
        least = {n: v for n, v in self.least.items() if n not in by}
        return Ranges(least, binders, [sp.expand(f.xreplace(by)) for f in self.facts])

    def bind(self, b: Binder) -> None:
        """Learn the range of an index."""
        if self.binders.get(b.index) != b:
            self.binders[b.index] = b
            self.forget()

    def forget(self) -> None:
        """Ask anew: more is known."""
        self._known.clear()

    def nonnegative(self, e: Any) -> bool:
        """Whether an integer expression is >= 0 for all values that are allowed; a "no" says nothing."""
        if e.is_Integer:
            return bool(e >= 0)
        if e not in self._known:
            self._known[e] = any(
                (low := self.lowest(e - f)) is not None and low >= 0 for f in (sp.Integer(0), *self.facts)
            )
        return self._known[e]

    def highest(self, e: Any) -> Any:
        """The largest value of a linear expression over all values of its indices, in sizes; as it is where it is not linear."""
        e = sp.expand(e)
        for _ in range(20):
            inner = self._innermost(e)
            if inner is None:
                break
            c = e.coeff(inner.index)
            rest = e - c * inner.index
            if not c.is_Integer or inner.index in rest.free_symbols:
                break
            e = sp.expand(rest + c * (inner.high if c > 0 else inner.low))
        return e

    def lowest(self, e: Any) -> Any:
        """A bound from below of a linear expression, as a number; None where none is known."""
        e = -self.highest(-e)
        low: Any = sp.Integer(0)
        for s, c in e.as_coefficients_dict().items():
            if s == 1:
                low += c
            elif s.is_Symbol and s.is_positive and c > 0:
                low += c * self.least.get(s, 1)
            elif s.is_Symbol and s.is_integer and s in self.least and c > 0:
                low += c * self.least[s]
            elif c != 0:
                return None
        return low

    def _innermost(self, e: Any) -> Binder | None:
        """An index of an expression on which the range of no other one depends."""
        here = [self.binders[s] for s in e.free_symbols if s in self.binders]
        return next(
            (b for b in here if not any(b.index in (o.low.free_symbols | o.high.free_symbols) for o in here)), None
        )

    def holds(self, b: Binder, at: Any) -> bool:
        """Whether a place is certainly in a range."""
        return self.nonnegative(at - b.low) and self.nonnegative(b.high - at)


@dataclass(frozen=True)
class Pattern:
    """An expression for every value of some indices: `f[k]` for k from 1 to n."""

    expression: Any
    binders: tuple[Binder, ...] = ()

    def at(self, places: Sequence[Any]) -> Any:
        """The expression at some places."""
        return self.expression.xreplace({b.index: p for b, p in zip(self.binders, places, strict=True)})

    def replaced(self, by: Mapping[Any, Any]) -> Pattern:
        """The same, with other symbols replaced."""
        return Pattern(self.expression.xreplace(by), tuple(b.replaced(by) for b in self.binders))

    def instances(self, indices: Sequence[Any], ranges: Ranges) -> Iterator[Any]:
        """The expression at all places that can be made of these indices and lie in the ranges."""
        for places in itertools.product(list(indices)[:MOST_CANDIDATES], repeat=len(self.binders)):
            by = {b.index: p for b, p in zip(self.binders, places, strict=True)}
            if all(ranges.holds(b.replaced(by), p) for b, p in zip(self.binders, places, strict=True)):
                yield self.expression.xreplace(by)

    def speaks_of(self, e: Any, ranges: Ranges) -> bool:
        """Whether an expression, or its negative, is this one at some place."""
        candidates = indices_of(e) if self.binders else ()
        return any(sp.expand(made - e) == 0 or sp.expand(made + e) == 0 for made in self.instances(candidates, ranges))


def same(a: Any, b: Any) -> Any:
    """1 where two index expressions are equal, and 0 elsewhere; written in one way."""
    gap = sp.expand(a - b)
    if gap.is_Integer:
        return sp.Integer(gap == 0)
    gap = -gap if gap.could_extract_minus_sign() else gap
    below = sp.Add(*(-t for t in sp.Add.make_args(gap) if t.could_extract_minus_sign()))
    return sp.KroneckerDelta(gap + below, below)


def indices_of(*expressions: Any) -> list[Any]:
    """The index expressions that stand in brackets, or that are compared."""
    found = {i for e in expressions for x in e.atoms(sp.Indexed) for i in x.indices}
    found |= {a for e in expressions for d in e.atoms(sp.KroneckerDelta) for a in d.args}
    return sorted(found, key=str)
