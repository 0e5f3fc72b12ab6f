"""The value of an expression at a point: sizes and indices are small numbers, sums are added up, expectations averaged.

The walk is one; the numbers are floats (whole arrays of points at once, to find where two sides differ) or exact numbers
and intervals (to be certain of it).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .assumptions import Rule
from .budget import TooLarge
from .derivative import Argument, Place, arguments_of
from .index_notation import Expectation
from .meaning import at_zero, step
from .untyped import AppliedUndef, sp

MOST_ADDED = 2_000  # terms of a sum at a point
MOST_OUTCOMES = 256


class Undefined(ValueError):
    """The expression has no value at these numbers."""


class Arithmetic(Protocol):
    """Numbers of some kind. What has no value is nan, or raises Undefined."""

    def number(self, x: Any) -> Any: ...
    def add(self, parts: Sequence[Any]) -> Any: ...
    def multiply(self, parts: Sequence[Any]) -> Any: ...
    def power(self, base: Any, exponent: Any, e: Any) -> Any: ...
    def positive(self, x: Any) -> Any: ...
    def zero(self, x: Any) -> Any: ...
    def function(self, name: str, parts: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class World:
    """What stands for random variables and for unknown functions.

    Attributes:
        outcomes: the equally likely values of each random variable.
        same: whether all of them have the same value always, or are independent.
        variant: which simple functions stand for unknown ones.
    """

    outcomes: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    same: bool = False
    variant: int = 0


Key = Any  # a symbol, or the name of an array with the numbers of an entry


class Evaluator:
    """Evaluates expressions at one point.

    Args:
        integers: the number of each size and index.
        values: the number of each variable and entry; called with a key.
        rules: entries that are written otherwise.
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        integers: Mapping[Any, int],
        values: Callable[[Key], Any],
        world: World,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.rules = {r.base: r for r in rules}
        self.arithmetic, self.integers, self.values, self.world = arithmetic, dict(integers), values, world
        self.memo: dict[Any, Any] = {}
        self.drawn: dict[Key, Any] | None = None  # the outcome of each random variable, inside an expectation

    def value(self, e: Any) -> Any:
        """The value of an expression in elementary functions."""
        found = self.memo.get(e)
        if found is None:
            handle = _HANDLERS.get(type(e))
            if handle is None:
                handle = next((h for kind, h in _HANDLERS.items() if isinstance(e, kind)), Evaluator._function)
            found = self.memo[e] = handle(self, e)
        return found

    def integer(self, e: Any) -> int:
        """The value of an index expression."""
        if e.is_Integer:
            return int(e)
        made = e.xreplace({k: sp.Integer(v) for k, v in self.integers.items()})
        if not made.is_Integer:
            raise Undefined(f"{e} is no whole number")
        return int(made)

    def holds(self, e: Any, binders: Sequence[Any], check: Callable[[Any], Any]) -> list[Any]:
        """A check of an expression for every value of some indices and every outcome of random variables."""
        made: list[Any] = []

        def each(k: int) -> None:
            if k < len(binders):
                b = binders[k]
                for at in self._places(b.low, b.high):
                    self._at(b.index, at, lambda: each(k + 1))
            else:
                self._averaged(e, lambda: made.append(check(self.value(e))))

        each(0)
        return made

    # ---- structure ---------------------------------------------------------------------------------------------

    def _symbol(self, e: Any) -> Any:
        if e in self.integers:
            return self.arithmetic.number(sp.Integer(self.integers[e]))
        return self._random(e, e.name)

    def _random(self, key: Key, name: str) -> Any:
        if self.drawn is None or name not in self.world.outcomes:
            return self.values(key)
        outcomes = self.world.outcomes[name]
        return self.arithmetic.number(sp.Integer(outcomes[self.drawn.setdefault(key, 0) % len(outcomes)]))

    def _indexed(self, e: Any) -> Any:
        places = tuple(self.integer(i) for i in e.indices)
        rule, name = self.rules.get(e.base), e.base.label.name
        if rule is not None:
            made = rule.applied(e.base[places])
            if not isinstance(made, sp.Indexed) or made.base != e.base:
                return self.value(made)
            places = min(places, tuple(map(int, made.indices)))
        return self._random((name, places), name)

    def _places(self, low: Any, high: Any) -> range:
        found = range(self.integer(low), self.integer(high) + 1)
        if len(found) > MOST_ADDED:
            raise TooLarge(f"a sum of {len(found):,} terms")
        return found

    def _at(self, index: Any, at: int, work: Callable[[], Any]) -> Any:
        before, kept = self.memo, self.integers.get(index)
        self.memo, self.integers[index] = {}, at
        try:
            return work()
        finally:
            self.memo = before
            if kept is None:
                del self.integers[index]
            else:
                self.integers[index] = kept

    def _sum(self, e: Any) -> Any:
        def each(limits: Sequence[Any]) -> Any:
            if not limits:
                return self.value(e.function)
            i, low, high = limits[-1]
            if len(limits) == 1 and i not in e.function.free_symbols:
                count = max(self.integer(high) - self.integer(low) + 1, 0)
                number = self.arithmetic.number(sp.Integer(count))
                return self.arithmetic.multiply([number, self.value(e.function)]) if count else number
            return self.arithmetic.add([self._at(i, at, lambda: each(limits[:-1])) for at in self._places(low, high)])

        return each(e.limits)

    def _delta(self, e: Any) -> Any:
        a, b = e.args
        return self.arithmetic.number(sp.Integer(self.integer(a) == self.integer(b)))

    def _expectation(self, e: Any) -> Any:
        made: list[Any] = []
        self._averaged(e.args[0], lambda: made.append(self.value(e.args[0])))
        return self.arithmetic.multiply([self.arithmetic.add(made), self.arithmetic.number(sp.Rational(1, len(made)))])

    def _averaged(self, e: Any, work: Callable[[], Any]) -> None:
        """Do some work for every outcome of the random variables in an expression."""
        names = {s.name for s in e.free_symbols if s.is_Symbol} & self.world.outcomes.keys()
        if not names:
            work()
            return
        before, memo = self.drawn, self.memo
        try:
            self.drawn, self.memo = {}, {}
            self.value(e)  # which of them occur
            keys = list(self.drawn)
            counts = [len(self.world.outcomes[k[0] if isinstance(k, tuple) else k.name]) for k in keys]
            ways = (
                [(k,) * len(keys) for k in range(math.lcm(*counts))]
                if self.world.same
                else list(itertools.islice(itertools.product(*map(range, counts)), MOST_OUTCOMES + 1))
            )
            if len(ways) > MOST_OUTCOMES:
                raise TooLarge("an expectation over many random variables")
            for way in ways:
                self.drawn, self.memo = dict(zip(keys, way, strict=True)), {}
                work()
        finally:
            self.drawn, self.memo = before, memo

    # ---- functions ---------------------------------------------------------------------------------------------

    def _function(self, e: Any) -> Any:
        if not e.args:
            raise Undefined(f"{e} has no real value")
        return self.arithmetic.function(e.func.__name__, [self.value(a) for a in e.args])

    def _unknown(self, e: Any) -> Any:
        """An unknown function as a simple one: a square, a product, a sum of squares."""
        arguments: list[Any] = []
        lengths: list[int | None] = []
        for a in arguments_of(e):
            if isinstance(a, Argument):
                entry, index, size = a.args
                n = self.integer(size)
                lengths.append(n)
                arguments += [self._at(index, k, lambda: self.value(entry)) for k in range(1, n + 1)]
            else:
                lengths.append(None)
                arguments.append(self.value(a))
        places = tuple(self.integer(p.args[0]) for p in e.args if isinstance(p, Place))
        symbols, body = simple_function(e.func.__name__, tuple(lengths), places, self.world.variant)
        known = dict(zip(symbols, arguments, strict=True))
        return Evaluator(self.arithmetic, {}, known.__getitem__, World()).value(body)


@functools.lru_cache(maxsize=512)
def simple_function(
    name: str, lengths: tuple[int | None, ...], places: tuple[int, ...], variant: int
) -> tuple[list[Any], Any]:
    """What stands for an unknown function or a partial derivative of one: its symbols and its expression."""
    symbols: list[Any] = []
    inputs: list[Any] = []
    groups: list[list[Any]] = []
    for k, n in enumerate(lengths):
        made = [sp.Symbol(f"u{k + 1}" if n is None else f"u{k + 1}.{m}", real=True) for m in range(1, (n or 1) + 1)]
        symbols += made
        groups.append(made)
        inputs.append(made[0] if n is None else sp.Add(*(u ** (3 if variant else 2) for u in made)))
    body = _body(inputs, lengths, variant)
    base = name.rstrip("'")
    primes = len(name) - len(base)
    positions = "1" * primes or base.partition("_")[2]
    vector = iter(places)
    for p in positions:
        k = int(p) - 1
        body = sp.diff(body, groups[k][0] if lengths[k] is None else groups[k][next(vector) - 1])
    return symbols, sp.expand(body)


def _body(inputs: Sequence[Any], lengths: Sequence[int | None], variant: int) -> Any:
    if len(inputs) == 1:
        u = inputs[0]
        return u if lengths[0] is not None else u**3 + u if variant else u**2
    return sp.Mul(*inputs) + (sp.Add(*(u**2 for u in inputs)) + inputs[0] ** 2 * inputs[1] if variant else 0)


def said_function(f: Any, variant: int) -> tuple[str, str]:
    """The name of an unknown function, and what stands for it, in words."""
    name = f.func.__name__.rstrip("'").partition("_")[0]
    lengths = [1 if isinstance(a, Argument) else None for a in arguments_of(f)]
    if lengths == [1]:
        return name, "the sum of the cubes" if variant else "the sum of the squares"
    u = [
        sp.Symbol(f"u{k}" if n is None else f"{'sum_of_cubes' if variant else 'sum_of_squares'}(u{k})")
        for k, n in enumerate(lengths, 1)
    ]
    said = str(_body(u, lengths, variant)).replace("**", "^")
    return name, said.replace("u1", "u") if len(u) == 1 else said


_HANDLERS: dict[type, Callable[[Evaluator, Any], Any]] = {
    sp.Add: lambda s, e: s.arithmetic.add([s.value(a) for a in e.args]),
    sp.Mul: lambda s, e: s.arithmetic.multiply([s.value(a) for a in e.args]),
    sp.Pow: lambda s, e: s.arithmetic.power(s.value(e.args[0]), s.value(e.args[1]), e.args[1]),
    sp.Symbol: Evaluator._symbol,  # pyright: ignore[reportPrivateUsage]
    sp.Dummy: Evaluator._symbol,  # pyright: ignore[reportPrivateUsage]
    sp.Indexed: Evaluator._indexed,  # pyright: ignore[reportPrivateUsage]
    sp.Sum: Evaluator._sum,  # pyright: ignore[reportPrivateUsage]
    sp.KroneckerDelta: Evaluator._delta,  # pyright: ignore[reportPrivateUsage]
    Expectation: Evaluator._expectation,  # pyright: ignore[reportPrivateUsage]
    step: lambda s, e: s.arithmetic.positive(s.value(e.args[0])),
    at_zero: lambda s, e: s.arithmetic.zero(s.value(e.args[0])),
    AppliedUndef: Evaluator._unknown,  # pyright: ignore[reportPrivateUsage]
    sp.NumberSymbol: lambda s, e: s.arithmetic.number(e),
    sp.Number: lambda s, e: s.arithmetic.number(e),
}
