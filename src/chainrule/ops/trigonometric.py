"""Trigonometric and hyperbolic functions and their inverses; angles in radians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arithmetic import reciprocal
from .conversion import wide
from .exponential import sqrt
from .kinds import Elementwise

INF, PI = float("inf"), math.pi
UNIT = ((-0.9, 0.9),)


def _slope(real: Any, complex: Any) -> Any:
    """A partial with a square root of x, and for complex numbers one in y, which is on the branch that the value is on."""

    def partial(x: Any, y: Any) -> Any:
        return complex(x, y) if np.iscomplexobj(x) else real(x, y)

    return partial


def _squares(a: Any, b: Any, y: Any) -> Any:
    a, b = wide(a, y), wide(b, y)
    return a * a + b * b


def _unary(
    name: str, ufunc: Any, partial: Any, latex: str | None = None, scalar: str | None = None, **facts: Any
) -> Elementwise:
    return Elementwise(
        name,
        ufunc,
        (partial,),
        numpy=(ufunc,),
        torch=f"torch.{name}",
        scalar=scalar,
        latex=(latex or f"\\{name}") + r" {0.atom}",
        **facts,
    )


sin = _unary(
    "sin",
    np.sin,
    lambda x, y: cos(x),
    range=(-1, 1),
)
cos = _unary(
    "cos",
    np.cos,
    lambda x, y: -sin(x),
    range=(-1, 1),
)
tan = _unary(
    "tan",
    np.tan,
    lambda x, y: 1 + y * y,
    domain=((-1.2, 1.2),),
)
arcsin = _unary(
    "arcsin",
    np.arcsin,
    _slope(lambda x, y: reciprocal(sqrt(1 - x * x)), lambda x, y: reciprocal(cos(y))),
    aliases=("asin",),
    domain=UNIT,
    scalar="math.asin({0})",
    range=(-PI / 2, PI / 2),
)
arccos = _unary(
    "arccos",
    np.arccos,
    _slope(lambda x, y: -reciprocal(sqrt(1 - x * x)), lambda x, y: -reciprocal(sin(y))),
    aliases=("acos",),
    domain=UNIT,
    scalar="math.acos({0})",
    range=(0, PI),
)
arctan = _unary(
    "arctan",
    np.arctan,
    lambda x, y: reciprocal(1 + x * x),
    aliases=("atan",),
    scalar="math.atan({0})",
    range=(-PI / 2, PI / 2),
)
sinh = _unary(
    "sinh",
    np.sinh,
    lambda x, y: cosh(x),
)
cosh = _unary(
    "cosh",
    np.cosh,
    lambda x, y: sinh(x),
    range=(1, INF),
)
tanh = _unary(
    "tanh",
    np.tanh,
    lambda x, y: 1 - y * y,
    range=(-1, 1),
    limits={-1.0: -INF, 1.0: INF},
    zero="= 0",
)
arcsinh = _unary(
    "arcsinh",
    np.arcsinh,
    _slope(lambda x, y: reciprocal(sqrt(x * x + 1)), lambda x, y: reciprocal(cosh(y))),
    r"\operatorname{{arsinh}}",
    "math.asinh({0})",
    aliases=("asinh",),
)
arccosh = _unary(
    "arccosh",
    np.arccosh,
    _slope(lambda x, y: reciprocal(sqrt(x * x - 1)), lambda x, y: reciprocal(sinh(y))),
    r"\operatorname{{arcosh}}",
    "math.acosh({0})",
    aliases=("acosh",),
    domain=((1.2, 4.0),),
    range=(0, INF),
)
arctanh = _unary(
    "arctanh",
    np.arctanh,
    lambda x, y: reciprocal(1 - x * x),
    r"\operatorname{{artanh}}",
    "math.atanh({0})",
    aliases=("atanh",),
    domain=UNIT,
)
arctan2 = Elementwise(
    "arctan2",
    np.arctan2,
    (lambda a, b, y: b / _squares(a, b, y), lambda a, b, y: -a / _squares(a, b, y)),
    numpy=(np.arctan2,),
    aliases=("atan2",),
    scalar="math.atan2({0}, {1})",
    domain=((0.2, 2.0), (0.2, 2.0)),
    range=(-PI, PI),
    torch="torch.arctan2(torch.as_tensor({0}), torch.as_tensor({1}))",
)
hypot = Elementwise(
    "hypot",
    np.hypot,
    (lambda a, b, y: a / y, lambda a, b, y: b / y),
    numpy=(np.hypot,),
    domain=((0.2, 2.0), (0.2, 2.0)),
    range=(0, INF),
    torch="torch.hypot(torch.as_tensor({0}), torch.as_tensor({1}))",
)
deg2rad = Elementwise(
    "deg2rad",
    np.deg2rad,
    (PI / 180,),
    numpy=(np.deg2rad, np.radians),
    scalar="math.radians({0})",
    torch="torch.deg2rad",
)
rad2deg = Elementwise(
    "rad2deg",
    np.rad2deg,
    (180 / PI,),
    numpy=(np.rad2deg, np.degrees),
    scalar="math.degrees({0})",
    torch="torch.rad2deg",
)
