"""The likeliest slip in a wrong backward pass: the gradients of a recorded graph with one thing changed, until they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..diff.walk import accumulate, active_nodes, step_back
from ..ir.graph import Bundle, Graph
from ..ir.node import NO_PARAMS, Node
from ..ir.op import variable
from ..ir.recording import Handle, setting, state
from ..ops.broadcasting import sum_to
from ..ops.linalg import matmul
from ..trace.array import Array
from ..trace.calls import parameters
from ..trace.names import user_name

Edge = tuple[Node, Any]  # a node, and an input of it (all its uses there together) or the position of one use


class Recorded:
    """A traced forward pass, whose reverse walk can leave out or multiply what passes some edges."""

    def __init__(self, graph: Graph, wanted: list[int]) -> None:
        self.graph, self.wanted = graph, wanted
        self.active = active_nodes(graph.nodes, graph.inputs)

    def gradients(self, ct: Any, factors: dict[Edge, float] | None = None) -> dict[int, Any]:
        """The gradients for a cotangent; what passes an edge counts as often as `factors` says."""

        def weighed(n: Node, k: int, c: Any) -> Any:
            for e in ((n, n.inputs[k]), (n, k)) if factors else ():
                c = _each(c, lambda p, e=e: p * factors.get(e, 1.0))  # type: ignore[union-attr]
            return c

        cot = self._cotangents(ct, weighed)
        return {
            k: np.asarray(cot.get(v, np.zeros(v.shape))) for k, v in zip(self.wanted, self.graph.inputs, strict=True)
        }

    def _cotangents(self, ct: Any, changed: Callable[[Node, int, Any], Any]) -> dict[Node, Any]:
        """What comes back to every node, where `changed` says what becomes of what passes each use of an input."""

        def passed(n: Node, c: Any) -> Iterator[tuple[Node, Any]]:
            for k, i in enumerate(n.inputs):
                if type(i) is Node and i in self.active and (back := step_back(n, k, c)) is not None:
                    yield i, changed(n, k, back)

        with np.errstate(all="ignore"):
            return accumulate(self.graph.nodes, {self.graph.outputs[0]: ct}, passed)

    def cotangent(self, node: Node, ct: Any) -> Any:
        """What comes back to a node."""
        shorter = Recorded(Graph([node], self.graph.outputs), [0])
        return shorter.gradients(ct)[0]

    def size(self, ct: Any, k: int) -> float:
        """How large the contributions are that add up to the gradient of input k, though they may cancel."""
        into, whole = self.graph.inputs[self.wanted.index(k)], self.gradients(ct)[k]
        parts = [whole - self.gradients(ct, {e: 0.0})[k] for e in self.edges() if e[1] is into]
        return max(map(largest, parts), default=0.0)

    def rounded(self, ct: Any, k: int) -> float:
        """How large the terms are that may cancel on the way to the gradient of input k: what is added to it, without signs."""
        cot = self._cotangents(np.abs(ct), lambda n, j, c: _each(c, lambda p: np.nan_to_num(np.abs(p))))
        return largest(cot.get(self.graph.inputs[self.wanted.index(k)], 0.0))

    def edges(self) -> list[Edge]:
        """All edges through which something can pass."""
        found: dict[Edge, None] = {}
        for n in self.graph.nodes:
            for k, i in enumerate(n.inputs):
                if type(i) is Node and i in self.active and n.op.flows(k):
                    found[n, i] = None
                    if sum(j is i for j in n.inputs) > 1:
                        found[n, k] = None
        return list(found)


def _each(x: Any, f: Callable[[Any], Any]) -> Any:
    """A function of a cotangent, or of every part of that of a loop."""
    return Bundle(None if p is None else f(p) for p in x) if isinstance(x, tuple) else f(x)


def largest(x: Any) -> float:
    """The largest finite entry, without its sign."""
    x = np.abs(x)
    return float(np.max(x[np.isfinite(x)], initial=0.0))


def recorded(forward: Any, args: list[Any], wanted: list[int]) -> Recorded | None:
    """The graph of a forward pass; None where it cannot be recorded."""
    nodes = [Node(variable, (), NO_PARAMS, args[k]) for k in wanted]
    for node, name in zip(nodes, parameters(forward), strict=False):
        node.given_name = name
    handles = list(args)
    for k, n in zip(wanted, nodes, strict=True):
        handles[k] = Array(n)
    try:
        with setting(depth=state.depth + 1, recording=True), np.errstate(all="ignore"):
            out = forward(*handles)
    except Exception:  # not NumPy code: differences will have to do
        return None
    return Recorded(Graph(nodes, [out.node]), wanted) if isinstance(out, Handle) else None


def likeliest_slip(
    g: Any, r: Any, args: list[Any], k: int, ct: Any, graph: Recorded | None, close: Callable[[Any], bool]
) -> str:
    """The simplest mistake that turns the right gradient into the one given."""
    if g.shape != r.shape:
        if g.ndim > r.ndim or any(n == 1 and m != 1 for n, m in zip(r.shape[::-1], g.shape[::-1], strict=False)):
            try:
                summed = sum_to(g, r.shape)
            except Exception:
                summed = None
            if summed is not None and close(summed):
                return f"the sum over the broadcast axes is missing: it has shape {g.shape}, the argument {r.shape}"
        if g.shape == r.shape[::-1] and close(g.T):
            return "it is transposed"
        return f"it has shape {g.shape}, the argument {r.shape}"
    if not np.any(g) and np.any(r):
        return "it is zero: no gradient is passed on"
    nonzero = np.abs(r) > 1e-9 * np.max(np.abs(r), initial=0.0)
    ratio = g[nonzero] / r[nonzero]
    if (
        ratio.size
        and np.allclose(ratio, ratio.flat[0], rtol=1e-4)
        and (close(g / ratio.flat[0]) if ratio.flat[0] else False)
    ):
        return _factor(float(ratio.flat[0]), args, ct)
    if g.ndim >= 2 and g.shape[-1] == g.shape[-2] and close(np.swapaxes(g, -1, -2)):
        return "it is transposed"
    for axis in range(g.ndim):
        if close(np.flip(g, axis)):
            return f"it is reversed along axis {axis}"
    if graph is not None:
        return _edge_slip(g, k, ct, graph, close) or _swapped(g, k, ct, graph)
    return ""


def _factor(c: float, args: list[Any], ct: Any) -> str:
    """A constant factor, named by the size it comes from."""
    if abs(c + 1) < 1e-3:
        return "its sign is wrong"
    sizes = {n for a in (*args, ct) for n in np.shape(a)} | {np.size(a) for a in (*args, ct)}
    for n in sorted(n for n in sizes if n > 2):
        for value, what in (
            (n, f"a division by {n} (the length of an axis) is missing"),
            (1 / n, f"it is divided by {n} (the length of an axis) once too often"),
            (np.sqrt(n), f"a scale of 1 / sqrt({n}) is missing"),
            (1 / np.sqrt(n), f"a scale of 1 / sqrt({n}) is applied once too often"),
        ):
            if value not in (2, 0.5) and abs(c - value) < 1e-3 * value:
                return what
    word = "doubled" if abs(c - 2) < 1e-3 else "lost" if abs(c - 0.5) < 1e-3 else "wrong"
    return f"it is {c:.6g} times what it should be: a factor is {word}"


def _edge_slip(g: Any, k: int, ct: Any, graph: Recorded, close: Callable[[Any], bool]) -> str:
    """A term lost, doubled, or with the wrong sign or factor, along one edge of the computation; or all others lost.

    Edges whose terms cancel by themselves (the maximum that softmax subtracts) are left out first: people leave them out too.
    """
    ct = ct.astype(np.float64)
    right = graph.gradients(ct)[k]
    into = graph.graph.inputs[graph.wanted.index(k)]
    small = 1e-9 * (graph.size(ct, k) + 1e-30)
    parts = {e: right - graph.gradients(ct, {e: 0.0})[k] for e in graph.edges()}
    null = {e: 0.0 for e, p in parts.items() if np.max(np.abs(p), initial=0.0) <= small}
    plain = graph.gradients(ct, null)[k]
    if not close(g - plain + right):
        parts = {e: plain - graph.gradients(ct, {**null, e: 0.0})[k] for e in parts if e not in null}
    parts = {e: p for e, p in parts.items() if e not in null and np.max(np.abs(p), initial=0.0) > small}

    def said(n: Node) -> str:
        line = n.place.rpartition("/")[2]
        return (user_name(n) or f"{n.op.name}(...)") + (f" ({line})" if line else "")

    shift = right - plain  # what the edges that cancel make of the comparison: nothing, to rounding
    for (n, _), p in parts.items():
        if close(g + p + shift):
            return f"a term is lost: nothing comes back through {said(n)}"
    for (n, _), p in parts.items():
        if close(g - p + shift):
            return f"a term is doubled: what comes back through {said(n)} is counted twice"
    for (n, i), p in parts.items():
        if into in (i, n.inputs[i] if isinstance(i, int) else None) and close(g - p + right):
            return f"accumulation is overwritten: only what comes back through {said(n)} is left"
    for (n, _), p in parts.items():
        if close(g + 2 * p + shift):
            return f"the sign of the term through {said(n)} is wrong"
    for (n, _), p in parts.items():
        c = float(np.sum((g - plain + p) * p) / np.sum(p * p))
        if abs(c) > 1e-6 and abs(c - 1) > 1e-6 and close(g - (c - 1) * p + shift):
            return f"the term through {said(n)} is {c:.6g} times what it should be"
    return ""


def _swapped(g: Any, k: int, ct: Any, graph: Recorded) -> str:
    """A matrix product undone with a factor that should have been transposed."""
    into = graph.graph.inputs[graph.wanted.index(k)]
    for n in graph.graph.nodes:
        if n.op is not matmul or into not in n.inputs:
            continue
        a, b = n.values
        c = graph.cotangent(n, ct.astype(np.float64))
        for j, factor in ((0, b), (1, a)):
            if n.inputs[j] is not into or np.ndim(factor) < 2 or np.shape(factor)[-1] != np.shape(factor)[-2]:
                continue
            wrong = c @ factor if j == 0 else factor @ c
            if np.shape(wrong) == g.shape and np.allclose(wrong, g, rtol=1e-5, atol=1e-8):
                return f"the transpose of a factor is missing: {user_name(n) or 'the product'} is undone with the matrix as it is"
    return ""
