"""Checking somebody's derivation: claimed derivatives, or a staged backward program, line by line."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ...documents import heading, words
from ...errors import InputError
from ...programs.deriving import stage
from ...programs.staged import Staged
from ...trace.formula import identifier, parse, pointed
from ..algebra.budget import DEFAULT, checked_budget, left, within
from ..algebra.evaluate import Undefined
from ..algebra.interval import enclosure, middle
from ..algebra.untyped import sp
from ..reading.written_program import read_program
from .judge import judged
from .known import Check, Claim, Known, likely_slip, report_lines

CLAIM = re.compile(r"\s*(?:d|∂)\s*(\w+'*)\s*/\s*(?:d|∂)\s*(\w+'*)\s*=(.*)", re.S)


def check(function: Any, *claims: str, at: Mapping[str, float] | None = None, budget: float = DEFAULT) -> Check:
    """Check claimed derivatives, or a staged program with its backward pass.

    Args:
        function: the formula ("f = (x + y)*z + x", several statements too), or a Python function of numbers. A staged
            program as Python text can stand here alone: forward lines, then gradients named dx, d_x, df_dx or x_grad.
        *claims: derivatives as "df/dx = 1 + z" (of any value by any other), or the text of a backward program.
        at: a point; a claim that gives a number is checked there.
        budget: seconds; what is not settled when they are over is unknown.

    Returns:
        A `Check`: for each line whether it is right, what is right, numbers that show it, and the first wrong one.

    >>> print(check("f = (x + y)*z + x", "df/dx = 1 + z", "df/dz = x"))
    right   df/dx = 1 + z
    WRONG   df/dz = x
            right: df/dz = x + y
            at x = 1, y = 1: left = 2, right = 1
    1 of 2 wrong.
    """
    end = time.monotonic() + checked_budget(budget)
    if not claims:
        if not isinstance(function, str) or "\n" not in function.strip():
            raise InputError(
                "there is nothing to check",
                'give claims, as check("f = x*y", "df/dx = y"), or a staged program',
                where="",
            )
        return judged(read_program(function), end=end)
    if len(claims) == 1 and "\n" in claims[0].strip() and isinstance(function, str):
        forward = "\n".join(s.strip() for s in re.split(r"[;\n]", function) if s.strip())
        count = forward.count("\n") + 1
        return judged(read_program(f"{forward}\n{claims[0].strip()}"), skipped=count, end=end)
    staged = stage(parse(function) if isinstance(function, str) else function)
    return within(
        left(end),
        lambda: _Claims(staged, at or {}, end).check(claims),
        lambda why: Check([heading("Checked"), words(why)], [Claim(c.strip(), None, why=why) for c in claims]),
    )


# ---- claimed derivatives ---------------------------------------------------------------------------------------------


class _Claims:
    """Claimed derivatives of one computation."""

    def __init__(self, staged: Staged, at: Mapping[str, float], end: float) -> None:
        self.known, self.end = Known(staged), end
        for name, v in at.items():
            if name not in self.known.nodes:
                raise InputError(f"at: {name} is not known", f"known are {', '.join(self.known.nodes)}", where="")
            if not isinstance(v, (int, float)) or not math.isfinite(v):
                raise InputError(f"at: {name} = {v!r} is no number", "give a finite one", where="")
        self.at = {sp.Symbol(k, real=True): sp.Rational(repr(float(v))) for k, v in at.items()}

    def check(self, claims: Sequence[str]) -> Check:
        made = [
            within(left(self.end), lambda c=c: self._claim(c), lambda why, c=c: Claim(c.strip(), None, why=why))
            for c in claims
        ]
        return Check(report_lines(made, self.known), made)

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
            return self._at_the_point(claim.strip(), match[3].strip(), claimed, right, said)
        return Claim(
            claim.strip(),
            verdict,
            said,
            likely_slip(claimed, right, self.known) if verdict is False else "",
            found,
            exact=exact,
        )

    def _at_the_point(self, claim: str, number: str, claimed: Any, right: Any, said: str) -> Claim:
        """A claimed number: right where it is the derivative at the point, to as many decimals as are written."""
        whole = self.known.whole(right)
        missing = sorted(str(s) for s in whole.free_symbols - self.at.keys())
        if missing:
            raise InputError(
                f"{claim!r} gives a number, and {missing[0]} has none", f"give at={{{missing[0]!r}: ...}}", where=""
            )
        try:
            value = enclosure(whole, self.at)
        except Undefined:
            return Claim(claim, None, said, "it has no value at this point")
        decimals = re.fullmatch(r"-?\d*\.(\d+)", number)
        tolerance = 0.51 * 10.0 ** -len(decimals[1]) if decimals else 1e-12 * (1 + abs(float(claimed)))
        if abs(float(middle(value)) - float(claimed)) <= tolerance:
            return Claim(claim, True, said, "at this point")
        return Claim(claim, False, f"{said}, here {float(middle(value)):.10g}", "at this point")
