"""The programs of a staged computation, in every language."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..compile.native.c99 import c_source
from ..compile.tracing import traced
from ..diff.transforms import vjp
from ..errors import InputError
from ..ir.graph import Graph
from ..ops.piecewise import equal, logical_not, not_equal
from ..ops.reduction import reduce_min
from ..programs.guards import words
from ..programs.languages import JAX_LANGUAGE
from ..programs.lines import Lines
from ..programs.python import Program, program
from ..programs.staged import Check, Staged
from ..programs.torch_code import torch_program
from ..trace.handles import dtype_of
from .lengths import free_lengths

Writer = Callable[[Staged, Sequence[int]], Program]
LANGUAGES: dict[str, Writer] = {
    "python": lambda s, free: program(s, None, free),
    "torch": torch_program,
    "jax": lambda s, free: program(s, JAX_LANGUAGE, free),
    "c": lambda s, free: c_program(s),
}


def written(
    staged: Staged,
    lang: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    again: Callable[[Sequence[Any], Mapping[str, Any]], Staged],
) -> Program:
    """The program in a language; `again` derives it at another point, to learn which lengths are free."""
    write = LANGUAGES.get(lang)
    if write is None:
        *others, last = LANGUAGES
        raise InputError(f"there is no language {lang!r}", f"choose {', '.join(others)} or {last}", where="")
    free = [] if lang == "c" else free_lengths(staged, args, kwargs, again, lambda s: _body(write(s, ())))
    return write(staged, free)


def _body(text: str) -> str:
    """A program without the lines that say and check for which shapes it was printed."""
    lines = text.splitlines()
    start = next((k for k, line in enumerate(lines) if line.lstrip().startswith("# printed for")), None)
    return text if start is None else "\n".join(lines[:start] + lines[start + 3 :])


def c_program(s: Staged) -> Program:
    """The value and the gradients as a C function of pointers."""
    forward = Graph(s.inputs, [s.output, *(c.node for c in s.checks)])
    wanted = [s.inputs.index(v) for v in s.wrt]

    def both(xs: list[Any]) -> Any:
        given = xs[: len(s.inputs)]

        def f(*some: Any) -> Any:
            for k, x in zip(wanted, some, strict=True):
                given[k] = x
            return forward.replay(given)[0]

        value, pullback = vjp(f, *(xs[k] for k in wanted))
        seed = xs[len(s.inputs)] if s.seed is not None else np.ones((), s.output.dtype)[()]
        seen = forward.replay(xs[: len(s.inputs)])[1:]
        return [value, *pullback(seed), *(_holds(c, x) for c, x in zip(s.checks, seen, strict=True))]

    inputs = [s.names[v] for v in s.inputs]
    values = [v.value for v in s.inputs]
    if s.seed is not None:
        inputs.append(s.gradient_names[s.output])
        values.append(np.ones(s.output.shape, s.output.dtype))
    name = f"{re.sub(r'[^0-9a-zA-Z_]', '_', s.name).strip('_') or 'f'}_grad"
    outputs = [s.names[s.output], *(s.gradient_names[v] for v in s.wrt)]
    lines = Lines(s, {})
    doc = f"{s.name}: its value and its gradient, written by chainrule"
    notes = "".join(f"; {n} a constant" for n in s.notes)
    graph = traced(both, both, values).graph
    text = c_source(graph, name, inputs, outputs, doc + notes, [words(lines, c) for c in s.checks])
    made = Program(text)
    made.constants, made.functions, made.name = {}, {}, name
    return made


def _holds(c: Check, x: Any) -> Any:
    """Whether a value is what Python saw."""
    if c.kind == "count":
        raise InputError(
            "this program cannot be written in C: what a mask takes has a shape that depends on values",
            "write np.where(mask, x, 0), or print it as Python",
            where="",
        )
    if c.kind == "truth":
        truth = x if dtype_of(x).kind == "b" else not_equal(x, 0)
        return truth if c.seen else logical_not(truth)
    same = equal(x, c.seen)
    return reduce_min(same, axis=tuple(range(-np.ndim(same), 0))) if np.ndim(same) else same
