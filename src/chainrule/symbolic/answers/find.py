"""Searching for parameters that satisfy conditions, with a rigorous verification of what is found."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ...documents import Document, Line, formula, heading, quoted, words
from ...errors import InputError
from ...ir.relation import POSITIVE, ZERO
from ..algebra.budget import DEFAULT, checked_budget, within
from ..algebra.declared import OPERATIONS, declared_partial
from ..algebra.derivative import derivative
from ..algebra.evaluate import Undefined
from ..algebra.interval import certain, enclosure
from ..algebra.linear_programming import Contradiction, contradiction, rows_of, solve
from ..algebra.meaning import in_floats, opened
from ..algebra.printing import latex, text
from ..algebra.roots import proved_root
from ..algebra.untyped import sp
from ..reading.comparisons import holds, peeled, read_comparison
from ..reading.statements import Context

GRID = 400_000  # integer points that are tried
STARTS = 60
BOXES, FEW_BOXES = 3_000, 60


@dataclass
class Found(Document):
    """Parameters that satisfy conditions, or why there are none. It is true when they were found.

    Attributes:
        verdict: "found", "impossible" or "not found".
        values: exact numbers by name; a root that is no rational number is given by its middle, with `boxes`.
        margin: by how much the strict conditions hold, at least.
        reason: why it is impossible.
        boxes: for equations, intervals that are proved to hold a solution.
    """

    verdict: str
    values: dict[str, Any]
    lines: list[Line]
    margin: float = 0.0
    reason: Contradiction | str | None = None
    boxes: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    checks: dict[str, str] = field(default_factory=dict[str, str])

    def __bool__(self) -> bool:
        return self.verdict == "found"

    def certificate(self) -> dict[str, str]:
        """How the result was verified, condition by condition."""
        return dict(self.checks)

    __str__ = Document.__str__
    __repr__ = Document.__str__


def find(
    conditions: Sequence[str] | str,
    parameters: Sequence[str] | str = (),
    domain: tuple[float, float] | Mapping[str, tuple[float, float]] = (-10.0, 10.0),
    budget: float = DEFAULT,
) -> Found:
    """Find parameters that satisfy strict inequalities or equations.

    Args:
        conditions: comparisons, as "sigma(w*x + b) > 1/2"; `=` states an equation.
        parameters: the names to find; every name in the conditions when left out.
        domain: where to look, for all parameters or for each by name.
        budget: seconds; when they are over nothing is found, and nothing is excluded.

    Returns:
        A `Found`. Where every condition is linear in the parameters this is a linear program: a point with the largest
        margin, or multiples of the conditions that contradict each other. Otherwise small integers are tried, then
        real numbers. What is found is verified with exact numbers and intervals.

    >>> find(["a + b > 1", "a < 1", "b < 1"]).values
    {'a': 2/5, 'b': 4/5}
    >>> find(["a > 1", "a < 0"]).verdict
    'impossible'
    """
    given = [conditions] if isinstance(conditions, str) else list(conditions)
    return within(
        checked_budget(budget),
        lambda: _Search(given, parameters, domain).run(),
        lambda why: Found("not found", {}, [heading("Find"), words(f"Not found: {why}.")], reason=why),
    )


class _Search:
    def __init__(self, conditions: Sequence[str], parameters: Sequence[str] | str, domain: Any) -> None:
        if not conditions:
            raise InputError("there are no conditions", 'give some, as find(["a > 1", "a*b < 2"])', where="")
        context = Context({}, frozenset(), "denominator")
        self.conditions = [(*read_comparison(c, context), c) for c in conditions]
        wanted = parameters.replace(",", " ").split() if isinstance(parameters, str) else list(parameters)
        names = wanted or list(context.variables)
        for name in context.variables:
            if name not in names:
                raise InputError(
                    f"{name} stands in the conditions and is no parameter",
                    "name it among the parameters, or put its number in",
                    where="",
                )
        for name in names:
            if name not in context.variables:
                raise InputError(f"the parameter {name} stands in no condition", where="")
        self.names, self.symbols = names, [sp.Symbol(n, real=True) for n in names]
        ranges: dict[str, Any] = dict(domain) if isinstance(domain, Mapping) else dict.fromkeys(names, domain)  # pyright: ignore[reportAssignmentType]
        unknown = [k for k in ranges if k not in names]
        if unknown or not all(isinstance(r, (tuple, list)) and len(r) == 2 and r[0] < r[1] for r in ranges.values()):
            raise InputError(
                "a domain is a pair (low, high) for each parameter", f"the parameters are {', '.join(names)}", where=""
            )
        self.domain = [tuple(map(float, ranges.get(n, (-10.0, 10.0)))) for n in names]
        self.lines: list[Line] = [heading("Find " + ", ".join(names))]
        self.plain = [(*peeled(e, relation), said) for e, relation, said in self.conditions]
        self.lines += [
            formula(f"{said}   means   {text(e)} {relation}", f"{latex(e)} {relation.latex} 0")
            for (e, relation, said), (before, _, _) in zip(self.plain, self.conditions, strict=True)
            if e != before
        ]

    def run(self) -> Found:
        false = next((said for e, relation, said in self.plain if not e.free_symbols and not holds(e, relation)), None)
        if false is not None:
            return self._impossible(f"{false} never holds")
        if not self.names:
            return self._verified([]) or self._lost()
        rows = rows_of(self.plain, self.symbols)
        if rows is not None:
            return self._linear(rows)
        for attempt in (self._integers, lambda: self._excluded(FEW_BOXES), self._reals, self._excluded):
            found = attempt()
            if found is not None:
                return found
        return self._lost()

    # ---- linear programs -------------------------------------------------------------------------------------

    def _linear(self, rows: Any) -> Found:
        self.lines.append(words("Every condition is linear in the parameters: a linear program."))
        anywhere = solve(rows, [(None, None)] * len(self.names))
        if anywhere is None:
            reason = contradiction(rows)
            if reason is not None:
                return self._impossible(reason)
        made = solve(rows, self.domain)  # pyright: ignore[reportArgumentType]
        if made is None:
            return self._lost() if anywhere is None else self._lost("every solution is outside of the domain")
        point, margin = made
        for parts in (1, 2, 3, 4, 5, 8, 10, 12, 16, 100, 1000, 10**6):
            values = [sp.Rational(int(np.round(v * parts)), parts) for v in point]
            verified = self._verified(values)
            if verified is not None:
                self.lines.append(words(f"The largest margin is {margin:.6g}."))
                return verified
        return self._root(point) or self._lost()

    # ---- search ----------------------------------------------------------------------------------------------

    @functools.cached_property
    def functions(self) -> list[Callable[..., Any]]:
        """The conditions as functions of floats, made once."""
        return [in_floats(self.symbols, e) for e, _, _ in self.plain]

    def _misses(self, points: np.ndarray) -> np.ndarray:
        """By how much each point fails, in the worst condition; negative is a margin."""
        worst = np.full(len(points), -np.inf)
        with np.errstate(all="ignore"):
            for f, (_, relation, _) in zip(self.functions, self.plain, strict=True):
                v = np.broadcast_to(np.asarray(f(*points.T), float), (len(points),))
                miss = np.abs(v) if relation is ZERO else -v
                miss = np.where(np.isfinite(miss), miss, np.inf)
                worst = np.maximum(worst, miss + (1e-12 if relation is POSITIVE else 0))
        return worst

    def _integers(self, most: int = GRID) -> Found | None:
        """Small whole numbers, the smallest first."""
        n = len(self.names)
        for reach in (1, 2, 3, 4, 6, 8, 10):
            if (2 * reach + 1) ** n > most:
                break
            axes = [np.arange(max(-reach, np.ceil(low)), min(reach, np.floor(high)) + 1) for low, high in self.domain]
            grid = np.array(list(itertools.product(*axes)), float).reshape(-1, n)
            good = grid[self._misses(grid) <= 0] if len(grid) else grid
            for v in good[np.argsort(np.abs(good).sum(1), kind="stable")][:20]:
                found = self._verified([sp.Integer(int(x)) for x in v])
                if found is not None:
                    self.lines.append(words(f"The smallest whole numbers, among {len(grid):,} tried."))
                    return found
        return None

    def _reals(self) -> Found | None:
        """Real numbers: the conditions as a loss, from many starting points."""
        rng = np.random.default_rng(0)
        low, high = np.array(self.domain).T
        declared = dict.fromkeys(OPERATIONS, declared_partial)
        gradients = [
            [in_floats(self.symbols, derivative(e, s, by_name=declared)) for s in self.symbols]
            for e, _, _ in self.plain
        ]

        def loss(p: Any) -> tuple[float, Any]:
            total, slope = 0.0, np.zeros(len(p))
            with np.errstate(all="ignore"):
                for (_, relation, _), f, gs in zip(self.plain, self.functions, gradients, strict=True):
                    v, g = float(f(*p)), np.array([float(d(*p)) for d in gs])
                    if relation is ZERO:
                        total, slope = total + v * v, slope + 2 * v * g
                    elif v < 0.1:
                        total, slope = total + (0.1 - v) ** 2, slope - 2 * (0.1 - v) * g
            return (total, slope) if np.isfinite(total) and np.isfinite(slope).all() else (1e30, np.zeros(len(p)))

        for k in range(STARTS):
            start = rng.uniform(low, high) * (0.3 if k % 2 else 1.0)
            made: Any = minimize(
                loss,
                np.clip(start, low, high),
                jac=True,
                method="L-BFGS-B",
                bounds=list(zip(low, high, strict=True)),
                options={"maxiter": 2_000, "ftol": 1e-16, "gtol": 1e-12},
            )
            found = self._rounded(made.x)
            if found is not None:
                self.lines.append(words(f"Real numbers, from starting point {k + 1}."))
                return found
        return None

    def _rounded(self, p: np.ndarray) -> Found | None:
        for parts in (1, 2, 4, 10, 100, 10**4, 10**8):
            values = [sp.Rational(int(np.round(v * parts)), parts) for v in p]
            found = self._verified(values)
            if found is not None:
                return found
        return self._root(p)

    # ---- verification ----------------------------------------------------------------------------------------

    def _verified(self, values: Sequence[Any]) -> Found | None:
        """The values as a result, if every condition holds rigorously."""
        at = dict(zip(self.symbols, values, strict=True))
        checks: dict[str, str] = {}
        margin = np.inf
        for e, relation, said in self.conditions:
            exact = sp.expand(opened(e).subs(at)) if relation is ZERO else None
            try:
                box = enclosure(e, at)
            except Undefined:
                return None
            if not (exact == 0 if relation is ZERO else certain(box, relation)):
                return None
            if relation is ZERO:
                checks[said] = "holds exactly"
            else:
                checks[said] = f"left - right is at least {float(box.a):.6g} (interval arithmetic)"
                margin = min(margin, float(box.a))
        named = dict(zip(self.names, values, strict=True))
        lines = [*self.lines, *(formula(f"{n} = {v}", f"{latex(sp.Symbol(n))} = {latex(v)}") for n, v in named.items())]
        lines += [formula(said, quoted(said), how) for said, how in checks.items()]
        made = Found("found", named, lines, 0.0 if margin == np.inf else margin, checks=checks)
        self.lines = made.lines
        return made

    def _root(self, p: np.ndarray) -> Found | None:
        """A solution of the equations near a point, proved to exist, at which the other conditions hold."""
        equations = [(e, said) for e, relation, said in self.plain if relation is ZERO]
        box = proved_root([e for e, _ in equations], self.symbols, list(p))
        if box is None:
            return None
        checks = {said: "a solution lies within 1e-20 (Krawczyk's test with intervals)" for _, said in equations}
        for e, relation, said in self.plain:
            if relation is not ZERO:
                if not certain(enclosure(e, box), relation):
                    return None
                checks[said] = "holds in the whole box (interval arithmetic)"
        named = {n: float((low + high) / 2) for n, (low, high) in zip(self.names, box.values(), strict=True)}
        lines = [
            *self.lines,
            *(
                formula(f"{k} = {v!r}", f"{latex(sp.Symbol(k))} = {v!r}", "within 1e-20 of a solution")
                for k, v in named.items()
            ),
        ]
        boxes = {n: (float(low), float(high)) for n, (low, high) in zip(self.names, box.values(), strict=True)}
        return Found("found", named, lines, boxes=boxes, checks=checks)

    # ---- impossible, or not found ----------------------------------------------------------------------------

    def _impossible(self, reason: Any) -> Found:
        lines = [*self.lines, heading("Impossible"), *(words(row.strip()) for row in str(reason).splitlines())]
        how = "nonnegative multiples of the conditions add up to a contradiction; their signs verified exactly or with intervals"
        return Found(
            "impossible",
            {},
            lines,
            reason=reason,
            checks={"certificate": how if isinstance(reason, Contradiction) else str(reason)},
        )

    def _excluded(self, most: int = BOXES) -> Found | None:
        """A proof that the domain holds no solution: every part of it violates a condition, by interval arithmetic."""
        if len(self.names) > 4:
            return None
        stack = [[(sp.Rational(repr(low)), sp.Rational(repr(high))) for low, high in self.domain]]
        for count in range(1, most + 1):
            box = stack.pop()
            at = dict(zip(self.symbols, box, strict=True))
            if not self._violated(at):
                widest = max(range(len(box)), key=lambda k: box[k][1] - box[k][0])
                low, high = box[widest]
                if high - low < sp.Rational(1, 1000):
                    return None
                cut = (low + high) / 2
                stack += [[*box[:widest], part, *box[widest + 1 :]] for part in ((low, cut), (cut, high))]
            if not stack:
                return self._impossible(
                    f"the domain was divided into {count:,} boxes, and in each of them a condition fails everywhere"
                )
        return None

    def _violated(self, at: Mapping[Any, Any]) -> bool:
        for e, relation, _ in self.plain:
            try:
                v = enclosure(e, at)
            except Undefined:
                continue
            if v.b < 0 or (relation is POSITIVE and v.b <= 0) or (relation is ZERO and v.a > 0):
                return True
        return False

    def _lost(self, why: str = "") -> Found:
        said = why or "nothing was found, and it could not be excluded that there is something"
        return Found("not found", {}, [*self.lines, words(f"Not found: {said}.")], reason=said)
