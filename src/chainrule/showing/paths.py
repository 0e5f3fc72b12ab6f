"""Paths: a partial derivative as the sum, over all paths, of the products of local partials along them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..diff.walk import accumulate, step_back
from ..errors import InputError
from ..ir.node import Node
from ..ops.loops import Loop
from ..programs.deriving import local_expression
from ..programs.lines import Lines
from ..programs.staged import Staged
from .show import shown

LISTED = 1_000  # more paths than these are counted, not listed

Edge = tuple[Node, int]  # a stage, and the position of the input that the path comes from


@dataclass(frozen=True)
class Path:
    """One path: the names on it from the variable to the result, its local partials in that order, and its contribution."""

    names: tuple[str, ...]
    partials: tuple[str, ...]
    contribution: Any

    def __str__(self) -> str:
        factors = " · ".join(p if _single(p) else f"({p})" for p in self.partials)
        return f"{' → '.join(self.names)}:  {factors} = {shown(self.contribution, 8)}"


class Paths:
    """All paths from a variable to the result.

    Attributes:
        count: how many there are, exactly.
        listed: the paths, or nothing where there are more than 1,000.
        total: the sum of their contributions: the gradient.
    """

    def __init__(self, staged: Staged, wrt: str) -> None:
        by_name = {staged.names[v]: v for v in staged.inputs}
        if wrt not in by_name:
            raise InputError(f"there is no variable {wrt!r}", f"the variables are {', '.join(by_name)}", where="")
        if any(isinstance(n.op, Loop) for n in staged.live_stages):
            raise InputError("paths are not followed through a loop", 'open it: open="scan"', where="")
        self.wrt, self.result = wrt, staged.names[staged.output]
        if staged.output.shape != ():
            self.result = f"sum({self.result})"
        source = by_name[wrt]
        edges = _edges(staged)
        self.count = _count(staged, source)
        self.listed = [_path(staged, source, p) for p in _walks(staged, edges, source)] if self.count <= LISTED else []
        zero = np.zeros(source.shape)[()]
        if self.listed:
            self.total = functools.reduce(operator.add, (p.contribution for p in self.listed), zero)
        else:
            self.total = staged.gradients.get(source, zero)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.listed)

    def __len__(self) -> int:
        return self.count

    def __str__(self) -> str:
        head = f"{self.count:,} path{'' if self.count == 1 else 's'} from {self.wrt} to {self.result}"
        if self.count and not self.listed:
            return f"{head}: too many to list; the gradient is {shown(self.total, 8)}"
        return "\n".join([head, *(f"  {p}" for p in self.listed), f"  sum = {shown(self.total, 8)}"])

    __repr__ = __str__


def _single(text: str) -> bool:
    return text.replace(".", "").replace("_", "").isalnum()


def _edges(s: Staged) -> dict[Node, list[Edge]]:
    """For every node, the stages that read it and through which a derivative can flow."""
    found: dict[Node, list[Edge]] = {}
    for n in s.live_stages:
        for k, i in enumerate(n.inputs):
            if type(i) is Node and n.op.flows(k):
                found.setdefault(i, []).append((n, k))
    return found


def _count(s: Staged, source: Node) -> int:
    """The number of paths to the result, node by node from the end."""

    def passed(n: Node, ways: int) -> list[tuple[Any, int]]:
        return [(i, ways) for k, i in enumerate(n.inputs) if type(i) is Node and n.op.flows(k)]

    return accumulate(s.live_stages, {s.output: 1}, passed).get(source, 0)


def _walks(s: Staged, edges: dict[Node, list[Edge]], source: Node) -> Iterator[list[Edge]]:
    """Every path, as the edges from the source to the result."""
    stack: list[tuple[Node, list[Edge]]] = [(source, [])]
    while stack:
        n, walked = stack.pop()
        if n is s.output:
            yield walked
            continue
        stack += [(m, [*walked, (m, k)]) for m, k in reversed(edges.get(n, []))]


def _path(s: Staged, source: Node, walk: list[Edge]) -> Path:
    ct: Any = np.ones(s.output.shape, s.output.dtype)[()]
    for n, k in reversed(walk):
        ct = 0.0 if ct is None else step_back(n, k, ct)
        if ct is None:
            ct = np.zeros(n.inputs[k].shape)[()]
    lines = Lines(s, {})
    partials = tuple(str(lines.text(local_expression(s, n, k))).removesuffix(".0") for n, k in walk)
    return Path((s.names[source], *(s.names[n] for n, _ in walk)), partials, ct)
