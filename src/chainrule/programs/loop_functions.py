"""Loops and branches in a staged program: a function that runs them, and one that undoes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..ir.node import Node
from ..ir.op import Op
from ..ops.loops import scan, switch, while_loop
from ..trace.names import Namer
from .expression_text import NUMPY
from .guards import quoted
from .lines import Lines, zeros_text
from .staged import LoopLine


def helpers(lines: Lines) -> Iterator[str]:
    """The functions that the loops of a program need, those of inner loops first."""
    undone = {line.stage: line for line in lines.s.lines if isinstance(line, LoopLine)}
    for n in lines.s.live_stages:
        if n not in lines.s.bodies:
            continue
        bodies = [Lines(b, lines.constants, NUMPY) for b in lines.s.bodies[n]]
        for body in bodies:
            yield from helpers(body)
        write = _WRITERS[n.op]
        yield "\n".join(write(n, lines.loop_name(n), bodies, None)) + "\n"
        if n in undone:
            yield "\n".join(write(n, lines.loop_name(n), bodies, undone[n])) + "\n"


class _Names:
    """The names of a loop's inputs and results inside its functions."""

    def __init__(self, body: Lines, count: int) -> None:
        self.body = body
        self.namer = Namer([*body.names.values(), *body.s.gradient_names.values(), "np", "t", "kept"])
        self.inputs = [body.names[v] for v in body.s.inputs]
        self.cotangents = [self.namer(f"d{self.result(k)}_given") for k in range(count)]

    def result(self, k: int) -> str:
        """The expression of a result."""
        return str(self.body.text(self.body.s.outputs[k]))

    def gradient(self, k: int) -> str:
        """The name of the gradient of an input."""
        return self.body.s.gradient_names[self.body.s.inputs[k]]


def _forward(body: Lines) -> list[str]:
    return [text for text, _ in body.forward()]


def _seeded(body: Lines, given: list[str]) -> list[str]:
    """The cotangents of the results, as the backward lines call them."""
    sums: dict[Any, list[str]] = {}
    for o, g in zip(body.s.outputs, given, strict=True):
        if type(o) is Node and o in body.s.seeds:
            sums.setdefault(o, []).append(g)
    return [f"{body.s.gradient_names[o]} = {' + '.join(gs)}" for o, gs in sums.items()]


def _backward(body: Lines) -> list[str]:
    return [text for text, _ in body.backward()]


def _indented(lines: list[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _kept(names: list[str]) -> str:
    """The statement that keeps what is carried."""
    carried = ", ".join(names)
    return f"kept.append({carried if len(names) == 1 else f'({carried})'})"


def _update(left: list[str], right: list[str]) -> list[str]:
    """A simultaneous assignment, what stays the same left out."""
    pairs = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
    return [f"{', '.join(a for a, _ in pairs)} = {', '.join(b for _, b in pairs)}"] if pairs else []


def _scan(n: Node, name: str, bodies: list[Lines], line: LoopLine | None) -> list[str]:
    body, p = bodies[0], n.params
    carried, scanned, length = p["carried"], p["scanned"], p["length"]
    results = len(p["body"].outputs)
    names = _Names(body, results)
    carry, rows, same = (
        names.inputs[:carried],
        names.inputs[carried : carried + scanned],
        names.inputs[carried + scanned :],
    )
    arrays = [names.namer(f"{r}_all") for r in rows]
    take = [f"{r} = {a}[t]" for r, a in zip(rows, arrays, strict=True)]
    step = _update(carry, [names.result(k) for k in range(carried)])
    head = [*carry, *arrays, *same]
    if line is None:
        lists = [names.namer("seen") for _ in range(carried, results)]
        return [
            f"def {name}({', '.join(head)}):",
            *_indented([f"{y} = []" for y in lists], 4),
            f"    for t in range({length}):",
            *_indented(
                [
                    *take,
                    *_forward(body),
                    *(f"{y}.append({names.result(k)})" for k, y in enumerate(lists, carried)),
                    *step,
                ],
                8,
            ),
            f"    return {', '.join([*carry, *(f'np.stack({y})' for y in lists)])}",
        ]
    wanted = {position for position, *_ in line.results}
    totals = {k: names.namer(f"{names.gradient(k)}_all") for k in range(carried, len(names.inputs)) if k in wanted}
    moving = [k for k in range(carried) if names.body.s.inputs[k] in body.s.wrt]
    given = [c if k < carried else f"{c}[t]" for k, c in enumerate(names.cotangents)]
    zeros = [f"{v} = np.zeros_like({head[k]})" for k, v in totals.items()]
    collect = [
        f"{v}[t] = {names.gradient(k)}" if k < carried + scanned else f"{v} = {v} + {names.gradient(k)}"
        for k, v in totals.items()
    ]
    back = _update([names.cotangents[k] for k in moving], [names.gradient(k) for k in moving])
    return [
        f"def {name}_grad({', '.join([*head, *names.cotangents])}):",
        "    kept = []",
        f"    for t in range({length}):",
        f"        {_kept(carry)}",
        *_indented([*take, *_forward(body), *step], 8),
        *_indented(zeros, 4),
        f"    for t in reversed(range({length})):",
        f"        {', '.join(carry)} = kept[t]",
        *_indented([*take, *_forward(body), *_seeded(body, given), *_backward(body), *collect, *back], 8),
        f"    return {', '.join([names.cotangents[k] if k < carried else totals[k] for k, *_ in line.results])}",
    ]


def _while(n: Node, name: str, bodies: list[Lines], line: LoopLine | None) -> list[str]:
    test, body = bodies
    carried, tested = n.params["carried"], n.params["tested"]
    names = _Names(body, carried)
    carry = names.inputs[:carried]
    outside = [names.namer(f"{test.names[v]}_test") for v in test.s.inputs[carried:]]
    inside = names.inputs[carried:]
    check = [
        *_update([test.names[v] for v in test.s.inputs], [*carry, *outside]),
        *_forward(test),
        f"if not {test.text(test.s.outputs[0]).atom}:",
        "    break",
    ]
    step = [*_forward(body), *_update(carry, [names.result(k) for k in range(carried)])]
    head = [*carry, *outside, *inside]
    limit = n.params["limit"]
    repeat = "while True:" if limit is None else f"for _ in range({limit} + 1):"
    left = f"the condition still holds after {limit} steps"
    over = [] if limit is None else ["    else:", f"        raise ValueError({quoted(left)})"]
    if line is None:
        return [
            f"def {name}({', '.join(head)}):",
            f"    {repeat}",
            *_indented([*check, *step], 8),
            *over,
            f"    return {', '.join(carry)}",
        ]
    wanted = {position for position, *_ in line.results}
    totals = {
        k + tested: names.namer(f"{names.gradient(k)}_all")
        for k in range(carried, len(names.inputs))
        if k + tested in wanted
    }
    moving = [k for k in range(carried) if body.s.inputs[k] in body.s.wrt]
    back = _update([names.cotangents[k] for k in moving], [names.gradient(k) for k in moving])
    return [
        f"def {name}_grad({', '.join([*head, *names.cotangents])}):",
        "    kept = []",
        f"    {repeat}",
        *_indented([*check, _kept(carry), *step], 8),
        *over,
        *_indented([f"{v} = np.zeros_like({head[k]})" for k, v in totals.items()], 4),
        f"    for {', '.join(carry)} in reversed(kept):",
        *_indented(
            [
                *_forward(body),
                *_seeded(body, names.cotangents),
                *_backward(body),
                *(f"{v} = {v} + {names.gradient(k - tested)}" for k, v in totals.items()),
                *back,
            ],
            8,
        ),
        f"    return {', '.join([names.cotangents[k] if k < carried else totals[k] for k, *_ in line.results])}",
    ]


def _switch(n: Node, name: str, bodies: list[Lines], line: LoopLine | None) -> list[str]:
    results = len(bodies[0].s.outputs)
    shapes = [i.shape if type(i) is Node else np.shape(i) for i in n.inputs[1:]]
    namer = Namer([v for b in bodies for v in (*b.names.values(), *b.s.gradient_names.values())])
    index = namer("index")
    arguments = [namer(f"a{k + 1}") for k in range(len(shapes))]
    given = [namer(f"d{k + 1}") for k in range(results)] if line is not None else []
    lines = [f"def {name}{'' if line is None else '_grad'}({', '.join([index, *arguments, *given])}):"]
    for j, body in enumerate(bodies):
        last = j == len(bodies) - 1
        lines.append(f"    if {index} <= {j}:" if not last else "    if True:" if len(bodies) == 1 else "    else:")
        if not last and j:
            lines[-1] = lines[-1].replace("if", "elif", 1)
        start = _update([body.names[v] for v in body.s.inputs], arguments)
        rows = [*start, *_forward(body)]
        if line is None:
            out = [str(body.text(o)) for o in body.s.outputs]
        else:
            rows += [*_seeded(body, given), *_backward(body)]
            out = [
                body.s.gradient_names[body.s.inputs[k - 1]]
                if body.s.inputs[k - 1] in body.s.wrt
                else zeros_text(shapes[k - 1])
                for k, *_ in line.results
            ]
        lines += _indented([*rows, f"return {', '.join(out)}"], 8)
    return lines


_WRITERS: dict[Op, Callable[[Node, str, list[Lines], LoopLine | None], list[str]]] = {
    scan: _scan,
    while_loop: _while,
    switch: _switch,
}
