"""Proofs of identities, or counterexamples to them."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...documents import Document, Line, formula, heading, quoted, words
from ...errors import InputError
from ...ir.relation import NONNEGATIVE, NONZERO, ZERO, Relation
from ...programs.deriving import listed
from ..algebra.budget import DEFAULT, TooLarge, checked_budget, within
from ..algebra.decide import Case, Decision, decide
from ..algebra.evaluate import Undefined
from ..algebra.index_notation import Expectation, Tensor
from ..algebra.indices import Binder, Pattern, free_index, indices_of, is_named
from ..algebra.interval import enclosure, middle
from ..algebra.meaning import opened
from ..algebra.normal import Normal
from ..algebra.printing import latex, text
from ..algebra.untyped import AppliedUndef, Undecided, mpmath, sp
from ..reading.context import Derived
from ..reading.given import Given
from ..reading.open_sizes import settle
from ..reading.statements import Statement, read_statement
from .conditions import conditions_of
from .counterexample import FEW, MANY, Counterexample, Search, Space

POINTS = 12


@dataclass(repr=False)
class Verdict(Document):
    """What is known about a statement.

    Attributes:
        statement: its text.
        verdict: "proved", "refuted" or "unknown".
        conditions: what must hold for the statement to have a meaning.
        counterexample: numbers that refute it.
        tried: what was tried, where the verdict is unknown.
    """

    statement: str
    verdict: str
    conditions: list[str] = field(default_factory=list[str])
    counterexample: Counterexample | None = None
    tried: list[str] = field(default_factory=list[str])
    proof: _Proof | None = field(default=None, compare=False)
    decision: Decision = field(default_factory=Decision, compare=False)

    def __bool__(self) -> bool:
        return self.verdict == "proved"

    @functools.cached_property
    def lines(self) -> list[Line]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The steps, to be read; they are written when they are asked for."""
        plain = [heading(self.statement), *self._ending()]
        return plain if self.proof is None else within(DEFAULT, lambda: self._written(self.proof), lambda _: plain)

    def _written(self, proof: _Proof | None) -> list[Line]:
        opening = proof.opening() if proof is not None else [heading(self.statement)]
        return [*opening, *(equal_cases(self.decision) if self.verdict == "proved" else []), *self._ending()]

    def _ending(self) -> list[Line]:
        if self.verdict == "proved":
            said = [words(f"This holds where {' and '.join(self.conditions)}.")] if self.conditions else []
            return [*said, words("Proved.")]
        if self.counterexample is not None:
            found = str(self.counterexample)
            return [heading("Counterexample"), words(f"{found[0].upper()}{found[1:]}."), words("Refuted.")]
        return [heading("Unknown"), *map(words, self.tried)]

    def certificate(self) -> dict[str, str]:
        """The independent ways by which the verdict was checked, and what each of them said."""
        if self.counterexample is not None:
            c = self.counterexample
            return {"interval arithmetic": f"left is in {c.left}, right is in {c.right}"}
        if self.verdict != "proved" or self.proof is None:
            return {}
        proof = self.proof
        return within(DEFAULT, proof.checks, lambda why: {"normal form": EXACT, "interval arithmetic": why})

    __str__ = Document.__str__
    __repr__ = Document.__str__


EXACT = "the difference of the sides has the numerator 0 in every case"


def prove(
    statement: str,
    *,
    given: str | Sequence[str] = (),
    functions: str | Collection[str] = (),
    layout: str = "denominator",
    budget: float = DEFAULT,
    **shapes: Any,
) -> Verdict:
    """Prove an identity, or find a counterexample.

    Args:
        statement: an equation. It may hold derivatives `d/dz ...` (of the whole term that follows), entries `z[j]`,
            sums `sum(i=1..K, i != j, ...)` (of nothing, where the range is empty: 0), products of vectors and matrices (`@`, `.T`, `dot`, `outer`, `softmax`),
            and expectations `E[...]`, `Var[...]`.
        given: assumptions: "x > 0", "A = A.T", "i != j", "n >= 2", "Var[a] = s^2", "random(a)", "symmetric(a)" (a random
            variable, symmetric about 0; or a symmetric matrix).
        functions: names that stand for any function: g'(x) is the derivative of g(x), f_1(x, y) a partial one.
        layout: of the derivative of a vector by a vector: in "denominator" layout the axes of the variable come first.
        budget: seconds; when they are over the verdict is "unknown".
        **shapes: sizes of vectors and matrices, symbols or numbers: z="K", W="n, m". Symbolic sizes are at least 1.

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
    names = (
        [n.strip() for n in functions.split(",") if n.strip()]
        if isinstance(functions, str)
        else listed("functions", functions)
    )
    for name in names:
        if not name.isidentifier():
            raise InputError(f"functions={functions!r} is no list of names", "write functions='f, g'", where="")
    texts = [given] if isinstance(given, str) else listed("given", given)
    tried: list[str] = []

    def work() -> Verdict:
        s = read_statement(statement, shapes, names, layout)
        facts = Given(s, texts)
        settle(s.text, s.context)
        facts.settle()
        return _Proof(s, facts, tried).verdict()

    def unknown(why: str) -> Verdict:
        return Verdict(str(statement), "unknown", tried=[*tried, why])

    return within(checked_budget(budget), work, unknown)


class _Proof:
    """One attempt to decide a statement."""

    def __init__(self, statement: Statement, given: Given, tried: list[str]) -> None:
        self.s, self.given, self.tried = statement, given, tried
        context = statement.context
        rank = max(statement.left.rank, statement.right.rank)
        taken = {*context.variables, *context.sizes, *context.free}
        letters = (c for c in itertools.chain("ijklpqrs", (f"i{k}" for k in range(1, 99))) if c not in taken)
        self.free = [free_index(c) for c in itertools.islice(letters, rank)]
        dims = (statement.left if statement.left.rank >= statement.right.rank else statement.right).dims
        entries = [Binder(i, sp.Integer(1), d) for i, d in zip(self.free, dims, strict=True)]
        for b in entries:
            context.ranges.bind(b)
        self.indices = [*entries, *context.free.values()]
        self.left, self.right = self._entry(statement.left), self._entry(statement.right)
        a = given.assumptions
        self.assumptions = replace(a, kinks=(*a.kinks, *context.kinks))

    def _entry(self, x: Tensor) -> Any:
        return opened(x.entry(*self.free[len(self.free) - x.rank :]))

    @functools.cached_property
    def space(self) -> Space:
        """Where numbers are looked for."""
        context, a = self.s.context, self.assumptions
        found: set[Any] = set()
        for e in (self.left, self.right, *(p.expression for p, _ in self.needed)):
            found |= {s for s in e.free_symbols if s.is_Symbol}
        for b in (*self.indices, *(b for p, _ in self.needed for b in p.binders)):
            found |= b.low.free_symbols | b.high.free_symbols
        sizes = sorted((s for s in found if s.is_integer and s.is_positive), key=str)
        least = {n: context.ranges.least.get(n, 1) for n in sizes}
        return Space(self.left, self.right, least, self.indices, self.needed, a.random, a.symmetric, a.rules)

    @functools.cached_property
    def needed(self) -> list[tuple[Pattern, Relation]]:
        """What numbers must satisfy to count as a counterexample."""
        context = self.s.context
        given = [*((e, ZERO) for e in self.given.equations), *self.given.inequalities]
        sizes = [(Pattern(e), NONNEGATIVE) for e in context.required]
        kinks = [(Pattern(opened(k.expression), k.binders), NONZERO) for k in self.assumptions.kinks]
        domain = [(Pattern(opened(p.expression), p.binders), what) for p, what in context.domain]
        return [*given, *sizes, *domain, *kinks]

    def verdict(self) -> Verdict:
        """Decide it: by numbers, then by normal forms, then by more numbers."""
        search = Search(self.space)
        found = search.run(FEW)
        if found is not None:
            return self._refuted(found)
        self.tried.append("the simplest numbers: no counterexample")
        decision, plain = self._decided()
        if decision.equal and (search.seen or self.given.equations):
            conditions = conditions_of(
                self.s.context.domain,
                self.assumptions,
                self.s.context.kinks,
                self.given.inequalities,
                self.s.context.required,
            )
            return Verdict(self.s.text, "proved", conditions, proof=self, decision=decision)
        cases = len(decision.cases)
        self.tried.append(f"normal forms in {cases} case{'s' * (cases != 1)}: not equal in all")
        undecided = [c for c in decision.cases if c.outcome in ("undecided", "different")]
        self.tried += [
            f"left open: {_assumed(c) or 'the only case'}{f' ({c.why})' * bool(c.why)}" for c in undecided[:4]
        ]
        search = Search(self.space, depth=4)
        found = search.run(MANY) if not plain or not decision.equal else None
        if found is not None:
            return self._refuted(found)
        if not search.seen:
            self.tried.append("random points: none at which both sides are defined")
        return Verdict(self.s.text, "unknown", tried=self.tried, proof=self, decision=decision)

    def _refuted(self, found: Counterexample) -> Verdict:
        return Verdict(self.s.text, "refuted", counterexample=found, proof=self)

    def _decided(self) -> tuple[Decision, bool]:
        """By normal forms, with what the given equations say put in; and whether nothing had to be put in."""
        left, right, lines = self.replaced
        nonnegative = self.given.nonnegative
        return decide(left, right, self.assumptions, nonnegative), not lines

    @functools.cached_property
    def replaced(self) -> tuple[Any, Any, list[Line]]:
        """Both sides, with what the given equations say put in."""
        left, right, lines = self.left, self.right, list[Line]()
        for pattern, said in self.given.open:
            indices = indices_of(left, right) if pattern.binders else [sp.Integer(1)]
            for e in itertools.islice(pattern.instances(indices, self.assumptions.ranges), MOST_INSTANCES):
                try:
                    normal = Normal(self.assumptions)
                    solved = _solved(normal.fraction(e)[0], normal)
                    if solved is None:
                        continue
                    what, value = solved
                    sides = [Normal(self.assumptions).canonical(x).xreplace({what: value}) for x in (left, right)]
                except (Undecided, TooLarge):
                    continue
                left, right = sides
                line = f"{text(what)} = {text(value)}", f"{latex(what)} = {latex(value)}"
                lines.append(formula(*line, f"given: {said}"))
        return left, right, lines

    def opening(self) -> list[Line]:
        """The statement, what was given, the definitions and the derivatives."""
        c = self.s.context
        lines = [heading(self.s.text)]
        notes = dict(c.notes)
        for side in (self.s.left, self.s.right):
            opened(side.entry(*self.free[len(self.free) - side.rank :]), notes)
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
        return lines + self.replaced[2]

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

    def checks(self) -> dict[str, str]:
        """How a proof was checked."""
        search = Search(self.space)
        agree = self._agreeing(search)
        checks = {"normal form": EXACT}
        checks["interval arithmetic"] = (
            f"agrees at {agree} random exact points" if agree else "no random point satisfies the assumptions"
        )
        slopes = [d for x in self.s.context.derived if (d := _differences(x.f, x.made, x.by)) is not None]
        if self.s.context.derived:
            checks["differences"] = (
                f"central differences with 50 digits: at most {mpmath.nstr(max(slopes), 2)} away, relatively"
                if slopes
                else "does not apply: no derivative of a number by a number"
            )
        return checks

    def _agreeing(self, search: Search) -> int:
        """At how many random exact points both sides are defined and their intervals meet."""
        return sum(1 for _ in itertools.islice(search.agreeing(random.Random(0)), POINTS))


MOST_INSTANCES = 12  # of a given equation


def equal_cases(decision: Decision) -> list[Line]:
    """The cases of a proof, with both sides in normal form."""
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
