"""The assumptions of a proof: signs, distributions, sizes, and equations that replace one thing by another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...errors import InputError
from ...ir.relation import NONNEGATIVE, NONZERO, POSITIVE, ZERO, Relation
from ...trace.formula import syntax_tree
from ..algebra.assumptions import Assumptions, Rule
from ..algebra.index_notation import ONE, Expectation, Tensor, transpose
from ..algebra.indices import Binder, Pattern, fresh_index, same
from ..algebra.untyped import sp
from .context import Context
from .statements import EQUATION, GRAMMAR, Reader, Statement, read_equation

USAGE = 'write "x > 0", "a = b", "i != j", "n >= 2", "symmetric(a)" or "random(a)"'


class Given:
    """The assumptions of a proof.

    Attributes:
        assumptions: what can be used as it is.
        equations: what is given to be 0, for every value of some indices; those that are used as rules are among them.
        inequalities: other expressions, with their relation to zero.
        nonnegative: numbers that are given to be >= 0.
        open: equations that are not rules.

    Use `settle` when the ranges of all indices are known.
    """

    def __init__(self, statement: Statement, texts: Sequence[str]) -> None:
        self.statement, self.context = statement, statement.context
        self.assumptions = Assumptions(ranges=self.context.ranges)
        self.equations: list[Pattern] = []
        self._new: dict[str, str] = {}  # names that no statement has, and the comparison they stand in
        self.inequalities: list[tuple[Pattern, Relation]] = []
        self.nonnegative: list[Any] = []
        self.open: list[tuple[Pattern, str]] = []
        self._equal_entries: list[tuple[Any, Any, list[Binder], str]] = []
        self.texts = [t.strip() for text in texts for t in text.split(";") if t.strip()]
        for t in self.texts:
            self._read(t)
        uses = any(side.entry(*side.indices()).has(Expectation) for side in (statement.left, statement.right))
        if uses and not self.assumptions.random:
            raise InputError(
                f"{statement.text!r} has an expectation, and no variable is random",
                'say which, as given="random(a)" or given="symmetric(a)"',
                where="",
            )

    def _read(self, t: str) -> None:
        declared = re.fullmatch(r"(symmetric|random)\(([\w\s,]+)\)", t)
        if declared:
            for name in re.findall(r"\w+", declared[2]):
                self._declared(declared[1], name, t)
        elif EQUATION.search(t):
            self._equation(t)
        else:
            self._inequality(t)

    def _declared(self, kind: str, name: str, t: str) -> None:
        x = self.context.variables.get(name)
        if x is None:
            raise InputError(f"{t!r}: {name} does not occur in {self.statement.text!r}", where="")
        if kind == "symmetric" and x.rank == 2:
            self._equal(x, transpose(x), t)
            return
        a = self.assumptions
        symmetric = a.symmetric | ({name} if kind == "symmetric" else set())
        self.assumptions = replace(a, random=a.random | {name}, symmetric=symmetric)

    # ---- equations -------------------------------------------------------------------------------------------------

    def _equation(self, t: str) -> None:
        e = _in_context(lambda: read_equation(t, self.context), self.context, t)
        self._equal(e.left, e.right, t)

    def _equal(self, left: Tensor, right: Tensor, t: str) -> None:
        """Both sides are equal, entry by entry: a rule where one side is an entry of a variable."""
        if left.rank and right.rank and left.dims != right.dims:
            raise InputError(f"{t!r}: the sides have different sizes: {left} and {right}", where="")
        dims = left.dims or right.dims
        indices = [fresh_index() for _ in dims]
        a, b = (x.entry(*indices[len(indices) - x.rank :]) for x in (left, right))
        self._equal_entries.append((a, b, [Binder(i, ONE, d) for i, d in zip(indices, dims, strict=True)], t))

    def settle(self) -> None:
        """When the ranges of all indices are known: what the equations say of every entry."""
        free = self.context.free.values()
        stated = {s.name for a, b, _, _ in self._equal_entries for s in (a - b).free_symbols if s.is_Symbol}
        for name, t in self._new.items():
            if name not in stated:
                raise InputError(f"{t!r}: {name} does not occur in {self.statement.text!r}", where="")
        for a, b, entries, t in self._equal_entries:
            binders = [*entries, *(f for f in free if f.index in (a - b).free_symbols)]
            pattern = Pattern(a - b, tuple(binders))
            self.equations.append(pattern)
            rule = next((Rule(x.base, tuple(x.indices), y) for x, y in ((a, b), (b, a)) if self._is_rule(x, y, binders)), None)  # fmt: skip
            if rule is not None:
                self.assumptions = replace(self.assumptions, rules=(*self.assumptions.rules, rule))
            else:
                self.open.append((pattern, t))

    def _is_rule(self, x: Any, value: Any, binders: Sequence[Binder]) -> bool:
        """Whether an equation says what every entry of a variable is: by other variables, or by the same one turned around."""
        if not isinstance(x, sp.Indexed) or len(set(x.indices)) < len(x.indices):
            return False
        dims = self.context.dims[x.base.label.name]
        whole = {b.index: b.high for b in binders if b.low == 1}
        if any(whole.get(i) != d for i, d in zip(x.indices, dims, strict=True)):
            return False
        if (value.free_symbols & whole.keys()) - set(x.indices):
            return False
        names = {y.base for y in value.atoms(sp.Indexed)}
        rules = self.assumptions.rules
        if any(
            x.base == r.base or r.base in names or x.base in {y.base for y in r.value.atoms(sp.Indexed)} for r in rules
        ):
            return False
        turned = isinstance(value, sp.Indexed) and value.base == x.base and set(value.indices) == set(x.indices)
        return turned or x.base not in names

    # ---- comparisons -----------------------------------------------------------------------------------------------

    def _inequality(self, t: str) -> None:
        tree = syntax_tree(t, GRAMMAR, "condition")
        node = next((c for c in tree.children if hasattr(c, "children")), None)
        reader = Reader(t, self.context)
        before = set(self.context.variables)
        made = _in_context(lambda: reader.comparison(node), self.context, t)
        if made is None or made[1] is ZERO:
            raise InputError(f"{t!r} is no assumption", USAGE, where="")
        x, what = made
        self._new |= {name: t for name in self.context.variables if name not in before}
        if x.rank:
            self._entries(x, what)
            return
        p = sp.expand(x.scalar)
        free = tuple(f for f in self.context.free.values() if f.index in p.free_symbols)
        if p.is_integer and p.free_symbols:
            self._whole(p, what)
        self.inequalities.append((Pattern(p), what))
        if what is POSITIVE:
            self.assumptions = self.assumptions.with_sign(p, 1)
        elif what is NONNEGATIVE and not p.is_integer:
            self.nonnegative.append(p)
        elif what is NONZERO and not free:
            self.assumptions = replace(self.assumptions, kinks=(*self.assumptions.kinks, Pattern(p)))

    def _whole(self, p: Any, what: Relation) -> None:
        """Something about sizes and indices."""
        a, ranges = self.assumptions, self.context.ranges
        if what is NONZERO:
            pair = same(p, sp.Integer(0))
            if not pair.is_Integer:
                self.assumptions = replace(a, unequal=a.unequal | {frozenset(pair.args)})
            return
        least = p - 1 if what is POSITIVE else p
        symbols = least.free_symbols
        if (
            len(symbols) == 1
            and least.coeff(n := next(iter(symbols))) == 1
            and n not in ranges.binders
            and n.is_positive
        ):
            ranges.least[n] = max(ranges.least.get(n, 1), int(n - least))
        else:
            ranges.facts.append(sp.expand(least))
        ranges.forget()

    def _entries(self, x: Tensor, what: Relation) -> None:
        """Something about every entry of a vector or matrix."""
        indices = [fresh_index() for _ in x.dims]
        e = sp.expand(x.entry(*indices))
        pattern = Pattern(e, tuple(Binder(i, ONE, d) for i, d in zip(indices, x.dims, strict=True)))
        self.inequalities.append((pattern, what))
        a = self.assumptions
        if what is POSITIVE:
            name = {e.base.label.name} if isinstance(e, sp.Indexed) else set[str]()
            self.assumptions = replace(a, entries=(*a.entries, (pattern, 1)), positive=a.positive | name)
        elif what is NONZERO:
            self.assumptions = replace(a, kinks=(*a.kinks, pattern))


def _in_context(read: Any, context: Context, t: str) -> Any:
    """Read an assumption; what it says must be about names of the statement, but for new scalars in an equation."""
    domain, kinks = list(context.domain), list(context.kinks)
    try:
        return read()
    finally:
        context.domain[:], context.kinks[:] = domain, kinks
