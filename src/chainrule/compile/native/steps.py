"""The steps of a plan, as data: what runs one after another, and the memory that it reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ...ir.node import Node
from .index import count
from .memory import Buffer, Unsupported, View


class Step(Protocol):
    """What the layout of memory, and a report, ask of every step."""

    def reads(self) -> list[Buffer]:
        """The memory that must hold something before."""
        ...

    def writes(self) -> list[Buffer]:
        """The memory that holds something afterwards."""
        ...

    def work(self) -> int:
        """About how many operations it does."""
        ...


@dataclass
class FillStep:
    """A buffer set to one number."""

    buffer: Buffer
    value: float

    def reads(self) -> list[Buffer]:
        return []

    def writes(self) -> list[Buffer]:
        return [self.buffer]

    def work(self) -> int:
        return 0


@dataclass
class CopyStep:
    """A buffer copied to another of the same size."""

    source: Buffer
    target: Buffer

    def reads(self) -> list[Buffer]:
        return [self.source]

    def writes(self) -> list[Buffer]:
        return [self.target]

    def work(self) -> int:
        return 0


@dataclass
class ProductStep:
    """C = A B for every entry of the batch; shapes (m, k), (k, n), (m, n); strides in entries."""

    a: View
    b: View
    c: View
    batch: tuple[int, ...]
    sizes: tuple[int, int, int]

    def reads(self) -> list[Buffer]:
        return [self.a.buffer, self.b.buffer]

    def writes(self) -> list[Buffer]:
        return [self.c.buffer]

    def work(self) -> int:
        return count(self.batch) * count(self.sizes) // 4


@dataclass
class CallStep:
    """Operations that NumPy runs, and why each; `function` takes arrays over the results, which it fills, and over the arguments."""

    reasons: dict[Node, str]
    results: dict[Node, list[View]]
    arguments: dict[Node, View]
    function: Callable[..., None] | None = None

    def views(self) -> list[View]:
        """Those of the results, then those of the arguments."""
        return [*(v for views in self.results.values() for v in views), *self.arguments.values()]

    def reads(self) -> list[Buffer]:
        return [v.buffer for v in self.arguments.values()]

    def writes(self) -> list[Buffer]:
        return [v.buffer for views in self.results.values() for v in views]

    def work(self) -> int:
        return 0

    def words(self) -> str:
        """The operations, each once, and why."""
        names = ", ".join(dict.fromkeys(n.op.name for n in self.reasons))
        return f"{names} by NumPy: {'; '.join(dict.fromkeys(self.reasons.values()))}"


@dataclass
class ScanStep:
    """A loop of the program: the body runs `length` times; `carry` pairs (buffer, what the body leaves there)."""

    body: Plan
    length: int
    carry: list[tuple[Buffer, Buffer]]
    rows: list[tuple[Buffer, Buffer]]
    stacked: list[tuple[Buffer, Buffer]]
    test: Plan | None = None
    condition: Buffer | None = None

    def plans(self) -> list[Plan]:
        """What runs in every round."""
        return [self.body] if self.test is None else [self.test, self.body]

    def reads(self) -> list[Buffer]:
        own = {b.number for b in self.writes()}
        inner = [b for p in self.plans() for s in p.steps for b in s.reads()]
        return [
            *(b for b, _ in self.carry),
            *(whole for _, whole in self.rows),
            *(b for b in inner if b.number not in own),
        ]

    def writes(self) -> list[Buffer]:
        inner = [b for p in self.plans() for s in p.steps for b in s.writes()]
        return [
            *inner,
            *(b for b, _ in self.carry),
            *(row for row, _ in self.rows),
            *(whole for _, whole in self.stacked),
        ]

    def work(self) -> int:
        return (self.length if self.length > 0 else 1000) * sum(s.work() for s in self.body.steps)


@dataclass
class Plan:
    """Steps in order, over buffers."""

    buffers: list[Buffer]
    inputs: list[Buffer]
    outputs: list[Buffer] = field(default_factory=list[Buffer])
    steps: list[Any] = field(default_factory=list[Any])

    def checked(self, written: set[int]) -> None:
        """See that nothing is read before it is written.

        Raises:
            Unsupported: something is; that is an error of ours, and NumPy has to run the graph.
        """
        for s in self.steps:
            if isinstance(s, ScanStep):
                for p in s.plans():
                    p.checked(
                        written | {row.number for row, _ in s.rows} | {b.number for b in s.writes() if b in p.inputs}
                    )
            if any(b.role == "temporary" and b.number not in written for b in s.reads()):
                raise Unsupported("its steps could not be put in order")
            written.update(b.number for b in s.writes())


def identity(mode: str, dtype: np.dtype[Any]) -> float:
    """What a reduction begins with; a whole number stays one, as a float does not hold the largest int64."""
    if mode in ("max", "min"):
        low = mode == "max"
        if dtype.kind == "f":
            return -np.inf if low else np.inf
        if dtype.kind == "b":
            return 0 if low else 1
        return int(np.iinfo(dtype).min if low else np.iinfo(dtype).max)
    return 1 if mode == "mul" else 0
