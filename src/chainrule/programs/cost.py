"""How many operations a value and its gradient cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..diff.walk import reverse
from ..ir.node import Node, reachable
from ..ir.op import constant, variable
from ..ir.recording import setting, state
from ..ops.arithmetic import multiply
from ..trace.array import Array
from .functions import as_function, trace_graph


@dataclass(frozen=True)
class Cost:
    """Arithmetic operations of a value and of its gradient, an elementary function counted as one.

    Attributes:
        value: of the function alone.
        gradient: of the function and its gradient together.
    """

    value: int
    gradient: int

    @property
    def ratio(self) -> float:
        """How many times the value the gradient costs."""
        return self.gradient / self.value if self.value else math.nan

    def __str__(self) -> str:
        return f"value {self.value:,} operations, value and gradient {self.gradient:,}: {self.ratio:.2f} times"


def cost(f: Callable[..., Any] | str, *args: Any, **values: Any) -> Cost:
    """Count the operations of a function and of its gradient with respect to all its variables.

    Args:
        f: a function or a formula.
        args, values: the point, by position and by name, as for `explain`.

    Returns:
        A `Cost`; its ratio is at most a small constant, whatever the number of variables (Baur and Strassen, 1983).

    >>> print(cost("(x + y)*z + x", x=1.0, y=2.0, z=3.0))
    value 3 operations, value and gradient 4: 1.33 times
    """
    graph, _, _ = trace_graph(as_function(f), args, values)
    output = graph.outputs[0]
    since = Array(Node(constant, (), {}, 0.0)).node.order
    one: Any = np.ones(output.shape, output.dtype)[()]
    with setting(depth=state.depth + 1, recording=True):
        seed = Array(Node(variable, (), {}, one))
        found = reverse([output], [seed], graph.inputs, live=Array)
    nodes = reachable([g.node for g in found if g is not None], since)
    forward = graph.operations
    return Cost(forward, forward + sum(n.operations for n in nodes if not _by_seed(n, seed.node)))


def _by_seed(n: Node, seed: Node) -> bool:
    """Whether a node multiplies by the cotangent 1 of a scalar output, which a program leaves out."""
    return seed.shape == () and n.op is multiply and any(i is seed for i in n.inputs)
