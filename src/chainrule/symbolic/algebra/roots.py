"""Proved roots: a small box that certainly holds a solution of equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .derivative import derivative
from .evaluate import Undefined
from .interval import enclosure, middle
from .meaning import opened
from .untyped import iv, mp, sp

RADIUS = 20  # the box reaches 10^-RADIUS to each side
NEWTON = 6


def proved_root(
    equations: Sequence[Any], symbols: Sequence[Any], start: Sequence[float]
) -> dict[Any, tuple[Any, Any]] | None:
    """A box around a solution near `start`, for as many equations as symbols; None where that cannot be proved.

    Krawczyk's test: the interval Newton map takes the box into its own inside, so the box holds exactly one solution.
    """
    if len(equations) != len(symbols) or not equations:
        return None
    jacobian = [[derivative(opened(e), s) for s in symbols] for e in equations]
    try:
        with mp.workdps(40):
            point = [sp.Rational(repr(float(v))) for v in start]
            for _ in range(NEWTON):
                slope, miss = _middles(jacobian, equations, symbols, point)
                moves = mp.lu_solve(slope, -miss)
                point = [sp.Rational(str(mp.mpf(int(v.p)) / int(v.q) + m)) for v, m in zip(point, moves, strict=True)]
            return _contracted(equations, jacobian, symbols, point)
    except (Undefined, ZeroDivisionError, ValueError):
        return None


def _middles(
    jacobian: Sequence[Sequence[Any]], equations: Sequence[Any], symbols: Sequence[Any], point: Sequence[Any]
) -> tuple[Any, Any]:
    at = dict(zip(symbols, point, strict=True))
    slope = mp.matrix([[middle(enclosure(d, at)) for d in row] for row in jacobian])
    return slope, mp.matrix([middle(enclosure(e, at)) for e in equations])


def _contracted(
    equations: Sequence[Any], jacobian: Sequence[Sequence[Any]], symbols: Sequence[Any], point: Sequence[Any]
) -> dict[Any, tuple[Any, Any]] | None:
    n = len(symbols)
    slope, _ = _middles(jacobian, equations, symbols, point)
    inverse = mp.inverse(slope)
    at = dict(zip(symbols, point, strict=True))
    radius = sp.Rational(1, 10**RADIUS)
    box = {s: (v - radius, v + radius) for s, v in at.items()}
    misses = [enclosure(e, at) for e in equations]
    slopes = [[enclosure(d, box) for d in row] for row in jacobian]
    reach: Any = iv.mpf([-1, 1]) * iv.mpf(10) ** -RADIUS
    for i in range(n):
        moved: Any = iv.mpf(0)
        for k in range(n):
            moved = moved - iv.mpf(inverse[i, k]) * misses[k]
            turned: Any = iv.mpf(int(i == k))
            for m in range(n):
                turned = turned - iv.mpf(inverse[i, m]) * slopes[m][k]
            moved = moved + turned * reach
        if not (moved.a > reach.a and moved.b < reach.b):
            return None
    return box
