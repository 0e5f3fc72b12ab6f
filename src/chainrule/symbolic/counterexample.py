"""Counterexamples: the simplest numbers at which two expressions differ, checked with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .algebra import AppliedUndef, sp
from .derivative import Argument
from .interval import Undefined, certain, enclosure, middle
from .meaning import in_floats, opened
from .tensors import Expectation

VALUES = [sp.Rational(v) for v in ("1", "0", "-1", "2", "-2", "1/2", "-1/2", "3", "-3", "1/3", "5", "-5", "10", "-10")]
MOST = 300  # assignments that are tried one by one
DRAWN = 4_000  # assignments that are tried at once in floating point
SIZES = (2, 1, 3)


@dataclass(frozen=True, repr=False)
class Counterexample:
    """Numbers at which two sides differ.

    Attributes:
        values: for each variable, size, index or unknown function what was put for it, as text.
        left, right: the two sides there, as intervals.
        numbers: the exact number of each symbol.
    """

    values: dict[str, str]
    left: Any
    right: Any
    numbers: dict[Any, Any]

    def __str__(self) -> str:
        where = ", ".join(f"{k} = {v}" for k, v in self.values.items())
        return f"at {where or 'once'}: left = {_shown(self.left)}, right = {_shown(self.right)}"

    __repr__ = __str__


def _shown(x: Any) -> str:
    return f"{float(middle(x)):.10g}"


def instances(
    expressions: Sequence[Any], sizes: Sequence[Any], indices: Sequence[tuple[Any, Any]], random: frozenset[str]
) -> Iterator[tuple[list[Any], dict[str, str]]]:
    """The expressions for small sizes: sums written out, entries as symbols, unknown functions as simple ones."""
    for n in itertools.product(SIZES, repeat=len(sizes)):
        size = dict(zip(sizes, map(sp.Integer, n), strict=True))
        ranges = [range(1, int(d.subs(size)) + 1) for _, d in indices]
        for place in itertools.product(*ranges):
            at = size | dict(zip((i for i, _ in indices), map(sp.Integer, place), strict=True))
            said = {str(k): str(v) for k, v in at.items()}
            several = len(random) > 1 or any(e.atoms(AppliedUndef) for e in expressions)
            for variant in range(2 if several else 1):
                notes: dict[str, str] = {}
                yield [_expanded(opened(e).subs(at), variant, notes, random) for e in expressions], said | notes


def _expanded(e: Any, variant: int, notes: dict[str, str], random: frozenset[str]) -> Any:
    e = e.replace(lambda x: isinstance(x, sp.Sum), _written_out)
    e = e.replace(lambda x: isinstance(x, Expectation), lambda x: _mean(x.args[0], random, notes, variant))
    e = e.replace(lambda x: isinstance(x, AppliedUndef), lambda f: _instance(f, variant, notes))
    return e.replace(
        lambda x: isinstance(x, sp.Indexed),
        lambda x: sp.Symbol(f"{x.base}[{', '.join(map(str, x.indices))}]", real=True),
    )


def _written_out(s: Any) -> Any:
    e = s.function
    for i, low, high in s.limits:
        e = sp.Add(*(e.subs(i, k) for k in range(int(low), int(high) + 1)))
    return e


def _mean(e: Any, names: frozenset[str], notes: dict[str, str], variant: int) -> Any:
    """The expectation, for variables that are -1 or 1: independent ones, or all the same one."""
    random = sorted((s for s in e.free_symbols if s.name in names), key=str)
    for s in random:
        notes[s.name] = "-1 or 1, each with probability 1/2" + (
            ", the same for all" if variant and len(names) > 1 else ""
        )
    if variant:
        return (e.subs(dict.fromkeys(random, -1)) + e.subs(dict.fromkeys(random, 1))) / 2
    for s in random:
        e = (e.subs(s, -1) + e.subs(s, 1)) / 2
    return e


def _instance(f: Any, variant: int, notes: dict[str, str]) -> Any:
    """An unknown function as a simple one: u^2 or u^3 + u, a product, a sum of squares."""
    name = f.func.__name__
    primes = len(name) - len(name.rstrip("'"))
    base, _, positions = name.rstrip("'").partition("_")
    arguments: list[Any] = []
    vector: list[Any] | None = None
    for a in f.args:
        if isinstance(a, Argument):
            entry, index, size = a.args
            vector = [entry.subs(index, k) for k in range(1, int(size) + 1)]
        else:
            arguments.append(a)
    if vector is not None:
        notes[base] = "the sum of the cubes" if variant else "the sum of the squares"
        power = 3 if variant else 2
        if primes:
            return power * vector[int(arguments[-1]) - 1] ** (power - 1)
        return sp.Add(*(v**power for v in vector))
    u = sp.symbols(f"u1:{len(arguments) + 1}")
    body = (
        (u[0] ** 3 + u[0] if variant else u[0] ** 2)
        if len(u) == 1
        else sp.Mul(*u) + (sp.Add(*(x**2 for x in u)) if variant else 0)
    )
    notes[base] = str(body).replace("**", "^").replace("u1", "u" if len(u) == 1 else "u1")
    for k in positions:
        body = sp.diff(body, u[int(k) - 1])
    for _ in range(primes):
        body = sp.diff(body, u[0])
    return body.subs(dict(zip(u, arguments, strict=True)), simultaneous=True)


def assignments(symbols: Sequence[Any]) -> Iterator[dict[Any, Any]]:
    """Numbers for the symbols, the simplest first."""
    if not symbols:
        yield {}
        return
    count = len(VALUES) if len(symbols) == 1 else max(2, min(len(VALUES), int(20_000 ** (1 / len(symbols)))))
    chosen = sorted(itertools.product(range(count), repeat=len(symbols)), key=lambda p: (sum(p), p))
    for places in chosen[:MOST]:
        yield dict(zip(symbols, (VALUES[k] for k in places), strict=True))


def suspects(left: Any, right: Any, symbols: Sequence[Any], count: int = DRAWN) -> list[dict[Any, Any]]:
    """Random simple numbers at which two expressions seem to differ, in floating point."""
    if not symbols or left.has(sp.I) or right.has(sp.I):
        return []
    drawn = np.random.default_rng(0).integers(0, len(VALUES), (count, len(symbols)))
    points = np.array([float(v) for v in VALUES])[drawn]
    try:
        functions = [in_floats(symbols, e) for e in (left, right)]
        with np.errstate(all="ignore"):
            a, b = (np.broadcast_to(np.asarray(v, float), (count,)) for v in (f(*points.T) for f in functions))
            apart = np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) > 1e-6 * (1 + np.abs(a) + np.abs(b)))
    except (TypeError, NameError, ValueError):  # something without a meaning in floating point
        return []
    order = sorted(np.flatnonzero(apart), key=lambda k: int(drawn[k].sum()))
    return [{s: VALUES[j] for s, j in zip(symbols, drawn[k], strict=True)} for k in order[:20]]


def _refuted(
    a: Any, b: Any, conditions: Sequence[tuple[Any, str]], numbers: Mapping[Any, Any]
) -> tuple[Any, Any] | None:
    """Both sides as intervals that do not meet, where the conditions hold; None otherwise."""
    try:
        if not all(certain(enclosure(c, numbers), what) for c, what in conditions):
            return None
        x, y = enclosure(a, numbers), enclosure(b, numbers)
    except Undefined:
        return None
    return (x, y) if x.b < y.a or y.b < x.a else None


def _simplest(a: Any, b: Any, conditions: Sequence[tuple[Any, str]], numbers: dict[Any, Any]) -> dict[Any, Any]:
    """The same with as many numbers as possible replaced by 0, 1 or -1."""
    for s in numbers:
        for v in (sp.Integer(0), sp.Integer(1), sp.Integer(-1)):
            simpler = {**numbers, s: v}
            if _refuted(a, b, conditions, simpler):
                numbers = simpler
                break
    return numbers


def find_counterexample(
    left: Any,
    right: Any,
    *,
    sizes: Sequence[Any] = (),
    indices: Sequence[tuple[Any, Any]] = (),
    given: Sequence[tuple[Any, str]] = (),
    random: frozenset[str] = frozenset(),
) -> Counterexample | None:
    """The simplest counterexample, or None.

    Args:
        sizes: symbolic sizes, tried from 1 to 3.
        indices: free indices, each with its size.
        given: expressions that must be "= 0", "> 0", "!= 0" there.
        random: the random variables.
    """
    for (a, b, *some), said in instances([left, right, *(g for g, _ in given)], sizes, indices, random):
        conditions = [(c, what) for c, (_, what) in zip(some, given, strict=True)]
        symbols = sorted({s for e in (a, b, *some) for s in e.free_symbols}, key=str)
        for numbers in itertools.chain(assignments(symbols), suspects(a, b, symbols)):
            if _refuted(a, b, conditions, numbers):
                simple = _simplest(a, b, conditions, numbers) if len(symbols) > 2 else numbers
                sides = _refuted(a, b, conditions, simple)
                if sides is not None:
                    return Counterexample({str(s): str(v) for s, v in simple.items()} | said, *sides, simple)
    return None
