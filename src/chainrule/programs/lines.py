"""The lines of a staged program: forward stages, and the backward lines that undo them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from ..ir.node import Node
from ..ir.op import constant
from ..ir.simplify import value_of
from ..ops.broadcasting import ShapeOf, broadcast_to
from ..ops.loops import Loop, switch
from ..ops.structured import pick
from .expression_text import NUMPY, PRODUCT, SCALAR, Language, Text, expression, is_identity, write
from .guards import Checks, Row, inlined
from .staged import Line, LoopLine, Staged

MAX_LITERAL = 16  # entries; a larger constant array becomes a parameter of the program


class Lines:
    """Writes the statements of one staged computation.

    Args:
        staged: the computation.
        constants: where arrays that are too large to be written down are collected, by the name they get.
        language: plain Python over floats where that is possible, when left out.
    """

    def __init__(self, staged: Staged, constants: dict[str, Any], language: Language | None = None) -> None:
        self.s = staged
        self.names = dict(staged.names)
        for n, v in (*staged.cotangents.items(), *staged.seeds.items()):
            self.names[v] = staged.gradient_names[n]
        self.constants = constants
        self.temporaries: list[str] = []
        self.language = language or self._language()
        for n in inlined(staged):
            del self.names[n]
        self.named = frozenset(self.names)  # before any temporary

    def _language(self) -> Language:
        """Plain Python over floats when every value is a single double and every operation has such a form."""
        nodes = [*self.s.live_stages, *self.s.asked]
        for line in self.s.lines:
            if isinstance(line, LoopLine):
                return NUMPY
            nodes += self._inner(line.expression)
        if any(isinstance(n.op, Loop) for n in nodes):
            return NUMPY
        values = [v.value for v in self.s.inputs] + [n.value for n in nodes]
        scalar = all(np.ndim(v) == 0 and np.asarray(v).dtype.name in ("float64", "int64", "bool") for v in values)
        scalar = scalar and all(
            SCALAR.template(n.op) is not None or n.op.infix is not None or n.op is constant for n in nodes
        )
        return SCALAR if scalar else NUMPY

    def _inner(self, root: Any, named: Collection[Node] | None = None) -> list[Node]:
        """The nodes of an expression above those that have names, in order of computation."""
        named = self.names if named is None else named
        if type(root) is not Node or root in named:
            return []
        found, stack = {root}, [root]
        while stack:
            for p in stack.pop().parents:
                if p not in named and p not in found:
                    found.add(p)
                    stack.append(p)
        return sorted((n for n in found if n.op is not constant), key=lambda n: n.order)

    def text(self, node: Any, writer: Callable[..., Text] = write) -> Text:
        """A value as an expression of what has a name."""
        return writer(node, self.names, self.language, self._constant_array)

    def _constant_array(self, x: Any) -> str:
        if np.size(x) <= MAX_LITERAL or np.all(x == np.reshape(x, -1)[0]) or is_identity(x):
            return str(expression(x, {}, self.language))
        for name, known in self.constants.items():
            if known is x:
                return name
        name = f"c{len(self.constants) + 1}"
        while name in self.names.values():
            name += "_"
        self.constants[name] = x
        return name

    # ---- forward -------------------------------------------------------------------------------------------

    def forward(self) -> list[Row]:
        """One statement for each stage, a loop gives all its results in one; each check as soon as its value is there."""
        rows: list[Row] = []
        numbers = {n: k for k, n in enumerate(self.s.stages, 1)}
        checks = Checks(self)
        own = [n for n in self.s.asked if n in self.names]
        for n in sorted([*self.s.live_stages, *own], key=lambda n: n.order):
            rows += checks.before(n.order)
            if isinstance(n.op, Loop):
                rows.append((f"{self._results(n)} = {self.loop_name(n)}({self._arguments(n)})", numbers[n]))
            elif isinstance(n.value, tuple):
                rows.append((f"{self._results(n)} = {self.text(n, expression)}", numbers[n]))
            elif n.op is not pick:
                rows.append((f"{self.names[n]} = {self.text(n, expression)}", numbers.get(n, 0)))
        return [*rows, *checks.before()]

    def loop_name(self, n: Node) -> str:
        """The name of the function that runs a loop."""
        first = next((self.names[p] for p in self.picked(n) if p is not None), self.names[n])
        return f"{first}_{'branch' if n.op is switch else 'loop'}"

    def picked(self, n: Node) -> list[Node | None]:
        """The stages that take the results of a loop, None for a result that nobody takes."""
        found: list[Node | None] = [None] * len(n.value)
        for p in self.s.live_stages:
            if p.op is pick and p.inputs[0] is n:
                found[p.params["index"]] = p
        return found

    def _results(self, n: Node) -> str:
        names = ["_" if p is None else self.names[p] for p in self.picked(n)]
        return ", ".join(names)

    def _arguments(self, n: Node) -> str:
        return ", ".join(self.text(i) for i in n.inputs)

    # ---- backward ------------------------------------------------------------------------------------------

    def backward(self) -> list[Row]:
        """The statements that undo the stages, and zeros for gradients that nothing reaches."""
        rows: list[Row] = []
        first = set(self.s.seeds)  # their gradient starts from what is given
        accumulated = {t for line in self.s.lines for t, adds in _targets(line) if adds}
        for line in self.s.lines:
            rows += self._loop(line, first) if isinstance(line, LoopLine) else self._line(line, first, accumulated)
        for v in self.s.wrt:
            if v not in first:
                zero = "0.0" if v.shape == () and not self.language.boxed else self.language.zeros.format(self.names[v])
                rows.append((f"{self.s.gradient_names[v]} = {zero}", 0))
        return rows

    def _line(self, line: Line, first: set[Node], accumulated: set[Node]) -> Iterator[Row]:
        """A contribution: values it uses more than once get a line of their own."""
        e = self._like(line.target, line.expression)
        inner = self._inner(e)
        uses: dict[Node, int] = {}
        for n in inner:
            for p in n.parents:
                uses[p] = uses.get(p, 0) + 1
        for n in inner:
            if uses.get(n, 0) > 1 and not all(type(i) is not Node for i in n.inputs):
                name = self._temporary()
                yield f"{name} = {self.text(n, expression)}", line.undoes
                self.names[n] = name
        yield self._assignment(line.target, e, self.text(e), first, accumulated), line.undoes

    def _like(self, target: Node, e: Any) -> Any:
        """An expression that makes the shape of its target: the shape is written as the target's, whatever it is."""
        if isinstance(e, np.ndarray) and e.shape == target.shape and e.size and np.all(e == e.flat[0]):
            return e.flat[0]
        if type(e) is not Node or e in self.names or e.params.get("shape") != target.shape or not target.shape:
            return e
        if e.op is broadcast_to and np.ndim(value_of(e.inputs[0])) == 0:
            return e.inputs[0]
        shape = ShapeOf.named(target.shape, f"{self.names[target]}.shape")
        return Node(e.op, e.inputs, {**e.params, "shape": shape}, e.value)

    def _assignment(self, target: Node, e: Any, text: Text, first: set[Node], accumulated: set[Node]) -> str:
        name = self.s.gradient_names[target]
        if target in first:
            return f"{name} = {name} + {text}" if target in self.s.seeds else f"{name} += {text}"
        first.add(target)
        shape = target.shape
        if shape != () and np.shape(value_of(e)) != shape:
            ones = self.language.ones.format(self.names[target])
            text = (
                Text(ones)
                if type(e) is not Node and np.all(e == 1)
                else Text(f"{text.within(PRODUCT)} * {ones}", PRODUCT)
            )
        elif (shape != () or self.language.boxed) and target in accumulated and self._shared(e):
            text = Text(f"{text.atom}{self.language.copy}")
        return f"{name} = {text}"

    def _loop(self, line: LoopLine, first: set[Node]) -> Iterator[Row]:
        """Undo a loop: a call that gives all its gradients, then what is added to others."""
        names: list[str] = []
        later: list[tuple[Node, str]] = []
        for _, target, _, _ in line.results:
            if target in first:
                names.append(self._temporary())
                later.append((target, names[-1]))
            else:
                names.append(self.s.gradient_names[target])
                first.add(target)
        given = [
            str(self.text(c))
            if type(c) is Node
            else _of_dtype(v, zeros_text(np.shape(v)) if c is None else str(self.text(c)))
            for c, v in zip(line.cotangents, line.stage.value, strict=True)
        ]
        call = f"{self.loop_name(line.stage)}_grad({', '.join([self._arguments(line.stage), *given])})"
        yield f"{', '.join(names)} = {call}", line.undoes
        for target, name in later:
            yield f"{self.s.gradient_names[target]} += {name}", line.undoes

    def _temporary(self) -> str:
        k = 1
        while f"t{k}" in self.temporaries or f"t{k}" in self.names.values():
            k += 1
        self.temporaries.append(f"t{k}")
        return self.temporaries[-1]

    def _shared(self, e: Any) -> bool:
        """Whether the expression may be memory that another name holds too."""
        return type(e) is Node and (e in self.names or e.op.view or (e.op.keeps and e.op.entrywise))

    def nodes(self) -> Iterator[Node]:
        """All nodes that are written, those of loop bodies not included."""
        yield from self.s.stages
        yield from self.s.asked
        for line in self.s.lines:
            for e in line.cotangents if isinstance(line, LoopLine) else [line.expression]:
                yield from self._inner(e, self.named)


def _targets(line: Line | LoopLine) -> list[tuple[Node, bool]]:
    if isinstance(line, Line):
        return [(line.target, line.adds)]
    return [(target, adds) for _, target, _, adds in line.results]


def zeros(v: Node) -> str:
    """A zero of the shape of a node."""
    return zeros_text(v.shape)


def _of_dtype(x: Any, text: str) -> str:
    """A constant as a cotangent of `x`: a number or an array of doubles would make doubles of all that it meets."""
    dtype = np.asarray(x).dtype
    return text if dtype.name == "float64" or dtype.kind != "f" else f"np.asarray({text}, np.{dtype.name})[()]"


def zeros_text(shape: tuple[int, ...]) -> str:
    """A zero of a shape."""
    return "0.0" if shape == () else f"np.zeros({shape})"
