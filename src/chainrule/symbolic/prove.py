"""Proofs of identities, or counterexamples to them."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .algebra import AppliedUndef, Undecided, mpmath, sp
from .conditions import conditions_of
from .context import Derived
from .counterexample import Counterexample, find_counterexample, instances
from .decide import Case, Decision, decide, kinks_of
from .document import Document, Line, formula, heading, quoted, words
from .given import Given
from .interval import Undefined, certain, enclosure, middle
from .meaning import opened
from .normal import Normal
from .printing import latex, text
from .reading import Statement, read_statement
from .tensors import Expectation, Tensor, is_named

POINTS = 12


@dataclass
class Verdict(Document):
    """What is known about a statement.

    Attributes:
        statement: its text.
        verdict: "proved", "refuted" or "unknown".
        lines: the steps, to be read.
        conditions: what must hold for the statement to have a meaning.
        counterexample: numbers that refute it.
        tried: what was tried, where the verdict is unknown.
    """

    statement: str
    verdict: str
    lines: list[Line]
    conditions: list[str] = field(default_factory=list[str])
    counterexample: Counterexample | None = None
    tried: list[str] = field(default_factory=list[str])
    checks: dict[str, str] = field(default_factory=dict[str, str])

    def __bool__(self) -> bool:
        return self.verdict == "proved"

    def certificate(self) -> dict[str, str]:
        """The independent ways by which the verdict was checked, and what each of them said."""
        return dict(self.checks)

    __str__ = Document.__str__
    __repr__ = Document.__str__


def prove(
    statement: str,
    *,
    given: str | Sequence[str] = (),
    functions: str | Collection[str] = (),
    layout: str = "denominator",
    **shapes: Any,
) -> Verdict:
    """Prove an identity, or find a counterexample.

    Args:
        statement: an equation. It may hold derivatives `d/dz ...` (of the whole term that follows), entries `z[j]`,
            sums `sum(i=1..K, i != j, ...)`, products of vectors and matrices (`@`, `.T`, `dot`, `outer`, `softmax`),
            and expectations `E[...]`, `Var[...]`.
        given: assumptions: "x > 0", "Var[a] = s^2", "symmetric(a)" (a random variable, symmetric about 0), "random(a)".
        functions: names that stand for any function: g'(x) is the derivative of g(x), f_1(x, y) a partial one.
        layout: of the derivative of a vector by a vector: in "denominator" layout the axes of the variable come first.
        **shapes: sizes of vectors and matrices, symbols or numbers: z="K", W="n, m".

    Returns:
        A `Verdict`. "proved" rests on an exact decision (equal normal forms in every case), "refuted" on a
        counterexample verified with interval arithmetic; anything else is "unknown".

    Raises:
        FormulaError: the statement cannot be read; the message points at the place.

    >>> prove("tanh(z) = 2*sigma(2*z) - 1").verdict
    'proved'
    >>> prove("sqrt(x^2) = x").counterexample
    at x = -1: left = 1, right = -1
    """
    names = re.findall(r"\w+", functions) if isinstance(functions, str) else list(functions)
    s = read_statement(statement, shapes, names, layout)
    facts = Given(s, [given] if isinstance(given, str) else list(given))
    return _Proof(s, facts).verdict()


class _Proof:
    """One attempt to decide a statement."""

    def __init__(self, statement: Statement, given: Given) -> None:
        self.s, self.given = statement, given
        rank = max(statement.left.rank, statement.right.rank)
        taken = {*statement.context.variables, *statement.context.ranges, *statement.context.subscripts}
        letters = (c for c in "ijklpqrs" if c not in taken)
        self.free = [sp.Symbol(c, integer=True, positive=True) for c in itertools.islice(letters, rank)]
        self.left, self.right = self._entry(statement.left), self._entry(statement.right)
        dims = (statement.left if statement.left.rank >= statement.right.rank else statement.right).dims
        self.indices = [*zip(self.free, dims, strict=True), *self._named_indices()]
        self.kinks = kinks_of([d.f.entry(*d.f.indices()) for d in statement.context.derived])
        a = given.assumptions
        self.assumptions = replace(a, kinks=a.kinks | self.kinks)

    def _entry(self, x: Tensor) -> Any:
        return x.entry(*self.free[len(self.free) - x.rank :])

    def _named_indices(self) -> list[tuple[Any, Any]]:
        """Indices that the statement leaves free."""
        free = {s for e in (self.left, self.right) for s in e.free_symbols}
        found: list[tuple[Any, Any]] = []
        for i in sorted(free & {sp.Symbol(n, integer=True, positive=True) for n in self.s.context.subscripts}, key=str):
            sizes = {
                d
                for e in (self.left, self.right)
                for x in e.atoms(sp.Indexed)
                for k, d in zip(x.indices, x.base.shape, strict=True)
                if k == i
            }
            found.append((i, sizes.pop() if sizes else sp.Integer(1)))
        return found

    @property
    def sizes(self) -> list[Any]:
        free = {
            s
            for e in (self.left, self.right)
            for s in e.free_symbols | {x for t in e.atoms(sp.Sum) for x in t.free_symbols}
        }
        context = self.s.context
        sizes = (
            {d for _, d in self.indices}
            | {d for dims in context.dims.values() for d in dims}
            | {*context.ranges.values()}
        )
        return sorted(
            {d for d in sizes if d.is_Symbol}
            | {s for s in free if s.is_Symbol and s in sizes and not s.is_Integer} - {i for i, _ in self.indices},
            key=str,
        )

    def verdict(self) -> Verdict:
        """Decide it: by normal forms, then by searching for a counterexample."""
        left, right, replaced = self._with_equations()
        decision = decide(left, right, self.assumptions)
        lines = self._opening(replaced)
        seen, agree = self._compared()
        if decision.equal and agree and (seen or self.given.equations):
            lines += self._equal(decision)
            conditions = conditions_of(self.s.context.domain, self.assumptions, self.kinks, self.given.inequalities)
            lines += [words(f"This holds where {' and '.join(conditions)}.")] if conditions else []
            lines.append(words("Proved."))
            return Verdict(self.s.text, "proved", lines, conditions, checks=self._checks(seen))
        found = find_counterexample(
            self.left,
            self.right,
            sizes=self.sizes,
            indices=self.indices,
            given=self._needed(),
            random=self.given.assumptions.random,
        )
        if found is not None:
            lines += [heading("Counterexample"), words(f"{str(found)[0].upper()}{str(found)[1:]}."), words("Refuted.")]
            return Verdict(
                self.s.text,
                "refuted",
                lines,
                counterexample=found,
                checks={"interval arithmetic": f"left is in {found.left}, right is in {found.right}"},
            )
        tried = [
            f"normal forms in {len(decision.cases)} case{'s' * (len(decision.cases) != 1)}: not equal in all",
            "the simplest numbers: no counterexample",
        ]
        tried += [] if seen else ["random points: none at which both sides are defined"]
        undecided = [c for c in decision.cases if c.outcome in ("undecided", "different")]
        tried += [f"left open: {_assumed(c) or 'the only case'}" for c in undecided[:4]]
        return Verdict(self.s.text, "unknown", [*lines, heading("Unknown"), *map(words, tried)], tried=tried)

    def _with_equations(self) -> tuple[Any, Any, list[Line]]:
        """Both sides, with what the given equations say put in."""
        left, right, lines = self.left, self.right, list[Line]()
        for e in self.given.equations:
            normal = self.assumptions.normal()
            with contextlib.suppress(Undecided):
                numerator, _ = normal.fraction(e.left.scalar - e.right.scalar)
                solved = _solved(numerator, normal)
                if solved is not None:
                    what, value = solved
                    left, right = (self.assumptions.normal().canonical(x).subs(what, value) for x in (left, right))
                    said = f"{text(what)} = {text(value)}", f"{latex(what)} = {latex(value)}"
                    lines.append(formula(*said, f"given: {e.text}"))
        return left, right, lines

    def _opening(self, replaced: list[Line]) -> list[Line]:
        c = self.s.context
        lines = [heading(self.s.text)]
        notes = dict(c.notes)
        opened(self.left, notes)
        opened(self.right, notes)
        lines += [words(f"Given: {', '.join(self.given.texts)}.")] if self.given.texts else []
        if self.free:
            lines.append(
                words(
                    f"Entry ({', '.join(map(str, self.free))}) of both sides, for all {' and '.join(map(str, self.free))}; derivatives in {c.layout} layout."
                )
            )
        lines += [
            formula(f"{text(f)} = {text(d)}", f"{latex(f)} = {latex(d)}", "by definition") for f, d in notes.values()
        ]
        for x in c.derived:
            lines += self._differentiated(x)
        return lines + replaced

    def _differentiated(self, x: Derived) -> list[Line]:
        """The application of each rule, and the derivative that they give."""
        rank = x.made.rank
        e = x.made.entry(*self.free[:rank]) if rank <= len(self.free) else x.made.entry(*x.made.indices())
        by = x.by.entry(*x.by.indices())
        whole = x.f.rank == 0 and opened(x.f.scalar)
        named = [(u, rule, made) for u, (rule, made) in x.steps.items() if made != 0 and is_named(u) and is_named(by)]
        lines = [
            formula(
                f"d/d{text(by)} [{text(u)}] = {text(made)}",
                rf"\frac{{d}}{{d {latex(by)}}}\left[{latex(u)}\right] = {latex(made)}",
                rule,
            )
            for u, rule, made in named
            if u != whole
        ]
        rules = (
            [x.steps[whole][0]] if whole in x.steps else [] if lines else dict.fromkeys(r for r, _ in x.steps.values())
        )
        why = "; ".join(rules) or ("together" if lines else "the derivative of a constant or of the variable itself")
        return [*lines, formula(f"{x.text} = {text(e)}", f"{quoted(x.text)} = {latex(e)}", why)]

    def _equal(self, decision: Decision) -> list[Line]:
        lines: list[Line] = []
        for c in sorted(decision.cases, key=lambda c: len(c.assumed)):
            if c.assumed:
                lines.append(heading(f"Case {_assumed(c)}"))
            if c.outcome == "equal":
                left, right = c.forms()
                lines.append(formula(f"left  = {text(left)}", rf"\text{{left}} = {latex(left)}", "normal form"))
                lines.append(
                    formula(
                        f"right = {text(right)}",
                        rf"\text{{right}} = {latex(right)}",
                        "the same" if left == right else "their difference has the numerator 0",
                    )
                )
            else:
                lines.append(
                    words(
                        {
                            "impossible": "This case cannot occur.",
                            "undefined": "A side is not defined here.",
                            "a kink": "A kink: the derivative does not exist here.",
                        }[c.outcome]
                    )
                )
        return lines

    def _needed(self) -> list[tuple[Any, str]]:
        """What numbers must satisfy to count as a counterexample."""
        equations = [(e.left.scalar - e.right.scalar, "= 0") for e in self.given.equations]
        meaning = [(e, what) for e, what in self.s.context.domain if is_named(e)]
        return [*equations, *self.given.inequalities, *meaning, *((k, "!= 0") for k in self.assumptions.kinks)]

    def _points(self, count: int) -> list[tuple[list[Any], dict[Any, Any]]]:
        """Random exact points at which the sides can be compared."""
        rng = random.Random(0)
        found: list[tuple[list[Any], dict[Any, Any]]] = []
        needed = self._needed()
        for expressions, _ in itertools.islice(
            instances(
                [self.left, self.right, *(g for g, _ in needed)],
                self.sizes,
                self.indices,
                self.given.assumptions.random,
            ),
            6,
        ):
            symbols = sorted({s for e in expressions for s in e.free_symbols}, key=str)
            found += [
                (expressions, {s: sp.Rational(rng.randint(-40, 40), rng.randint(3, 17)) for s in symbols})
                for _ in range(count)
            ]
        return found

    def _compared(self) -> tuple[int, bool]:
        """At how many random points both sides are defined, and whether they agree at all of them: a proof that numbers contradict is none."""
        needed, seen, agree = self._needed(), 0, True
        for (a, b, *conditions), numbers in self._points(8 * POINTS):
            if seen >= POINTS:
                break
            try:
                if any(what == "= 0" for _, what in needed) or not all(
                    certain(enclosure(c, numbers), what) for c, (_, what) in zip(conditions, needed, strict=True)
                ):
                    continue
                x, y = enclosure(a, numbers), enclosure(b, numbers)
            except Undefined:
                continue
            seen += 1
            agree = agree and not (x.b < y.a or y.b < x.a)
        return seen, agree

    def _checks(self, seen: int) -> dict[str, str]:
        checks = {"normal form": "the difference of the sides has the numerator 0 in every case"}
        checks["interval arithmetic"] = (
            f"agrees at {seen} random exact points" if seen else "no random point satisfies the assumptions"
        )
        slopes = [d for x in self.s.context.derived if (d := _differences(x.f, x.made, x.by)) is not None]
        if self.s.context.derived:
            checks["differences"] = (
                f"central differences with 50 digits: at most {mpmath.nstr(max(slopes), 2)} away, relatively"
                if slopes
                else "does not apply: no derivative of a number by a number"
            )
        return checks


def _solved(numerator: Any, normal: Normal) -> tuple[Any, Any] | None:
    """What an equation says about one of its atoms, an expectation first: only where nothing is divided by what may be zero."""

    def order(a: Any) -> tuple[bool, str]:
        return normal.kinds.get(a) != "expectation", str(normal.written(a))

    for a in sorted(numerator.free_symbols, key=order):
        poly = numerator.as_poly(a)
        if (
            poly is not None
            and poly.degree() == 1
            and (normal.is_positive(poly.LC()) or normal.is_positive(-poly.LC()))
        ):
            return normal.written(a), normal.written(sp.cancel(-poly.nth(0) / poly.LC()))
    return None


def _differences(f: Tensor, made: Tensor, by: Tensor) -> Any:
    """How far a derivative is from central differences at 50 digits; None where that does not apply."""
    if f.rank or by.rank or not by.scalar.is_Symbol:
        return None
    e, d = opened(f.scalar), opened(made.scalar)
    symbols = sorted(e.free_symbols | d.free_symbols, key=str)
    if e.has(sp.Sum, Expectation, sp.Indexed) or e.atoms(AppliedUndef):
        return None
    worst = None
    rng = random.Random(1)
    h = sp.Rational(1, 10**12)
    for _ in range(5):
        at = {s: sp.Rational(rng.randint(5, 40), rng.randint(3, 17)) for s in symbols}
        try:
            up, down, slope = (
                enclosure(e, {**at, by.scalar: at[by.scalar] + h}),
                enclosure(e, {**at, by.scalar: at[by.scalar] - h}),
                enclosure(d, at),
            )
        except (Undefined, KeyError):
            continue
        with mpmath.mp.workdps(50):
            gap = abs((middle(up) - middle(down)) / (2 * mpmath.mpf(10) ** -12) - middle(slope)) / (
                1 + abs(middle(slope))
            )
            worst = max(gap, worst or mpmath.mpf(0))
    return worst


def _assumed(c: Case) -> str:
    return ", ".join(f"{text(a)} {word} {text(b)}" for a, word, b in c.assumed)
