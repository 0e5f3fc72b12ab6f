"""Points at which facts hold: drawn at random, solved for, or with the value of a statement set directly."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..diff.rules import pulled_back
from ..diff.walk import accumulate
from ..ir.node import Node
from ..ir.relation import NONPOSITIVE, POSITIVE, ZERO
from ..programs.staged import Staged
from ..symbolic.algebra.facts import Fact
from ..symbolic.algebra.meaning import in_floats

POINTS = 5
TRIES = 400
FEW = 12


class Numbers:
    """Evaluates a computation and one gradient at any values, with values of statements set directly where asked."""

    def __init__(self, staged: Staged, source: Node) -> None:
        self.s, self.source = staged, source
        self.rng = np.random.default_rng(0)

    def random(self) -> dict[Node, Any]:
        """Random inputs, as large as those of the point."""
        return {v: np.asarray(self.rng.normal(size=v.shape) + 0.1, v.dtype)[()] for v in self.s.inputs}

    def forward(self, inputs: Mapping[Node, Any], put: Mapping[Node, Any]) -> dict[Node, Any]:
        """The value of every stage."""
        values: dict[Node, Any] = dict(inputs) | dict(put)
        with np.errstate(all="ignore"):
            for n in self.s.live_stages:
                if n not in put:
                    values[n] = np.asarray(
                        n.op.value(*(values[i] if type(i) is Node else i for i in n.inputs), **n.params), n.dtype
                    )[()]
        return values

    def gradient(self, values: Mapping[Node, Any]) -> Any:
        """The gradient of the result by the variable, given every value."""

        def passed(n: Node, ct: Any) -> Iterator[tuple[Any, Any]]:
            positions = [k for k, i in enumerate(n.inputs) if type(i) is Node and n.op.flows(k)]
            args = [values[i] if type(i) is Node else i for i in n.inputs]
            found = pulled_back(n.op, positions, ct, values[n], args, n.params)
            return ((n.inputs[k], c) for k, c in zip(positions, found, strict=True) if c is not None)

        one = np.ones(self.s.output.shape, self.s.output.dtype)[()]
        with np.errstate(all="ignore"):
            cot = accumulate(self.s.live_stages, {self.s.output: one}, passed)
        return np.asarray(cot.get(self.source, np.zeros(self.source.shape)))

    def verify(self, facts: tuple[Fact, ...], symbols: Mapping[Any, Node]) -> str | None:
        """How the facts were seen to make the gradient zero at random points; None if they do not."""
        ways: dict[str, None] = {}
        done = 0
        for _ in range(4 * POINTS):
            made = self._satisfied(facts, symbols) if done < POINTS else None
            if made is None:
                continue
            values, way = made
            ways[way] = None
            g = self.gradient(values)
            largest = max(float(np.max(np.abs(v), initial=0)) for v in values.values())
            if not np.all(np.abs(g) <= (0.0 if way == "at random points" else 1e-9 * (1 + largest))):
                return None
            done += 1
        return (
            f"zero at {done} points ({', '.join(sorted(ways))})"
            if done
            else "follows from the paths; no point was found"
        )

    def _satisfied(self, facts: tuple[Fact, ...], symbols: Mapping[Any, Node]) -> tuple[dict[Node, Any], str] | None:
        """Values at which the facts hold: drawn, solved for, or with a statement set directly."""
        inputs = self.random()
        for f in facts:
            n = symbols.get(f.expression)
            if n in inputs:
                inputs[n] = _brought(f, inputs[n])
        fixed = {symbols[f.expression] for f in facts if symbols.get(f.expression) in inputs}
        left = [f for f in facts if symbols.get(f.expression) not in inputs]
        if not left:
            return self.forward(inputs, {}), "at random points"
        if all(f.relation in (NONPOSITIVE, POSITIVE) for f in left):
            values = self._drawn(left, {n: inputs[n] for n in fixed}, symbols)
            if values is not None:
                return values, "at random points"
        if len(left) == 1 and left[0].relation is ZERO and all(n.shape == () for n in inputs):
            solved = self._solved(left[0], inputs, fixed, symbols)
            if solved is not None:
                return solved, "solved for, to rounding"
        put = {symbols[f.expression]: self._put(f, symbols[f.expression]) for f in left if f.expression in symbols}
        return (self.forward(inputs, put), "with the statement set") if len(put) == len(left) else None

    def _drawn(
        self, facts: Sequence[Fact], fixed: dict[Node, Any], symbols: Mapping[Any, Node]
    ) -> dict[Node, Any] | None:
        """Random values at which signs are as asked; numbers are drawn many at once, arrays of many entries not at all."""
        if all(n.shape == () for n in self.s.inputs):
            many: dict[Node, Any] = {v: self.rng.normal(size=TRIES) + 0.1 for v in self.s.inputs} | fixed
            good = np.ones(TRIES, bool)
            values = self.forward(many, {})
            for f in facts:
                good &= np.broadcast_to(_signed(f, _of(f, values, symbols)), (TRIES,))
            if not good.any():
                return None
            k = int(np.argmax(good))
            return self.forward(
                {n: np.asarray(v if np.ndim(v) == 0 else v[k], n.dtype)[()] for n, v in many.items()}, {}
            )
        entries = sum(max(int(np.prod(symbols[s].shape)) for s in f.expression.free_symbols) for f in facts)
        for _ in range(FEW if entries <= FEW else 0):
            values = self.forward(self.random() | fixed, {})
            if all(np.all(_signed(f, _of(f, values, symbols))) for f in facts):
                return values
        return None

    def _put(self, f: Fact, n: Node) -> Any:
        drawn = np.abs(self.rng.normal(size=n.shape))
        return np.asarray(_brought(f, drawn), n.dtype)[()]

    def _solved(
        self, f: Fact, inputs: dict[Node, Any], fixed: set[Node], symbols: Mapping[Any, Node]
    ) -> dict[Node, Any] | None:
        """An input moved until the fact holds."""
        from scipy.optimize import brentq

        for v in inputs:
            if v in fixed:
                continue

            def miss(x: float, v: Node = v) -> float:
                return _of(f, self.forward({**inputs, v: np.float64(x)}, {}), symbols)

            far = np.geomspace(9, 2_000, 12)
            grid = np.concatenate([-far[::-1], np.linspace(-8, 8, 65), far])
            seen = [miss(x) for x in grid]
            if 0.0 in seen:
                return self.forward({**inputs, v: np.float64(grid[seen.index(0.0)])}, {})
            for (a, fa), (b, fb) in itertools.pairwise(zip(grid, seen, strict=True)):
                if np.isfinite(fa) and np.isfinite(fb) and fa * fb < 0:
                    root: Any = brentq(miss, a, b, xtol=1e-15)
                    return self.forward({**inputs, v: np.float64(root)}, {})
        return None

    # ---- limits ----------------------------------------------------------------------------------------------

    def _toward(self, f: Fact, size: float, symbols: Mapping[Any, Node]) -> tuple[Node, float] | None:
        n = symbols.get(f.expression)
        return None if n is None else (n, size if f.relation == math.inf else -size)

    def vanishes(self, facts: tuple[Fact, ...], symbols: Mapping[Any, Node]) -> str:
        """Whether the gradient falls towards zero as the limits are approached; how that was seen."""
        for _ in range(20):  # a point at which the gradient is not zero anyway
            inputs = self.random()
            if np.any(self.gradient(self.forward(inputs, {}))):
                break
        else:
            return ""
        sizes: list[float] = []
        for size in (3.0, 10.0, 30.0, 60.0):
            put: dict[Node, Any] = {}
            for f in facts:
                if f.exact:
                    n = symbols.get(f.expression)
                    if n is None:
                        return ""
                    put[n] = self._put(f, n)
                    continue
                toward = self._toward(f, size, symbols)
                if toward is None:
                    return ""
                put[toward[0]] = np.full(toward[0].shape, toward[1], toward[0].dtype)[()]
            given = inputs | {n: v for n, v in put.items() if n in inputs}
            sizes.append(
                float(
                    np.max(
                        np.abs(self.gradient(self.forward(given, {n: v for n, v in put.items() if n not in inputs}))),
                        initial=0,
                    )
                )
            )
        if not (
            np.isfinite(sizes).all()
            and sizes[0] > 0
            and sizes[-1] <= 1e-8 * sizes[0]
            and sizes[2] < sizes[1] < sizes[0]
        ):
            return ""
        return f"|gradient| falls from {sizes[0]:.2g} to {sizes[-1]:.2g} as it is approached"

    def saturation(self, facts: tuple[Fact, ...], symbols: Mapping[Any, Node]) -> tuple[tuple[str, float], ...]:
        """From which size on the gradient is exactly zero in float32 and float64."""
        found: list[tuple[str, float]] = []
        for dtype in (np.float32, np.float64):
            inputs = {v: np.asarray(x, dtype)[()] for v, x in self.random().items()}

            def zero(size: float, inputs: dict[Node, Any] = inputs, dtype: Any = dtype) -> bool:
                toward = self._toward(facts[0], size, symbols)
                if toward is None:
                    return False
                n, x = toward
                value = np.full(n.shape, x, dtype)[()]
                values: dict[Node, Any] = {**inputs, n: value} if n in inputs else dict(inputs)
                with np.errstate(all="ignore"):
                    for m in self.s.live_stages:
                        args = [values[i] if type(i) is Node else i for i in m.inputs]
                        values[m] = value if m is n else np.asarray(m.op.value(*args, **m.params), dtype)[()]
                return not np.any(self.gradient(values))

            high = next((2.0**k for k in range(1, 12) if zero(2.0**k)), None)
            if high is None:
                continue
            low = 0.0
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (low, middle) if zero(middle) else (middle, high)
            found.append((np.dtype(dtype).name, high))
        return tuple(found)


def _of(f: Fact, values: Mapping[Node, Any], symbols: Mapping[Any, Node]) -> Any:
    """The value of what a fact is about."""
    used = sorted(f.expression.free_symbols, key=str)
    function = _compiled(f.expression, tuple(used))
    with np.errstate(all="ignore"):
        return function(*(values[symbols[s]] for s in used))


@functools.lru_cache(maxsize=512)
def _compiled(expression: Any, used: tuple[Any, ...]) -> Callable[..., Any]:
    return in_floats(used, expression)


def _signed(f: Fact, v: Any) -> Any:
    """Where a value has the sign that a fact asks for."""
    return np.asarray(v) <= 0 if f.relation is NONPOSITIVE else np.asarray(v) > 0


def _brought(f: Fact, v: Any) -> Any:
    """A drawn value changed so that it is as a fact asks."""
    changed = {ZERO: np.zeros_like(v), NONPOSITIVE: -np.abs(v), POSITIVE: np.abs(v) + 0.1}
    return changed.get(f.relation, v)  # type: ignore[arg-type]
