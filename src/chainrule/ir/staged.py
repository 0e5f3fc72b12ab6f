"""The staged program: forward stages, and for each the lines that undo it, in reverse order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .node import Node


@dataclass
class Line:
    """One backward line: a contribution to the gradient of `target`, from undoing stage `undoes`."""

    target: Node
    expression: Any
    undoes: int
    adds: bool


@dataclass
class Staged:
    """A computation and its gradient, stage by stage.

    Attributes:
        name: of the function.
        inputs: the variables of the program, in order.
        wrt: those whose gradient is computed.
        stages: the forward nodes, in order; stage k is written with the number k + 1.
        output: the node of the result.
        lines: the backward lines, in order.
        names: of every node; `gradient_names` of their gradients.
        gradients: the total gradient of each node that has one, as a value.
        cotangents: the variables that stand for those gradients in the lines.
        seed: the variable that stands for the cotangent of the result; None for a scalar, whose is 1.
        functions: the user's functions with rules of their own that the program calls, by name.
        live_stages: the stages that the result or a wanted gradient needs.
    """

    name: str
    inputs: list[Node]
    wrt: list[Node]
    stages: list[Node]
    output: Node
    lines: list[Line]
    names: dict[Node, str]
    gradient_names: dict[Node, str]
    gradients: dict[Node, Any]
    cotangents: dict[Node, Node]
    seed: Node | None
    functions: dict[str, Any] = field(default_factory=dict)
    live_stages: list[Node] = field(default_factory=list)

    def number(self, node: Node) -> int:
        """The number of a stage."""
        return self.stages.index(node) + 1
