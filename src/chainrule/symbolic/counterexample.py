"""Counterexamples: the simplest numbers at which two expressions differ, checked with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .algebra import AppliedUndef, sp
from .derivative import Argument
from .interval import Undefined, enclosure, middle
from .meaning import opened
from .tensors import Expectation

VALUES = [sp.Rational(v) for v in ("1", "0", "-1", "2", "-2", "1/2", "-1/2", "3", "-3", "1/3", "5", "-5", "10", "-10")]
MOST = 600  # assignments that are tried
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
    expressions: Sequence[Any], sizes: Sequence[Any], indices: Sequence[tuple[Any, Any]], symmetric: frozenset[str]
) -> Iterator[tuple[list[Any], dict[str, str]]]:
    """The expressions for small sizes: sums written out, entries as symbols, unknown functions as simple ones."""
    for n in itertools.product(SIZES, repeat=len(sizes)):
        size = dict(zip(sizes, map(sp.Integer, n), strict=True))
        ranges = [range(1, int(d.subs(size)) + 1) for _, d in indices]
        for place in itertools.product(*ranges):
            at = size | dict(zip((i for i, _ in indices), map(sp.Integer, place), strict=True))
            said = {str(k): str(v) for k, v in at.items()}
            for variant in range(2 if any(e.atoms(AppliedUndef) for e in expressions) else 1):
                notes: dict[str, str] = {}
                yield [_expanded(opened(e).subs(at), variant, notes, symmetric) for e in expressions], said | notes


def _expanded(e: Any, variant: int, notes: dict[str, str], symmetric: frozenset[str]) -> Any:
    e = e.replace(lambda x: isinstance(x, sp.Sum), _written_out)
    e = e.replace(lambda x: isinstance(x, Expectation), lambda x: _mean(x.args[0], symmetric, notes))
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


def _mean(e: Any, symmetric: frozenset[str], notes: dict[str, str]) -> Any:
    """The expectation, for variables that take two values with probability one half each."""
    random = sorted((s for s in e.free_symbols if s.name in symmetric), key=str)
    for s in random:
        notes[s.name] = "-1 or 1, each with probability 1/2"
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


def find_counterexample(
    left: Any,
    right: Any,
    *,
    sizes: Sequence[Any] = (),
    indices: Sequence[tuple[Any, Any]] = (),
    given: Sequence[tuple[Any, str]] = (),
    symmetric: frozenset[str] = frozenset(),
) -> Counterexample | None:
    """The simplest counterexample, or None.

    Args:
        sizes: symbolic sizes, tried from 1 to 3.
        indices: free indices, each with its size.
        given: expressions that must be "= 0", "> 0", "!= 0" there.
        symmetric: random variables that are symmetric about 0.
    """
    for (a, b, *conditions), said in instances([left, right, *(g for g, _ in given)], sizes, indices, symmetric):
        symbols = sorted({s for e in (a, b, *conditions) for s in e.free_symbols}, key=str)
        for numbers in assignments(symbols):
            try:
                if not all(_holds(c, what, numbers) for c, (_, what) in zip(conditions, given, strict=True)):
                    continue
                x, y = enclosure(a, numbers), enclosure(b, numbers)
            except Undefined:
                continue
            if x.b < y.a or y.b < x.a:
                return Counterexample({str(s): str(v) for s, v in numbers.items()} | said, x, y, numbers)
    return None


def _holds(e: Any, what: str, numbers: Mapping[Any, Any]) -> bool:
    x = enclosure(e, numbers)
    return {"= 0": x.a == x.b == 0, "> 0": x.a > 0, ">= 0": x.a >= 0, "< 0": x.b < 0, "!= 0": x.a > 0 or x.b < 0}[what]
