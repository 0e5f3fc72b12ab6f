"""Reading statements: the text of an equation becomes two expressions, with vectors and matrices of symbolic sizes."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...ir.relation import NONNEGATIVE, NONZERO, POSITIVE, Relation
from ...ops import by_name
from ...trace.formula import closest, function_named, identifier, pointed, syntax_tree
from ..algebra import index_notation as tn
from ..algebra.budget import MOST_DIGITS, TooLarge
from ..algebra.derivative import Steps, Undifferentiable, gradient
from ..algebra.index_notation import Misfit, Tensor
from ..algebra.indices import Binder, Pattern, fresh_index
from ..algebra.interval import tame
from ..algebra.meaning import SHOWN, maximum, minimum
from ..algebra.untyped import sp
from .context import RANDOM, Context, Derived, Use, dimensions, ends, linear
from .open_sizes import binders_of, infer, is_sum
from .symbols import CHAINS, COMPARE, COSTLY, DOMAINS, INDEX_COMPARE, NUMBERS, OPERATORS, RELATIONS
from .unknowns import unknown_function

GRAMMAR = Path(__file__).with_name("statement.lark")
EQUATION = re.compile(r"(?<![<>!=])=(?!=)")  # an equals sign that is no part of a comparison


@dataclass(frozen=True)
class Statement:
    """An equation: its sides as tensors, and what was used to derive what it says."""

    text: str
    left: Tensor
    right: Tensor
    context: Context


def read_statement(text: str, shapes: Mapping[str, Any], functions: Collection[str], layout: str) -> Statement:
    """Read an equation; see `prove` for what it may hold. Its indices are not yet checked: see `sizes.settle`."""
    if layout not in ("denominator", "numerator"):
        raise InputError(f"there is no layout {layout!r}", "choose denominator or numerator", where="")
    context = Context(dimensions(shapes), frozenset(functions), layout, means=True)
    statement = read_equation(text, context)
    for name in context.dims:
        if name not in context.variables:
            raise InputError(f"a shape is given for {name!r}, which does not occur in {text!r}", where="")
    return statement


def read_equation(text: str, context: Context) -> Statement:
    """Read an equation about the variables of a context."""
    if isinstance(text, str) and not EQUATION.search(text):
        raise pointed(text, len(text), "this states nothing", "write an equation with =, as tanh(z) = 2*sigma(2*z) - 1")
    tree = syntax_tree(text, GRAMMAR, "equation")
    infer(tree, text, context)
    reader = Reader(text, context)
    sides = [c for c in tree.children if hasattr(c, "children")]
    left, right = reader.value(sides[0]), reader.value(sides[1])
    if left.rank and right.rank and left.dims != right.dims:
        raise pointed(
            text,
            text.index("="),
            f"the sides have different sizes: {left} and {right}",
            "name the sizes, as W='n, m', and check the layout",
        )
    return Statement(text, left, right, context)


class Reader:
    """Turns a syntax tree into a tensor."""

    def __init__(self, text: str, context: Context) -> None:
        self.text, self.context = text, context
        self.indices: dict[str, Any] = {}  # bound indices, by the name the user gave them
        self.around: list[Binder] = []  # their ranges, outer ones first

    def comparison(self, node: Any) -> tuple[Tensor, Relation] | None:
        """A comparison as an expression and its relation to 0; None where the subtree is none."""
        if getattr(node, "data", "") != "compare":
            return None
        left, symbol, right = node.children
        relation, sign = RELATIONS[str(symbol)]
        return tn.elementwise(lambda a, b: sign * (a - b), self.value(left), self.value(right)), relation

    def value(self, node: Any) -> Tensor:
        """The value of a subtree; what does not fit is an error that points at it."""
        start = getattr(node.meta, "start_pos", 0)
        try:
            return getattr(self, f"_{node.data}", self._simple)(node)
        except Misfit as error:
            raise pointed(self.text, start, str(error), error.fix) from None
        except Undifferentiable as error:
            raise pointed(self.text, start, f"no derivative of {error} is known in closed form") from None

    def _values(self, node: Any) -> list[Tensor]:
        return [self.value(c) for c in node.children if hasattr(c, "children")]

    def _simple(self, node: Any) -> Tensor:
        if node.data not in OPERATORS:
            raise pointed(self.text, node.meta.start_pos, f"a statement cannot hold this ({node.data})")
        values = self._values(node)
        if node.data == "dotted" and values[0].rank and values[1].rank:
            raise Misfit("· or × of two arrays", "write x*y by entry, x @ y for the inner product")
        return tn.elementwise(OPERATORS[node.data], *values)

    def _chain(self, node: Any) -> Tensor:
        """A sum or a product of many parts as one operation: 400 terms nest no deeper than two."""
        first, second = next(pair for pair in CHAINS if node.data in pair)
        parts: list[tuple[str, Any]] = []
        while node.data in (first, second):
            left, right = node.children
            parts.append((node.data, right))
            node = left
        parts = [(first, node), *reversed(parts)]
        values = [self.value(p) for _, p in parts]
        inverse = [kind == second for kind, _ in parts]
        if first == "add":
            return tn.elementwise(
                lambda *u: sp.Add(*(-x if n else x for x, n in zip(u, inverse, strict=True))), *values
            )
        for (_, at), v, n in zip(parts, values, inverse, strict=True):
            if n:
                self._defined(v, NONZERO, at)
        return tn.elementwise(lambda *u: sp.Mul(*(1 / x if n else x for x, n in zip(u, inverse, strict=True))), *values)

    _add = _subtract = _multiply = _divide = _chain

    def _power(self, node: Any) -> Tensor:
        base, exponent = self._values(node)
        n = exponent.entry(*exponent.indices())
        if base.rank > 1 and n.is_negative:
            raise Misfit("a negative power of a matrix", "write 1/A for the reciprocal of each entry")
        if not n.is_integer:
            self._defined(base, NONNEGATIVE if n.is_positive else POSITIVE, node)
        elif not n.is_nonnegative:
            self._defined(base, NONZERO, node)

        def powered(a: Any, b: Any) -> Any:
            if a.is_Rational and b.is_Rational and (a.p.bit_length() + a.q.bit_length()) * abs(b) > 4 * MOST_DIGITS:
                raise TooLarge(f"a number with more than {MOST_DIGITS:,} digits")
            return a**b

        return self._real(tn.elementwise(powered, base, exponent), "this power")

    def _real(self, x: Tensor, what: str) -> Tensor:
        """The same, if it can be a real number."""
        e = x.entry(*x.indices())
        if e.has(sp.I, sp.zoo, sp.nan, sp.oo):
            raise Misfit(f"{what} has no real value there", "statements are about real numbers")
        if e.is_number and not e.is_Rational:
            tame(e)
        return x

    def _defined(self, x: Tensor, what: Relation, node: Any) -> None:
        """Remember a condition of meaning, which simplification may hide later."""
        indices = x.indices()
        e: Any = x.entry(*indices)
        if e.is_number:
            if e.is_zero and what is not NONNEGATIVE:
                zero = "a division by zero" if what is NONZERO else "this has no value at 0"
                raise pointed(self.text, node.meta.start_pos, zero, "state it where both sides have a value")
            if e.is_Rational:
                return
        entries = [Binder(i, tn.ONE, d) for i, d in zip(indices, x.dims, strict=True)]
        self.context.domain.append((self._bound(e, entries), what))

    def _bound(self, e: Any, binders: Sequence[Binder] = ()) -> Pattern:
        """An expression for every value of the indices around it that it holds, and those on which their ranges depend."""
        kept: list[Binder] = []
        free = set(e.free_symbols)
        for b in reversed([*self.around, *binders]):
            if b.index in free:
                kept.insert(0, b)
                free |= b.low.free_symbols | b.high.free_symbols
        return Pattern(e, tuple(kept))

    def _number(self, node: Any) -> Tensor:
        word = str(node.children[0])
        mantissa, _, exponent = word.lower().partition("e")
        if len(mantissa) > MOST_DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) > MOST_DIGITS:
            raise TooLarge(f"a number with more than {MOST_DIGITS:,} digits")
        return tn.number(sp.Rational(word))

    def _name(self, node: Any) -> Tensor:
        name = identifier(node.children[0])
        if name in self.context.dims:
            return self.variable(name) if name not in self.indices else tn.number(self.indices[name])
        integer = self._integer(name)
        if integer is not None:
            return tn.number(integer)
        if name in self.context.functions:
            raise pointed(self.text, node.meta.start_pos, f"{name} is a function: call it")
        if name in NUMBERS:
            return tn.number(NUMBERS[name])
        return self.variable(name)

    def _integer(self, name: str) -> Any:
        """The index or the size of that name; None where it is neither."""
        return self.indices[name] if name in self.indices else self.context.integer(name)

    def variable(self, name: str) -> Tensor:
        """The variable of that name."""
        if name not in self.context.variables:
            self.context.variables[name] = tn.variable(name, self.context.dims.get(name, ()))
        return self.context.variables[name]

    def _matmul(self, node: Any) -> Tensor:
        return tn.matmul(*self._values(node))

    def _transpose(self, node: Any) -> Tensor:
        return tn.transpose(self.value(node.children[0]))

    def _compare(self, node: Any) -> Tensor:
        left, symbol, right = node.children
        if str(symbol) in INDEX_COMPARE and self._is_index(left) and self._is_index(right):
            return tn.number(INDEX_COMPARE[str(symbol)](sp.KroneckerDelta(*map(self._subscript, (left, right)))))
        return tn.elementwise(COMPARE[str(symbol)], self.value(left), self.value(right))

    def _is_index(self, node: Any) -> bool:
        """Whether a subtree is made of indices, sizes and whole numbers only."""
        if node.data == "name":
            return self._integer(identifier(node.children[0])) is not None
        if node.data == "number":
            return str(node.children[0]).isdigit()
        return node.data in ("add", "subtract") and all(self._is_index(c) for c in node.children)

    def _getitem(self, node: Any) -> Tensor:
        head = node.children[0]
        if head.data == "name" and identifier(head.children[0]) in RANDOM:
            return self._random(identifier(head.children[0]), node)
        x = self.value(head)
        return tn.number(self._entry(x, [c.children[0] for c in node.children[1:] if c is not None], node))

    def _entry(self, x: Tensor, nodes: Sequence[Any], node: Any) -> Any:
        """An entry of a tensor; that it exists is checked when all is read."""
        if len(nodes) != x.rank:
            raise pointed(self.text, node.meta.start_pos, f"{len(nodes)} indices for {x}")
        places = [self._subscript(n) for n in nodes]
        self.context.uses += [Use(p, d, n.meta.start_pos) for p, d, n in zip(places, x.dims, nodes, strict=True)]
        return x.entry(*places)

    def _random(self, name: str, node: Any) -> Tensor:
        if not self.context.means:
            raise pointed(self.text, node.meta.start_pos, "there is no random variable here", f"leave {name}[...] out")
        parts = [c for c in node.children[1:] if c is not None]
        x = self.value(parts[0].children[0])
        if x.rank or len(parts) > 1:
            raise pointed(self.text, node.meta.start_pos, "an expectation is taken of one number here")
        u = x.scalar
        return tn.number(tn.Expectation(u) if name == "E" else tn.Expectation(u**2) - tn.Expectation(u) ** 2)

    def _subscript(self, node: Any) -> Any:
        """An index: bound ones, numbers, sizes, or free ones, for every value of which the statement is meant."""

        def integer(name: str, at: Any) -> Any:
            found = self._integer(name)
            if found is None:
                raise pointed(self.text, at.meta.start_pos, f"{name} is no index", "an index is a name or a number")
            return found

        return linear(node, self.text, integer)

    def _derive(self, node: Any) -> Tensor:
        _, target, body = node.children
        name = identifier(target.children[0])
        if self._integer(name) is not None and name not in self.context.dims:
            raise pointed(
                self.text, target.meta.start_pos, f"{name} is a whole number, and nothing is differentiated by it"
            )
        if not any(
            isinstance(t, str) and identifier(t) == name for part in body.iter_subtrees() for t in part.children
        ) or (name in NUMBERS and name not in self.context.dims):
            raise pointed(
                self.text,
                target.meta.start_pos,
                f"{name} does not occur in what is differentiated",
                "name a variable of it",
            )
        by = self.variable(name)
        f = self.value(body)
        subscripts = [c for c in target.children[1:] if c is not None]
        if subscripts:
            by = tn.number(self._entry(by, subscripts, target))
        steps: Steps = {}
        kinks: list[Pattern] = []
        made = gradient(f, by, self.context.layout, steps, self.context.notes, kinks)
        for k in (self._bound(k.expression, k.binders) for k in kinks):
            if k not in self.context.kinks:
                self.context.kinks.append(k)
        said = self.text[node.meta.start_pos : node.meta.end_pos]
        self.context.derived.append(Derived(said, f, made, by, steps))
        return made

    def _call(self, node: Any) -> Tensor:
        token = node.children[0]
        name = str(token)
        if is_sum(node):
            return self._sum(node)
        arguments = [c for c in node.children[1:] if c is not None]
        values = [self.value(a) for a in arguments if a.data not in ("option", "range")]
        options = {str(c.children[0]): c for c in arguments if c.data in ("option", "range")}
        if not values:
            raise pointed(self.text, node.meta.start_pos, f"{name} needs an argument")
        unknown = re.fullmatch(r"(.*?)(?:_(\d+)|('+))?", name)
        base = name if name in self.context.functions or unknown is None else unknown[1]
        if base in self.context.functions:
            self._no_options(options)
            positions = "" if base == name or unknown is None else unknown[2] or "1" * len(unknown[3])
            return unknown_function(self.context, self.text, base, positions, values, node)
        if name in ("max", "min"):
            self._no_options(options)
            if len(values) < 2:
                raise pointed(
                    self.text, node.meta.start_pos, f"{name} of one vector cannot be decided; give it two numbers"
                )
            return functools.reduce(lambda a, b: tn.elementwise(maximum if name == "max" else minimum, a, b), values)
        op = by_name(name) or function_named(name)
        known = tn.STRUCTURAL.get(getattr(op, "name", None) or name) or tn.STRUCTURAL.get(name)
        if known is not None:
            self._no_options(options)
            return self._checked(known, values, name, node)
        if op is None:
            near = difflib.get_close_matches(name, self.context.functions, 1)
            raise pointed(
                self.text,
                token.start_pos,
                f"unknown function {name!r}",
                f"did you mean {near[0]!r}?"
                if near
                else f"{closest(name)}, or say that it stands for any function: functions={name!r}",
            )
        meaning = SHOWN.get(op)
        if meaning is None:
            raise pointed(self.text, token.start_pos, f"{name} has no meaning that can be decided")
        for what, must in DOMAINS.get(op, ()):
            self._defined(tn.elementwise(what, values[0]), must, arguments[0])
        numbers = {k: self._number_of(c) for k, c in options.items()}
        return self._checked(lambda *v: tn.elementwise(lambda *u: meaning(*u, **numbers), *v), values, name, node)

    def _no_options(self, options: Mapping[str, Any]) -> None:
        for name, node in options.items():
            raise pointed(self.text, node.meta.start_pos, f"{name} cannot be given here", "leave it out")

    def _number_of(self, option: Any) -> Any:
        if option.data == "range":
            self._no_options({str(option.children[0]): option})
        return sp.Rational(str(option.children[1]))

    def _checked(self, f: Callable[..., Tensor], values: Sequence[Tensor], name: str, node: Any) -> Tensor:
        entries = [v.entry(*v.indices()) for v in values]
        if name in COSTLY and any(e.is_Rational and abs(e) > MOST_DIGITS for e in entries):
            raise TooLarge(f"{name} of a number with more than {len(str(MOST_DIGITS)) - 1} digits")
        try:
            made = f(*values)
            return self._real(made, name)
        except TypeError:
            raise pointed(
                self.text, node.meta.start_pos, f"{name} cannot take {len(values)} argument{'s' * (len(values) != 1)}"
            ) from None

    def _sum(self, node: Any) -> Tensor:
        """A sum over named indices: sum(i=1..K, i != j, body)."""
        body = [c for c in node.children[1:] if c is not None][-1]
        before, depth = dict(self.indices), len(self.around)
        conditions: list[Any] = []
        bound: set[str] = set()
        for name, token, b in binders_of(node):
            if not name:
                raise pointed(
                    self.text,
                    b.meta.start_pos,
                    "this binds no index",
                    "write sum(i=1..K, ...), sum(i, ...) or sum(i != j, ...)",
                )
            if b.data == "compare":
                conditions.append(b)
            if name in bound:
                if token is not None:
                    raise pointed(self.text, b.meta.start_pos, f"{name} is bound twice")
                continue
            bound.add(name)
            low, high = self._range(name, token, node)
            self.indices[name] = fresh_index(name)
            self.around.append(Binder(self.indices[name], low, high))
            self.context.ranges.bind(self.around[-1])
        e = self.value(body)
        if e.rank:
            raise pointed(self.text, body.meta.start_pos, "the terms of a sum are numbers here", "index the vector")
        made = e.scalar
        for c in conditions:
            made *= 1 - sp.KroneckerDelta(self._subscript(c.children[0]), self._subscript(c.children[2]))
        for b in reversed(self.around[depth:]):
            made = tn.total(made, b.index, b.low, b.high)
        self.indices = before
        del self.around[depth:]
        return tn.number(made)

    def _range(self, name: str, token: Any, node: Any) -> tuple[Any, Any]:
        if token is None:
            found = self.context.binders.get((node.meta.start_pos, name))
            if found is None:
                raise pointed(
                    self.text,
                    node.meta.start_pos,
                    f"the index {name!r} has no range: nothing is indexed by it",
                    f"write {name}=1..K",
                )
            return found

        def integer(n: str, _: Any) -> Any:
            found = self._integer(n)
            if found is None:
                raise pointed(self.text, token.start_pos, f"{n} is no size", "a range ends at a name or a number")
            return found

        return ends(token, self.text, integer)
