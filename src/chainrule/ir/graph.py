"""Graph: a closed computation, from inputs to outputs. Print it and it reads like a program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .node import NO_PARAMS, Node, reachable, rebuilt
from .op import constant, variable
from .recording import Handle, record


class Graph:
    """Nodes in order of computation, from `inputs` to `outputs`.

    Args:
        inputs: the nodes that stand for what is given from outside.
        outputs: nodes, or plain values for outputs that depend on nothing.
        written: how it is written, where whoever made it knows a better way than operation by operation.
    """

    def __init__(
        self, inputs: Sequence[Node], outputs: Sequence[Any], written: Callable[[Graph], str] | None = None
    ) -> None:
        self.inputs, self.outputs, self.written = tuple(inputs), tuple(outputs), written
        since = min((n.order for n in inputs), default=0)
        found = reachable([o for o in outputs if type(o) is Node], since)
        given = set(inputs)
        self.nodes = [n for n in found if n not in given]

    @property
    def outside(self) -> list[Node]:
        """Nodes made before the inputs which the graph reads: what the traced function closed over."""
        known = {*self.inputs, *self.nodes}
        found: dict[Node, None] = {}
        for n in self.nodes:
            for i in n.inputs:
                if type(i) is Node and i not in known and i.op is not constant:
                    found[i] = None
        for o in self.outputs:
            if type(o) is Node and o not in known and o.op is not constant:
                found[o] = None
        return list(found)

    @property
    def captured(self) -> list[Handle]:
        """Handles of other levels (under `vmap`) that stand as constants in the graph."""
        found = {id(i): i for n in self.nodes for i in n.inputs if isinstance(i, Handle)}
        return list(found.values())

    def closed(self) -> Graph:
        """The same structure without values; what it closed over (`outside`, then `captured`) are further inputs.

        It is what is kept when the values are to be computed again.
        """
        captured = {id(h): Node(variable, (), NO_PARAMS, None) for h in self.captured}

        def copied(n: Node, inputs: tuple[Any, ...]) -> Node:
            standing = tuple(captured[id(i)] if isinstance(i, Handle) else i for i in inputs)
            return n.on(standing, n.value if n.op is constant else None)

        given = [*self.inputs, *self.outside]
        inputs = [copied(n, ()) for n in given]
        changed = dict(zip(given, inputs, strict=True))
        new = rebuilt(self.nodes, changed, copied, lambda n: n.value if n.op is constant else n)
        return Graph([*inputs, *captured.values()], [new(o) for o in self.outputs])

    def widened(self, own: int, start: int, total: int) -> Graph:
        """The same graph with `total` inputs behind the first `own` ones, of which it reads those from `start` on."""
        extra = self.inputs[own:]
        padded = [Node(variable, (), NO_PARAMS, None) for _ in range(total - len(extra))]
        whole = Graph(self.inputs, self.outputs)
        whole.inputs = (*self.inputs[:own], *padded[:start], *extra, *padded[start:])
        return whole

    @property
    def operations(self) -> int:
        """The arithmetic operations of all its nodes."""
        return sum(n.operations for n in self.nodes)

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The outputs on plain values; nothing is recorded."""
        return self.walk(values, lambda n, args: n.op.value(*args, **n.params))

    def replay(self, values: Sequence[Any]) -> list[Any]:
        """The outputs on values some of which are traced; every node is recorded anew, at its own line."""

        def step(n: Node, args: list[Any]) -> Any:
            if not any(isinstance(a, Handle) for a in args):
                return n.op.value(*args, **n.params)
            made = record(n.op, tuple(args), n.params)
            made.node.code, made.node.lasti, made.node.given_name = n.code, n.lasti, n.given_name
            return made

        return self.walk(values, step)

    @functools.cached_property
    def _finished(self) -> list[list[Node]]:
        """For each node, the inputs that are read there for the last time."""
        kept = {o for o in self.outputs if type(o) is Node}
        result: list[list[Node]] = []
        for n in reversed(self.nodes):
            last = [i for i in dict.fromkeys(n.parents) if i not in kept]
            kept.update(last)
            result.append(last)
        return result[::-1]

    def walk(self, values: Sequence[Any], step: Callable[[Node, list[Any]], Any]) -> list[Any]:
        """The outputs, each node made by `step` from what its inputs became."""
        env: dict[Node, Any] = dict(zip(self.inputs, values, strict=True))
        for n, finished in zip(self.nodes, self._finished, strict=True):
            if n.op is constant:
                env[n] = n.value
            else:
                env[n] = step(n, [env[i] if type(i) is Node else i for i in n.inputs])
            for i in finished:
                del env[i]
        return [env[o] if type(o) is Node else o for o in self.outputs]

    def __str__(self) -> str:
        if self.written is not None:
            return self.written(self)
        names: dict[Node, str] = {}

        def of(x: Any) -> str:
            if type(x) is not Node:
                return repr(x) if np.ndim(x) == 0 else f"array{np.shape(x)}"
            return names.setdefault(x, x.given_name or f"v{len(names)}")

        lines = [f"inputs {', '.join(of(i) for i in self.inputs)}"]
        for n in self.nodes:
            given = [of(i) for i in n.inputs] + [f"{k}={v!r}" for k, v in n.params.items()]
            lines.append(f"{of(n)} = {n.op.name}({', '.join(given)})")
        lines.append(f"return {', '.join(of(o) for o in self.outputs)}")
        return "\n".join(lines)

    def __len__(self) -> int:
        return len(self.nodes)


class Bundle(tuple[Any, ...]):
    """Several values under one node: the outputs of a call, or their cotangents, with None for zero."""

    __slots__ = ()

    def __add__(self, other: Any) -> Bundle:  # type: ignore[override]
        return Bundle(b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True))
