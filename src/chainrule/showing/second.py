"""Second derivatives through a graph, term by term, and what a naive recursion on them loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..diff.jacobians import hessian
from ..diff.walk import accumulate
from ..documents import Document, Line, formula, heading, words
from ..errors import InputError
from ..ir.graph import Graph
from ..ir.node import Node
from ..programs.latex import symbol
from ..programs.staged import Staged
from ..symbolic.algebra.declared import OPERATIONS, declared_partial
from ..symbolic.algebra.derivative import derivative
from ..symbolic.algebra.printing import latex, text
from ..symbolic.algebra.scalars import Scalars, tidy
from ..symbolic.algebra.untyped import sp
from .show import shown


@dataclass(frozen=True)
class Term:
    """One term of a second derivative: what bends, by which of its inputs, and the expression."""

    of: str
    by: tuple[str, str]
    expression: Any

    @property
    def why(self) -> str:
        a, b = self.by
        return f"{self.of} bends in {a}" if a == b else f"cross term: {a} and {b} in {self.of}"

    def __str__(self) -> str:
        return f"{text(self.expression)}: {self.why}"


class SecondDerivative(Document):
    """The second derivative of a result by one or two variables.

    Attributes:
        expression: in the names of the statements.
        terms: one for each statement that bends, and each pair of its inputs; their sum is the expression.
        naive: what a recursion gives that treats second derivatives as reverse mode treats first ones.
        lost: the terms that the naive rule does not have.
        value: at the point.
    """

    def __init__(self, staged: Staged, wrt: str, by: str | None) -> None:
        s = Scalars(staged)
        inputs = {staged.names[v]: v for v in staged.inputs}
        for name in (wrt, by or wrt):
            if name not in inputs:
                raise InputError(f"there is no variable {name!r}", f"the variables are {', '.join(inputs)}", where="")
        self.s, self.staged = s, staged
        x, w = inputs[wrt], inputs[by or wrt]
        self.partials = {n: s.partials(n) for n in s.statements}
        start, bend = {staged.output: sp.Integer(1)}, self._bend
        adjoint = accumulate(s.statements, {**start}, lambda n, g: [(i, g * p) for i, p in self.partials[n].items()])
        by_x, by_w = self._tangents(x), self._tangents(w)
        self.terms = self._terms(adjoint, by_x, by_w)
        self.expression = tidy(sp.Add(*(t.expression for t in self.terms)))
        self.naive: Any = None
        if x is w:  # the recursion of reverse mode, with second local partials in place of first ones
            bent = accumulate(s.statements, {**start}, lambda n, g: [(i, g * bend(n, i, i)) for i in self.partials[n]])
            self.naive = sp.expand(bent.get(x, sp.Integer(0)))
        self.lost = [t for t in self.terms if self.naive is not None and not _within(t.expression, self.naive)]
        self.value = self._value(x, w)
        self.lines = self._written(staged.names[staged.output], wrt, by or wrt)

    def _tangents(self, x: Node) -> dict[Node, Any]:
        found: dict[Node, Any] = {x: sp.Integer(1)}
        for n in self.s.statements:
            made = sp.Add(*(p * found[i] for i, p in self.partials[n].items() if i in found))
            if made != 0:
                found[n] = made
        return found

    def _bend(self, n: Node, i: Node, j: Node) -> Any:
        """The second local partial of a statement: its local partial, differentiated by its own declaration."""
        partial = self.partials[n][i].subs(self.s.symbols[n], self.s.expressions[n])
        return tidy(derivative(partial, self.s.symbols[j], by_name=dict.fromkeys(OPERATIONS, declared_partial)))

    def _terms(self, adjoint: dict[Node, Any], by_x: dict[Node, Any], by_w: dict[Node, Any]) -> list[Term]:
        names, found = self.staged.names, list[Term]()
        for n in reversed(self.s.statements):
            inputs = list(self.partials[n])
            for a, i in enumerate(inputs):
                for j in inputs[a:]:
                    moved = by_x.get(i, 0) * by_w.get(j, 0) + (by_x.get(j, 0) * by_w.get(i, 0) if i is not j else 0)
                    bend = self._bend(n, i, j) if moved != 0 else sp.Integer(0)
                    e = adjoint.get(n, sp.Integer(0)) * bend * moved
                    if e != 0:
                        found.append(Term(names[n], (names[i], names[j]), e))
        return found

    def _value(self, x: Node, w: Node) -> float:
        inputs = self.staged.inputs
        graph = Graph(inputs, [self.staged.output])
        at = [v.value for v in inputs]

        def f(a: Any, b: Any) -> Any:
            given = list(at)
            given[inputs.index(w)] = b
            given[inputs.index(x)] = a
            return graph.replay(given)[0]

        def g(a: Any) -> Any:
            return f(a, a)

        return (
            float(hessian(g)(x.value)) if x is w else float(hessian(lambda v: f(v[0], v[1]))([x.value, w.value])[0][1])
        )

    def _written(self, out: str, wrt: str, by: str) -> list[Line]:
        power = f"∂{wrt}^2" if wrt == by else f"∂{wrt} ∂{by}"
        lpower = rf"\partial {symbol(wrt)}^2" if wrt == by else rf"\partial {symbol(wrt)} \, \partial {symbol(by)}"
        left = f"∂²{out}/{power}", rf"\frac{{\partial^2 {symbol(out)}}}{{{lpower}}}"
        lines = [heading(f"The second derivative of {out} by {wrt}" + (f" and {by}" if by != wrt else ""))]
        for n in self.s.statements:
            a, e = self.s.symbols[n], self.s.expressions[n]
            lines.append(formula(f"{text(a)} = {text(e)}", f"{latex(a)} = {latex(e)}"))
        lines.append(
            words(
                "Every statement n that bends gives ∂out/∂n times its second local partials, times how its inputs move:"
            )
        )
        lines += [formula(text(t.expression), latex(t.expression), t.why) for t in self.terms]
        lines += [words("Nothing bends: no statement has a second local partial.")] if not self.terms else []
        lines.append(
            formula(
                f"{left[0]} = {text(self.expression)}",
                f"{left[1]} = {latex(self.expression)}",
                f"their sum; here {shown(self.value, 6)}",
            )
        )
        if self.naive is not None:
            lines += self._comparison(left)
        return lines

    def _comparison(self, left: tuple[str, str]) -> list[Line]:
        lines = [heading("The naive rule: reverse mode with second partials in place of first ones")]
        lines.append(formula(text(self.naive), latex(self.naive), "naive"))
        if not self.lost and sp.expand(self.naive - sp.Add(*(t.expression for t in self.terms))) == 0:
            return [*lines, words("Here it happens to be right.")]
        lines.append(words("It is wrong. These terms are lost:"))
        lines += [formula(text(t.expression), latex(t.expression), t.why) for t in self.lost]
        own = [
            t for t in sp.Add.make_args(self.naive) if t != 0 and not any(_within(t, x.expression) for x in self.terms)
        ]
        if own:
            lines.append(words("And these do not belong there:"))
            lines += [formula(text(t), latex(t)) for t in own]
        return lines


def _within(e: Any, total: Any) -> bool:
    """Whether every term of e is a term of the total."""
    return set(sp.Add.make_args(sp.expand(e))) <= set(sp.Add.make_args(sp.expand(total)))
