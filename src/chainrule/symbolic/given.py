"""The assumptions of a proof: signs, distributions, and equations that replace one thing by another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import InputError
from ..trace.formula import syntax_tree
from .algebra import sp
from .decide import Assumptions
from .reading import EQUATION, GRAMMAR, Reader, Statement, read_statement
from .tensors import Expectation


class Given:
    """The assumptions of a proof: signs, distributions, and equations that replace one thing by another."""

    def __init__(self, statement: Statement, texts: Sequence[str]) -> None:
        self.assumptions = Assumptions()
        self.equations: list[Statement] = []
        self.inequalities: list[tuple[Any, str]] = []
        self.texts = [t.strip() for text in texts for t in text.split(";") if t.strip()]
        for t in self.texts:
            self._read(t, statement)
        uses = any(side.entry(*side.indices()).has(Expectation) for side in (statement.left, statement.right))
        if uses and not self.assumptions.random:
            raise InputError(
                f"{statement.text!r} has an expectation, and no variable is random",
                'say which, as given="random(a)" or given="symmetric(a)"',
                where="",
            )

    def _read(self, t: str, statement: Statement) -> None:
        declared = re.fullmatch(r"(symmetric|random)\(([\w\s,]+)\)", t)
        if declared:
            names = frozenset(re.findall(r"\w+", declared[2]))
            unknown = names - statement.context.variables.keys()
            if unknown:
                raise InputError(f"{t!r}: {min(unknown)} does not occur in {statement.text!r}", where="")
            a = self.assumptions
            self.assumptions = replace(
                a,
                random=a.random | names,
                symmetric=a.symmetric | (names if declared[1] == "symmetric" else frozenset()),
            )
        elif EQUATION.search(t):
            self.equations.append(read_statement(t, {}, statement.context.functions, statement.context.layout))
        else:
            self._inequality(t, statement)

    def _inequality(self, t: str, statement: Statement) -> None:
        tree = syntax_tree(t, GRAMMAR, "condition")
        node = next((c for c in tree.children if hasattr(c, "children")), None)
        made = Reader(t, statement.context).comparison(node)
        if made is None or made[1] == "= 0":
            raise InputError(
                f"{t!r} is no assumption", 'write "x > 0", "a = b", "symmetric(a)" or "random(a)"', where=""
            )
        p, what = sp.expand(made[0]), made[1]
        self.inequalities.append((p, what))
        a = self.assumptions
        if what == "> 0":
            key, value = (sp.expand(-p), -1) if p.could_extract_minus_sign() else (p, 1)
            self.assumptions = replace(
                a, signs={**a.signs, key: value}, positive=a.positive | ({p.name} if p.is_Symbol else set())
            )
        elif what == "!= 0":
            self.assumptions = replace(a, kinks=a.kinks | {sp.expand(-p) if p.could_extract_minus_sign() else p})
