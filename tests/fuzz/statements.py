"""Statements, true and false: `prove` says nothing that numbers contradict, raises nothing, and ends within its budget."""

from __future__ import annotations

import ast
import math
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
from hypothesis import strategies as st

import chainrule as cr
from chainrule.symbolic.algebra.budget import FAILED

from .harness import AGREED, Wrong, refused
from .rewriting import changed, names, rewritten
from .terms import DIGITS, FLOATS, SMOOTH, Evaluator, Numbers, Point, Skip, Term, add, flat, mul, parts, text, within

BUDGET = 2.0
POINTS = 16  # at which a statement is compared
Fact = tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """A statement.

    Attributes:
        left, right: its sides; see `terms`.
        given: ("positive", "x"), ("nonnegative", "x"), ("less", "x", "y"), ("apart", "i", "j"), ("least", "n", 2),
            ("symmetric", "A"), ("random", "a"), ("even", "a").
        shapes: the sizes that are declared.
        functions: the unknown functions with the numbers of their arguments.
    """

    left: Term
    right: Term
    given: tuple[Fact, ...] = ()
    shapes: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    functions: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"{text(self.left)} = {text(self.right)}"

    @property
    def options(self) -> dict[str, Any]:
        """What `prove` is given beside the text."""
        made: dict[str, Any] = {name: ", ".join(map(str, dims)) for name, dims in self.shapes}
        made["given"] = [GIVEN[f[0]].format(*f[1:]) for f in self.given]
        made["functions"] = ", ".join(f for f, _ in self.functions)
        return made


GIVEN = {
    "positive": "{} > 0", "nonnegative": "{} >= 0", "less": "{} < {}", "apart": "{} != {}", "least": "{} >= {}",
    "symmetric": "{0} = {0}.T", "random": "random({})", "even": "symmetric({})",
}  # fmt: skip


# ---- what is generated -----------------------------------------------------------------------------------------------------


class Maker:
    """Makes terms of a kind, as large as asked for."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.kind = rng.choice(
            [
                "numbers",
                "numbers",
                "sums",
                "sums",
                "sums",
                "vectors",
                "derivatives",
                "derivatives",
                "means",
                "functions",
            ]
        )
        self.shapes: dict[str, tuple[Any, ...]] = {}
        self.functions: dict[str, int] = {}
        self.free: list[str] = []
        self.random: list[str] = []

    def number(self) -> Term:
        return ("num", self.rng.choice(["1", "2", "3", "1/2", "0"]))

    def leaf(self, indices: Sequence[str] = ()) -> Term:
        rng = self.rng
        if indices and rng.random() < 0.75:
            i = rng.choice(indices)
            if len(indices) > 1 and rng.random() < 0.5:
                j = rng.choice(indices)
                return ("entry", "A", ((i, 0), (j, 0)))
            if rng.random() < 0.2:
                return ("index", (i, 0))
            return ("entry", rng.choice("ab"), ((i, 0),))
        if self.random and rng.random() < 0.6:
            return ("var", rng.choice(self.random))
        return ("var", rng.choice("xyz")) if rng.random() < 0.75 else self.number()

    def term(self, size: int, indices: Sequence[str] = ()) -> Term:
        rng = self.rng
        if size <= 1:
            return self.leaf(indices)
        half = rng.randint(1, size - 1)
        pick = rng.random()
        if pick < 0.25:
            return ("add", self.term(half, indices), self.term(size - half, indices))
        if pick < 0.45:
            return ("mul", self.term(half, indices), self.term(size - half, indices))
        if pick < 0.52:
            return ("sub", self.term(half, indices), self.term(size - half, indices))
        if pick < 0.57:
            return ("div", self.term(half, indices), self.term(size - half, indices))
        if pick < 0.59 and indices:
            return ("pow", self.term(size - 1, indices), ("index", (rng.choice(indices), rng.choice([0, 0, 1, -1]))))
        if pick < 0.64:
            return ("pow", self.term(size - 1, indices), ("num", rng.choice(["2", "2", "3", "1/2", "-1", "3/2"])))
        if pick < 0.70:
            return ("fn", rng.choice(["max", "min"]), self.term(half, indices), self.term(size - half, indices))
        if pick < 0.74:
            return (
                "ind",
                rng.choice([">", "<", ">=", "=="]),
                self.term(half, indices),
                self.term(size - half, indices),
            )
        if self.functions and pick < 0.86:
            f = rng.choice(sorted(self.functions))
            if self.functions[f] == 1:
                return ("fn", f + rng.choice(["", "", "'"]), self.term(size - 1, indices))
            return (
                "fn",
                f + rng.choice(["", "", "_1", "_2", "_12"]),
                self.term(half, indices),
                self.term(size - half, indices),
            )
        name = rng.choice(
            ["exp", "log", "sin", "cos", "relu", "abs", "sign", "sigma", "tanh", "softplus", "sqrt", "arctan"]
        )
        return ("fn", name, self.term(size - 1, indices))

    def summed(self, size: int, outer: Sequence[str] = ()) -> Term:
        rng = self.rng
        name = next(n for n in ("i", "j", "k", "l", "p") if n not in outer and n not in self.free)
        low = ("", rng.choice([1, 1, 1, 1, 2, 0])) if not outer or rng.random() < 0.85 else (rng.choice(outer), 0)
        high = rng.choice([("n", 0), ("n", 0), ("n", 0), ("n", -1), ("", 3), ("", 2), ("m", 0)])
        if outer and rng.random() < 0.15:
            high = (rng.choice(outer), 0)
        indices = [*outer, name]
        if len(indices) < 3 and rng.random() < 0.3:
            body = ("mul", self.term(max(1, size // 2), indices), self.summed(max(1, size // 2), indices))
        else:
            body = self.term(size, indices)
        return ("sum", name, low, high, body)

    def side(self, size: int) -> Term:
        """One side of a statement."""
        rng = self.rng
        if self.kind == "numbers":
            return self.term(size)
        if self.kind == "functions":
            self.functions = {"f": 1, "g": 2}
            return (
                self.term(size) if rng.random() < 0.5 else ("D", ("var", "x"), ("mul", ("var", "x"), self.term(size)))
            )
        if self.kind == "means":
            self.random = ["u", "v"][: rng.randint(1, 2)]
            body = ("add", ("var", "u"), self.smooth(size)) if rng.random() < 0.5 else self.smooth(size)
            return ("E", body) if rng.random() < 0.6 else ("Var", body)
        if self.kind == "sums":
            if rng.random() < 0.4:
                self.free = rng.choice([["i"], ["i", "j"]])
                self.shapes = {"a": ("n",), "b": ("n",), "A": ("n", "n")}
                made = self.summed(size, self.free)
                return made if rng.random() < 0.5 else ("mul", self.leaf(self.free), made)
            return self.summed(size)
        if self.kind == "derivatives":
            if rng.random() < 0.5:
                x: Term = ("var", "x")
                made: Term = ("D", x, ("mul", x, self.term(size)))
                return ("D", x, ("mul", x, made)) if rng.random() < 0.25 else made
            self.free = ["i"]
            self.shapes = {"a": ("n",), "b": ("n",), "A": ("n", "n")}
            inner = (
                "sum",
                "j",
                ("", rng.choice([1, 1, 2])),
                ("n", 0),
                ("mul", ("entry", "a", (("j", 0),)), self.term(size, ["j"])),
            )
            return ("D", ("entry", "a", (("i", 0),)), inner)
        self.shapes = {"v": ("n",), "w": ("n",), "M": ("n", "n")}
        made = self.vector(size)
        pick = rng.random()
        if pick < 0.4:
            return made
        return (
            ("fn", "sum", made) if pick < 0.6 else ("D", ("whole", "v"), ("fn", "sum", ("mul", ("whole", "v"), made)))
        )

    def smooth(self, size: int) -> Term:
        """A term that has a mean, whatever the distribution."""
        rng = self.rng
        if size <= 1:
            return ("var", rng.choice([*self.random, *self.random, "x"])) if rng.random() < 0.8 else self.number()
        half = rng.randint(1, size - 1)
        pick = rng.random()
        if pick < 0.4:
            return ("add", self.smooth(half), self.smooth(size - half))
        if pick < 0.7:
            return ("mul", self.smooth(half), self.smooth(size - half))
        if pick < 0.85:
            return ("fn", rng.choice(["relu", "abs", "sign", "sin"]), self.smooth(size - 1))
        return ("pow", self.smooth(size - 1), ("num", rng.choice(["2", "3"])))

    def vector(self, size: int) -> Term:
        rng = self.rng
        if size <= 1:
            return ("whole", rng.choice("vw"))
        half = rng.randint(1, size - 1)
        pick = rng.random()
        if pick < 0.25:
            return ("add", self.vector(half), self.vector(size - half))
        if pick < 0.45:
            return ("mul", self.vector(half), self.vector(size - half))
        if pick < 0.6:
            m: Term = ("whole", "M")
            return ("matmul", ("T", m) if rng.random() < 0.4 else m, self.vector(size - 1))
        if pick < 0.7:
            return ("mul", ("matmul", self.vector(half), self.vector(size - half)), ("whole", "v"))
        if pick < 0.75:
            return ("fn", "softmax", self.vector(size - 1))
        if pick < 0.8:
            return ("mul", ("var", "x"), self.vector(size - 1))
        name = rng.choice(["exp", "sin", "relu", "abs", "sigma", "tanh", "sign"])
        return ("fn", name, self.vector(size - 1))


def made_from(start: int, size: int) -> Case:
    """The case of a seed."""
    rng = random.Random(start)
    maker = Maker(rng)
    left = maker.side(size)
    right = left
    if rng.random() < 0.08:
        right = maker.side(size)
    for _ in range(rng.choice([1, 2, 3, 4])):
        right = rewritten(right, rng)
        if rng.random() < 0.25:
            left = rewritten(left, rng)
    if rng.random() < 0.4:
        right = changed(right, rng)
    loose = loose_indices(left) | loose_indices(right)
    anchored = {i[0] for t in (left, right) for x in within(t) if x[0] == "entry" for i in x[2]}
    if len(within(left)) + len(within(right)) > 160 or not loose - {"n", "m"} <= anchored & {*maker.free}:
        return made_from(start + 1, max(1, size - 1))
    given: list[Fact] = []
    occurring = names(left) | names(right)
    given += [
        (rng.choice(["positive", "nonnegative"]), x) for x in sorted(occurring & set("xyz")) if rng.random() < 0.3
    ]
    if {"x", "y"} <= occurring and rng.random() < 0.2:
        given.append(("less", "x", "y"))
    given += [(rng.choice(["random", "even"]), a) for a in maker.random if a in occurring]
    places = {i[0] for t in (left, right) for x in within(t) if x[0] == "entry" for i in x[2]}
    if {"i", "j"} <= {*maker.free} & places and rng.random() < 0.4:
        given.append(("apart", "i", "j"))
    if "M" in occurring and rng.random() < 0.4:
        given.append(("symmetric", "M"))
    if maker.shapes and rng.random() < 0.2:
        given.append(("least", "n", 2))
    shapes = tuple((name, dims) for name, dims in maker.shapes.items() if name in occurring)
    functions = tuple(sorted(maker.functions.items()))
    return Case(left, right, tuple(given), shapes, functions)


def loose_indices(t: Term, bound: frozenset[str] = frozenset()) -> set[str]:
    """The names of indices that no sum binds where they stand."""
    here = {i[0] for i in places_of(t) if i[0]} - bound
    if t[0] == "sum":
        bound |= {t[1]}
    return here.union(*(loose_indices(x, bound) for _, x in parts(t)))


cases = st.builds(made_from, st.integers(0, 2**40), st.integers(1, 6))


# ---- the judge -------------------------------------------------------------------------------------------------------------


def judge(case: Case) -> str:
    """Compare the verdict with numbers."""
    start = time.process_time()
    try:
        verdict = cr.prove(str(case), budget=BUDGET, **case.options)
    except cr.ChainruleError as error:
        return refused(error)
    if time.process_time() - start > BUDGET + 2:
        raise Wrong(f"{time.process_time() - start:.1f} s, with a budget of {BUDGET:g} s: {case}")
    if any(FAILED in t for t in verdict.tried):
        raise Wrong(f"{verdict.tried[-1]}: {case} given {case.options}")
    said = verdict.verdict
    if said == "refuted":
        check_counterexample(case, verdict.counterexample)
        return AGREED
    sizes = {m[1]: int(m[2]) for c in verdict.conditions if (m := re.fullmatch(r"(\w+) >= (\d+)", c))}
    differing = next(differences(case, sizes), None)
    if said == "proved" and differing is not None:
        raise Wrong(f"proved, and yet the sides are {differing[1]} at {differing[0]}: {case} given {case.options}")
    if said == "unknown":
        return f"unknown: {'it seems true' if differing is None else 'it is false'}"
    return AGREED


def points(case: Case, rng: random.Random) -> Iterator[Point]:
    """Points at which what is given holds."""
    shapes = dict(case.shapes)
    free = sorted({i[0] for t in (case.left, case.right) for x in within(t) for i in places_of(x) if i[0]})
    bound = {x[1] for t in (case.left, case.right) for x in within(t) if x[0] == "sum"}
    facts = {f[0]: f[1:] for f in case.given}
    for k in range(POINTS):
        sizes = {"n": rng.randint(1, 3), "m": rng.randint(1, 3)}
        if "least" in facts:
            sizes["n"] = max(sizes["n"], facts["least"][1])
        indices = {i: rng.randint(1, 3) for i in [*free, *bound] if i not in sizes}
        if "apart" in facts and indices["i"] == indices["j"]:
            continue
        signs = {f[1]: f[0] for f in case.given if f[0] in ("positive", "nonnegative")}
        positive = k % 3 == 0

        def number(key: Any, signs: dict[str, str] = signs, positive: bool = positive) -> Any:
            value = Fraction(rng.randint(-30, 30), rng.randint(3, 13))
            if rng.random() < 0.1:
                value = Fraction(rng.randint(-2, 2))
            sign = signs.get(key if isinstance(key, str) else "")
            if sign == "positive" and value == 0:
                value = Fraction(1)
            return abs(value) if sign or positive else value

        values = {x: number(x) for x in "xyz"}
        if "less" in facts and not values["x"] < values["y"]:
            continue
        if "symmetric" in facts:
            for i in range(1, 4):
                for j in range(1, i + 1):
                    values["M", (i, j)] = values["M", (j, i)] = number(("M", (i, j)))
        yield Point(values, sizes | indices, shapes, outcomes(case, rng), functions(case, rng), number)


def places_of(x: Term) -> Sequence[tuple[str, int]]:
    match x[0]:
        case "entry":
            return x[2]
        case "index":
            return [x[1]]
        case "same" | "sum":
            return x[2:4]
    return ()


def outcomes(case: Case, rng: random.Random) -> list[dict[str, Fraction]]:
    """Rows of equally likely values; an even variable has a value as often as its negative."""
    columns: dict[str, list[Fraction]] = {}
    for kind, *rest in case.given:
        if kind in ("random", "even"):
            half = [Fraction(rng.randint(-9, 9), rng.randint(1, 5)) for _ in range(2)]
            column = [*half, *(-v for v in half)] if kind == "even" else [*half, half[0], Fraction(rng.randint(-3, 3))]
            rng.shuffle(column)
            columns[rest[0]] = column
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def functions(case: Case, rng: random.Random) -> dict[str, Any]:
    return {f: rng.choice(SMOOTH[count]) for f, count in case.functions}


def sides(case: Case, point: Point, numbers: Numbers = FLOATS) -> list[tuple[Any, Any]] | None:
    """The entries of both sides; None where one is not defined."""
    try:
        left, right = (flat(Evaluator(point, numbers).value(t)) for t in (case.left, case.right))
    except (Skip, OverflowError):
        return None
    count = max(len(left), len(right))
    return list(zip(left * (count // len(left)), right * (count // len(right)), strict=True))


def apart(pairs: list[tuple[Any, Any]], tolerance: float) -> bool:
    return any(abs(a - b) > tolerance * (1 + abs(a) + abs(b)) for a, b in pairs)


def differences(case: Case, sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Points at which the sides differ, with what they are; sizes are at least what the verdict says that they must be."""
    for point in points(case, random.Random(str(case))):
        if any(point.integers.get(n, least) < least for n, least in sizes.items()):
            continue
        pairs = sides(case, point)
        if pairs is not None and apart(pairs, 1e-6):
            with mpmath.workdps(40):
                exact = sides(case, point, DIGITS)
                if exact is not None and apart(exact, 1e-15):
                    yield (
                        f"{point.values}, {point.integers}, {point.outcomes}",
                        str([tuple(map(str, p)) for p in exact]),
                    )


def check_counterexample(case: Case, found: Any) -> None:
    """The sides differ at a counterexample, and what is given holds there."""
    values: dict[Any, Any] = {}
    for said, v in found.numbers.items():
        name, _, places = said.partition("[")
        key = (name, tuple(map(int, places[:-1].split(",")))) if places else name
        values[key] = Fraction(int(v.p), int(v.q))
    for kind, *rest in case.given:
        if kind == "symmetric":
            values |= {(k[0], k[1][::-1]): v for k, v in values.items() if k[0] == rest[0] and isinstance(k, tuple)}
    world = found.world.outcomes
    columns = [(a, v) for a, v in world.items()]
    if found.world.same or len(columns) < 2:
        count = math.lcm(*(len(v) for _, v in columns)) if columns else 0
        rows = [{a: Fraction(v[k % len(v)]) for a, v in columns} for k in range(count)]
    else:
        (a, va), (b, vb) = columns
        rows = [{a: Fraction(p), b: Fraction(q)} for p in va for q in vb]
    said = {f: function_said(found.values[f]) if f in found.values else SMOOTH[count][0] for f, count in case.functions}
    point = Point(values, dict(found.integers), dict(case.shapes), rows, said, lambda key: Fraction(0))
    free = [i[0] for t in (case.left, case.right) for x in within(t) for i in places_of(x) if i[0]]
    point.integers |= {n: 1 for n in free if n not in point.integers}
    whole = [x for x in within(case.left) + within(case.right) if x[0] == "whole"]
    with mpmath.workdps(40):
        pairs = sides(case, point, DIGITS)
        if pairs is None:
            raise Wrong(f"refuted at {found}, where a side has no value: {case} given {case.options}")
        if not apart(pairs, 1e-20):
            raise Wrong(
                f"refuted at {found}, where the sides are equal{' in every entry' * bool(whole)}: {case} given {case.options}"
            )
    held = {
        "positive": lambda x: values.get(x, 1) > 0, "nonnegative": lambda x: values.get(x, 0) >= 0,
        "less": lambda x, y: values.get(x, -1) < values.get(y, 0), "apart": lambda i, j: point.integers[i] != point.integers[j],
        "least": lambda n, k: point.integers.get(n, k) >= k, "symmetric": lambda a: True, "random": lambda a: True,
        "even": lambda a: a not in world or sorted(world[a]) == sorted(-v for v in world[a]),
    }  # fmt: skip
    broken = [f for f in case.given if not held[f[0]](*f[1:])]
    if broken:
        raise Wrong(f"refuted at {found}, where {broken} does not hold: {case}")


def function_said(said: str) -> Any:
    """A polynomial in u, or in u1 and u2, as a function."""
    tree = ast.parse(re.sub(r"\bu\b", "u1", said).replace("^", "**"), mode="eval").body

    def value(node: ast.expr, n: Numbers, u: Sequence[Any]) -> Any:
        match node:
            case ast.Name():
                return u[int(node.id[1:]) - 1]
            case ast.BinOp(op=ast.Add()):
                return add(value(node.left, n, u), value(node.right, n, u))
            case ast.BinOp(op=ast.Mult()):
                return mul(value(node.left, n, u), value(node.right, n, u))
            case ast.BinOp(op=ast.Pow(), right=ast.Constant()):
                return n.power(value(node.left, n, u), Fraction(node.right.value))
        raise ValueError(said)

    return lambda n, u: value(tree, n, u)
