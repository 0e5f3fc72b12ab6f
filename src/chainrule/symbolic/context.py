"""What the names of a statement mean: the sizes of variables, declared or inferred from how they are indexed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..trace.formula import identifier, pointed
from .algebra import sp
from .derivative import Steps
from .tensors import Tensor

RANDOM = ("E", "Var")


@dataclass(frozen=True)
class Derived:
    """A derivative in a statement: its text, what was differentiated, the result, the variable, and the steps."""

    text: str
    f: Tensor
    made: Tensor
    by: Tensor
    steps: Steps


@dataclass
class Context:
    """What the names of a statement mean.

    Attributes:
        dims: the dimensions of each variable.
        functions: the unknown functions.
        layout: of the derivative of one vector by another: "denominator" or "numerator".
        variables: every variable that occurs, in order.
        notes: the definitions that were used.
        derived: each derivative that was taken.
        ranges: the size of each named index.
        subscripts: the names that are used as indices.
        domain: what must hold for the text to have a meaning, as it was read.
    """

    dims: dict[str, tuple[Any, ...]]
    functions: frozenset[str]
    layout: str
    variables: dict[str, Tensor] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    derived: list[Derived] = field(default_factory=list[Derived])
    ranges: dict[str, Any] = field(default_factory=dict)
    subscripts: set[str] = field(default_factory=set)
    domain: list[tuple[Any, str]] = field(default_factory=list[tuple[Any, str]])


def dimensions(shapes: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Dimensions from "n, m", ("n", 3), 4 or ()."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, shape in shapes.items():
        parts: Sequence[Any] = (
            re.split(r"[\s,x×]+", shape.strip())
            if isinstance(shape, str)
            else (shape,)
            if isinstance(shape, int)
            else tuple(shape)
        )
        found[name] = tuple(_dimension(name, p) for p in parts if p != "")
    return found


def _dimension(name: str, d: Any) -> Any:
    if isinstance(d, int) or (isinstance(d, str) and d.isdigit()):
        return sp.Integer(int(d))
    if isinstance(d, str) and d.isidentifier():
        return sp.Symbol(d, integer=True, positive=True)
    raise InputError(f"{d!r} is no dimension of {name}", 'write a name or a number, as W="n, 3"', where="")


def infer(tree: Any, text: str, context: Context) -> None:
    """Dimensions of variables that are indexed: axes and indices that meet are of one size."""
    leader: dict[Any, Any] = {}

    def find(a: Any) -> Any:
        while a in leader:
            a = leader[a]
        return a

    def unite(a: Any, b: Any) -> None:
        a, b = find(a), find(b)
        if a != b:
            leader[a] = b

    axes: dict[str, int] = {}
    size: dict[Any, Any] = {}
    for node in tree.iter_subtrees_topdown():
        if node.data == "range":
            high = str(node.children[1]).partition("..")[2].strip()
            size[("index", identifier(node.children[0]))] = _dimension("the sum", high)
        random = (
            node.data == "getitem" and node.children[0].data == "name" and str(node.children[0].children[0]) in RANDOM
        )
        if node.data in ("getitem", "target") and not random:
            parts = [c.children[0] if c.data == "subscript" else c for c in node.children[1:] if c is not None]
            context.subscripts |= {identifier(c.children[0]) for c in parts if c.data == "name"}
        indexed = None
        if node.data == "getitem" and node.children[0].data == "name":
            indexed = identifier(node.children[0].children[0]), [c.children[0] for c in node.children[1:]], node
        elif node.data == "target" and node.children[1] is not None:
            indexed = identifier(node.children[0]), [c for c in node.children[1:] if c is not None], node
        if indexed is None or indexed[0] in RANDOM:
            continue
        name, subscripts, at = indexed
        if axes.setdefault(name, len(subscripts)) != len(subscripts):
            raise pointed(
                text, at.meta.start_pos, f"{name} has {axes[name]} indices in one place and {len(subscripts)} here"
            )
        for k, s in enumerate(subscripts):
            if s.data == "name":
                unite(("index", identifier(s.children[0])), ("axis", name, k))
    known = {find(k): v for k, v in size.items()}
    for name, dims in context.dims.items():
        for k, d in enumerate(dims):
            known.setdefault(find(("axis", name, k)), d)
    taken = {str(d) for d in known.values()}
    spare = [n for n in ("K", "n", "m", "p", "q") if n not in taken]
    for name, count in axes.items():
        if name in context.dims:
            if len(context.dims[name]) != count:
                raise InputError(
                    f"{name} was declared with {len(context.dims[name])} dimensions, and has {count} indices in {text!r}",
                    where="",
                )
            continue
        for k in range(count):
            root = find(("axis", name, k))
            if root not in known:
                known[root] = _dimension(name, spare.pop(0) if spare else f"n{len(known)}")
        context.dims[name] = tuple(known[find(("axis", name, k))] for k in range(count))
    context.ranges = {key[1]: known[find(key)] for key in {*leader, *size} if key[0] == "index" and find(key) in known}
