"""What is taken for granted while two expressions are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .indices import Pattern, Ranges, indices_of
from .untyped import sp


@dataclass(frozen=True)
class Rule:
    """An entry of a variable that can be written otherwise, for all its indices: A[i, j] = A[j, i], x[i] = 2*y[i]."""

    base: Any
    indices: tuple[Any, ...]
    value: Any

    def applied(self, e: Any) -> Any:
        """What an entry of the variable is equal to."""
        return self.value.xreplace(dict(zip(self.indices, e.indices, strict=True)))


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted.

    Attributes:
        signs: polynomials with their sign, 1, 0 or -1.
        entries: the same for every entry of vectors.
        positive: names of positive variables.
        unequal: pairs of indices that differ.
        random, symmetric: names of random variables, and of those that are symmetric about 0.
        kinks: what is not zero: a derivative was not taken there, or it is given.
        ranges: what is known of sizes and indices.
        rules: entries that are written otherwise.
    """

    signs: Mapping[Any, int] = field(default_factory=dict[Any, int])
    entries: tuple[tuple[Pattern, int], ...] = ()
    positive: frozenset[str] = frozenset()
    unequal: frozenset[Any] = frozenset()
    random: frozenset[str] = frozenset()
    symmetric: frozenset[str] = frozenset()
    kinks: tuple[Pattern, ...] = ()
    ranges: Ranges = field(default_factory=Ranges)
    rules: tuple[Rule, ...] = ()

    def with_sign(self, p: Any, sign: int) -> Assumptions:
        """The same, and the sign of a polynomial; 0 where it is zero."""
        p = sp.expand(p)
        key, sign = (sp.expand(-p), -sign) if p.could_extract_minus_sign() else (p, sign)
        positive = self.positive | ({key.name} if key.is_Symbol and sign == 1 else set())
        return replace(self, signs={**self.signs, key: sign}, positive=positive)

    def sign(self, p: Any) -> int | None:
        """The sign that a polynomial is given; None where none is."""
        if p in self.signs:
            return self.signs[p]
        if (negative := sp.expand(-p)) in self.signs:
            return -self.signs[negative]
        for pattern, sign in self.entries:
            for made in pattern.instances(indices_of(p), self.ranges):
                if sp.expand(made - p) == 0:
                    return sign
                if sp.expand(made + p) == 0:
                    return -sign
        return None

    def is_kink(self, p: Any) -> bool:
        """Whether a polynomial is one that is not zero here."""
        return any(k.speaks_of(p, self.ranges) for k in self.kinks)

    def replaced(self, by: Mapping[Any, Any]) -> Assumptions:
        """The same, with symbols replaced by what they are equal to; None of it says less than before."""
        signs: dict[Any, int] = {}
        for p, s in self.signs.items():
            q = sp.expand(p.xreplace(by))
            q, s = (sp.expand(-q), -s) if q.could_extract_minus_sign() else (q, s)
            contradicts = signs.setdefault(q, s) != s
            signs |= {sp.Integer(-1): 1} if contradicts else {}
        unequal = {frozenset(e.xreplace(by) for e in pair) for pair in self.unequal}
        return replace(
            self,
            signs=signs,
            entries=tuple((p.replaced(by), s) for p, s in self.entries),
            unequal=frozenset(unequal),
            kinks=tuple(k.replaced(by) for k in self.kinks),
            ranges=self.ranges.replaced(by),
            rules=tuple(Rule(r.base, r.indices, r.value.xreplace(by)) for r in self.rules),
        )
