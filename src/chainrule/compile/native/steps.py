"""What a plan is made of: memory, views of it, and the steps that run one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ir.node import Node
from .index import Affine, Index, count, over

if TYPE_CHECKING:
    from .plan import Planner


class Unsupported(Exception):
    """Native code does not have something, in the words of `schedule()`."""


class Buffer:
    """Memory for one value, contiguous. `role` is input, constant, output or temporary."""

    __slots__ = ("bytes", "data", "dtype", "first", "last", "number", "offset", "role", "shape")

    def __init__(self, role: str, shape: tuple[int, ...], dtype: np.dtype[Any], data: Any = None) -> None:
        if dtype.kind not in "biufc":
            raise Unsupported(f"values of dtype {dtype} have no place in native code")
        self.role, self.shape, self.data = role, shape, data
        self.dtype = np.dtype(dtype.name)  # in native byte order
        self.bytes = count(self.shape) * self.dtype.itemsize
        self.number = self.offset = 0
        self.first, self.last = 1 << 60, -1

    def __repr__(self) -> str:
        return f"{self.role}{self.number}{list(self.shape)}:{self.dtype.name}"


@dataclass
class View:
    """Part of a buffer, or all of it, with a stride for each axis."""

    buffer: Buffer
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class Write:
    """A result of a loop: `node` at every entry, put at `address`; `mode` is store, add, max, min or mul."""

    node: Any
    buffer: Buffer
    address: Affine
    mode: str
    at: tuple[Any, ...] | None = None  # for addresses that are read from arrays: (index node, axis length, stride) each


@dataclass
class LoopStep:
    """One nest over a shape."""

    shape: tuple[int, ...]
    writes: list[Write]
    index: Index = ()

    built: Any = None

    def __post_init__(self) -> None:
        self.index = over(self.shape)

    def nest(self, planner: Planner) -> Any:
        """The loops and what they compute, built once."""
        if self.built is None:
            from .nests import Nest

            self.built = Nest(planner, self)
        return self.built


@dataclass
class FillStep:
    """A buffer set to one number."""

    buffer: Buffer
    value: float


@dataclass
class CopyStep:
    """A buffer copied to another of the same size."""

    source: Buffer
    target: Buffer


@dataclass
class ProductStep:
    """C = A B for every entry of the batch; shapes (m, k), (k, n), (m, n); strides in entries."""

    a: View
    b: View
    c: View
    batch: tuple[int, ...]
    sizes: tuple[int, int, int]


@dataclass
class CallStep:
    """Operations that NumPy runs, and why each; `function` takes arrays over the results, which it fills, and over the arguments."""

    reasons: dict[Node, str]
    results: dict[Node, list[View]]
    arguments: dict[Node, View]
    function: Callable[..., None] | None = None

    @property
    def views(self) -> list[View]:
        """Those of the results, then those of the arguments."""
        return [*(v for views in self.results.values() for v in views), *self.arguments.values()]

    def words(self) -> str:
        """The operations, each once."""
        return ", ".join(dict.fromkeys(n.op.name for n in self.reasons))


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


@dataclass
class Plan:
    """Steps in order, over buffers."""

    steps: list[Any] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    inputs: list[Buffer] = field(default_factory=list)
    outputs: list[Buffer] = field(default_factory=list)
    planner: Any = None


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
