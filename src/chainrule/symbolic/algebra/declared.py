"""The derivatives that operations declare, as mathematics: the same declarations that every gradient uses."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...diff.rules import pulled_back
from ...ir.node import NO_PARAMS, Node
from ...ir.op import Op, variable
from ...ir.recording import setting, state
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import special as sf
from ...ops import trigonometric as tg
from ...trace.array import Array
from .scalars import expression_of
from .untyped import sp

# Functions that are kept by name -> the operation that declares their derivative.
OPERATIONS: dict[str, Op] = {
    "sigma": ex.sigmoid, "ReLU": pw.relu, "softplus": ex.softplus, "log_sigmoid": ex.log_sigmoid, "tanh": tg.tanh,
    "sinh": tg.sinh, "cosh": tg.cosh, "tan": tg.tan, "asin": tg.arcsin, "acos": tg.arccos, "atan": tg.arctan, "asinh": tg.arcsinh, "acosh": tg.arccosh,
    "atanh": tg.arctanh, "exp": ex.exp, "log": ex.log, "sin": tg.sin, "cos": tg.cos, "erf": sf.erf, "Abs": pw.absolute, "max": pw.maximum, "min": pw.minimum,
    "sign": pw.sign, "loggamma": sf.gammaln, "floor": pw.floor, "ceiling": pw.ceil,
}  # fmt: skip
EXAMPLES = (0.4, 0.7, 0.9)


@functools.lru_cache(maxsize=512)
def partial_template(
    op: Any, k: int, parameters: tuple[tuple[str, Any], ...] = ()
) -> tuple[Any, Sequence[Any], Any] | None:
    """The declared partial of an elementwise operation by input k; None where nothing flows.

    Returns:
        the expression, the symbols of the inputs in it, and the symbol of the value.
    """
    low = op.domain[0][0] if op.domain else 0.0
    inputs = [Node(variable, (), NO_PARAMS, np.float64(v + max(low, 0.0))) for v in EXAMPLES[: len(op.partials)]]
    with setting(depth=state.depth + 1, recording=True):
        handles = [Array(n) for n in inputs]
        out = op(*handles, **dict(parameters)).node
        made = pulled_back(op, [k], np.float64(1.0), Array(out), handles, out.params)[0] if op.flows(k) else None
    if made is None:
        return None
    arguments = sp.symbols(f"a:{len(inputs)}", real=True)
    value = sp.Symbol("value", real=True)
    node = made.node if isinstance(made, Array) else made
    e = expression_of(node, {**dict(zip(inputs, arguments, strict=True)), out: value})
    return e, arguments, value


def declared_partial(function: Any, k: int) -> Any:
    """The declared derivative of an applied function by its argument k."""
    made = partial_template(OPERATIONS[function.func.__name__], k)
    if made is None:
        return sp.Integer(0)
    e, arguments, value = made
    return e.subs({**dict(zip(arguments, function.args, strict=False)), value: function}, simultaneous=True)
