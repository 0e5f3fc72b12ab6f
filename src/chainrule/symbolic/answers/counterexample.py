"""Counterexamples: the simplest numbers at which two expressions differ, found in floating point and verified with intervals."""

from __future__ import annotations

import functools
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from ...ir.relation import NONNEGATIVE, NONZERO, POSITIVE, ZERO, Relation
from ..algebra.assumptions import Rule
from ..algebra.budget import TooLarge
from ..algebra.evaluate import Evaluator, Undefined, World, said_function
from ..algebra.floats import Floats
from ..algebra.index_notation import Expectation
from ..algebra.indices import Binder, Pattern
from ..algebra.interval import Intervals, box, certain, middle, rigorous
from ..algebra.meaning import opened
from ..algebra.untyped import AppliedUndef, sp

VALUES = [Fraction(v) for v in ("1", "0", "-1", "2", "-2", "1/2", "-1/2", "3", "-3", "1/3", "5", "-5", "10", "-10")]
GENERIC = [Fraction(v) for v in ("7/5", "-7/5", "3/7", "-3/7", "13/11", "-17/13", "9/4", "-11/3", "19/17", "-2/9", "5/23", "31/8")]  # fmt: skip
NUMBERS = VALUES + GENERIC
FLOATS = np.array([float(v) for v in NUMBERS])
POSITIVES = [k for k, v in enumerate(NUMBERS) if v > 0]
SMALL = [k for k, v in enumerate(NUMBERS) if abs(v) < 1]
MOST = 300  # assignments that are tried in order
DRAWN = 400  # random ones
VERIFIED = 20  # of those that seem to differ
DOUBTFUL = 3  # of those that differ by little
SIZES = (1, 0, 2)  # more than the least
FEW, MANY = 10, 60  # combinations of sizes, places and distributions
OUTCOMES = ((-1, 1), (-2, -1, 1, 2), (-1, 0, 1), (0, 1), (0, 0, 3))  # the first of them are symmetric
SYMMETRIC = 3


@dataclass(frozen=True, repr=False)
class Counterexample:
    """Numbers at which two sides differ.

    Attributes:
        values: for each variable, size, index or unknown function what was put for it, as text.
        left, right: the two sides there, as intervals.
        numbers: the exact number of each symbol; of an entry by its name, as "x[1]".
        integers: the numbers of sizes and indices.
        world: what stood for random variables and unknown functions.
    """

    values: dict[str, str]
    left: Any
    right: Any
    numbers: dict[str, Any]
    integers: dict[str, int] = field(default_factory=dict[str, int])
    world: World = field(default_factory=World)

    def __str__(self) -> str:
        where = ", ".join(f"{k} = {v}" for k, v in self.values.items())
        return f"at {where or 'once'}: left = {_shown(self.left)}, right = {_shown(self.right)}"

    __repr__ = __str__


def _shown(x: Any) -> str:
    return f"{float(middle(x)):.10g}"


@dataclass(frozen=True)
class Space:
    """Where two sides are compared.

    Attributes:
        sizes: the symbolic sizes with their least values.
        indices: the free indices with their ranges.
        conditions: what must hold at a counterexample, each an expression and its relation to zero.
        random, symmetric: names of random variables, and of those with a distribution that is symmetric about 0.
        rules: entries that are written otherwise.
    """

    left: Any
    right: Any
    sizes: Mapping[Any, int] = field(default_factory=dict[Any, int])
    indices: Sequence[Binder] = ()
    conditions: Sequence[tuple[Pattern, Relation]] = ()
    random: frozenset[str] = frozenset()
    symmetric: frozenset[str] = frozenset()
    rules: Sequence[Rule] = ()

    def instances(self) -> Iterator[tuple[dict[Any, int], World]]:
        """Small sizes, places in their ranges, and distributions, the simplest first."""
        for more in itertools.product(SIZES, repeat=len(self.sizes)):
            at = {n: least + k for (n, least), k in zip(self.sizes.items(), more, strict=True)}
            for place in self._places(at, list(self.indices)):
                for world in self.worlds:
                    yield place, world

    def _places(self, at: dict[Any, int], left: list[Binder]) -> Iterator[dict[Any, int]]:
        if not left:
            yield at
            return
        known = {k: sp.Integer(v) for k, v in at.items()}
        low, high = (e.xreplace(known) for e in (left[0].low, left[0].high))
        if low.is_Integer and high.is_Integer:
            for k in range(int(low), int(high) + 1):
                yield from self._places({**at, left[0].index: k}, left[1:])
        elif len(left) > 1:  # its range depends on another index
            yield from self._places(at, [*left[1:], left[0]])

    @functools.cached_property
    def unknown(self) -> list[Any]:
        """The unknown functions that are called."""
        expressions = [self.left, self.right, *(p.expression for p, _ in self.conditions)]
        return sorted({f for e in expressions for f in e.atoms(AppliedUndef)}, key=str)

    @functools.cached_property
    def worlds(self) -> list[World]:
        ways = [World()]
        if self.random:
            choices = [(OUTCOMES[:SYMMETRIC] if name in self.symmetric else OUTCOMES) for name in sorted(self.random)]
            count = max(map(len, choices))
            drawn = [
                dict(zip(sorted(self.random), (c[k % len(c)] for c in choices), strict=True)) for k in range(count)
            ]
            ways = [World(d, same) for d in drawn for same in ((False, True) if len(self.random) > 1 else (False,))]
        return [World(w.outcomes, w.same, v) for w in ways for v in ((0, 1) if self.unknown else (0,))]


@functools.lru_cache(maxsize=32)
def table(count: int, depth: int) -> np.ndarray:
    """Points as numbers of NUMBERS, a row each: the simplest first, then random ones, positive ones, small ones.

    Args:
        depth: how many times as many random ones.
    """
    if not count:
        return np.zeros((1, 0), int)
    most = len(VALUES) if count == 1 else max(2, min(len(VALUES), int(4_000 ** (1 / count))))
    if count <= 10:
        simple = sorted(itertools.product(range(most), repeat=count), key=lambda p: (sum(p), p))[: MOST // 2]
    else:
        simple = [(0,) * count, (1,) * count, (2,) * count]
    rng = np.random.default_rng(0)
    drawn = DRAWN * depth // 4
    rows = [
        np.array(simple),
        rng.integers(0, len(VALUES), (drawn, count)),
        rng.integers(0, len(NUMBERS), (drawn, count)),
        rng.choice(POSITIVES, (drawn, count)),
        rng.choice(SMALL, (drawn // 2, count)),
    ]
    made = np.concatenate(rows)
    return made[np.argsort(made.sum(1), kind="stable")]


class Search:
    """Compares two sides at many points.

    Attributes:
        seen: at how many points both were defined, and every condition held.
    """

    def __init__(self, space: Space, depth: int = 1) -> None:
        self.space, self.depth, self.seen = space, depth, 0
        self.left_out = 0

    def run(self, most: int = FEW, skipped: int = 0) -> Counterexample | None:
        """The first counterexample in some instances."""
        for integers, world in itertools.islice(self.space.instances(), skipped, most):
            try:
                found = self._instance(integers, world)
            except (TooLarge, Undefined):
                self.left_out += 1
                continue
            if found is not None:
                return found
        return None

    def _instance(self, integers: dict[Any, int], world: World) -> Counterexample | None:
        space, floats = self.space, Floats()
        keys: dict[Any, int] = {}

        def first(key: Any) -> Any:
            return FLOATS[len(GENERIC) + keys.setdefault(key, len(keys)) % len(GENERIC)]

        def all_of(evaluator: Evaluator) -> tuple[Any, Any, list[tuple[Any, Relation]]]:
            sides = evaluator.value(space.left), evaluator.value(space.right)
            conditions = [
                (v, what) for p, what in space.conditions for v in evaluator.holds(p.expression, p.binders, lambda v: v)
            ]
            return *sides, conditions

        with np.errstate(all="ignore"):
            all_of(Evaluator(floats, integers, first, world, space.rules))
            rows = table(len(keys), self.depth)
            columns = {key: FLOATS[rows[:, k]] for key, k in keys.items()}
            a, b, conditions = all_of(Evaluator(floats, integers, columns.__getitem__, world, space.rules))
            a, b = (np.broadcast_to(np.asarray(v, float), (len(rows),)) for v in (a, b))
            valid = np.isfinite(a) & np.isfinite(b)
            for v, what in conditions:
                v = np.asarray(v, float)
                valid = valid & {
                    ZERO: np.abs(v) < 1e-9, NONZERO: np.abs(v) > 1e-12,
                    POSITIVE: v > 1e-12, NONNEGATIVE: v >= 0,
                }[what]  # fmt: skip
            gap, scale = np.abs(a - b), 1 + np.abs(a) + np.abs(b)
            apart = np.flatnonzero(valid & (gap > 1e-7 * scale))[:VERIFIED]
            if self.depth > 1 and not len(apart):  # a difference that may be rounding, or small beside large numbers
                apart = np.flatnonzero(valid & (gap > 1e-15 * scale))[:DOUBTFUL]
        self.seen += int(valid.sum())
        order = sorted(keys, key=_name)
        for row in apart:
            numbers = {key: NUMBERS[rows[row, keys[key]]] for key in order}
            sides = self.verified(integers, world, numbers)
            if sides is not None:
                return self._shown(integers, world, self._simplest(integers, world, numbers))
        return None

    def agreeing(self, rng: random.Random) -> Iterator[None]:
        """Random exact points at which the conditions hold and the intervals of both sides meet, one at a time."""
        for integers, world in itertools.islice(self.space.instances(), FEW):
            for _ in range(40):
                numbers: dict[Any, Any] = defaultdict(lambda: Fraction(rng.randint(-40, 40), rng.randint(3, 17)))
                sides = self._sides(integers, world, numbers)
                if sides is not None and not (sides[0].b < sides[1].a or sides[1].b < sides[0].a):
                    yield None

    def verified(self, integers: dict[Any, int], world: World, numbers: Mapping[Any, Any]) -> tuple[Any, Any] | None:
        """Both sides as intervals that do not meet, where the conditions hold for certain; None otherwise."""
        sides = self._sides(integers, world, numbers)
        return sides if sides is not None and (sides[0].b < sides[1].a or sides[1].b < sides[0].a) else None

    def _sides(self, integers: dict[Any, int], world: World, numbers: Mapping[Any, Any]) -> tuple[Any, Any] | None:
        """Both sides as intervals, where the conditions hold for certain; None elsewhere."""
        space = self.space
        evaluator = Evaluator(Intervals(), integers, numbers.__getitem__, world, space.rules)

        def check() -> Any:
            for p, what in space.conditions:
                inside = POSITIVE if what is NONNEGATIVE and not p.expression.is_integer else what
                if not all(evaluator.holds(p.expression, p.binders, lambda v, w=inside: certain(v, w))):
                    raise Undefined("a condition does not hold")
            return box(evaluator.value(space.left)), box(evaluator.value(space.right))

        try:
            found: list[Any] = []
            rigorous(lambda: found.extend(check()) or Fraction(0))
        except (Undefined, KeyError, TooLarge):
            return None
        return found[0], found[1]

    def _simplest(self, integers: dict[Any, int], world: World, numbers: dict[Any, Any]) -> dict[Any, Any]:
        """The same with as many numbers as possible replaced by 0, 1 or -1."""
        if len(numbers) > 2:
            for s in numbers:
                for v in (Fraction(0), Fraction(1), Fraction(-1)):
                    if numbers[s] == v or self.verified(integers, world, {**numbers, s: v}):
                        numbers = {**numbers, s: v}
                        break
        return numbers

    def _shown(self, integers: dict[Any, int], world: World, numbers: dict[Any, Any]) -> Counterexample:
        sides = self.verified(integers, world, numbers)
        assert sides is not None
        notes = {str(k): str(v) for k, v in sorted(integers.items(), key=lambda p: str(p[0]))}
        notes |= dict(said_function(f, world.variant) for f in self.space.unknown)
        means = {s.name for e in (self.space.left, self.space.right) for x in e.atoms(Expectation) for s in x.free_symbols if s.is_Symbol}  # fmt: skip
        for name in sorted(means & world.outcomes.keys()):
            notes[name] = _distribution(world.outcomes[name]) + (", the same for all" if world.same else "")
        plain = {_name(k): sp.Rational(v.numerator, v.denominator) for k, v in numbers.items()}
        return Counterexample(
            {k: str(v) for k, v in plain.items()} | notes,
            *sides,
            plain,
            {str(k): v for k, v in integers.items()},
            world,
        )


def _name(key: Any) -> str:
    return f"{key[0]}[{', '.join(map(str, key[1]))}]" if isinstance(key, tuple) else key.name


def _distribution(outcomes: Sequence[int]) -> str:
    if len(set(outcomes)) < len(outcomes):
        return f"one of {', '.join(map(str, outcomes))}, each with probability 1/{len(outcomes)}"
    return f"{' or '.join(map(str, outcomes))}, each with probability 1/{len(outcomes)}"


def find_counterexample(
    left: Any, right: Any, conditions: Sequence[tuple[Any, Relation]] = (), depth: int = 1
) -> Counterexample | None:
    """The simplest counterexample to an equation of numbers, or None.

    Args:
        conditions: expressions, with the relations to zero that they must have there.
    """
    needed = [(Pattern(opened(e)), what) for e, what in conditions]
    return Search(Space(opened(left), opened(right), conditions=needed), depth).run()
