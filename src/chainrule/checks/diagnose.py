"""Where did it go wrong: the first NaN, and where a gradient is blocked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..diff.rules import pulled_back
from ..diff.walk import accumulate, active_nodes, step_back
from ..errors import DerivativeError, InputError
from ..ir.node import Node
from ..ir.recording import Handle, remember_calls, setting, state
from ..ops.loops import Loop
from ..programs.functions import as_function, trace_graph
from ..trace.handles import dtype_of
from ..trace.names import user_name


def _short(x: Any) -> str:
    if isinstance(x, tuple):
        return f"{len(x)} results of a loop"
    a = np.asarray(_behind(x))
    return (
        f"{float(a):.6g}"
        if a.ndim == 0 and a.dtype.kind in "fiub"
        else f"shape {a.shape}, from {np.nanmin(a):.6g} to {np.nanmax(a):.6g}"
        if a.size
        else "empty"
    )


def _behind(x: Any) -> Any:
    """The numbers behind a value of any number of transforms; under `vmap` those of all examples."""
    while isinstance(x, Handle):
        x = x.node.value
    return x


def _named(x: Any) -> str:
    if type(x) is not Node:
        return "a constant"
    return user_name(x) or f"{x.op.name}(...)"


def _bad(x: Any) -> str | None:
    """What is wrong with a value: "NaN", "infinite", or nothing."""
    if isinstance(x, tuple):  # the results of a loop
        return next((wrong for v in x if v is not None and (wrong := _bad(v))), None)
    a = np.asarray(_behind(x))
    if a.dtype.kind not in "fc":
        return None
    return "NaN" if np.isnan(a).any() else "infinite" if np.isinf(a).any() else None


class _Watched(int):
    """A count of derivatives that is true at zero too: a compiled function asks for it, and lets itself be looked at."""

    def __bool__(self) -> bool:
        return True


@contextmanager
def debug_nans() -> Generator[None]:
    """Inside, the first value or gradient that is NaN or infinite raises an error that names it.

    The error says the user's name of the node, its line, its operation and its operands. Computations inside a transform
    (`grad`, `jvp`, `vmap`, ...), in jitted functions and with tensors are watched; plain NumPy is not.

    Raises:
        DerivativeError: at the first such value, or gradient.
    """
    outer = state.hook

    def watch(node: Node, frame: Any) -> None:
        if outer is not None:
            outer(node, frame)
        wrong = _bad(node.value)
        if wrong is not None:
            raise _error(f"the value of {_named(node)} is {wrong}", node)

    with setting(hook=watch, check=_check, depth=_Watched(state.depth)):
        yield


def _check(node: Node, k: int | None, ct: Any) -> None:
    """Raise if the gradient of input `k` of a node, or without `k` its tangent, is not finite."""
    wrong = _bad(ct)
    if wrong is None:
        return
    if k is None:
        raise _error(f"the tangent of {_named(node)} is {wrong}", node)
    raise _error(f"the gradient of {_named(node.inputs[k])} is {wrong}, from undoing {_named(node)}", node)


def _error(what: str, node: Node) -> DerivativeError:
    operands = [f"    {_named(i)} = {_short(v)}" for i, v in zip(node.inputs, node.values, strict=True)]
    error = DerivativeError(
        "\n".join([f"{what}: {node.op.name} of", *operands]),
        "look at these operands: a division by zero, a logarithm or root of zero, an overflow",
        where=node.place,
    )
    error.node = node
    return error


@dataclass(frozen=True)
class Step:
    """One node between the variable and the output: whether a gradient passes it, and if not, why."""

    name: str
    operation: str
    place: str
    gradient: float
    blocked: str


class GradientTrace:
    """Where the gradient with respect to a variable flows, and where it is blocked, node by node."""

    def __init__(self, wrt: str, steps: list[Step], total: float) -> None:
        self.wrt, self.steps, self.total = wrt, steps, total

    @property
    def blocked(self) -> list[Step]:
        """The nodes at which it stops."""
        return [s for s in self.steps if s.blocked]

    def __str__(self) -> str:
        head = f"gradient with respect to {self.wrt}: norm {self.total:.6g}"
        rows = [
            ("node", "operation", "|gradient|", "", "line"),
            *((s.name, s.operation, f"{s.gradient:.4g}", s.blocked or "flows", s.place) for s in self.steps),
        ]
        widths = [max(len(r[k]) for r in rows) for k in range(4)]
        return "\n".join(
            [head, *("  ".join([*(c.ljust(w) for c, w in zip(r, widths, strict=False)), r[4]]).rstrip() for r in rows)]
        )

    __repr__ = __str__


def trace_gradient(f: Callable[..., Any] | str, wrt: str, *args: Any, **values: Any) -> GradientTrace:
    """Say where the gradient with respect to a variable flows, and where it is blocked.

    Args:
        f: a function or a formula.
        wrt: the name of the variable.
        *args, **values: the point, as for `explain`.

    Returns:
        A `GradientTrace`, which prints as a table: for every node computed from the variable, the norm of the gradient
        there, and what blocks it (stop_gradient, an integer, a comparison, a zero partial, or that the node never
        reaches the output).
    """
    made: list[Node] = []

    def collect(node: Node, frame: Any) -> None:
        remember_calls(node, frame)
        made.append(node)

    graph, inputs, _ = trace_graph(as_function(f), args, values, hook=collect)
    by_name = {name: n for n, name in inputs.items()}
    if wrt not in by_name:
        raise InputError(f"there is no variable {wrt!r}", f"the variables are {', '.join(by_name)}", where="")
    source, output = by_name[wrt], graph.outputs[0]
    for n in graph.nodes:
        if isinstance(n.op, Loop):
            raise InputError(f"{_named(n)} is a loop, which is not looked into", "trace one step of it", where=n.place)
        if dtype_of(n.value).kind == "c":
            raise InputError(
                f"{_named(n)} is complex, and gradients of real numbers are traced",
                "write it in real numbers",
                where=n.place,
            )
    active = active_nodes(made, [source])
    reached = set(graph.nodes)

    def reaches(n: Node) -> bool:
        return n in reached or n is output or (n is source and output in active)

    positions = {n: [k for k, i in enumerate(n.inputs) if type(i) is Node and i in active] for n in graph.nodes}

    def passed(n: Node, ct: Any) -> Iterator[tuple[Any, Any]]:
        found = pulled_back(n.op, positions[n], ct, n.value, n.values, n.params)
        return ((n.inputs[k], c) for k, c in zip(positions[n], found, strict=True) if c is not None)

    gradients = accumulate(graph.nodes, {output: np.ones(output.shape, output.dtype)[()]}, passed)
    blocks = {n: [_blocks(n, k) for k in ks] for n, ks in positions.items()}
    steps = [_step(n, gradients, reaches, blocks) for n in [source, *(m for m in made if m in active)]]
    return GradientTrace(wrt, steps, _norm(gradients.get(source)))


def _norm(x: Any) -> float:
    return 0.0 if x is None else float(np.linalg.norm(np.asarray(x, float).reshape(-1)))


def _blocks(n: Node, k: int) -> str:
    """Why nothing passes from a node to its input `k`; empty if something does."""
    kind = dtype_of(n.value).kind
    if n.op.stops or kind in "iub":
        return n.op.stops or ("comparison" if kind == "b" else "integer")
    if not n.op.flows(k):
        return "derivative zero everywhere"
    one = np.ones(n.shape, n.dtype)[()]
    local = step_back(n, k, one)
    if local is None or not np.any(np.asarray(local)):
        return "zero partial"
    return ""


def _step(n: Node, gradients: dict[Node, Any], reaches: Callable[[Node], bool], blocks: dict[Node, list[str]]) -> Step:
    why = ", ".join(dict.fromkeys(filter(None, blocks.get(n, ()))))
    if not reaches(n):
        why = "never reaches the output"
    return Step(
        _named(n) if n.inputs else n.given_name or "",
        n.op.name if n.inputs else "variable",
        n.place,
        _norm(gradients.get(n)),
        why,
    )
