"""What the names of a statement mean: variables with their sizes, indices with their ranges, and what must hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import InputError
from ...ir.relation import Relation
from ...trace.formula import identifier, pointed
from ..algebra.derivative import Steps
from ..algebra.index_notation import Tensor
from ..algebra.indices import Binder, Pattern, Ranges, size
from ..algebra.untyped import sp

RANDOM = ("E", "Var")
_TERM = re.compile(r"\s*([+\-−]?)\s*(?:(\d+)\s*\*\s*)?(\w+'*)\s*")


@dataclass(frozen=True)
class Derived:
    """A derivative in a statement: its text, what was differentiated, the result, the variable, and the steps."""

    text: str
    f: Tensor
    made: Tensor
    by: Tensor
    steps: Steps


@dataclass(frozen=True)
class Use:
    """An index expression on an axis of some size, and where it stands in the text."""

    index: Any
    size: Any
    at: int


@dataclass
class Context:
    """What the names of a statement mean.

    Attributes:
        dims: the dimensions of each variable.
        functions: the unknown functions.
        layout: of the derivative of one vector by another: "denominator" or "numerator".
        means: whether expectations may be taken.
        variables: every variable that occurs, in order.
        notes: the definitions that were used.
        derived: each derivative that was taken.
        sizes: the symbolic sizes, by name.
        free: the indices that the statement leaves free, by name; it is meant for every value of them.
        binders: the ranges of indices of sums for which none is written, by the place and the name.
        ranges: what is known of sizes and indices.
        domain: what must hold for the text to have a meaning, as it was read: > 0, >= 0 or != 0.
        kinks: where a derivative that is taken does not exist.
        required: what sizes must satisfy for the text to have a meaning: >= 0.
        uses: every place that is indexed.
        arity: the number of arguments of each unknown function.
    """

    dims: dict[str, tuple[Any, ...]]
    functions: frozenset[str]
    layout: str
    means: bool = False
    variables: dict[str, Tensor] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    derived: list[Derived] = field(default_factory=list[Derived])
    sizes: dict[str, Any] = field(default_factory=dict)
    free: dict[str, Binder] = field(default_factory=dict[str, Binder])
    binders: dict[tuple[int, str], tuple[Any, Any]] = field(default_factory=dict[tuple[int, str], tuple[Any, Any]])
    ranges: Ranges = field(default_factory=Ranges)
    domain: list[tuple[Pattern, Relation]] = field(default_factory=list[tuple[Pattern, Relation]])
    kinks: list[Pattern] = field(default_factory=list[Pattern])
    required: list[Any] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list[Use])
    arity: dict[str, int] = field(default_factory=dict[str, int])

    def integer(self, name: str) -> Any:
        """The size or the free index of that name; None where it is neither."""
        return self.free[name].index if name in self.free else self.sizes.get(name)

    def require(self, e: Any) -> bool:
        """Ask that an integer expression is >= 0: known, or noted as a condition on one size; False where it cannot be."""
        if self.ranges.nonnegative(e):
            return True
        e = -self.ranges.highest(-e)
        symbols = e.free_symbols
        if len(symbols) != 1:
            return False
        n = symbols.pop()
        if e.coeff(n) != 1:
            return False
        self.ranges.least[n] = max(self.ranges.least.get(n, 1), int(n - e))
        self.ranges.forget()
        if e not in self.required:
            self.required.append(e)
        return True


def dimensions(shapes: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Dimensions from "n, m", ("n", 3), 4 or ()."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, shape in shapes.items():
        parts: Sequence[Any] = (
            [p for p in re.split(r"[\s,x×]+", shape.strip()) if p]
            if isinstance(shape, str)
            else tuple(shape)
            if isinstance(shape, (tuple, list))
            else (shape,)
        )
        found[name] = tuple(_dimension(name, p) for p in parts)
    return found


def _dimension(name: str, d: Any) -> Any:
    if isinstance(d, str) and d.isascii() and d.isdigit():
        d = int(d)
    if isinstance(d, int) and not isinstance(d, bool) and 1 <= d < 10**9:
        return sp.Integer(d)
    if isinstance(d, str) and d.isidentifier():
        return size(d)
    raise InputError(
        f"{d!r} is no dimension of {name}", 'write a name or a number that is at least 1, as W="n, 3"', where=""
    )


# ---- integers in the text: indices in brackets, and the ends of ranges --------------------------------------------------


def linear(node: Any, text: str, integer: Callable[[str, Any], Any]) -> Any:
    """An index as it stands in brackets: a name, a number, or a sum of these.

    Args:
        integer: what a name stands for, with the node for the place.
    """
    kind = node.data
    if kind == "name":
        return integer(identifier(node.children[0]), node)
    if kind == "number":
        word = str(node.children[0])
        if word.isascii() and word.isdigit():
            return sp.Integer(word)
    parts = [c for c in node.children if hasattr(c, "children")]
    if kind in ("add", "subtract", "negative", "positive") or (
        kind == "multiply" and any(p.data == "number" for p in parts)
    ):
        values = [linear(p, text, integer) for p in parts]
        return sp.expand(_LINEAR[kind](*values))
    raise pointed(
        text, node.meta.start_pos, "an index is a name or a number, or a sum of these", "write x[i], x[2], x[i + 1]"
    )


_LINEAR: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "negative": lambda a: -a, "positive": lambda a: a,
    "multiply": lambda a, b: a * b,
}  # fmt: skip


def ends(token: Any, text: str, integer: Callable[[str, Any], Any]) -> tuple[Any, Any]:
    """The two ends of a range such as 1..n or i + 1..n - 1."""
    low, _, high = str(token).partition("..")
    return _end(low, token, text, integer), _end(high, token, text, integer)


def _end(part: str, token: Any, text: str, integer: Callable[[str, Any], Any]) -> Any:
    part = re.sub(r"^\s*\(|\)\s*$", "", part)
    made, at = sp.Integer(0), 0
    while at < len(part):
        term = _TERM.match(part, at)
        word = term[3] if term else ""
        if not term or (at and not term[1]) or (word[0].isdigit() and not (word.isascii() and word.isdigit())):
            raise pointed(
                text, token.start_pos, f"{part.strip()!r} is no end of a range", "write i=1..n, i=2..n-1 or i=1..5"
            )
        value = sp.Integer(word) if word.isdigit() else integer(identifier(word), token)
        made += (-1 if term[1] in ("-", "−") and term[1] else 1) * int(term[2] or 1) * value
        at = term.end()
    return made
