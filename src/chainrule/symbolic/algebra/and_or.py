"""And/or formulas over facts: simplified, and as minimal conditions."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import Any

MOST = 400  # minimal conditions that are kept


@dataclass(frozen=True, repr=False)
class Gate:
    """All ("and") or any ("or") of its parts; without parts, "and" is true and "or" is false."""

    kind: str
    parts: tuple[Any, ...]

    def __str__(self) -> str:
        return written(self)

    __repr__ = __str__


TRUE, FALSE = Gate("and", ()), Gate("or", ())


def any_of(parts: Collection[Any]) -> Any:
    """Their disjunction."""
    return _joined("or", parts)


def all_of(parts: Collection[Any]) -> Any:
    """Their conjunction."""
    return _joined("and", parts)


def _joined(kind: str, parts: Collection[Any]) -> Any:
    flat: dict[Any, None] = {}
    for p in parts:
        if isinstance(p, Gate) and p.kind == kind:
            flat |= dict.fromkeys(p.parts)
        elif p == (TRUE if kind == "or" else FALSE):
            return p
        else:
            flat[p] = None
    return next(iter(flat)) if len(flat) == 1 else Gate(kind, tuple(flat))


def simplified(
    formula: Any, given: frozenset[Hashable] = frozenset(), denied: frozenset[Hashable] = frozenset()
) -> Any:
    """Absorbed: a fact beside an "or" is false inside the other parts, and beside an "and" true inside them.

    Args:
        given, denied: facts that are known to be true or false where the formula stands.
    """
    if not isinstance(formula, Gate):
        return TRUE if formula in given else FALSE if formula in denied else formula
    facts = frozenset(p for p in formula.parts if not isinstance(p, Gate))
    if formula.kind == "or":
        inner = [
            simplified(p, given, denied | facts) if isinstance(p, Gate) else simplified(p, given, denied)
            for p in formula.parts
        ]
        return any_of(inner)
    inner = [
        simplified(p, given | facts, denied) if isinstance(p, Gate) else simplified(p, given, denied)
        for p in formula.parts
    ]
    return _factored(all_of(inner))


def _factored(formula: Any) -> Any:
    """(a or c) and (b or c) as c or (a and b)."""
    if not isinstance(formula, Gate) or formula.kind != "and" or len(formula.parts) < 2:
        return formula
    rows = [p.parts if isinstance(p, Gate) else (p,) for p in formula.parts]
    common = [x for x in rows[0] if all(x in row for row in rows[1:])]
    if not common:
        return formula
    return any_of([*common, all_of([any_of([x for x in row if x not in common]) for row in rows])])


def minimal_conditions(formula: Any) -> list[frozenset[Any]] | None:
    """The minimal sets of facts that make the formula true, smallest first; None where there are too many."""
    made = _implicants(formula)
    return None if made is None else sorted(made, key=lambda s: (len(s), sorted(map(str, s))))


def _implicants(formula: Any) -> set[frozenset[Any]] | None:
    if not isinstance(formula, Gate):
        return {frozenset((formula,))}
    if formula.kind == "or":
        found: set[frozenset[Any]] = set()
        for p in formula.parts:
            inner = _implicants(p)
            if inner is None:
                return None
            found |= inner
        return _minimal(found)
    found = {frozenset[Any]()}
    for p in formula.parts:
        inner = _implicants(p)
        if inner is None or len(found) * len(inner) > MOST * MOST:
            return None
        found = _minimal({a | b for a, b in itertools.product(found, inner)})
        if len(found) > MOST:
            return None
    return found


def _minimal(sets: set[frozenset[Any]]) -> set[frozenset[Any]]:
    kept: list[frozenset[Any]] = []
    for s in sorted(sets, key=len):
        if not any(k <= s for k in kept):
            kept.append(s)
    return set(kept)


def written(formula: Any, outer: str = "") -> str:
    """The formula in words: `z1 <= 0 or (b2 = 0 and x = 0)`."""
    if not isinstance(formula, Gate):
        return str(formula)
    if not formula.parts:
        return "always" if formula.kind == "and" else "never"
    text = f" {formula.kind} ".join(written(p, formula.kind) for p in formula.parts)
    return f"({text})" if outer else text
