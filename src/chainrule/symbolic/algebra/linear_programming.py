"""Systems of linear inequalities: a point with margin, or a certificate that there is none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog

from ...ir.relation import POSITIVE, ZERO, Relation
from .interval import enclosure
from .meaning import opened
from .untyped import sp

SMALL = 1e-9


@dataclass(frozen=True)
class Row:
    """A condition a·p + b > 0 (or >= 0, or = 0), with exact coefficients."""

    coefficients: tuple[Any, ...]
    constant: Any
    relation: Relation
    text: str


@dataclass(frozen=True)
class Contradiction:
    """Nonnegative multiples of conditions whose sum can never hold: the left sides cancel (Farkas, Motzkin).

    Attributes:
        parts: the multiple and the condition.
        total: what the sum of the constants is, at most.
    """

    parts: tuple[tuple[Any, str], ...]
    total: Any

    def __str__(self) -> str:
        rows = [f"  {_short(k)} × ({text})" for k, text in self.parts]
        return "\n".join([*rows, f"add up to 0 > {_short(-self.total) if self.total != 0 else 0}, which never holds"])


def _short(x: Any) -> str:
    return str(x) if sp.sympify(x).is_Rational and len(str(x)) < 12 else f"{float(x):.6g}"


def rows_of(conditions: Sequence[tuple[Any, Relation, str]], parameters: Sequence[Any]) -> list[Row] | None:
    """The conditions as rows, or None if one of them is not linear in the parameters."""
    rows: list[Row] = []
    for e, relation, text in conditions:
        expanded = sp.expand(opened(e))
        coefficients = tuple(expanded.coeff(p) for p in parameters)
        constant = sp.expand(expanded - sp.Add(*(c * p for c, p in zip(coefficients, parameters, strict=True))))
        if any(x.free_symbols for x in (*coefficients, constant)):
            return None
        rows.append(Row(coefficients, constant, relation, text))
    return rows


def solve(rows: Sequence[Row], bounds: Sequence[tuple[float | None, float | None]]) -> tuple[np.ndarray, float] | None:
    """A point with a margin in the strict conditions, as floats, and the largest margin (at most 1); None if there is none.

    The point has the smallest sum of absolute values among those with that margin, or half of it where it is below 1.
    """
    n = len(bounds)
    a = np.array([[float(c) for c in r.coefficients] for r in rows])
    b = np.array([float(r.constant) for r in rows])
    equal = np.array([r.relation is ZERO for r in rows])
    strict = np.array([float(r.relation is POSITIVE) for r in rows])
    most = _program(np.r_[np.zeros(n), -1.0], np.c_[-a, strict], b, equal, [*bounds, (None, 1.0)])
    if most is None or most[n] <= SMALL:
        return None
    margin = float(most[n])
    kept = margin if margin > 1 - SMALL else margin / 2
    # the point and its absolute values: p <= u, -p <= u
    eye = np.eye(n)
    sizes = np.r_[np.c_[-a, 0 * a], np.c_[eye, -eye], np.c_[-eye, -eye]]
    limits = np.r_[b - kept * strict, np.zeros(2 * n)]
    least = _program(
        np.r_[np.zeros(n), np.ones(n)], sizes, limits, np.r_[equal, np.zeros(2 * n, bool)], [*bounds, *[(0, None)] * n]
    )
    return (most[:n] if least is None else least[:n]), margin


def _program(cost: Any, upper: Any, limit: Any, equal: Any, bounds: Any) -> Any:
    """The minimum of a linear program whose rows are upper bounds, or equations where `equal`; None if there is none."""
    some, fixed = ~equal, equal
    made = linprog(
        cost,
        upper[some] if some.any() else None,
        limit[some] if some.any() else None,
        upper[fixed] if fixed.any() else None,
        limit[fixed] if fixed.any() else None,
        bounds=bounds,
        method="highs",
    )
    return np.asarray(made.x) if made.status == 0 else None


def contradiction(rows: Sequence[Row]) -> Contradiction | None:
    """A certificate that no parameters satisfy the conditions, verified exactly or with intervals."""
    n, count = len(rows[0].coefficients), len(rows)
    a = np.array([[float(c) for c in r.coefficients] for r in rows])
    b = np.array([float(r.constant) for r in rows])
    strict = np.array([r.relation is POSITIVE for r in rows])
    free = np.array([r.relation is ZERO for r in rows])
    # multiples with a total coefficient of zero, a total constant <= 0, and weight on a strict condition or a negative constant
    for normal in (np.where(strict, 1.0, 0.0), -b):
        if not normal.any():
            continue
        made = linprog(
            np.ones(count), [b.tolist()], [0.0], [*a.T.tolist(), normal.tolist()], [0.0] * n + [1.0],
            bounds=[(None, None) if f else (0, None) for f in free], method="highs",
        )  # fmt: skip
        if made.status == 0:
            chosen = [k for k in range(count) if abs(made.x[k]) > SMALL]
            for size in range(1, min(len(chosen), n + 1) + 1):
                for some in itertools.combinations(chosen, size):
                    found = _exact([rows[k] for k in some])
                    if found is not None:
                        return found
    return None


def _exact(rows: Sequence[Row]) -> Contradiction | None:
    """The multiples as exact numbers: the one direction in which the coefficients cancel, by minors."""
    columns = sp.Matrix([list(r.coefficients) for r in rows]).T
    k = len(rows)
    for chosen in itertools.combinations(range(columns.rows), k - 1):
        part = columns.extract(list(chosen), list(range(k)))
        minors = [
            (-1) ** j * part.extract(list(range(k - 1)), [i for i in range(k) if i != j]).det()
            if k > 1
            else sp.Integer(1)
            for j in range(k)
        ]
        signs = [_sign(m) for m in minors]
        if None in signs or not any(signs):
            continue
        if all(s is not None and s <= 0 for s in signs):
            minors, signs = [-m for m in minors], [-s for s in signs if s is not None]
        if not all(s == 1 or r.relation is ZERO for s, r in zip(signs, rows, strict=True)):
            continue
        scale = next((m for m, r in zip(minors, rows, strict=True) if r.relation is not ZERO), minors[0])
        weights = [sp.nsimplify(m / scale) if (m / scale).is_Rational else m / scale for m in minors]
        left = columns * sp.Matrix(weights)
        total = sp.expand(sp.Add(*(w * r.constant for w, r in zip(weights, rows, strict=True))))
        if all(_zero(x) for x in left) and (total == 0 or _sign(total) == -1):
            if total == 0 and not any(r.relation is POSITIVE for r in rows):
                continue
            return Contradiction(tuple((w, r.text) for w, r in zip(weights, rows, strict=True)), total)
    return None


def _zero(x: Any) -> bool:
    """Whether a number is zero, exactly."""
    return x == 0 or sp.expand(x) == 0 or sp.simplify(x) == 0


def _sign(x: Any) -> int | None:
    """The sign of a number, by intervals where it is not rational; None where they cannot tell."""
    if x.is_Rational:
        return int(sp.sign(x))
    box = enclosure(x, {})
    return 1 if box.a > 0 else -1 if box.b < 0 else 0 if sp.simplify(x) == 0 else None
