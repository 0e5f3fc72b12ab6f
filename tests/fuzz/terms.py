"""Statements as plain trees, with an evaluator of their own: plain numbers, loops and dual numbers; nothing of chainrule is used.

A term is a tuple; an index is (name, offset): ("i", 1) is i + 1, ("", 3) is 3. Arrays are evaluated as nested lists.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import mpmath

Term = tuple[Any, ...]


class Skip(Exception):
    """A term has no value at this point, or a kink."""


# ---- text ----------------------------------------------------------------------------------------------------------------


def index_text(i: tuple[str, int]) -> str:
    name, offset = i
    return str(offset) if not name else name if not offset else f"{name}{offset:+d}"


def text(t: Term) -> str:
    """A term as it is written in a statement."""
    kind, *rest = t
    match kind:
        case "num":
            return rest[0] if "/" not in rest[0] and "-" not in rest[0] else f"({rest[0]})"
        case "var" | "whole":
            return rest[0]
        case "index":
            return f"({index_text(rest[0])})"
        case "entry":
            return f"{rest[0]}[{', '.join(map(index_text, rest[1]))}]"
        case "add":
            return f"({' + '.join(map(text, rest))})"
        case "mul":
            return f"({'*'.join(map(text, rest))})"
        case "sub" | "div" | "pow" | "matmul":
            return f"({text(rest[0])} {dict(sub='-', div='/', pow='^', matmul='@')[kind]} {text(rest[1])})"
        case "neg":
            return f"(-{text(rest[0])})"
        case "fn":
            return f"{rest[0]}({', '.join(map(text, rest[1:]))})"
        case "T":
            return f"{text(rest[0])}.T"
        case "ind":
            return f"1[{text(rest[1])} {rest[0]} {text(rest[2])}]"
        case "same":
            return f"1[{index_text(rest[1])} {rest[0]} {index_text(rest[2])}]"
        case "sum":
            return f"sum({rest[0]}={index_text(rest[1])}..{index_text(rest[2])}, {text(rest[3])})"
        case "D":
            return f"(d/d{text(rest[0])} {text(rest[1])})"
        case "E" | "Var":
            return f"{kind}[{text(rest[0])}]"
    raise ValueError(t)


def parts(t: Term) -> list[tuple[int, Term]]:
    """The terms inside a term, with their places."""
    return [
        (k, x) for k, x in enumerate(t) if k and isinstance(x, tuple) and x and isinstance(x[0], str) and x[0] in KINDS
    ]


KINDS = {
    "num", "var", "whole", "index", "entry", "add", "mul", "sub", "div", "pow", "matmul", "neg", "fn", "T", "ind", "same",
    "sum", "D", "E", "Var",
}  # fmt: skip


def within(t: Term) -> list[Term]:
    """A term and all terms inside it."""
    return [t, *itertools.chain.from_iterable(within(x) for _, x in parts(t))]


# ---- numbers -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dual:
    """A number with its derivative by one variable; derivatives inside derivatives have a higher level."""

    level: int
    value: Any
    slope: Any


def primal(x: Any) -> Any:
    while isinstance(x, Dual):
        x = x.value
    return x


def still(x: Any) -> Any:
    """A number that does not move as a plain one."""
    while isinstance(x, Dual) and zero(x.slope):
        x = x.value
    return x


def zero(x: Any) -> bool:
    return zero(x.value) and zero(x.slope) if isinstance(x, Dual) else x == 0


def split(x: Any, level: int) -> tuple[Any, Any]:
    return (x.value, x.slope) if isinstance(x, Dual) and x.level == level else (x, 0)


def joined(f: Callable[[Any, Any], Any], slope: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def apply(x: Any, y: Any) -> Any:
        level = max(x.level if isinstance(x, Dual) else -1, y.level if isinstance(y, Dual) else -1)
        if level < 0:
            return f(x, y)
        (a, da), (b, db) = split(x, level), split(y, level)
        return Dual(level, apply(a, b), slope(a, da, b, db))

    return apply


add = joined(lambda a, b: a + b, lambda a, da, b, db: add(da, db))
mul = joined(lambda a, b: a * b, lambda a, da, b, db: add(mul(da, b), mul(a, db)))


class Numbers:
    """Elementary functions of floats, or of numbers with 40 digits."""

    def __init__(self, module: Any) -> None:
        self.m = module
        m = module
        self.exp = self._smooth(self._bounded(m.exp), lambda x: self.exp(x))
        self.log = self._smooth(self._positive(m.log), lambda x: self.inverse(x))
        self.sin = self._smooth(m.sin, lambda x: self.cos(x))
        self.cos = self._smooth(m.cos, lambda x: mul(-1, self.sin(x)))
        self.atan = self._smooth(m.atan, lambda x: self.inverse(add(1, mul(x, x))))
        self.inverse = self._smooth(self._divided, lambda x: mul(-1, self.inverse(mul(x, x))))

    def _smooth(self, f: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def apply(x: Any) -> Any:
            if isinstance(x, Dual):
                return Dual(x.level, apply(x.value), mul(slope(x.value), x.slope))
            return f(x)

        return apply

    def _bounded(self, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def apply(x: Any) -> Any:
            if x > (60 if self.m is math else 10**5):
                raise Skip
            return f(x)

        return apply

    def _positive(self, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def apply(x: Any) -> Any:
            if x <= 0:
                raise Skip
            return f(x)

        return apply

    def _divided(self, x: Any) -> Any:
        if abs(x) < (1e-9 if self.m is math else 1e-30):
            raise Skip
        return 1 / x

    def number(self, said: str) -> Any:
        f = Fraction(said)
        return self.m.mpf(f.numerator) / f.denominator if self.m is mpmath.mp else f.numerator / f.denominator

    def power(self, x: Any, n: Any) -> Any:
        """A whole power, or one of a positive number."""
        if isinstance(n, Fraction) and n.denominator == 1:
            made: Any = 1
            for _ in range(abs(int(n))):
                made = mul(made, x)
            return made if n >= 0 else self.inverse(made)
        x = still(x)
        if primal(x) == 0 and not isinstance(x, Dual) and isinstance(n, Fraction) and n > 0:
            return 0
        exponent = n if not isinstance(n, Fraction) else self.number(str(n))
        return self.exp(mul(exponent, self.log(x)))

    def side(self, x: Any) -> int:
        """The sign of a number; a kink where a derivative is taken at 0."""
        x = still(x)
        p = primal(x)
        if abs(p) < 1e-9 and (p != 0 or isinstance(x, Dual)):  # it may be rounding, or it is a kink
            raise Skip
        return 0 if p == 0 else 1 if p > 0 else -1

    def function(self, name: str, x: Any, *more: Any) -> Any:
        match name:
            case "exp" | "log" | "sin" | "cos":
                return getattr(self, name)(x)
            case "arctan":
                return self.atan(x)
            case "sqrt":
                return self.power(x, Fraction(1, 2))
            case "sigma":
                return self.inverse(add(1, self.exp(mul(-1, x))))
            case "tanh":
                return add(mul(2, self.function("sigma", mul(2, x))), -1)
            case "softplus":
                return self.log(add(1, self.exp(x)))
            case "relu":
                return x if self.side(x) > 0 else 0
            case "abs":
                return mul(x, self.side(x))
            case "sign":
                return self.side(x)
            case "max":
                return x if self.side(add(x, mul(-1, more[0]))) > 0 else more[0]
            case "min":
                return more[0] if self.side(add(x, mul(-1, more[0]))) > 0 else x
        raise ValueError(name)


FLOATS, DIGITS = Numbers(math), Numbers(mpmath.mp)

# Smooth functions that stand for unknown ones.
SMOOTH: dict[int, list[Callable[[Numbers, Sequence[Any]], Any]]] = {
    1: [
        lambda n, u: add(n.sin(u[0]), mul(u[0], u[0])),
        lambda n, u: mul(n.exp(mul(n.number("1/2"), u[0])), u[0]),
    ],
    2: [
        lambda n, u: add(mul(n.sin(u[0]), u[1]), mul(u[0], mul(u[1], u[1]))),
        lambda n, u: add(n.exp(mul(n.number("1/3"), u[0])), mul(mul(u[0], u[0]), n.cos(u[1]))),
    ],
}


@dataclass
class Point:
    """Numbers for everything that a statement speaks of.

    Attributes:
        values: of scalars by name, of entries by (name, places).
        integers: of sizes and free indices.
        shapes: the sizes of arrays, as names or numbers.
        outcomes: rows of the values of all random variables, equally likely.
        functions: what stands for each unknown function.
    """

    values: dict[Any, Any]
    integers: dict[str, int]
    shapes: Mapping[str, tuple[Any, ...]]
    outcomes: Sequence[Mapping[str, Any]] = ()
    functions: Mapping[str, Callable[[Numbers, Sequence[Any]], Any]] = field(default_factory=dict)
    missing: Callable[[Any], Any] | None = None

    def size(self, d: Any) -> int:
        return d if isinstance(d, int) else self.integers[d]

    def value(self, key: Any) -> Any:
        if key not in self.values:
            if self.missing is None:
                raise Skip
            self.values[key] = self.missing(key)
        return self.values[key]


class Evaluator:
    """The value of terms at a point."""

    def __init__(self, point: Point, numbers: Numbers = FLOATS) -> None:
        self.p, self.n = point, numbers
        self.indices: dict[str, int] = dict(point.integers)
        self.moved: dict[Any, Any] = {}  # keys that are differentiated by
        self.row: Mapping[str, Any] | None = None
        self.level = 0

    def index(self, i: tuple[str, int]) -> int:
        return (self.indices[i[0]] if i[0] else 0) + i[1]

    def lookup(self, key: Any) -> Any:
        if key in self.moved:
            return self.moved[key]
        name = key if isinstance(key, str) else key[0]
        if self.row is not None and name in self.row:
            return self._number(self.row[name])
        return self._number(self.p.value(key))

    def _number(self, v: Any) -> Any:
        return self.n.number(str(v)) if isinstance(v, Fraction) else v

    def entry(self, name: str, places: Sequence[int]) -> Any:
        for at, d in zip(places, self.p.shapes.get(name, (10**6,) * len(places)), strict=True):
            if not 1 <= at <= self.p.size(d):
                raise Skip
        return self.lookup((name, tuple(places)))

    def value(self, t: Term) -> Any:
        kind, *rest = t
        match kind:
            case "num":
                return self.n.number(rest[0])
            case "var":
                return self.lookup(rest[0])
            case "index":
                return self.index(rest[0])
            case "entry":
                return self.entry(rest[0], [self.index(i) for i in rest[1]])
            case "whole":
                return self._whole(rest[0])
            case "add" | "mul":
                made = self.value(rest[0])
                for x in rest[1:]:
                    made = broadcast(add if kind == "add" else mul, made, self.value(x))
                return made
            case "sub":
                return broadcast(lambda a, b: add(a, mul(-1, b)), *map(self.value, rest))
            case "div":
                return broadcast(lambda a, b: mul(a, self.n.inverse(b)), *map(self.value, rest))
            case "neg":
                return broadcast(lambda a: mul(-1, a), self.value(rest[0]))
            case "pow":
                exponent = Fraction(rest[1][1]) if rest[1][0] == "num" else Fraction(self.index(rest[1][1])) if rest[1][0] == "index" else self.value(rest[1])  # fmt: skip
                return broadcast(lambda a: self.n.power(a, exponent), self.value(rest[0]))
            case "fn":
                return self._function(rest[0], rest[1:])
            case "matmul":
                return matmul(*map(self.value, rest))
            case "T":
                return [list(row) for row in zip(*self.value(rest[0]), strict=True)]
            case "ind":
                return broadcast(lambda a, b: self._compared(rest[0], a, b), self.value(rest[1]), self.value(rest[2]))
            case "same":
                return int((self.index(rest[1]) == self.index(rest[2])) == (rest[0] == "=="))
            case "sum":
                return self._sum(*rest)
            case "D":
                return self._derivative(*rest)
            case "E":
                return self._mean(rest[0])
            case "Var":
                return add(self._mean(("mul", rest[0], rest[0])), mul(-1, mul(*[self._mean(rest[0])] * 2)))
        raise ValueError(t)

    def _whole(self, name: str) -> Any:
        dims = [self.p.size(d) for d in self.p.shapes[name]]

        def made(places: tuple[int, ...]) -> Any:
            if len(places) == len(dims):
                return self.lookup((name, places))
            return [made((*places, k)) for k in range(1, dims[len(places)] + 1)]

        return made(())

    def _function(self, name: str, arguments: Sequence[Term]) -> Any:
        values = [self.value(a) for a in arguments]
        if name == "sum":
            return total(values[0])
        if name == "softmax":
            e = [self.n.exp(x) for x in values[0]]
            return [mul(x, self.n.inverse(total(e))) for x in e]
        base = name.rstrip("'").partition("_")[0]
        if base in self.p.functions:
            by = [int(c) - 1 for c in name.partition("_")[2]] or [0] * name.count("'")
            return self._unknown(self.p.functions[base], values, by)
        return broadcast(lambda *a: self.n.function(name, *a), *values)

    def _unknown(self, f: Any, values: list[Any], by: list[int]) -> Any:
        if not by:
            return f(self.n, values)
        self.level += 1
        level = self.level
        moved = [Dual(level, v, int(k == by[0])) for k, v in enumerate(values)]
        made = split(self._unknown(f, moved, by[1:]), level)[1]
        self.level -= 1
        return made

    def _compared(self, relation: str, a: Any, b: Any) -> int:
        s = self.n.side(add(a, mul(-1, b)))
        return int({">": s > 0, "<": s < 0, ">=": s >= 0, "<=": s <= 0, "==": s == 0, "!=": s != 0}[relation])

    def _sum(self, name: str, low: Any, high: Any, body: Term) -> Any:
        made: Any = 0
        before = self.indices.get(name)
        for k in range(self.index(low), self.index(high) + 1):
            self.indices[name] = k
            made = add(made, self.value(body))
            if before is None:
                del self.indices[name]
            else:
                self.indices[name] = before
        return made

    def _derivative(self, target: Term, body: Term) -> Any:
        if target[0] == "whole":
            dims = [self.p.size(d) for d in self.p.shapes[target[1]]]

            def each(places: tuple[int, ...]) -> Any:
                if len(places) == len(dims):
                    return self._slope((target[1], places), body)
                return [each((*places, k)) for k in range(1, dims[len(places)] + 1)]

            return each(())
        return self._slope(target[1] if target[0] == "var" else (target[1], tuple(map(self.index, target[2]))), body)

    def _slope(self, key: Any, body: Term) -> Any:
        if isinstance(key, tuple):
            self.entry(*key)  # it must exist
        self.level += 1
        level, before = self.level, self.moved
        self.moved = {**before, key: Dual(level, self.lookup(key), 1)}
        made = broadcast(lambda x: split(x, level)[1], self.value(body))
        self.moved, self.level = before, level - 1
        return made

    def _mean(self, body: Term) -> Any:
        before, made = self.row, []
        for row in self.p.outcomes:
            self.row = row
            made.append(self.value(body))
        self.row = before
        return mul(total(made), self.n.number(f"1/{len(made)}"))


def broadcast(f: Callable[..., Any], *values: Any) -> Any:
    """A function of each entry."""
    longest = max((len(v) for v in values if isinstance(v, list)), default=None)
    if longest is None:
        return f(*values)
    depth = max(map(rank, values))
    return [broadcast(f, *(v[k] if rank(v) == depth else v for v in values)) for k in range(longest)]


def rank(v: Any) -> int:
    return 1 + rank(v[0]) if isinstance(v, list) else 0


def total(v: Any) -> Any:
    if not isinstance(v, list):
        return v
    made: Any = 0
    for x in v:
        made = add(made, total(x))
    return made


def matmul(a: Any, b: Any) -> Any:
    if rank(a) == 2:
        return [matmul(row, b) for row in a]
    if rank(b) == 2:
        return [matmul(a, list(column)) for column in zip(*b, strict=True)]
    return total([mul(x, y) for x, y in zip(a, b, strict=True)])


def flat(v: Any) -> list[Any]:
    return [x for part in v for x in flat(part)] if isinstance(v, list) else [primal(v)]
