"""A computation as its statements with every total derivative, and claims about it compared with what is right."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...documents import Document, Line, formula, heading, words
from ...ir.node import Node
from ...ir.relation import NONZERO
from ...programs.staged import Staged
from ...trace.formula import pointed, syntax_tree
from ...trace.names import user_name
from ..algebra.assumptions import Assumptions
from ..algebra.decide import decide, kinks_of
from ..algebra.evaluate import Undefined
from ..algebra.interval import enclosure
from ..algebra.printing import latex, text
from ..algebra.scalars import Scalars, tidy
from ..algebra.untyped import sp
from ..reading.context import Context
from ..reading.statements import GRAMMAR, Reader
from .counterexample import Counterexample, find_counterexample

POINTS = 4


@dataclass
class Claim:
    """One claimed derivative, or one line of a program, with the verdict on it.

    Attributes:
        text: as it was written.
        right: whether it is right; None where that could not be decided.
        correct: what would be right.
        why: what is wrong, or a remark.
        counterexample: numbers that show it.
        line: its number in a program.
        exact: whether the verdict rests on an exact decision.
    """

    text: str
    right: bool | None
    correct: str = ""
    why: str = ""
    counterexample: Counterexample | None = None
    line: int | None = None
    exact: bool = True

    def __str__(self) -> str:
        mark = {True: "right", False: "WRONG", None: "unknown"}[self.right]
        number = f"line {self.line}: " if self.line is not None else ""
        rows = [f"{mark:<7} {number}{self.text}" + (f"   ({self.why})" if self.why else "")]
        if self.right is False and self.correct:
            rows.append(f"        right: {self.correct}")
        if self.counterexample is not None:
            rows.append(f"        {self.counterexample}")
        return "\n".join(rows)


@dataclass
class Check(Document):
    """The verdicts on a derivation. It is true when every line is right."""

    lines: list[Line]
    claims: list[Claim]

    @property
    def wrong(self) -> list[Claim]:
        """The claims that are wrong, in order."""
        return [c for c in self.claims if c.right is False]

    @property
    def first_wrong(self) -> Claim | None:
        """The first wrong line."""
        return next(iter(self.wrong), None)

    def __bool__(self) -> bool:
        return all(c.right for c in self.claims)

    def certificate(self) -> dict[str, str]:
        """Which independent ways agreed, and where they do not apply."""
        exact = sum(c.exact and c.right is not None for c in self.claims)
        shown = sum(c.counterexample is not None for c in self.claims)
        return {
            "normal form": f"{exact} of {len(self.claims)} claims decided exactly",
            "interval arithmetic": f"every claim compared at {POINTS} random exact points; {shown} counterexamples verified",
            "reverse mode": "the right derivatives come from the recorded graph and the declared local partials",
        }

    def __str__(self) -> str:
        return "\n".join([*map(str, self.claims), self._verdict])

    __repr__ = __str__

    @property
    def _verdict(self) -> str:
        wrong = self.wrong
        if not wrong:
            return "All right." if self else "Nothing is wrong, but not everything is settled."
        first = f" The first: line {wrong[0].line}." if wrong[0].line is not None else ""
        return f"{len(wrong)} of {len(self.claims)} wrong.{first}"


class Known:
    """The statements of a computation, with every total derivative."""

    def __init__(self, staged: Staged, output: str = "") -> None:
        self.s = Scalars(staged)
        self.nodes: dict[str, Node] = {self.s.staged.names[n]: n for n in [*self.s.staged.inputs, *self.s.statements]}
        if output and output not in self.nodes:
            self.nodes[output] = self.s.staged.output
        self.partials = {n: self.s.partials(n) for n in self.s.statements}
        self.kinks = kinks_of([self.s.written_out(self.s.expressions[n]) for n in self.s.statements])

    def total(self, of: Node, by: Node) -> Any:
        """The derivative of a value by another, over all paths."""
        found: dict[Node, Any] = {by: sp.Integer(1)}
        for n in self.s.statements:
            if n is by:
                continue
            made = sp.Add(*(p * found[i] for i, p in self.partials[n].items() if i in found))
            if made != 0:
                found[n] = made
        return tidy(found.get(of, sp.Integer(0)))

    def read(self, source: str, extra: Mapping[str, Any]) -> Any:
        """The right side of a claim as an expression; names that are not known are an error."""
        tree = syntax_tree(source, GRAMMAR, "condition", declared={*self.nodes, *extra})
        context = Context({}, frozenset(), "denominator")
        e = Reader(source, context).value(next(c for c in tree.children if hasattr(c, "children"))).scalar
        for name in context.variables:
            if name not in self.nodes and name not in extra:
                at = re.search(rf"\b{re.escape(name)}\b", source)
                known = ", ".join([*self.nodes, *extra])
                raise pointed(source, at.start() if at else 0, f"{name} is not known here", f"known are {known}")
        return e.subs({sp.Symbol(k, real=True): v for k, v in extra.items()})

    def whole(self, e: Any) -> Any:
        """An expression in the variables only."""
        return self.s.written_out(e)

    def shown(self, e: Any) -> str:
        """An expression in the names that the user gave."""
        for n in reversed(self.s.statements):
            if not user_name(n):
                e = e.subs(self.s.symbols[n], self.s.expressions[n])
        return text(tidy(e))

    def compare(self, claimed: Any, right: Any) -> tuple[bool | None, Counterexample | None, bool]:
        """Whether two expressions are equal, a counterexample if not, and whether that was decided exactly."""
        a, b = self.whole(claimed), self.whole(right)
        kinks = [(k.expression, NONZERO) for k in self.kinks]
        found = find_counterexample(b, a, kinks)
        if found is not None:
            return False, found, True
        if decide(a, b, Assumptions(kinks=self.kinks)).equal:
            return True, None, True
        found = find_counterexample(b, a, kinks, depth=4)
        return (False, found, True) if found is not None else (None, None, False)


def agree(a: Any, b: Any) -> bool:
    """Whether two expressions agree at random exact points: a quick test before an exact one."""
    rng = random.Random(0)
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    drawn = [{s: sp.Rational(rng.randint(-30, 30), rng.randint(3, 13)) for s in symbols} for _ in range(4 * POINTS)]
    seen = 0
    for at in drawn:
        try:
            x, y = enclosure(a, at), enclosure(b, at)
        except Undefined:
            continue
        if x.b < y.a or y.b < x.a:
            return False
        seen += 1
        if seen == POINTS:
            break
    return True


def likely_slip(claimed: Any, right: Any, known: Known) -> str:
    """The likeliest slip: a sign, a factor, a lost or a doubled term."""
    a, b = known.whole(claimed), known.whole(right)
    if agree(a, -b):
        return "the sign is wrong"
    for factor in (2, sp.Rational(1, 2)):
        if agree(a, factor * b):
            return (
                f"a factor {factor} too {'much' if factor > 1 else 'little'}"
                if factor == 2
                else "a factor 2 is missing"
            )
    terms = sp.Add.make_args(sp.expand(right))
    for t in terms if len(terms) > 1 else ():
        if agree(a, b - known.whole(t)):
            return f"the term {text(t)} is missing"
        if agree(a, b + known.whole(t)):
            return f"the term {text(t)} is there twice"
    return ""


def report_lines(claims: Sequence[Claim], known: Known) -> list[Line]:
    """The statements and the verdicts, as a document."""
    lines = [heading("Checked")]
    pairs = [(known.s.symbols[n], known.s.expressions[n]) for n in known.s.statements]
    lines += [formula(f"{text(a)} = {text(e)}", f"{latex(a)} = {latex(e)}") for a, e in pairs]
    return [*lines, *(words(str(c)) for c in claims)]
