"""Checking somebody's derivation: claimed derivatives, or a staged backward program, line by line."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..diff.staged import stage
from ..errors import InputError
from ..ir.node import Node
from ..trace.formula import identifier, parse, pointed, syntax_tree
from ..trace.names import user_name
from .algebra import sp
from .counterexample import Counterexample, find_counterexample, suspects
from .decide import Assumptions, decide, kinks_of
from .document import Document, Line, formula, heading, words
from .interval import Undefined, enclosure
from .printing import latex, text
from .program import Written, read_program
from .reading import GRAMMAR, Context, Reader
from .scalars import Scalars, tidy

CLAIM = re.compile(r"\s*(?:d|∂)\s*(\w+'*)\s*/\s*(?:d|∂)\s*(\w+'*)\s*=(.*)", re.S)
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


def check(function: Any, *claims: str, at: Mapping[str, float] | None = None) -> Check:
    """Check claimed derivatives, or a staged program with its backward pass.

    Args:
        function: the formula ("f = (x + y)*z + x", several statements too), or a Python function of numbers. A staged
            program as Python text can stand here alone: forward lines, then gradients named dx, d_x, df_dx or x_grad.
        *claims: derivatives as "df/dx = 1 + z" (of any value by any other), or the text of a backward program.
        at: a point; a claim that gives a number is checked there.

    Returns:
        A `Check`: for each line whether it is right, what is right, numbers that show it, and the first wrong one.

    >>> print(check("f = (x + y)*z + x", "df/dx = 1 + z", "df/dz = x"))
    right   df/dx = 1 + z
    WRONG   df/dz = x
            right: df/dz = x + y
            at x = 1, y = 1: left = 2, right = 1
    1 of 2 wrong.
    """
    if not claims:
        if not isinstance(function, str) or "\n" not in function.strip():
            raise InputError(
                "there is nothing to check",
                'give claims, as check("f = x*y", "df/dx = y"), or a staged program',
                where="",
            )
        return _program(read_program(function))
    if len(claims) == 1 and "\n" in claims[0].strip() and isinstance(function, str):
        forward = "\n".join(s.strip() for s in re.split(r"[;\n]", function) if s.strip())
        count = forward.count("\n") + 1
        return _program(read_program(f"{forward}\n{claims[0].strip()}"), skipped=count)
    return _Claims(function, at or {}).check(claims)


# ---- claimed derivatives ---------------------------------------------------------------------------------------------


class _Known:
    """The statements of a computation, with every total derivative."""

    def __init__(self, function: Any, output: str = "") -> None:
        self.s = Scalars(stage(parse(function) if isinstance(function, str) else function))
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
        tree = syntax_tree(source, GRAMMAR, "condition")
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
        if not agree(a, b):
            return False, find_counterexample(b, a, given=[(k, "!= 0") for k in self.kinks]), True
        decision = decide(a, b, Assumptions(kinks=self.kinks))
        if decision.equal:
            return True, None, True
        found = find_counterexample(b, a, given=[(k, "!= 0") for k in self.kinks])
        return (False, found, True) if found is not None else (None, None, False)


def agree(a: Any, b: Any) -> bool:
    """Whether two expressions agree at random exact points: a quick test before an exact one."""
    rng = random.Random(0)
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    drawn = [{s: sp.Rational(rng.randint(-30, 30), rng.randint(3, 13)) for s in symbols} for _ in range(4 * POINTS)]
    seen = 0
    for at in [*suspects(a, b, symbols), *drawn]:
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


class _Claims:
    """Claimed derivatives of one computation."""

    def __init__(self, function: Any, at: Mapping[str, float]) -> None:
        self.known, self.at = _Known(function), at

    def check(self, claims: Sequence[str]) -> Check:
        made = [self._claim(c) for c in claims]
        return Check(_lines(made, self.known), made)

    def _claim(self, claim: str) -> Claim:
        match = CLAIM.fullmatch(claim)
        if match is None:
            raise pointed(claim, 0, "this claims no derivative", 'write it as "df/dx = 1 + z"')
        of, by = (identifier(match[k]) for k in (1, 2))
        for k, name in ((1, of), (2, by)):
            if name not in self.known.nodes:
                raise pointed(
                    claim, match.start(k), f"{name} is not known here", f"known are {', '.join(self.known.nodes)}"
                )
        right = self.known.total(self.known.nodes[of], self.known.nodes[by])
        claimed = self.known.read(match[3], {})
        said = f"d{match[1]}/d{match[2]} = {self.known.shown(right)}"
        verdict, found, exact = self.known.compare(claimed, right)
        if verdict is False and self.at and not claimed.free_symbols:
            numbers = {sp.Symbol(k, real=True): sp.Rational(repr(float(v))) for k, v in self.at.items()}
            value = enclosure(self.known.whole(right), numbers)
            if abs(float(value.a) - float(claimed)) <= 1e-12 * (1 + abs(float(claimed))):
                return Claim(claim.strip(), True, said, "at this point")
            return Claim(claim.strip(), False, f"{said}, here {float(value.a):.10g}", "at this point")
        return Claim(
            claim.strip(),
            verdict,
            said,
            _slip(claimed, right, self.known) if verdict is False else "",
            found,
            exact=exact,
        )


def _slip(claimed: Any, right: Any, known: _Known) -> str:
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


def _lines(claims: Sequence[Claim], known: _Known) -> list[Line]:
    lines = [heading("Checked")]
    pairs = [(known.s.symbols[n], known.s.expressions[n]) for n in known.s.statements]
    lines += [formula(f"{text(a)} = {text(e)}", f"{latex(a)} = {latex(e)}") for a, e in pairs]
    return [*lines, *(words(str(c)) for c in claims)]


# ---- staged programs ------------------------------------------------------------------------------------------------


def _program(written: Sequence[Written], skipped: int = 0) -> Check:
    forward = [w for w in written if not w.of]
    if not forward:
        raise InputError("the program computes nothing before its gradients", "write the forward lines first", where="")
    if len(forward) == len(written):
        raise InputError("the program has no backward line", "name gradients dx, d_x, df_dx or x_grad", where="")
    if any(w.adds for w in forward):
        w = next(w for w in forward if w.adds)
        raise InputError(
            f"line {w.number}: {w.source!r} adds to a value that is no gradient",
            "give the sum a name of its own",
            where="",
        )
    known = _Known(parse("\n".join(f"{w.target} = {w.text}" for w in forward)), forward[-1].target)
    judge = _Judge(known, skipped)
    for w in written:
        if w.of:
            judge.line(w)
    judge.complete()
    return Check(_lines(judge.claims, known), judge.claims)


@dataclass(frozen=True)
class _Part:
    """What one reader of a value contributes to its gradient: its own gradient times the local partial."""

    reader: str
    behind: Any
    local: Any

    @property
    def whole(self) -> Any:
        return self.behind * self.local

    def shown(self, known: _Known, variables: Mapping[str, str]) -> str:
        """The contribution, with the program's own variable for the gradient of the reader."""
        if self.reader in variables and self.behind != 1:
            return text(tidy(self.local) * sp.Symbol(variables[self.reader], real=True))
        return known.shown(self.whole)


def _contributions(known: _Known, out: Node, n: Node) -> list[_Part]:
    if n is out:
        return [_Part("the start", sp.Integer(1), sp.Integer(1))]
    readers = [c for c in known.s.statements if n in known.partials[c]]
    parts = [
        _Part(known.s.staged.names[c], known.total(out, c) if c is not out else sp.Integer(1), known.partials[c][n])
        for c in readers
    ]
    return [p for p in parts if p.behind != 0]


class _Judge:
    """Judges the backward lines of a program one by one, each taking the gradients that it reads as right."""

    def __init__(self, known: _Known, skipped: int) -> None:
        self.known, self.skipped = known, skipped
        self.claims: list[Claim] = []
        self.parts: dict[str, list[_Part]] = {}
        self.gathered: dict[str, set[int]] = {}  # value -> the contributions that its gradient has so far
        self.true: dict[str, Any] = {}  # variable of the program -> the right gradient
        self.variables: dict[str, str] = {}  # value -> the variable of its gradient
        self.last: dict[str, Claim] = {}
        self.spoiled: set[str] = set()  # values with a wrong line, of which nothing more is said

    def line(self, w: Written) -> None:
        """Judge one line."""
        node = self.known.nodes.get(w.of)
        if node is None:
            raise InputError(f"line {w.number}: {w.of} is not on the way to the result", where="")
        if w.of not in self.parts:
            self.parts[w.of] = _contributions(self.known, self.known.s.staged.output, node)
        claim = self._claim(w)
        claim.line = w.number - self.skipped
        self.true[w.target] = tidy(sp.Add(*(p.whole for p in self.parts[w.of])))
        self.variables[w.of] = w.target
        self.last[w.of] = claim
        self.claims.append(claim)

    def _claim(self, w: Written) -> Claim:
        claimed = self.known.read(w.text, {w.target: sp.Integer(0), **self.true})
        parts, before = self.parts[w.of], self.gathered.get(w.of, set[int]())
        for chosen in _subsets(len(parts)):
            if (w.adds and before & chosen) or not self.known.compare(
                claimed, sp.Add(*(parts[k].whole for k in chosen))
            )[0]:
                continue
            lost = set[int]() if w.adds else before - chosen
            self.gathered[w.of] = chosen | (before if w.adds else set[int]())
            if lost:
                return Claim(
                    w.source,
                    False,
                    f"{w.target} += {w.text}",
                    f"overwrites what came through {self._names(w.of, lost)}",
                )
            through = f"through {self._names(w.of, chosen)}" if len(parts) > 1 else ""
            return Claim(w.source, True, why="; ".join(x for x in (through, w.note) if x))
        return self._wrong(w, claimed, parts, before)

    def _wrong(self, w: Written, claimed: Any, parts: list[_Part], before: set[int]) -> Claim:
        wanted = [p for k, p in enumerate(parts) if not w.adds or k not in before]
        right = sp.Add(*(p.whole for p in wanted))
        doubled = w.adds and any(self.known.compare(claimed, parts[k].whole)[0] for k in before)
        why = "this was added already" if doubled else _slip(claimed, right, self.known)
        shown = " + ".join(p.shown(self.known, self.variables) for p in wanted) or "nothing more"
        self.gathered.setdefault(w.of, set())
        self.spoiled.add(w.of)
        found = self.known.compare(claimed, right)[1]
        return Claim(w.source, False, f"{w.target} {'+=' if w.adds else '='} {shown}", why, found)

    def _names(self, of: str, chosen: set[int]) -> str:
        return ", ".join(self.parts[of][k].reader for k in sorted(chosen))

    def complete(self) -> None:
        """A gradient whose last line leaves contributions out is wrong there."""
        for of, claim in self.last.items():
            lost = set(range(len(self.parts[of]))) - self.gathered[of]
            if lost and claim.right and of not in self.spoiled:
                claim.right, claim.why = False, f"lost: what comes through {self._names(of, lost)}"
                claim.correct = "add " + " + ".join(
                    self.parts[of][k].shown(self.known, self.variables) for k in sorted(lost)
                )


def _subsets(count: int) -> Iterator[set[int]]:
    """The sets of contributions that a line can hold, the largest first."""
    for size in range(count, 0, -1):
        yield from map(set, itertools.combinations(range(count), size))
