"""Judging a staged backward program line by line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...documents import heading, words
from ...errors import InputError
from ...ir.node import Node
from ...programs.deriving import stage
from ...trace.formula import parse
from ..algebra.budget import left, within
from ..algebra.printing import text
from ..algebra.scalars import tidy
from ..algebra.untyped import sp
from ..reading.written_program import Written
from .known import Check, Claim, Known, likely_slip, report_lines


def judged(written: Sequence[Written], skipped: int = 0, end: float = math.inf) -> Check:
    """The verdict on every backward line; `skipped` lines before it are not counted.

    Args:
        end: when the time is over (of `time.monotonic`); the lines that are left then are unknown.
    """
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
    backward = [w for w in written if w.of]
    judges: list[Judge] = []

    staged = stage(parse("\n".join(f"{w.target} = {w.text}" for w in forward)))

    def work() -> Check:
        known = Known(staged, forward[-1].target)
        judges.append(Judge(known, skipped))
        for w in backward:
            judges[0].line(w)
        judges[0].complete()
        return Check(report_lines(judges[0].claims, known), judges[0].claims)

    def over(why: str) -> Check:
        claims = judges[0].claims if judges else []
        unknown = [Claim(w.source, None, why=why, line=w.number - skipped) for w in backward[len(claims) :]]
        claims = [*claims, *unknown]
        return Check([heading("Checked"), *(words(str(c)) for c in claims)], claims)

    return within(left(end), work, over)


@dataclass(frozen=True)
class Part:
    """What one reader of a value contributes to its gradient: its own gradient times the local partial."""

    reader: str
    behind: Any
    local: Any

    @property
    def whole(self) -> Any:
        return self.behind * self.local

    def shown(self, known: Known, variables: Mapping[str, str]) -> str:
        """The contribution, with the program's own variable for the gradient of the reader."""
        if self.reader in variables and self.behind != 1:
            return text(tidy(self.local) * sp.Symbol(variables[self.reader], real=True))
        return known.shown(self.whole)


def contributions(known: Known, out: Node, n: Node) -> list[Part]:
    """What every reader of a value contributes to its gradient."""
    if n is out:
        return [Part("the start", sp.Integer(1), sp.Integer(1))]
    readers = [c for c in known.s.statements if n in known.partials[c]]
    parts = [
        Part(known.s.staged.names[c], known.total(out, c) if c is not out else sp.Integer(1), known.partials[c][n])
        for c in readers
    ]
    return [p for p in parts if p.behind != 0]


class Judge:
    """Judges the backward lines of a program one by one, each taking the gradients that it reads as right."""

    def __init__(self, known: Known, skipped: int) -> None:
        self.known, self.skipped = known, skipped
        self.claims: list[Claim] = []
        self.parts: dict[str, list[Part]] = {}
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
            self.parts[w.of] = contributions(self.known, self.known.s.staged.output, node)
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

    def _wrong(self, w: Written, claimed: Any, parts: list[Part], before: set[int]) -> Claim:
        wanted = [p for k, p in enumerate(parts) if not w.adds or k not in before]
        right = sp.Add(*(p.whole for p in wanted))
        doubled = w.adds and any(self.known.compare(claimed, parts[k].whole)[0] for k in before)
        why = "this was added already" if doubled else likely_slip(claimed, right, self.known)
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
