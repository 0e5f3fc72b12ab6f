"""When a gradient is zero: sufficient conditions as an and/or formula, each verified in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..diff.walk import accumulate
from ..documents import Document, Line, formula, heading, quoted, words
from ..errors import ChainruleError, InputError
from ..ir.node import Node
from ..ir.relation import ZERO
from ..ops.kinds import Elementwise
from ..ops.loops import Loop
from ..programs.staged import Staged
from ..symbolic.algebra.and_or import FALSE, TRUE, Gate, all_of, any_of, minimal_conditions, simplified, written
from ..symbolic.algebra.declared import partial_template
from ..symbolic.algebra.facts import Fact, facts_of
from ..symbolic.algebra.printing import text
from ..symbolic.algebra.scalars import Scalars, tidy
from ..symbolic.algebra.untyped import sp
from .points import Numbers

LARGEST = 4_000  # characters of a gradient that is searched for cancelling branches


@dataclass(frozen=True)
class Condition:
    """A minimal condition under which a gradient is zero.

    Attributes:
        facts: what must hold together.
        cuts: the edges that it makes zero, as "∂a1/∂z1"; a cancellation cuts none.
        how: how it was verified.
        saturates: for a limit, from where on the value is exactly zero in floating point, by dtype.
    """

    facts: tuple[Fact, ...]
    cuts: tuple[str, ...]
    how: str
    saturates: tuple[tuple[str, float], ...] = ()

    @property
    def exact(self) -> bool:
        return all(f.exact for f in self.facts)

    def __str__(self) -> str:
        return " and ".join(map(str, self.facts))


class Zeros(Document):
    """The conditions under which the gradient by one variable is zero.

    Attributes:
        formula: the exact conditions as an and/or formula over facts.
        conditions: the minimal exact conditions.
        cancellations: exact conditions under which no path is cut, but the branches add up to zero.
        limits: what makes the gradient vanish only in the limit.
        paths: the number of paths from the variable to the result.
    """

    def __init__(self, staged: Staged, wrt: str) -> None:
        inputs = {staged.names[v]: v for v in staged.inputs}
        if wrt not in inputs:
            raise InputError(f"there is no variable {wrt!r}", f"the variables are {', '.join(inputs)}", where="")
        if any(isinstance(n.op, Loop) for n in staged.live_stages):
            raise InputError("a loop is not looked into", 'open it: open="scan", "while_loop" or "cond"', where="")
        self.staged, self.wrt, self.source = staged, wrt, inputs[wrt]
        self.numbers = Numbers(staged, self.source)
        self.edges = _edges(staged)
        self.cut_by: dict[Fact, list[str]] = {}
        self.cancelling: dict[Fact, None] = {}
        self.paths = self._count()
        whole = self._formula()
        exact = simplified(_exact(whole))
        minimal = minimal_conditions(exact)
        self.conditions = self._verified(minimal or [])
        self.formula = (
            exact
            if minimal is None or len(self.conditions) == len(minimal)
            else any_of([all_of(c.facts) for c in self.conditions])
        )
        self.cancellations = self._verified([frozenset((f,)) for f in self.cancelling])
        self.limits = self._limits(whole)
        self.lines = self._written()

    # ---- the formula -----------------------------------------------------------------------------------------

    def _formula(self) -> Any:
        """Zero at a node: along every edge that leaves it, the edge is cut or the gradient behind it is zero."""
        zero: dict[Node, Any] = {self.staged.output: FALSE}
        gradients = self.edges.gradients
        reached = {self.source}
        for n in self.edges.nodes:
            if any(c is n for m in list(reached) for c, _ in self.edges.out.get(m, [])):
                reached.add(n)
        for n in [*reversed(self.edges.nodes), self.source]:
            leaving = self.edges.out.get(n, [])
            if n is self.staged.output or n not in reached:
                continue
            parts: list[Any] = []
            for c, facts in leaving:
                for f in facts:
                    self.cut_by.setdefault(f, []).append(f"∂{self.staged.names[c]}/∂{self.staged.names[n]}")
                parts.append(any_of([*facts, zero.get(c, TRUE)]))
            zero[n] = simplified(all_of(parts))
            if len(leaving) > 1 and n in gradients:
                known = {f for parts in leaving for f in parts[1]}
                found = facts_of(gradients[n], self.edges.made_by)
                self.cancelling |= dict.fromkeys(f for f in found if f.expression.is_Add and f.exact and f not in known)
        return zero.get(self.source, TRUE)

    def _count(self) -> int:
        ways: dict[Node, int] = {self.staged.output: 1}
        for n in [*reversed(self.edges.nodes), self.source]:
            if n is not self.staged.output:
                ways[n] = sum(ways.get(c, 0) for c, _ in self.edges.out.get(n, []))
        return ways.get(self.source, 0)

    # ---- verification ----------------------------------------------------------------------------------------

    def _verified(self, minimal: Sequence[frozenset[Fact]]) -> list[Condition]:
        """The conditions that make the gradient zero in numbers; one that does not is left out."""
        found: list[Condition] = []
        for facts in minimal:
            ordered = tuple(sorted(facts, key=str))
            how = self.numbers.verify(ordered, self.edges.symbols)
            if how is not None:
                cuts = dict.fromkeys(c for f in ordered for c in self.cut_by.get(f, []))
                found.append(Condition(ordered, tuple(cuts), how))
        return found

    def _limits(self, whole: Any) -> list[Condition]:
        """Limits that let the gradient vanish, with the point from which floating point makes it exactly zero."""
        found: list[Condition] = []
        for facts in minimal_conditions(simplified(whole)) or []:
            if all(f.exact for f in facts):
                continue
            ordered = tuple(sorted(facts, key=str))
            how = self.numbers.vanishes(ordered, self.edges.symbols)
            if how:
                cuts = dict.fromkeys(c for f in ordered for c in self.cut_by.get(f, []))
                saturates = self.numbers.saturation(ordered, self.edges.symbols) if len(ordered) == 1 else ()
                found.append(Condition(ordered, tuple(cuts), how, saturates))
        return found

    # ---- showing ---------------------------------------------------------------------------------------------

    def _written(self) -> list[Any]:
        out = self.staged.names[self.staged.output]
        left = f"∂{out}/∂{self.wrt}"
        lines = [heading(f"When is {left} zero?")]
        if not self.paths:
            return [*lines, words(f"Always: no derivative flows from {self.wrt} to {out}.")]
        many = f"{self.paths:,} paths lead" if self.paths != 1 else "One path leads"
        if self.formula == FALSE:
            lines.append(words(f"{many} from {self.wrt} to {out}. Nothing was found that cuts every path."))
        else:
            lines.append(words(f"{many} from {self.wrt} to {out}. It is zero if"))
            lines.append(formula(written(self.formula), quoted(written(self.formula))))
        lines += [_line(c, f"cuts {', '.join(c.cuts)}; {c.how}") for c in self.conditions]
        lines += (
            [words("A fact about an array is meant for every entry.")] if any(n.shape for n in self.edges.nodes) else []
        )
        if self.cancellations:
            lines.append(words("Where nothing is cut, the branches cancel if"))
            lines += [_line(c, c.how) for c in self.cancellations]
        if self.limits:
            lines.append(words("Only in the limit:"))
        for c in self.limits:
            point = "; ".join(
                f"exactly 0 in {d} from |{text(c.facts[0].expression)}| = {v:.6g} on" for d, v in c.saturates
            )
            lines.append(_line(c, "; ".join(p for p in (c.how, point) if p)))
        return lines


def _line(c: Condition, why: str) -> Line:
    return formula(str(c), r" \text{ and } ".join(f.latex() for f in c.facts), why)


def _exact(formula: Any) -> Any:
    """The formula with every limit taken as false."""
    if isinstance(formula, Gate):
        parts = [_exact(p) for p in formula.parts]
        return any_of(parts) if formula.kind == "or" else all_of(parts)
    return formula if formula.exact else FALSE


@dataclass
class _Edges:
    """The edges of a computation with the facts that cut them.

    Attributes:
        nodes: statements in order.
        out: node -> (reader, the facts that make the local derivative zero).
        symbols: symbol -> node.
        made_by: symbol -> the operation that made it and the expression of its input.
        gradients: for numbers, the expression of the gradient of every node.
    """

    nodes: list[Node]
    out: dict[Node, list[tuple[Node, list[Fact]]]]
    symbols: dict[Any, Node]
    made_by: dict[Any, tuple[Any, Any]]
    gradients: dict[Node, Any]


def _edges(s: Staged) -> _Edges:
    if all(n.shape == () for n in [*s.inputs, *s.live_stages]):
        try:
            return _scalar_edges(Scalars(s))
        except InputError:  # an operation without a formula: edge by edge
            pass
    return _array_edges(s)


def _scalar_edges(scalars: Scalars) -> _Edges:
    s = scalars.staged
    made_by = {
        scalars.symbols[n]: (n.op, scalars.known[i])
        for n in scalars.statements
        if len(n.inputs) == 1 and type(i := n.inputs[0]) is Node
    }
    partials = {n: scalars.partials(n) for n in scalars.statements}
    out: dict[Node, list[tuple[Node, list[Fact]]]] = {}
    for n in reversed(scalars.statements):
        for i, p in partials[n].items():
            if p != 0:
                out.setdefault(i, []).append((n, facts_of(p, made_by)))
    gradients = accumulate(
        scalars.statements, {s.output: sp.Integer(1)}, lambda n, g: [(i, g * p) for i, p in partials[n].items()]
    )
    return _Edges(
        scalars.statements,
        out,
        {v: n for n, v in scalars.symbols.items()},
        made_by,
        {n: tidy(g) for n, g in gradients.items() if len(str(g)) < LARGEST},
    )


def _array_edges(s: Staged) -> _Edges:
    symbols = {n: sp.Symbol(s.names[n], real=True) for n in [*s.inputs, *s.live_stages]}
    made_by = {
        symbols[n]: (n.op, symbols[n.inputs[0]])
        for n in s.live_stages
        if len(n.inputs) == 1 and type(n.inputs[0]) is Node
    }
    out: dict[Node, list[tuple[Node, list[Fact]]]] = {}
    for n in s.live_stages:
        for k, i in enumerate(n.inputs):
            if type(i) is Node and n.op.flows(k):
                facts = _array_facts(n, k, symbols, made_by)
                if facts is not None:
                    out.setdefault(i, []).append((n, facts))
    return _Edges(s.live_stages, out, {v: n for n, v in symbols.items()}, made_by, {})


def _array_facts(n: Node, k: int, symbols: Mapping[Node, Any], made_by: Mapping[Any, Any]) -> list[Fact] | None:
    """What makes an operation on arrays pass nothing back to its input k; None where it never passes anything."""
    if n.op.factors:
        others = [i for j, i in enumerate(n.inputs[:2]) if j != k and k < 2]
        return [Fact(symbols[i], ZERO) for i in others if type(i) is Node]
    if not isinstance(n.op, Elementwise):
        return []
    try:
        made = partial_template(n.op, k, tuple(n.params.items()))
    except (ChainruleError, TypeError):
        return []
    constants = [np.unique(np.asarray(i)) for i in n.inputs if type(i) is not Node]
    if made is None or any(c.size != 1 for c in constants):  # constants that differ by entry are no one fact
        return []
    e, arguments, value = made
    put = {
        a: symbols[i] if type(i) is Node else sp.Float(float(np.unique(np.asarray(i))[0]))
        for a, i in zip(arguments, n.inputs, strict=False)
    }
    partial = e.subs({**put, value: symbols[n]}, simultaneous=True)
    return None if partial.is_zero else facts_of(partial, made_by)
