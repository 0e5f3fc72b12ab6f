"""Derivations: the calculation of every partial derivative, as a teacher writes it on the board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..diff.walk import accumulate
from ..documents import Document, Line, formula, heading, words
from ..errors import InputError
from ..ir.node import Node
from ..ops.loops import Loop
from ..programs.latex import symbol
from ..programs.staged import Staged
from ..symbolic.algebra.printing import latex, text
from ..symbolic.algebra.scalars import Scalars, tidy
from ..symbolic.algebra.untyped import sp
from .matrices import matrix_lines
from .show import shown

LONG = 110  # characters; a longer formula in the variables alone is left out
MOST_CHAINS = 12
ORDERS = ("reverse", "forward", "chains")


class Derivation(Document):
    """The derivation of all partial derivatives of a computation.

    Attributes:
        results: for numbers, the expression of each partial derivative, by the name of what it is taken by.
    """

    def __init__(self, staged: Staged, order: str, layout: str, at_a_point: bool) -> None:
        if order not in ORDERS:
            raise InputError(f"there is no order {order!r}", f"choose one of {', '.join(ORDERS)}", where="")
        if layout not in ("denominator", "numerator"):
            raise InputError(f"there is no layout {layout!r}", "choose denominator or numerator", where="")
        if any(isinstance(n.op, Loop) for n in staged.live_stages):
            raise InputError("a derivation through a loop is not written", 'open it: open="scan"', where="")
        self.staged, self.at_a_point = staged, at_a_point
        self.results: dict[str, Any] = {}
        if all(n.shape == () for n in [*staged.inputs, *staged.live_stages]):
            self.s = Scalars(staged)
            self.lines = (
                self._statements()
                + {"reverse": self._reverse, "forward": self._forward, "chains": self._chains}[order]()
            )
        elif order == "reverse":
            self.lines = matrix_lines(staged, layout)
        else:
            raise InputError(
                f"the order {order!r} is for numbers; this computation has arrays", 'use order="reverse"', where=""
            )

    # ---- numbers ---------------------------------------------------------------------------------------------

    def _statements(self) -> list[Line]:
        lines = [heading(f"The derivatives of {self.staged.names[self.staged.output]}")]
        for n in self.s.statements:
            left, right = self.s.symbols[n], self.s.expressions[n]
            lines.append(
                formula(f"{text(left)} = {text(right)}", f"{latex(left)} = {latex(right)}", self._number(n.value))
            )
        return lines

    def _number(self, value: Any) -> str:
        return f"here {shown(value, 6)}" if self.at_a_point and value is not None else ""

    def _wanted(self) -> set[Node]:
        """Statements and inputs on the way from a wanted variable."""
        wanted = set(self.staged.wrt)
        for n in self.s.statements:
            if any(i in wanted for i in self.s.partials(n)):
                wanted.add(n)
        return wanted

    def _reverse(self) -> list[Line]:
        """From the result back: each gradient from those that are there already."""
        lines = [heading("Reverse order: from the result back to the variables")]
        out, wanted = self.staged.output, self._wanted()
        found: dict[Node, Any] = {out: sp.Integer(1)}
        lines.append(formula(*_equal(_d(self, out, out), "1", "1"), "the start"))

        def passed(n: Node, terms: list[tuple[Node, Any]]) -> list[tuple[Node, Any]]:
            if n is not out:
                self._gather(n, terms, found, lines)
            return [(i, [(n, p)]) for i, p in self.s.partials(n).items() if i in wanted]

        terms = accumulate(self.s.statements, {out: []}, passed)
        for v in self.staged.wrt:
            if terms.get(v):
                self._gather(v, terms[v], found, lines)
            else:
                found[v] = sp.Integer(0)
                lines.append(formula(*_equal(_d(self, out, v), "0", "0"), "no path leads there"))
        return lines + self._final(found)

    def _gather(self, n: Node, terms: Sequence[tuple[Node, Any]], found: dict[Node, Any], lines: list[Line]) -> None:
        out = self.staged.output
        chain = [[*([] if c is out else [_d(self, out, c)]), _d(self, c, n)] for c, _ in terms]
        factors = [[*([] if c is out else [found[c]]), p] for c, p in terms]
        total = tidy(sp.Add(*(sp.Mul(*f) for f in factors)))
        found[n] = total
        rules = "; ".join(dict.fromkeys(r for c, _ in terms for r in self.s.rules(c)))
        why = f"sum over {len(terms)} branches; {rules}" if len(terms) > 1 else rules
        lines.append(self._line(n, chain, factors, total, why))

    def _line(
        self,
        n: Node,
        chain: Sequence[Sequence[tuple[str, str]]],
        factors: Sequence[Sequence[Any]],
        total: Any,
        why: str,
        of: Node | None = None,
    ) -> Line:
        """∂f/∂x = the chain of factors = what they are = the simplified result."""
        left = _d(self, of or self.staged.output, n)
        said = [" · ".join(c[0] for c in row) for row in chain], [" ".join(c[1] for c in row) for row in chain]
        if len(chain) > 1:  # a direct edge beside others would repeat the left side
            said = tuple(
                [_product(f, write, "") if r == left[k] else r for r, f in zip(said[k], factors, strict=True)]
                for k, write in enumerate((text, latex))
            )
        parts = [left, _sum(*said)]
        written = _sum([_product(row, text, " · ") for row in factors], [_product(row, latex, " ") for row in factors])
        result = (text(total), latex(total))
        parts += [written] if written[0] not in (result[0], f"({result[0]})") else []
        parts.append(result)
        here = self._number(self.staged.gradients.get(n)) if of is None else ""
        return _joined(parts, "; ".join(w for w in (why, here) if w))

    def _final(self, found: dict[Node, Any]) -> list[Line]:
        """The partial derivatives by the variables, in statements and, where that is short, in the variables alone."""
        lines = [heading("Result")]
        for v in self.staged.wrt:
            e = found[v]
            self.results[self.staged.names[v]] = e
            whole = tidy(self.s.written_out(e))
            parts = [_d(self, self.staged.output, v), (text(e), latex(e))]
            if whole != e and len(text(whole)) <= LONG:
                parts.append((text(whole), latex(whole)))
            lines.append(_joined(parts, self._number(self.staged.gradients.get(v))))
        return lines

    def _forward(self) -> list[Line]:
        """From each variable on: the derivative of every statement by it, from those that are there already."""
        lines: list[Line] = []
        final: dict[Node, Any] = {}
        for v in self.staged.wrt:
            lines.append(heading(f"Forward order: from {self.staged.names[v]} to the result"))
            found: dict[Node, Any] = {v: sp.Integer(1)}
            for n in self.s.statements:
                terms = [(i, p) for i, p in self.s.partials(n).items() if i in found]
                if not terms:
                    continue
                chain = [(_d(self, n, i), *([] if i is v else [_d(self, i, v)])) for i, _ in terms]
                factors = [(p, *([] if i is v else [found[i]])) for i, p in terms]
                found[n] = tidy(sp.Add(*(sp.Mul(*f) for f in factors)))
                why = "; ".join([*([f"sum over {len(terms)} branches"] if len(terms) > 1 else []), *self.s.rules(n)])
                lines.append(self._line(v, chain, factors, found[n], why, of=n))
            final[v] = found.get(self.staged.output, sp.Integer(0))
        count = len(self.staged.wrt)
        passes = f"one pass for each of the {count} variables" if count != 1 else "one pass for each variable"
        lines.append(
            words(
                f"Forward mode takes {passes}; reverse mode takes one pass for all. A network has one loss and many "
                "parameters, so training uses reverse mode."
            )
        )
        return lines + self._final(final)

    def _chains(self) -> list[Line]:
        """Each partial derivative as its chain of local factors, from the variable to the result."""
        lines = [heading("Chains: each partial derivative as the product of local factors, a sum over all paths")]
        out, wanted = self.staged.output, self._wanted()
        chains: dict[Node, list[list[tuple[Node, Node, Any]]]] = {out: [[]]}
        for n in reversed(self.s.statements):
            for i, p in self.s.partials(n).items():
                if i in wanted and n in chains:
                    chains.setdefault(i, []).extend([(n, i, p), *c] for c in chains[n])
        found: dict[Node, Any] = {}
        for n in [*reversed([m for m in self.s.statements if m is not out]), *self.staged.wrt]:
            rows = chains.get(n, [])
            if not rows or n not in wanted:
                continue
            found[n] = tidy(sp.Add(*(sp.Mul(*(p for _, _, p in r)) for r in rows)))
            if len(rows) > MOST_CHAINS:
                left = _d(self, out, n)
                lines.append(
                    _joined([left, (text(found[n]), latex(found[n]))], f"{len(rows)} paths, too many to write")
                )
                continue
            lines.append(
                self._line(
                    n,
                    [[_d(self, c, i) for c, i, _ in r] for r in rows],
                    [[p for _, _, p in r] for r in rows],
                    found[n],
                    f"{len(rows)} path{'s' * (len(rows) != 1)}",
                )
            )
        return lines + self._final({v: found.get(v, sp.Integer(0)) for v in self.staged.wrt})


def _d(self: Derivation, of: Node, by: Node) -> tuple[str, str]:
    """∂of/∂by, as text and as LaTeX."""
    names = self.staged.names
    return f"∂{names[of]}/∂{names[by]}", rf"\frac{{\partial {symbol(names[of])}}}{{\partial {symbol(names[by])}}}"


def _equal(left: tuple[str, str], right: str, right_latex: str) -> tuple[str, str]:
    return f"{left[0]} = {right}", f"{left[1]} = {right_latex}"


def _joined(parts: Sequence[tuple[str, str]], why: str) -> Line:
    kept = [p for k, p in enumerate(parts) if k == 0 or p != parts[k - 1]]
    return formula(" = ".join(p[0] for p in kept), " = ".join(p[1] for p in kept), why)


def _sum(texts: Sequence[str], latexes: Sequence[str]) -> tuple[str, str]:
    return " + ".join(texts), " + ".join(latexes)


def _product(factors: Sequence[Any], write: Any, dot: str) -> str:
    """Factors side by side, in brackets where they are sums or negative."""
    if len(factors) == 1:
        return write(factors[0])
    return dot.join(write(f) if _whole(f) else f"({write(f)})" for f in factors)


def _whole(f: Any) -> bool:
    """Whether a factor stands without brackets: a name, a positive number, a call."""
    return (f.is_Atom or f.is_Function) and not f.could_extract_minus_sign()
