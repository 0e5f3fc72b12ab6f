"""Comparisons, choices, and functions with kinks.

Subgradients at a kink: relu'(0) = 0, abs'(0) = 0, and maximum and minimum share equally at a tie.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .broadcasting import dtype_of
from .kinds import Composite, Elementwise
from .kinks import at_zero, tie

INF = float("inf")


def _comparison(name: str, symbol: str, value: Any, ufunc: Any, latex: str) -> Elementwise:
    return Elementwise(name, value, (None, None), numpy=(ufunc,), infix=(symbol, 5), latex=f"{{0}} {latex} {{1}}")


greater = _comparison("greater", ">", operator.gt, np.greater, ">")
greater_equal = _comparison("greater_equal", ">=", operator.ge, np.greater_equal, r"\ge")
less = _comparison("less", "<", operator.lt, np.less, "<")
less_equal = _comparison("less_equal", "<=", operator.le, np.less_equal, r"\le")
equal = _comparison("equal", "==", operator.eq, np.equal, "=")
not_equal = _comparison("not_equal", "!=", operator.ne, np.not_equal, r"\ne")
logical_and = Elementwise(
    "logical_and",
    np.logical_and,
    (None, None),
    numpy=(np.logical_and,),
    latex=r"{0} \land {1}",
    scalar="({0} and {1})",
    torch="torch.logical_and",
)
logical_or = Elementwise(
    "logical_or",
    np.logical_or,
    (None, None),
    numpy=(np.logical_or,),
    latex=r"{0} \lor {1}",
    scalar="({0} or {1})",
    torch="torch.logical_or",
)
logical_xor = Elementwise(
    "logical_xor",
    np.logical_xor,
    (None, None),
    numpy=(np.logical_xor,),
    scalar="(bool({0}) != bool({1}))",
    torch="torch.logical_xor",
)
logical_not = Elementwise(
    "logical_not",
    np.logical_not,
    (None,),
    numpy=(np.logical_not,),
    latex=r"\lnot {0}",
    scalar="(not {0})",
    torch="torch.logical_not",
)
isnan = Elementwise(
    "isnan",
    np.isnan,
    (None,),
    numpy=(np.isnan,),
    scalar="math.isnan({0})",
    torch="torch.isnan",
)
isinf = Elementwise(
    "isinf",
    np.isinf,
    (None,),
    numpy=(np.isinf,),
    scalar="math.isinf({0})",
    torch="torch.isinf",
)
isfinite = Elementwise(
    "isfinite",
    np.isfinite,
    (None,),
    numpy=(np.isfinite,),
    scalar="math.isfinite({0})",
    torch="torch.isfinite",
)
signbit = Elementwise(
    "signbit",
    np.signbit,
    (None,),
    numpy=(np.signbit,),
    scalar="(math.copysign(1.0, {0}) < 0)",
    torch="torch.signbit",
)

where = Elementwise(
    "where",
    np.where,
    (None, lambda c, a, b, y: c if dtype_of(c).kind == "b" else not_equal(c, 0), lambda c, a, b, y: logical_not(c)),
    numpy=(np.where,),
    scalar="({1} if {0} else {2})",
    latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    torch=lambda args, node: f"torch.where({', '.join(args)})",
)
indicator = Elementwise(
    "indicator",
    lambda c: np.where(c, 1.0, 0.0)[()],
    (None,),
    text="np.where({0}, 1.0, 0.0)",
    scalar="float({0})",
    latex=r"\mathbb{{1}}[{0}]",
    range=(0, 1),
    stops="comparison",
    doc="1 where the condition holds and 0 elsewhere; nothing flows through it.",
    torch="{0.atom}.to(torch.float64)",
)


def _wins(a: Any, b: Any) -> Any:
    return (a > b) + 0.5 * equal(a, b)


_MAXIMUM = """\
def maximum(x, y):
    return x if x >= y or x != x else y
"""
_MINIMUM = """\
def minimum(x, y):
    return x if x <= y or x != x else y
"""
_SIGN = """\
def sign(x):
    return x if x != x else float((x > 0) - (x < 0))
"""
maximum = Elementwise(
    "maximum",
    np.maximum,
    (lambda a, b, y: _wins(a, b), lambda a, b, y: _wins(b, a)),
    numpy=(np.maximum,),
    scalar="maximum({0}, {1})",
    scalar_prelude=_MAXIMUM,
    latex=r"\max({0}, {1})",
    kink=tie,
    word="max",
    torch="torch.maximum(torch.as_tensor({0}), torch.as_tensor({1}))",
)
minimum = Elementwise(
    "minimum",
    np.minimum,
    (lambda a, b, y: _wins(b, a), lambda a, b, y: _wins(a, b)),
    numpy=(np.minimum,),
    scalar="minimum({0}, {1})",
    scalar_prelude=_MINIMUM,
    latex=r"\min({0}, {1})",
    kink=tie,
    word="min",
    torch="torch.minimum(torch.as_tensor({0}), torch.as_tensor({1}))",
)
fmax = Elementwise(
    "fmax",
    np.fmax,
    (lambda a, b, y: equal(y, a) - 0.5 * equal(a, b), lambda a, b, y: equal(y, b) - 0.5 * equal(a, b)),
    numpy=(np.fmax,),
    kink=tie,
    word="max",
    torch="torch.fmax(torch.as_tensor({0}), torch.as_tensor({1}))",
)
fmin = Elementwise(
    "fmin",
    np.fmin,
    (lambda a, b, y: equal(y, a) - 0.5 * equal(a, b), lambda a, b, y: equal(y, b) - 0.5 * equal(a, b)),
    numpy=(np.fmin,),
    kink=tie,
    word="min",
    torch="torch.fmin(torch.as_tensor({0}), torch.as_tensor({1}))",
)
clip = Composite(
    "clip",
    lambda x, low, high: minimum(maximum(x, low), high),
    value=np.clip,
    inputs=3,
    entrywise=True,
    text="np.clip({0}, {1}, {2})",
    scalar="minimum(maximum({0}, {1}), {2})",
    scalar_prelude=_MAXIMUM + "\n\n" + _MINIMUM,
    doc="x kept between low and high; at a bound the derivative is shared equally.",
    torch=lambda args, node: (
        f"torch.minimum(torch.maximum({args[0]}, torch.as_tensor({args[1]})), torch.as_tensor({args[2]}))"
    ),
)


def _direction(x: Any, y: Any) -> Any:
    """The derivative of |x|: the sign, or the conjugate of the direction of a complex number; 0 at 0."""
    if not np.iscomplexobj(x):
        return sign(x)
    return np.conjugate(x) / where(equal(y, 0), 1.0, y)


absolute = Elementwise(
    "abs",
    np.absolute,
    (lambda x, y: _direction(x, y),),
    numpy=(np.absolute,),
    text="np.abs({0})",
    scalar="abs({0})",
    latex=r"\left|{0}\right|",
    range=(0, INF),
    zero="= 0",
    kink=at_zero("the absolute value", "0", "from -1 to 1"),
    torch="torch.abs",
)
fabs = Elementwise(
    "fabs",
    np.fabs,
    (lambda x, y: sign(x),),
    numpy=(np.fabs,),
    variant=lambda values: absolute if dtype_of(values[0]).kind == "f" else fabs,
    public=False,
    doc="np.fabs: the absolute value as a floating-point number.",
)
sign = Elementwise(
    "sign",
    np.sign,
    (None,),
    numpy=(np.sign,),
    variant=lambda values: phase if dtype_of(values[0]).kind == "c" else sign,
    scalar="sign({0})",
    scalar_prelude=_SIGN,
    latex=r"\operatorname{{sign}}({0})",
    range=(-1, 1),
    torch="torch.sign",
)
phase = Composite(
    "phase",
    lambda z: z / where(equal(z, 0), 1.0, absolute(z)),
    value=np.sign,
    entrywise=True,
    whole=True,
    text="np.sign({0})",
    public=False,
    doc="The direction of a complex number, z / |z|; 0 at 0.",
)
copysign = Elementwise(
    "copysign",
    np.copysign,
    (lambda a, b, y: sign(a) * sign(y), None),
    numpy=(np.copysign,),
    scalar="math.copysign({0}, {1})",
    torch="torch.copysign",
)
floor = Elementwise(
    "floor",
    np.floor,
    (None,),
    numpy=(np.floor,),
    scalar="float(math.floor({0}))",
    latex=r"\lfloor {0} \rfloor",
    torch="torch.floor",
)
ceil = Elementwise(
    "ceil",
    np.ceil,
    (None,),
    numpy=(np.ceil,),
    scalar="float(math.ceil({0}))",
    latex=r"\lceil {0} \rceil",
    torch="torch.ceil",
)
rint = Elementwise(
    "rint",
    np.rint,
    (None,),
    numpy=(np.rint,),
    scalar="float(round({0}))",
    torch="torch.round",
)
rounded = Elementwise(
    "rounded",
    lambda x, decimals=0: np.round(x, decimals),
    (None,),
    text=lambda args, node: f"np.round({args[0]}, {node.params.get('decimals', 0)})",
    torch=lambda args, node: f"torch.round({args[0]}, decimals={node.params.get('decimals', 0)})",
    public=False,
    doc="Rounded to so many decimals; nothing flows.",
)
trunc = Elementwise(
    "trunc",
    np.trunc,
    (None,),
    numpy=(np.trunc,),
    scalar="float(math.trunc({0}))",
    torch="torch.trunc",
)
heaviside = Elementwise(
    "heaviside",
    np.heaviside,
    (None, None),
    numpy=(np.heaviside,),
    scalar="({1} if {0} == 0 else float({0} > 0) if {0} == {0} else {0})",
    range=(0, 1),
    doc="0 below zero, 1 above, the second argument at zero. Its derivative is zero: nothing flows.",
    torch="torch.heaviside(torch.as_tensor({0}), torch.as_tensor({1}, dtype=torch.as_tensor({0}).dtype))",
)
rect = Elementwise(
    "rect",
    lambda x: np.where(np.abs(x) < 0.5, 1.0, np.where(np.abs(x) == 0.5, 0.5, 0.0)).astype(
        np.result_type(x, np.float32)
    )[()],
    (None,),
    text="np.where(np.abs({0}) < 0.5, 1.0, np.where(np.abs({0}) == 0.5, 0.5, 0.0))",
    scalar="(1.0 if abs({0}) < 0.5 else 0.5 if abs({0}) == 0.5 else 0.0)",
    range=(0, 1),
    doc="1 within half a unit of zero, 0 outside, 1/2 on the edge. Its derivative is zero: nothing flows.",
    torch="((torch.abs({0}) < 0.5) + 0.5 * (torch.abs({0}) == 0.5))",
    jax="((jnp.abs({0}) < 0.5) + 0.5 * (jnp.abs({0}) == 0.5))",
)

relu = Elementwise(
    "relu",
    lambda x: np.maximum(x, 0),
    (lambda x, y: x > 0,),
    aliases=("ReLU", "Relu"),
    text="np.maximum({0}, 0)",
    scalar="max({0}, 0.0)",
    latex=r"\operatorname{{ReLU}}({0})",
    range=(0, INF),
    zero="<= 0",
    kink=at_zero("ReLU", "0", "from 0 to 1"),
    doc="max(x, 0); the derivative at zero is zero.",
    torch="torch.relu",
)
leaky_relu = Elementwise(
    "leaky_relu",
    lambda x, slope=0.01: np.where(np.greater(x, 0), x, slope * x)[()],
    (lambda x, y, slope=0.01: where(x > 0, 1.0, slope),),
    aliases=("LeakyReLU", "leakyrelu"),
    text=lambda args, node: f"np.where({args[0]} > 0, {args[0]}, {node.params.get('slope', 0.01)!r} * {args[0].atom})",
    scalar=lambda args, node: f"({args[0]} if {args[0]} > 0 else {node.params.get('slope', 0.01)!r} * {args[0].atom})",
    kink=at_zero("leaky ReLU", "that below 0", "between its two slopes"),
    doc="x where x > 0, otherwise slope * x; the derivative at zero is the slope.",
    torch=lambda args, node: f"torch.nn.functional.leaky_relu({args[0]}, {node.params.get('slope', 0.01)!r})",
)
