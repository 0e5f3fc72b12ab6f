"""The staged program as runnable Python: what a careful person writes by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import InputError
from ..ir.node import Node
from .expression_text import SCALAR, Language, by_its_name
from .guards import header
from .languages import JAX_HELPERS, JAX_LANGUAGE
from .lines import Lines, Row
from .loop_functions import helpers
from .staged import Staged


class Program(str):
    """The text of a staged program, which shows itself as it is.

    Attributes:
        constants: arrays too large to be written down, which the program takes as further arguments.
        functions: the user's operations, and functions with derivative rules of their own, which the program calls by name.
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


def program(staged: Staged, language: Language | None = None, free: Sequence[int] = ()) -> Program:
    """Write a staged program: `def f_grad(...)` returning the value and the gradients.

    Args:
        language: `jax`; plain Python over floats or NumPy when left out.
        free: the positions of the inputs whose first axis may have any length.

    Raises:
        InputError: an operation has no form in the language.
    """
    constants: dict[str, Any] = {}
    lines = Lines(staged, constants, language)
    rows, back = lines.forward(), lines.backward()
    width = min(72, max((len(t) for t, number in (*rows, *back) if number), default=0))

    def shown(row: Row) -> str:
        text, number = row
        return f"    {text:<{width}}  # ({number})" if number else f"    {text}"

    gradients = ", ".join(staged.gradient_names[v] for v in staged.wrt)
    body = [
        *map(shown, header(lines, [*staged.inputs, *staged.seeds.values()], free)),
        "    # forward",
        *map(shown, rows),
        "    # backward",
        *map(shown, back),
        f"    return {lines.names[staged.output]}, {f'({gradients})' if len(staged.wrt) > 1 else gradients}",
    ]
    loops = list(helpers(lines))
    if loops and lines.language is JAX_LANGUAGE:
        raise InputError("a program with loops is not written for jax", "use jit(f, backend='jax')", where="")
    parameters = [lines.names[v] for v in staged.inputs]
    if staged.seed is not None:
        parameters.append(lines.names[staged.seed])
    name = f"{re.sub(r'[^0-9a-zA-Z_]', '_', staged.name).strip('_') or 'f'}_grad"
    head = f"def {name}({', '.join([*parameters, *constants])}):"
    made = Program("\n".join([*_preamble(lines, body, loops), head, *body]) + "\n")
    own = {n.op.name: n.op for n in _nodes(lines) if by_its_name(n.op)}
    made.constants, made.functions, made.name = constants, own | staged.functions, name
    return made


def _preamble(lines: Lines, body: list[str], loops: list[str]) -> list[str]:
    """Imports and helpers that the text needs."""
    text = "\n".join([*body, *loops])
    if lines.language is JAX_LANGUAGE:
        return _jax_preamble(text)
    helpers: list[str] = []
    imports: set[str] = set()
    scalar = lines.language is SCALAR
    for op in {n.op.name: n.op for n in _nodes(lines)}.values():
        piece = op.scalar_prelude if scalar else op.prelude
        if piece.startswith("from ") and "special." in text:
            imports.add(piece.strip())
        elif piece.startswith("def ") and f"{piece[4:].split('(')[0]}(" in text and piece not in helpers:
            helpers.append(piece)
    everything = text + "\n".join(helpers)
    if scalar:
        bare = re.sub(r"\bmath\.\w+", "", everything)
        called = sorted({w for w in re.findall(r"(?<![\w.])([a-z]\w*)\(", bare) if hasattr(math, w) and w != "pow"})
        if "math." in everything:
            imports.add("import math")
        if called:
            imports.add(f"from math import {', '.join(called)}")
    if "np." in everything:
        imports.add("import numpy as np")
    found = sorted(imports, key=lambda i: (i.startswith("from"), i))
    for h in (*helpers, *loops):
        found += ["", "", *h.rstrip().splitlines()]
    return [*found, "", ""] if found else found


def _jax_preamble(text: str) -> list[str]:
    used: list[str] = []
    for h in reversed(JAX_HELPERS.strip().split("\n\n\n")):  # a helper may need one that stands before it
        if f"{h[4:].split('(')[0]}(" in "\n".join([text, *used]):
            used.insert(0, h)
    everything = "\n".join([text, *used])
    imports = ["import itertools", ""] if "itertools." in everything else []
    imports += ["import jax"] if "jax." in everything else []
    imports += ["import jax.numpy as jnp"] if "jnp." in everything else []
    found = [*imports, *(line for h in used for line in ("", "", *h.splitlines()))]
    return [*found, "", ""] if found else found


def _nodes(lines: Lines) -> Iterator[Node]:
    """All nodes that are written, those of loop bodies included."""
    yield from lines.nodes()
    for bodies in lines.s.bodies.values():
        for b in bodies:
            yield from _nodes(Lines(b, {}, lines.language))
