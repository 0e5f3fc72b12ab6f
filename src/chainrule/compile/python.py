"""The staged program as runnable Python: what a careful person writes by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.node import Node, reachable
from ..ir.op import constant
from ..ir.staged import Line, Staged
from .expression import NUMPY, SCALAR, Language, Text, expression, write

MAX_LITERAL = 16  # entries; a larger constant array becomes a parameter of the program


class Program(str):
    """The text of a staged program, which shows itself as it is.

    Attributes:
        constants: arrays too large to be written down, which the program takes as further arguments.
        functions: the user's functions with derivative rules of their own, which the program calls by name.
        function: the program, compiled: it takes the variables in order and returns (value, gradients).
    """

    constants: dict[str, Any]
    functions: dict[str, Any]
    name: str

    def __repr__(self) -> str:
        return str(self)

    @property
    def function(self) -> Callable[..., Any]:
        """The program as a function, its constant arrays filled in."""
        namespace: dict[str, Any] = dict(self.functions)
        exec(compile(str(self), "<chainrule program>", "exec"), namespace)
        made = namespace[self.name]
        if not self.constants:
            return made
        return lambda *args, **kwargs: made(*args, **{**self.constants, **kwargs})


def program(staged: Staged) -> Program:
    """Write a staged program: `def f_grad(...)` returning the value and the gradients."""
    return _Writer(staged).program()


class _Writer:
    def __init__(self, staged: Staged) -> None:
        self.s = staged
        self.names = dict(staged.names)
        for n, v in staged.cotangents.items():
            self.names[v] = staged.gradient_names[n]
        self.constants: dict[str, Any] = {}
        self.language = self._language()
        self.used: set[Node] = set()

    def _language(self) -> Language:
        """Plain Python over floats when every value is a single double and every operation has such a form."""
        nodes = list(self.s.live_stages)
        for line in self.s.lines:
            nodes += self._inner(line.expression)
        values = [v.value for v in self.s.inputs] + [n.value for n in nodes]
        scalar = all(np.ndim(v) == 0 and np.asarray(v).dtype.name in ("float64", "int64", "bool") for v in values)
        scalar = scalar and all(
            SCALAR.template(n.op) is not None or n.op.infix is not None or n.op is constant for n in nodes
        )
        return SCALAR if scalar else NUMPY

    def _inner(self, root: Any) -> list[Node]:
        """The nodes of an expression above those that have names."""
        return [
            n
            for n in reachable([root] if type(root) is Node else [])
            if n not in self.names and n.op is not constant and self._above(root, n)
        ]

    def _above(self, root: Node, node: Node) -> bool:
        stack = [root]
        seen: set[Node] = set()
        while stack:
            n = stack.pop()
            if n is node:
                return True
            if n in self.names or n in seen:
                continue
            seen.add(n)
            stack += n.parents
        return False

    def program(self) -> Program:
        s = self.s
        rows: list[tuple[str, int]] = [
            (f"{self.names[n]} = {self._text(expression, n)}", s.number(n)) for n in s.live_stages
        ]
        back: list[tuple[str, int]] = []
        first = set[Node]()
        accumulated = {line.target for line in s.lines if line.adds}
        for line in s.lines:
            back += self._backward(line, first, accumulated)
        done = {line.target for line in s.lines}
        for v in s.wrt:
            if v not in done:
                back.append((f"{s.gradient_names[v]} = {'0.0' if v.shape == () else f'np.zeros({v.shape})'}", 0))
        width = max((len(t) for t, _ in (*rows, *back)), default=0)
        width = min(width, 72)

        def shown(row: tuple[str, int]) -> str:
            text, number = row
            return f"    {text:<{width}}  # ({number})" if number else f"    {text}"

        body = ["    # forward", *map(shown, rows), "    # backward", *map(shown, back)]
        gradients = ", ".join(s.gradient_names[v] for v in s.wrt)
        body.append(f"    return {self.names[s.output]}, {f'({gradients})' if len(s.wrt) > 1 else gradients}")
        parameters = [self.names[v] for v in s.inputs]
        if s.seed is not None:
            parameters.append(self.names[s.seed])
        name = f"{re.sub(r'[^0-9a-zA-Z_]', '_', s.name).strip('_') or 'f'}_grad"
        head = f"def {name}({', '.join([*parameters, *self.constants])}):"
        made = Program("\n".join([*self._preamble(body), head, *body]) + "\n")
        made.constants, made.functions, made.name = self.constants, s.functions, name
        return made

    def _text(self, writer: Callable[..., Text], node: Any) -> Text:
        self.used.update(n for n in ([node] if type(node) is Node else []))
        return writer(node, self.names, self.language, self._constant_array)

    def _constant_array(self, x: Any) -> str:
        if np.size(x) <= MAX_LITERAL or np.all(x == np.reshape(x, -1)[0]):
            return str(expression(x, {}, self.language))
        for name, known in self.constants.items():
            if known is x:
                return name
        name = f"c{len(self.constants) + 1}"
        while name in self.names.values():
            name += "_"
        self.constants[name] = x
        return name

    def _backward(self, line: Line, first: set[Node], accumulated: set[Node]) -> list[tuple[str, int]]:
        """A contribution: values it uses more than once get a line of their own."""
        rows: list[tuple[str, int]] = []
        e = line.expression
        inner = self._inner(e)
        uses: dict[Node, int] = {}
        for n in inner:
            for p in n.parents:
                uses[p] = uses.get(p, 0) + 1
        for n in inner:
            if uses.get(n, 0) > 1 and not all(type(i) is not Node for i in n.inputs):
                name = self._temporary()
                rows.append((f"{name} = {self._text(expression, n)}", line.undoes))
                self.names[n] = name
        target = self.s.gradient_names[line.target]
        text = self._text(write, e)
        if line.target in first:
            return [*rows, (f"{target} += {text}", line.undoes)]
        first.add(line.target)
        shape = line.target.shape
        if shape != () and np.shape(e.value if type(e) is Node else e) != shape:
            text = Text(f"np.full({shape}, {text})")
        elif shape != () and line.target in accumulated and self._shared(e):
            text = Text(f"{text.atom}.copy()")
        return [*rows, (f"{target} = {text}", line.undoes)]

    def _temporary(self) -> str:
        k = 1
        while f"t{k}" in self.names.values():
            k += 1
        return f"t{k}"

    def _shared(self, e: Any) -> bool:
        """Whether the expression may be memory that another name holds too."""
        return type(e) is Node and (e in self.names or e.op.view or e.op.name in ("alias", "positive"))

    def _preamble(self, body: list[str]) -> list[str]:
        """Imports and helpers that the text needs."""
        text = "\n".join(body)
        helpers: list[str] = []
        imports: set[str] = set()
        ops = {n.op.name: n.op for n in self.s.stages}
        for line in self.s.lines:
            for n in reachable([line.expression] if type(line.expression) is Node else []):
                ops.setdefault(n.op.name, n.op)
        for op in ops.values():
            for piece in [op.scalar_prelude if self.language is SCALAR else op.prelude]:
                if piece.startswith("from ") and "special." in text:
                    imports.add(piece.strip())
                elif piece.startswith("def ") and f"{piece[4:].split('(')[0]}(" in text and piece not in helpers:
                    helpers.append(piece)
        everything = text + "\n".join(helpers)
        if self.language is SCALAR:
            bare = re.sub(r"\bmath\.\w+", "", everything)
            called = sorted(
                {w for w in re.findall(r"(?<![\w.])([a-z]\w*)\(", bare) if hasattr(math, w) and w not in ("pow",)}
            )
            if "math." in everything:
                imports.add("import math")
            if called:
                imports.add(f"from math import {', '.join(called)}")
        if "np." in everything:
            imports.add("import numpy as np")
        lines = sorted(imports, key=lambda i: (i.startswith("from"), i))
        for h in helpers:
            lines += ["", "", *h.rstrip().splitlines()]
        return [*lines, "", ""] if lines else lines
