"""Arithmetic: sums, differences, products, quotients, remainders."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .broadcasting import dtype_of
from .conversion import wide
from .kinds import Elementwise

INF = float("inf")


def _divide(a: Any, b: Any) -> Any:
    try:
        return a / b
    except ZeroDivisionError:  # two Python floats; NumPy's answer is infinity or NaN
        return np.true_divide(a, b)


add = Elementwise(
    "add", operator.add, (1, 1), numpy=(np.add,), infix=("+", 10), latex="{0} + {1}", neutral={0: 0, 1: 0}
)
subtract = Elementwise(
    "subtract", operator.sub, (1, -1), numpy=(np.subtract,), infix=("-", 10), latex="{0} - {1}", neutral={1: 0}
)
multiply = Elementwise(
    "multiply",
    operator.mul,
    (lambda a, b, y: b, lambda a, b, y: a),
    numpy=(np.multiply,),
    infix=("*", 20),
    latex=r"{0} \, {1}",
    neutral={0: 1, 1: 1},
)
divide = Elementwise(
    "divide",
    _divide,
    (lambda a, b, y: reciprocal(wide(b, y)), lambda a, b, y: -y / b),
    numpy=(np.true_divide,),
    infix=("/", 20),
    latex=r"\frac{{{0}}}{{{1}}}",
    domain=((-2, 2), (0.5, 2)),
    neutral={1: 1},
    body=lambda a, b: a * reciprocal(b),
)
negative = Elementwise("negative", operator.neg, (-1,), numpy=(np.negative,), infix=("-", 30), latex="-{0}")
positive = Elementwise("positive", operator.pos, (1,), numpy=(np.positive,), infix=("+", 30), latex="{0}")
reciprocal = Elementwise(
    "reciprocal",
    lambda x: _divide(1, x),
    (lambda x, y: -y * y,),
    text="1 / {0.tight}",
    scalar="1 / {0.tight}",
    latex=r"\frac{{1}}{{{0}}}",
    domain=((0.5, 2),),
    doc="1 / x.",
)
integer_reciprocal = Elementwise(
    "integer_reciprocal",
    np.reciprocal,
    (None,),
    numpy=(np.reciprocal,),
    text="np.reciprocal({0})",
    variant=lambda values: reciprocal if dtype_of(values[0]).kind in "fc" else integer_reciprocal,
    public=False,
    doc="np.reciprocal, which of integers is 1 // x.",
)
floor_divide = Elementwise(
    "floor_divide",
    operator.floordiv,
    (None, None),
    numpy=(np.floor_divide,),
    infix=("//", 19),
    domain=((-2, 2), (0.5, 2)),
)
remainder = Elementwise(
    "remainder",
    operator.mod,
    (1, lambda a, b, y: -floor_divide(a, b)),
    numpy=(np.remainder,),
    aliases=("mod",),
    infix=("%", 19),
    domain=((0.1, 0.4), (0.5, 2)),
)
stop_gradient = Elementwise(
    "stop_gradient",
    lambda x: x,
    (None,),
    aliases=("detach",),
    text="{0}",
    scalar="{0}",
    latex=r"\operatorname{{stop}}({0})",
    cost=0,
    stops="stop_gradient",
    doc="The value as it is; nothing flows back through it.",
)
alias = Elementwise(
    "alias",
    lambda x: x,
    (1,),
    text="{0}",
    scalar="{0}",
    latex="{0}",
    moves=True,
    public=False,
    doc="The same value under a new node.",
)
