"""A staged computation on numbers, as mathematics: each statement an expression of others, with its local partials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...diff.walk import accumulate
from ...errors import InputError
from ...ir.node import Node
from ...ir.op import Op, constant
from ...ops.arithmetic import divide, multiply, reciprocal
from ...ops.exponential import power
from ...ops.kinds import Elementwise
from ...ops.unknown import shown_as
from ...programs.deriving import local_expression
from ...programs.staged import Staged
from ...trace.names import user_name
from .meaning import SHOWN, exact, kept
from .untyped import sp

# Partials as mathematics writes them, where the declared ones look after zeros as well.
TEXTBOOK: dict[Op, tuple[Callable[..., Any], ...]] = {
    power: (lambda a, b: b * a ** (b - 1), lambda a, b: a**b * sp.log(a)),
}


def expression_of(root: Any, symbols: Mapping[Node, Any]) -> Any:
    """The expression of a node of numbers, down to the nodes that have a symbol."""
    done: dict[Node, Any] = dict(symbols)
    stack = [root]
    while stack:
        n = stack[-1]
        if type(n) is not Node or n in done:
            stack.pop()
            continue
        if n.op is constant or not n.inputs:
            done[n] = exact(n.value)
            continue
        waiting = [i for i in n.inputs if type(i) is Node and i not in done]
        if waiting:
            stack += waiting
            continue
        args = [done[i] if type(i) is Node else exact(i) for i in n.inputs]
        done[n] = _applied(n, args)
    return done[root] if type(root) is Node else exact(root)


def _applied(n: Node, args: list[Any]) -> Any:
    if name := shown_as(n.op):
        return kept(name)(*args)
    meaning = SHOWN.get(n.op)
    if meaning is None and isinstance(n.op, Elementwise):  # known by its name, and by the partials that it declares
        return kept(n.op.name)(*args)
    if meaning is None:
        raise InputError(
            f"{n.op.name} cannot be written as a formula of numbers", f'open it, with open="{n.op.name}"', where=""
        )
    return meaning(*args, **{k: v for k, v in n.params.items() if k in ("n", "slope", "low")})


def tidy(e: Any) -> Any:
    """The shortest of the usual forms: as it is, factored, cancelled, expanded."""
    if e.is_Atom:
        return e
    forms = [e, sp.factor_terms(e)]
    if len(e.free_symbols) <= 14:
        cancelled = sp.cancel(sp.together(e))
        forms += [cancelled, sp.factor(cancelled), sp.expand(e)]
    return min(forms, key=lambda f: (sp.count_ops(f), len(str(f))))


class Scalars:
    """The statements of a computation on numbers.

    Attributes:
        statements: the nodes that are shown: inputs, then what the user named, the result, and what is used twice;
            everything, where the user named nothing.
        symbols: their symbols.
    """

    def __init__(self, staged: Staged) -> None:
        self.staged = staged
        stages = staged.live_stages
        wide = next((n for n in [*staged.inputs, *stages] if n.shape != ()), None)
        if wide is not None:
            raise InputError(
                f"{staged.names[wide]} is an array of shape {wide.shape}, and numbers are needed here", where=""
            )
        self.inner = inner_stages(staged)
        self.statements = [n for n in stages if n not in self.inner]
        self.symbols = {n: sp.Symbol(staged.names[n], real=True) for n in [*staged.inputs, *self.statements]}
        self.expressions: dict[Node, Any] = {}
        for n in stages:
            known = self.symbols | {m: self.expressions[m] for m in self.inner if m in self.expressions}
            self.expressions[n] = expression_of(n, {k: v for k, v in known.items() if k is not n})
        self.known = self.symbols | {m: self.expressions[m] for m in self.inner}
        self.group = self._groups()

    def _groups(self) -> dict[Node, list[Node]]:
        """For each statement, its stages, last first."""
        owner: dict[Node, Node] = {}
        groups: dict[Node, list[Node]] = {}
        for n in reversed(self.staged.live_stages):
            if n not in self.inner:
                owner[n] = n
            groups.setdefault(owner[n], []).append(n)
            for i in n.inputs:
                if type(i) is Node and i in self.inner:
                    owner[i] = owner[n]
        return groups

    def partial_of_stage(self, n: Node, k: int) -> Any:
        """The derivative of one stage by its input k, in the symbols of statements."""
        if n.op in TEXTBOOK:
            return TEXTBOOK[n.op][k](*(self.known[i] if type(i) is Node else exact(i) for i in n.inputs))
        e = expression_of(local_expression(self.staged, n, k), self.known)
        if n.op in (divide, reciprocal) and n in self.symbols:  # in their inputs, as a textbook has them
            e = e.subs(self.symbols[n], self.expressions[n])
        return e

    def partials(self, n: Node) -> dict[Node, Any]:
        """The derivative of a statement by each statement or input that it reads."""

        def passed(m: Node, adjoint: Any) -> Iterator[tuple[Node, Any]]:
            for k, i in enumerate(m.inputs):
                if type(i) is Node and m.op.flows(k):
                    yield i, adjoint * self.partial_of_stage(m, k)

        found = accumulate(self.group[n][::-1], {n: sp.Integer(1)}, passed)
        return {i: tidy(e) for i, e in found.items() if i in self.symbols and i is not n}

    def rules(self, n: Node) -> list[str]:
        """The names of the rules that differentiate a statement."""
        return list(dict.fromkeys(rule_of(m) for m in self.group[n]))

    def written_out(self, e: Any) -> Any:
        """An expression in the variables only."""
        for n in reversed(self.statements):
            e = e.subs(self.symbols[n], self.expressions[n])
        return e


def inner_stages(staged: Staged) -> set[Node]:
    """Stages that are part of the statement that reads them: unnamed by the user, and read once."""
    stages = staged.live_stages
    if not any(user_name(n) for n in stages if n is not staged.output):
        return set()
    readers: dict[Node, int] = {}
    for n in stages:
        for i in n.inputs:
            if type(i) is Node:
                readers[i] = readers.get(i, 0) + 1
    return {n for n in stages if not user_name(n) and readers.get(n) == 1 and n is not staged.output}


def rule_of(n: Node) -> str:
    """The name of the rule that differentiates a stage."""
    if n.op is multiply and not all(type(i) is Node for i in n.inputs):
        return "constant factor"
    return n.op.rule or f"derivative of {n.op.name}"
