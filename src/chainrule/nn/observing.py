"""Watching a network at work: what each module takes and gives, and which nodes it makes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant
from .module import Module


@dataclass
class Call:
    """One call of a module: its dotted name, input and output, and the orders of the nodes made before and after it."""

    name: str
    module: Module
    given: Any
    made: Any
    first: int
    last: int


def _now() -> int:
    """The order of a node made now."""
    return Node(constant, (), NO_PARAMS, None).order


@contextmanager
def watched(model: Module) -> Generator[list[Call]]:
    """Inside, every call of the model's modules is noted when it ends, also one that fails."""
    calls: list[Call] = []
    modules = list(model.named_modules())

    def watch(name: str, m: Module) -> None:
        inner = m.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            call = Call(name, m, args[0] if args else None, None, _now(), 0)
            try:
                call.made = inner(*args, **kwargs)
                return call.made
            finally:
                call.last = _now()
                calls.append(call)

        m.__dict__["forward"] = forward

    for name, m in modules:
        watch(name or type(m).__name__, m)
    try:
        yield calls
    finally:
        for _, m in modules:
            m.__dict__.pop("forward", None)


def innermost(calls: list[Call], order: int) -> Call | None:
    """The call in which a node was made."""
    inside = [c for c in calls if c.first <= order < c.last]
    return min(inside, key=lambda c: c.last - c.first) if inside else None
