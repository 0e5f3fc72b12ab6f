"""The staged program: forward stages, and for each the lines that undo it, in reverse order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..ir.node import Node


@dataclass
class Line:
    """One backward line: a contribution to the gradient of `target`, from undoing stage `undoes`."""

    target: Node
    expression: Any
    undoes: int
    adds: bool


@dataclass
class LoopLine:
    """The backward line of a loop or a branch: gradients of several inputs at once.

    Attributes:
        stage: the forward node.
        undoes: its number.
        results: for each input that gets a gradient: its position, its node, the variable that stands for the
            contribution, and whether it adds to others.
        cotangents: the gradient of each thing that the loop gives: a node, a number, or None for zero.
    """

    stage: Node
    undoes: int
    results: list[tuple[int, Node, Node, bool]]
    cotangents: list[Any]


@dataclass
class Check:
    """What Python saw of a value while the program was traced: it took this way because of it.

    Attributes:
        node: the value.
        kind: "truth", "value" or "count" (of the entries of a mask that hold).
        seen: what was seen.
        place: the line of the user's code that asked.
    """

    node: Node
    kind: str
    seen: Any
    place: str


@dataclass
class Staged:
    """A computation and its gradient, stage by stage.

    Attributes:
        name: of the function.
        inputs: the variables of the program, in order.
        wrt: those whose gradient is computed.
        stages: the forward nodes, in order; stage k is written with the number k + 1.
        outputs: the nodes of the results (or constants); a function has one, the body of a loop may have several.
        lines: the backward lines, in order.
        names: of every node; `gradient_names` of their gradients.
        gradients: the total gradient of each node that has one, as a value.
        cotangents: the variables that stand for those gradients in the lines.
        seeds: result -> the variable that stands for its cotangent; a scalar function has none, its cotangent is 1.
        functions: the user's functions with rules of their own that the program calls, by name.
        bodies: loop stage -> the staged programs of its graphs.
        live_stages: the stages that the result, a wanted gradient or a check needs.
        checks: the conditions under which the program is right, in the order in which they were asked.
        asked: the nodes that nothing but a check needs, in order.
        notes: what else the program holds as it was when it was traced.
        sizes: whether the user's code asked for the length of an axis.
        variables: all that `cotangents` and `seeds` hold.
    """

    name: str
    inputs: list[Node]
    wrt: list[Node]
    stages: list[Node]
    outputs: list[Any]
    lines: list[Line | LoopLine]
    names: dict[Node, str]
    gradient_names: dict[Node, str]
    gradients: dict[Node, Any]
    cotangents: dict[Node, Node]
    seeds: dict[Node, Node]
    functions: dict[str, Any] = field(default_factory=dict)
    bodies: dict[Node, list[Staged]] = field(default_factory=dict)
    live_stages: list[Node] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    asked: list[Node] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sizes: bool = False
    variables: set[Node] = field(default_factory=set)

    @property
    def output(self) -> Node:
        """The result of a function."""
        return self.outputs[0]

    @property
    def seed(self) -> Node | None:
        """The variable that stands for the cotangent of the result, where that is no scalar."""
        return self.seeds.get(self.outputs[0])

    def number(self, node: Node) -> int:
        """The number of a stage."""
        return self.stages.index(node) + 1
