"""Reading statements: the text of an equation becomes two expressions, with vectors and matrices of symbolic sizes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..ops import by_name
from ..trace.formula import closest, function_named, identifier, pointed, syntax_tree
from . import tensors as tn
from .algebra import sp
from .context import RANDOM, Context, Derived, dimensions, infer
from .derivative import Argument, Steps, Undifferentiable, gradient
from .meaning import SHOWN, kept, maximum, minimum
from .tensors import Misfit, Tensor

GRAMMAR = Path(__file__).with_name("statement.lark")
EQUATION = re.compile(r"(?<![<>!=])=(?!=)")  # an equals sign that is no part of a comparison
RELATIONS = {
    ">": ("> 0", 1), "<": ("> 0", -1), ">=": (">= 0", 1), "≥": (">= 0", 1), "<=": (">= 0", -1), "≤": (">= 0", -1),
    "==": ("= 0", 1), "!=": ("!= 0", 1), "≠": ("!= 0", 1),
}  # fmt: skip
NUMBERS = {"pi": sp.pi, "π": sp.pi, "e": sp.E}


@dataclass(frozen=True)
class Statement:
    """An equation: its sides as tensors, and what was used to derive what it says."""

    text: str
    left: Tensor
    right: Tensor
    context: Context


def read_statement(text: str, shapes: Mapping[str, Any], functions: Collection[str], layout: str) -> Statement:
    """Read an equation; see `prove` for what it may hold."""
    if layout not in ("denominator", "numerator"):
        raise InputError(f"there is no layout {layout!r}", "choose denominator or numerator", where="")
    if isinstance(text, str) and not EQUATION.search(text):
        raise pointed(text, len(text), "this states nothing", "write an equation with =, as tanh(z) = 2*sigma(2*z) - 1")
    tree = syntax_tree(text, GRAMMAR, "equation")
    context = Context(dimensions(shapes), frozenset(functions), layout)
    infer(tree, text, context)
    reader = Reader(text, context)
    sides = [c for c in tree.children if hasattr(c, "children")]
    left, right = reader.value(sides[0]), reader.value(sides[1])
    for name in context.dims:
        if name not in context.variables:
            raise InputError(f"a shape is given for {name!r}, which does not occur in {text!r}", where="")
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

    def comparison(self, node: Any) -> tuple[Any, str] | None:
        """A comparison of numbers as an expression and its relation to 0, as "> 0"; None where the subtree is none."""
        if getattr(node, "data", "") != "compare":
            return None
        left, symbol, right = node.children
        relation, sign = RELATIONS[str(symbol)]
        return sign * (self.value(left).scalar - self.value(right).scalar), relation

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
        if node.data not in _OPERATORS:
            raise pointed(self.text, node.meta.start_pos, f"a statement cannot hold this ({node.data})")
        values = self._values(node)
        if node.data == "divide":
            self._defined(values[1], "!= 0")
        if node.data == "power" and values[0].rank > 1 and values[1].entry(*values[1].indices()).is_negative:
            raise Misfit("a negative power of a matrix", "write 1/A for the reciprocal of each entry")
        if node.data == "dotted" and values[0].rank and values[1].rank:
            raise Misfit("· or × of two arrays", "write x*y by entry, x @ y for the inner product")
        if node.data == "power" and not values[0].rank and not (n := values[1].entry(*values[1].indices())).is_integer:
            self._defined(values[0], ">= 0" if n.is_positive else "> 0")
        return tn.elementwise(_OPERATORS[node.data], *values)

    def _defined(self, x: Tensor, what: str) -> None:
        """Remember a condition of meaning, which simplification may hide later."""
        if not x.rank and x.scalar.free_symbols:
            self.context.domain.append((x.scalar, what))

    def _number(self, node: Any) -> Tensor:
        return tn.number(sp.Rational(str(node.children[0])))

    def _name(self, node: Any) -> Tensor:
        name = identifier(node.children[0])
        if name in self.indices:
            return tn.number(self.indices[name])
        if name in self.context.subscripts and name not in self.context.dims:
            return tn.number(self._subscript(node))
        if name in self.context.functions:
            raise pointed(self.text, node.meta.start_pos, f"{name} is a function: call it")
        if name in NUMBERS and name not in self.context.dims:
            return tn.number(NUMBERS[name])
        return self.variable(name)

    def variable(self, name: str) -> Tensor:
        """The variable of that name; a name that is a size stands for that size."""
        if name not in self.context.variables:
            sizes = {
                str(d)
                for d in (*self.context.ranges.values(), *(d for dims in self.context.dims.values() for d in dims))
            }
            if name in sizes and name not in self.context.dims:
                return tn.number(sp.Symbol(name, integer=True, positive=True))
            self.context.variables[name] = tn.variable(name, self.context.dims.get(name, ()))
        return self.context.variables[name]

    def _matmul(self, node: Any) -> Tensor:
        return tn.matmul(*self._values(node))

    def _transpose(self, node: Any) -> Tensor:
        return tn.transpose(self.value(node.children[0]))

    def _compare(self, node: Any) -> Tensor:
        left, symbol, right = node.children
        if left.data == right.data == "name" and str(symbol) in _INDEX_COMPARE:
            names = [identifier(side.children[0]) for side in (left, right)]
            if all(n in self.indices or n in self.context.subscripts for n in names):
                return tn.number(_INDEX_COMPARE[str(symbol)](sp.KroneckerDelta(*map(self._subscript, (left, right)))))
        return tn.elementwise(_COMPARE[str(symbol)], self.value(left), self.value(right))

    def _getitem(self, node: Any) -> Tensor:
        head = node.children[0]
        if head.data == "name" and identifier(head.children[0]) in RANDOM:
            return self._random(identifier(head.children[0]), node)
        x = self.value(head)
        subscripts = [self._subscript(c.children[0]) for c in node.children[1:]]
        if len(subscripts) != x.rank:
            raise pointed(self.text, node.meta.start_pos, f"{len(subscripts)} indices for {x}")
        return tn.number(x.entry(*subscripts))

    def _random(self, name: str, node: Any) -> Tensor:
        x = self.value(node.children[1].children[0])
        if x.rank:
            raise pointed(self.text, node.meta.start_pos, "an expectation is taken of a number here")
        u = x.scalar
        return tn.number(tn.Expectation(u) if name == "E" else tn.Expectation(u**2) - tn.Expectation(u) ** 2)

    def _subscript(self, node: Any) -> Any:
        """An index: a bound one, a number, or a free one, for every value of which the statement is meant."""
        if node.data == "name":
            name = identifier(node.children[0])
            return self.indices.get(name, sp.Symbol(name, integer=True, positive=True))
        if node.data == "number" and str(node.children[0]).isdigit():
            if int(str(node.children[0])) == 0:
                raise pointed(self.text, node.meta.start_pos, "the indices of a statement begin at 1")
            return sp.Integer(int(str(node.children[0])))
        raise pointed(self.text, node.meta.start_pos, "an index is a name or a number")

    def _derive(self, node: Any) -> Tensor:
        _, target, body = node.children
        name = identifier(target.children[0])
        subscripts = [self._subscript(c) for c in target.children[1:] if c is not None]
        by = self.variable(name)
        f = self.value(body)
        if subscripts:
            by = tn.number(by.entry(*subscripts))
        steps: Steps = {}
        made = gradient(f, by, self.context.layout, steps, self.context.notes)
        occurs = {str(s) for s in f.entry(*f.indices()).atoms(sp.Symbol)}
        if name not in occurs:
            raise pointed(
                self.text,
                target.meta.start_pos,
                f"{name} does not occur in what is differentiated",
                "name a variable of it",
            )
        said = self.text[node.meta.start_pos : node.meta.end_pos]
        self.context.derived.append(Derived(said, f, made, by, steps))
        return made

    def _call(self, node: Any) -> Tensor:
        token = node.children[0]
        name = str(token)
        arguments = [c for c in node.children[1:] if c is not None]
        if not arguments:
            raise pointed(self.text, node.meta.start_pos, f"{name} needs an argument")
        if name == "sum" and (len(arguments) > 1 or arguments[0].data == "range"):
            return self._sum(node, arguments)
        base = re.match(r"(.*?)(_\d+|'+)?$", name)
        if name in self.context.functions or (base and base[1] in self.context.functions):
            return self._unknown(name, base[1] if base else name, [self.value(a) for a in arguments], node)
        options = {str(c.children[0]): sp.Rational(str(c.children[1])) for c in arguments if c.data == "option"}
        values = [self.value(a) for a in arguments if a.data not in ("option", "range")]
        if name in ("max", "min"):
            pair = maximum if name == "max" else minimum
            if len(values) < 2:
                raise pointed(
                    self.text, node.meta.start_pos, f"{name} of one vector cannot be decided; give it two numbers"
                )
            made = values[0]
            for v in values[1:]:
                made = tn.elementwise(pair, made, v)
            return made
        op = by_name(name) or function_named(name)
        known = tn.STRUCTURAL.get(getattr(op, "name", None) or name) or tn.STRUCTURAL.get(name)
        if known is not None:
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
        meaning = SHOWN.get(getattr(op, "name", name))
        if meaning is None:
            raise pointed(self.text, token.start_pos, f"{name} has no meaning that can be decided")
        for what, must in _DOMAINS.get(getattr(op, "name", ""), ()):
            self._defined(tn.elementwise(what, values[0]), must)
        return self._checked(lambda *v: tn.elementwise(lambda *u: meaning(*u, **options), *v), values, name, node)

    def _checked(self, f: Callable[..., Tensor], values: Sequence[Tensor], name: str, node: Any) -> Tensor:
        try:
            made = f(*values)
            if made.entry(*made.indices()).has(sp.I, sp.zoo, sp.nan):
                raise Misfit(f"{name} has no real value there", "statements are about real numbers")
        except TypeError:
            raise pointed(
                self.text, node.meta.start_pos, f"{name} cannot take {len(values)} argument{'s' * (len(values) != 1)}"
            ) from None
        return made

    def _unknown(self, name: str, base: str, values: list[Tensor], node: Any) -> Tensor:
        arguments: list[Any] = []
        for v in values:
            if v.rank > 1:
                raise pointed(
                    self.text, node.meta.start_pos, f"{base} stands for a function of numbers or vectors, not of {v}"
                )
            i = sp.Symbol("·", integer=True, positive=True)
            arguments.append(Argument(v.entry(i), i, v.dims[0]) if v.rank else v.scalar)
        if name.endswith("'") and values[0].rank:
            return Tensor(values[0].dims, lambda k: kept(name)(*arguments, k))
        return tn.number(kept(name)(*arguments))

    def _sum(self, node: Any, arguments: Sequence[Any]) -> Tensor:
        """A sum over named indices: sum(i=1..K, i != j, body)."""
        *binders, body = arguments
        bound: dict[str, Any] = {}
        conditions: list[Any] = []
        for b in binders:
            if b.data == "range" or b.data == "name":
                bound[identifier(b.children[0])] = None
            elif b.data == "compare" and b.children[0].data == "name" and str(b.children[1]) in ("!=", "≠"):
                bound.setdefault(identifier(b.children[0].children[0]), None)
                conditions.append(b)
            else:
                raise pointed(
                    self.text,
                    b.meta.start_pos,
                    "this binds no index",
                    "write sum(i=1..K, ...), sum(i, ...) or sum(i != j, ...)",
                )
        ranges = self.context.ranges
        for name in bound:
            if name not in ranges:
                raise pointed(
                    self.text,
                    node.meta.start_pos,
                    f"the index {name!r} has no range: nothing is indexed by it",
                    f"write {name}=1..K",
                )
        before = dict(self.indices)
        self.indices |= {name: tn.fresh_index() for name in bound}
        e = self.value(body)
        if e.rank:
            raise pointed(self.text, body.meta.start_pos, "the terms of a sum are numbers here", "index the vector")
        made = e.scalar
        for c in conditions:
            made *= 1 - sp.KroneckerDelta(self._subscript(c.children[0]), self._subscript(c.children[2]))
        for name in bound:
            made = tn.total(made, self.indices[name], ranges[name])
        self.indices = before
        return tn.number(made)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b, "dotted": lambda a, b: a * b, "divide": lambda a, b: a / b,
    "negative": lambda a: -a, "positive": lambda a: a, "power": lambda a, b: a**b, "abs": sp.Abs, "indicator": lambda c: c,
}  # fmt: skip
_POSITIVE = ((lambda u: u, "> 0"),)
_DOMAINS: dict[str, Sequence[tuple[Callable[..., Any], str]]] = {
    "log": _POSITIVE, "log2": _POSITIVE, "log10": _POSITIVE, "log1p": ((lambda u: 1 + u, "> 0"),), "sqrt": ((lambda u: u, ">= 0"),),
    "reciprocal": ((lambda u: u, "!= 0"),), "tan": ((sp.cos, "!= 0"),), "arcsin": ((lambda u: 1 - u**2, ">= 0"),),
    "arccos": ((lambda u: 1 - u**2, ">= 0"),), "arctanh": ((lambda u: 1 - u**2, "> 0"),), "arccosh": ((lambda u: u - 1, ">= 0"),),
}  # fmt: skip
_INDEX_COMPARE: dict[str, Callable[..., Any]] = {"==": lambda d: d, "!=": lambda d: 1 - d, "≠": lambda d: 1 - d}
_COMPARE: dict[str, Callable[..., Any]] = {
    ">": SHOWN["greater"], ">=": SHOWN["greater_equal"], "≥": SHOWN["greater_equal"], "<": SHOWN["less"], "<=": SHOWN["less_equal"],
    "≤": SHOWN["less_equal"], "==": SHOWN["equal"], "!=": SHOWN["not_equal"], "≠": SHOWN["not_equal"],
}  # fmt: skip
