"""Arithmetic: sums, differences, products, quotients, remainders."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..ir.node import Node
from ..ir.simplify import Simplifier, is_number, is_truth
from .broadcasting import dtype_of
from .conversion import wide
from .kinds import Elementwise

INF = float("inf")


def _divide(a: Any, b: Any) -> Any:
    try:
        return a / b
    except ZeroDivisionError:  # two Python floats; NumPy's answer is infinity or NaN
        return np.true_divide(a, b)


# ---- how they are written more simply ---------------------------------------------------------------------------


def _negative_simpler(s: Simplifier, x: Any) -> Any:
    return x.inputs[0] if s.made_by(x, negative) else None


def _add_simpler(s: Simplifier, a: Any, b: Any) -> Any:
    if s.made_by(b, negative):
        return s.build(subtract, a, b.inputs[0])
    return s.build(subtract, b, a.inputs[0]) if s.made_by(a, negative) else None


def _subtract_simpler(s: Simplifier, a: Any, b: Any) -> Any:
    return s.build(add, a, b.inputs[0]) if s.made_by(b, negative) else None


def _multiply_simpler(s: Simplifier, a: Any, b: Any) -> Any:
    pairs: tuple[tuple[Any, Any], ...] = ((a, b), (b, a))
    for x, other in pairs:
        if is_number(x) and x == -1.0 and not is_truth(other):
            return s.build(negative, other)
        if s.made_by(x, negative):
            return s.build(negative, s.build(multiply, *((x.inputs[0], other) if x is a else (other, x.inputs[0]))))
    if s.made_by(b, reciprocal):
        return s.build(divide, a, b.inputs[0])
    if s.made_by(a, reciprocal):
        return s.build(divide, b, a.inputs[0])
    if s.made_by(b, divide):
        return s.build(divide, s.build(multiply, a, b.inputs[0]), b.inputs[1])
    if is_number(b) and type(a) is Node:
        return s.build(multiply, b, a)
    if _scaled(s, b) and not is_number(a) and not _scaled(s, a):  # a (2 x) is written 2 x a
        return s.build(multiply, b, a)
    return None


def _scaled(s: Simplifier, x: Any) -> bool:
    return s.made_by(x, multiply) and is_number(x.inputs[0])


def _divide_simpler(s: Simplifier, a: Any, b: Any) -> Any:
    if s.made_by(a, negative):
        return s.build(negative, s.build(divide, a.inputs[0], b))
    return s.build(reciprocal, b) if is_number(a) and a == 1 and type(b) is Node else None


# ---- the operations ---------------------------------------------------------------------------------------------

add = Elementwise(
    "add",
    operator.add,
    (1, 1),
    numpy=(np.add,),
    infix=("+", 10),
    latex="{0} + {1}",
    neutral={0: 0, 1: 0},
    rule="sum rule",
    simpler=_add_simpler,
)
subtract = Elementwise(
    "subtract",
    operator.sub,
    (1, -1),
    numpy=(np.subtract,),
    infix=("-", 10),
    latex="{0} - {1}",
    neutral={1: 0},
    rule="sum rule",
    simpler=_subtract_simpler,
    word="sub",
)
multiply = Elementwise(
    "multiply",
    operator.mul,
    (lambda a, b, y: b, lambda a, b, y: a),
    numpy=(np.multiply,),
    infix=("*", 20),
    latex=r"{0} \, {1}",
    neutral={0: 1, 1: 1},
    rule="product rule",
    simpler=_multiply_simpler,
    word="mul",
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
    rule="quotient rule",
    simpler=_divide_simpler,
    word="div",
    body=lambda a, b: a * reciprocal(b),
)
negative = Elementwise(
    "negative",
    operator.neg,
    (-1,),
    numpy=(np.negative,),
    infix=("-", 30),
    latex="-{0}",
    rule="sum rule",
    simpler=_negative_simpler,
    word="neg",
)
positive = Elementwise(
    "positive",
    operator.pos,
    (1,),
    numpy=(np.positive,),
    infix=("+", 30),
    latex="{0}",
    keeps=True,
    torch="{0}",
)
reciprocal = Elementwise(
    "reciprocal",
    lambda x: _divide(1, x),
    (lambda x, y: -y * y,),
    text="1 / {0.tight}",
    scalar="1 / {0.tight}",
    latex=r"\frac{{1}}{{{0}}}",
    domain=((0.5, 2),),
    rule="power rule",
    word="inv",
    doc="1 / x.",
    torch="1 / {0.tight}",
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
    keeps=True,
    stops="stop_gradient",
    doc="The value as it is; nothing flows back through it.",
    torch="{0.atom}.detach()",
    jax="jax.lax.stop_gradient",
)
alias = Elementwise(
    "alias",
    lambda x: x,
    (1,),
    text="{0}",
    scalar="{0}",
    latex="{0}",
    moves=True,
    keeps=True,
    public=False,
    doc="The same value under a new node.",
    torch="{0}",
)
