"""Loops and choices whose bodies are graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DerivativeError, TraceError
from ..ir.deferred import settled
from ..ir.graph import Bundle, Graph
from ..ir.node import Node, Spec
from ..ir.recording import Handle
from .indexing import getitem
from .kinds import Operation
from .piecewise import equal, maximum, minimum, where
from .shape import stack


class Loop(Operation):
    """An operation that runs graphs; a derivative can flow from every floating-point input."""

    postponed = True

    def flows(self, i: int) -> bool:
        return True


def rows(xs: Sequence[Any], t: int) -> list[Any]:
    """Entry t along the first axis of each."""
    return [getitem(x, index=(t,)) for x in xs]


def stacked(columns: Sequence[Sequence[Any]], count: int) -> list[Any]:
    """Results of single steps, stacked along a new first axis."""
    return [stack(*c, axis=-1 - np.ndim(c[0])) for c in columns] if columns else [np.zeros(0)] * count


def split(args: Sequence[Any], params: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """The inputs of a scan: what is carried, what is scanned over, what stays the same."""
    carried, scanned = params["carried"], params["scanned"]
    return list(args[:carried]), list(args[carried : carried + scanned]), list(args[carried + scanned :])


def split_while(args: Sequence[Any], params: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """The inputs of a while loop: what is carried, what else its condition reads, what else its body reads."""
    carried, tested = params["carried"], params["tested"]
    return list(args[:carried]), list(args[carried : carried + tested]), list(args[carried + tested :])


def _scan(*args: Any, body: Graph, carried: int, scanned: int, length: int) -> Bundle:
    carry, xs, same = split(args, {"carried": carried, "scanned": scanned})
    columns: list[list[Any]] = [[] for _ in body.outputs[carried:]]
    for t in range(length):
        out = body.replay([*carry, *rows(xs, t), *same])
        carry = out[:carried]
        for column, y in zip(columns, out[carried:], strict=True):
            column.append(y)
    return Bundle([*carry, *stacked([c for c in columns if c], len(columns))])


def trajectory(
    args: Sequence[Any], body: Graph, test: Graph, carried: int, tested: int, limit: int | None
) -> list[list[Any]]:
    """The carried values of a while loop before every step, and after the last."""
    carry, same = list(args[:carried]), args[carried:]
    inside, outside = same[tested:], same[:tested]
    states = [carry]
    while bool(test.replay([*states[-1], *outside])[0]):
        if limit is not None and len(states) > limit:
            raise DerivativeError(
                f"while_loop: the condition still holds after {limit} steps",
                "raise max_steps, or check the condition",
                where="",
            )
        states.append(body.replay([*states[-1], *inside])[:carried])
    return states


def _while(*args: Any, **params: Any) -> Bundle:
    carry, outside, inside = split_while(args, params)
    steps = 0
    while bool(params["test"].replay([*carry, *outside])[0]):
        if params["limit"] is not None and steps >= params["limit"]:
            raise DerivativeError(
                f"while_loop: the condition still holds after {params['limit']} steps",
                "raise max_steps, or check the condition",
                where="",
            )
        carry = params["body"].replay([*carry, *inside])[: params["carried"]]
        steps += 1
    return Bundle(carry)


def chosen(index: Any, branches: Sequence[Graph]) -> int | None:
    """The number of the branch that is taken, the nearest for one out of range; None if examples of a batch differ."""
    while isinstance(index, Handle) and index.records:
        index = index.node.value
    number: Any = index
    try:
        return min(max(int(number), 0), len(branches) - 1)
    except TraceError:
        return None


def select(index: Any, branches: Sequence[Graph], run: Callable[[Graph], list[Any]]) -> list[Any]:
    """What `run` gives for the branch that is taken: for every example its own, where they differ."""
    k = chosen(index, branches)
    if k is not None:
        return run(branches[k])
    nearest = minimum(maximum(index, 0), len(branches) - 1)
    total = run(branches[0])
    for j, branch in enumerate(branches[1:], 1):
        here = equal(nearest, j)
        total = [_either(here, new, old) for new, old in zip(run(branch), total, strict=True)]
    return total


def _either(here: Any, new: Any, old: Any) -> Any:
    if new is None and old is None:
        return None
    return where(here, 0.0 if new is None else new, 0.0 if old is None else old)


def _switch(index: Any, *args: Any, branches: Sequence[Graph]) -> Bundle:
    return Bundle(select(index, branches, lambda g: g.replay(list(args))))


def examples(node: Node) -> list[tuple[Graph, list[Any]]]:
    """The graphs of a loop node, each with values of its inputs as they are at the first step."""
    args = node.values
    p = node.params
    if node.op is scan:
        carry, xs, same = split(args, p)
        return [(p["body"], [*carry, *rows(xs, 0), *same])]
    if node.op is while_loop:
        carry, outside, inside = split_while(args, p)
        return [(p["test"], [*carry, *outside]), (p["body"], [*carry, *inside])]
    return [(g, args[1:]) for g in p["branches"]]


def _text(args: list[Any], node: Any) -> str:
    return f"{node.op.name}({', '.join(args)})"


def _scanned(op: Any, values: Any, params: Any) -> Bundle:
    carry, xs, same = split([settled(v) for v in values], params)
    out = params["body"].run([*carry, *rows(xs, 0), *same])
    carried, length = params["carried"], params["length"]
    stacked = [Spec((length, *np.shape(y)), np.asarray(y).dtype) for y in out[carried:]]
    return Bundle([*map(Spec.of, out[:carried]), *stacked])


def _repeated(op: Any, values: Any, params: Any) -> Bundle:
    carry, _, inside = split_while([settled(v) for v in values], params)
    return Bundle(map(Spec.of, params["body"].run([*carry, *inside])[: len(carry)]))


scan = Loop(
    "scan",
    _scan,
    shape=_scanned,
    batch="loop",
    text=_text,
    public=False,
    doc="A loop over the first axis of arrays, carrying values from step to step.",
)
while_loop = Loop(
    "while_loop",
    _while,
    shape=_repeated,
    text=_text,
    public=False,
    doc="A loop that runs while a condition on the carried values holds.",
)
switch = Loop("switch", _switch, text=_text, public=False, doc="One of several branches, chosen by an integer.")
