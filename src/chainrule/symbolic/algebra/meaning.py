"""What each operation means in mathematics: an expression to show, and its definition in elementary functions.

A function is kept by its name while something is shown (`sigma(z)`), and opened into exponentials, logarithms and
signs when something is decided. Everything about signs is said with two atoms: `step(u)`, which is 1 where u > 0,
and `at_zero(u)`, which is 1 where u = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir.op import Op
from ...ops import arithmetic as ar
from ...ops import broadcasting as bc
from ...ops import conversion as cv
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import special as sf
from ...ops import trigonometric as tg
from .untyped import sp


class step(sp.Function):
    """1 where the argument is positive, 0 elsewhere."""

    nargs = 1

    @classmethod
    def eval(cls, u: Any) -> Any:
        known = u.is_positive if _quick(u) else None
        return None if known is None else sp.Integer(bool(known))


class at_zero(sp.Function):
    """1 where the argument is zero, 0 elsewhere."""

    nargs = 1

    @classmethod
    def eval(cls, u: Any) -> Any:
        known = u.is_zero if _quick(u) else None
        return None if known is None else sp.Integer(bool(known))


def _quick(u: Any) -> bool:
    """Whether SymPy can be asked for a sign: what it finds out about long expressions takes long, and normal forms do."""
    return u.is_Atom or u.is_number or (u.is_Function and u.args[0].is_Atom)


def kept(name: str) -> Any:
    """A function that is known by its name only."""
    return sp.Function(name, real=True)


sigma, relu, leaky_relu, softplus = kept("sigma"), kept("ReLU"), kept("LeakyReLU"), kept("softplus")
log_sigmoid, maximum, minimum, sign = kept("log_sigmoid"), kept("max"), kept("min"), kept("sign")
heaviside, rect, floor = kept("heaviside"), kept("rect"), sp.floor
HALF = sp.Rational(1, 2)


def _greater(a: Any, b: Any) -> Any:
    return step(a - b)


def _equal(a: Any, b: Any) -> Any:
    return at_zero(a - b)


def _chosen(c: Any, a: Any, b: Any) -> Any:
    return c * a + (1 - c) * b


def _leaky(x: Any, slope: Any = 0.01) -> Any:
    return leaky_relu(x, exact(slope))


def exact(x: Any) -> Any:
    """A number as an exact one: 0.1 is one tenth, as whoever wrote it meant it; π, e, log 2 are recognised."""
    if isinstance(x, sp.Basic):
        return x
    if float(x) in NAMED:
        return NAMED[float(x)]
    return sp.Integer(int(x)) if float(x).is_integer() else sp.Rational(repr(float(x)))


NAMED: dict[float, Any] = {float(v): v for v in (sp.pi, sp.E, sp.log(2), sp.log(10), sp.sqrt(2), 1 / sp.sqrt(2), 2 / sp.sqrt(sp.pi), sp.pi / 180, 180 / sp.pi)}  # fmt: skip

# Operation -> the expression of its value, as it is shown.
SHOWN: dict[Op, Callable[..., Any]] = {
    ar.add: lambda a, b: a + b, ar.subtract: lambda a, b: a - b, ar.multiply: lambda a, b: a * b, ar.divide: lambda a, b: a / b,
    ar.negative: lambda a: -a, ar.positive: lambda a: a, ar.reciprocal: lambda a: 1 / a, ar.alias: lambda a: a,
    ar.stop_gradient: lambda a: a, bc.broadcast_to: lambda a, shape=(): a, bc.reshape: lambda a, shape=(): a, cv.cast: lambda a, dtype=None: a,
    ex.power: lambda a, b: a**b, ex.square: lambda a: a**2, ex.sqrt: sp.sqrt, ex.cbrt: lambda a: sign(a) * sp.Abs(a) ** sp.Rational(1, 3),
    ex.exp: sp.exp, ex.exp2: lambda a: sp.exp(a * sp.log(2)), ex.expm1: lambda a: sp.exp(a) - 1,
    ex.log: sp.log, ex.log2: lambda a: sp.log(a) / sp.log(2), ex.log10: lambda a: sp.log(a) / sp.log(10), ex.log1p: lambda a: sp.log(1 + a),
    ex.logaddexp: lambda a, b: sp.log(sp.exp(a) + sp.exp(b)),
    ex.sigmoid: sigma, ex.softplus: softplus, ex.log_sigmoid: log_sigmoid, ex.silu: lambda a: a * sigma(a),
    sf.gelu: lambda a: a * (1 + sp.erf(a / sp.sqrt(2))) / 2,
    tg.sin: sp.sin, tg.cos: sp.cos, tg.tan: sp.tan, tg.arcsin: sp.asin, tg.arccos: sp.acos, tg.arctan: sp.atan, tg.sinh: sp.sinh, tg.cosh: sp.cosh,
    tg.tanh: sp.tanh, tg.arcsinh: sp.asinh, tg.arccosh: sp.acosh, tg.arctanh: sp.atanh, tg.hypot: lambda a, b: sp.sqrt(a**2 + b**2),
    tg.deg2rad: lambda a: a * sp.pi / 180, tg.rad2deg: lambda a: a * 180 / sp.pi,
    sf.erf: sp.erf, sf.erfc: lambda a: 1 - sp.erf(a), sf.gammaln: sp.loggamma, sf.digamma: sp.digamma, sf.polygamma: lambda a, n=1: sp.polygamma(n, a),
    pw.absolute: sp.Abs, pw.sign: sign, pw.relu: relu, pw.leaky_relu: _leaky, pw.maximum: maximum, pw.minimum: minimum, pw.fmax: maximum, pw.fmin: minimum,
    pw.clip: lambda a, low, high: minimum(maximum(a, low), high), pw.heaviside: heaviside, pw.rect: rect,
    pw.floor: sp.floor, pw.ceil: sp.ceiling,
    pw.greater: _greater, pw.less: lambda a, b: _greater(b, a), pw.greater_equal: lambda a, b: 1 - _greater(b, a),
    pw.less_equal: lambda a, b: 1 - _greater(a, b), pw.equal: _equal, pw.not_equal: lambda a, b: 1 - _equal(a, b),
    pw.logical_and: lambda a, b: a * b, pw.logical_or: lambda a, b: a + b - a * b, pw.logical_not: lambda a: 1 - a,
    pw.logical_xor: lambda a, b: a + b - 2 * a * b, pw.indicator: lambda c: c, pw.where: _chosen,
}  # fmt: skip

# Function -> its definition in exponentials, logarithms and signs. What has none stays as it is.
DEFINITIONS: dict[str, Callable[..., Any]] = {
    "sigma": lambda x: 1 / (1 + sp.exp(-x)),
    "softplus": lambda x: sp.log(1 + sp.exp(x)),
    "log_sigmoid": lambda x: -sp.log(1 + sp.exp(-x)),
    "ReLU": lambda x: x * step(x),
    "LeakyReLU": lambda x, a: x * step(x) + a * x * (1 - step(x)),
    "max": lambda a, b: b + (a - b) * step(a - b),
    "min": lambda a, b: a + (b - a) * step(a - b),
    "sign": lambda x: step(x) - step(-x),
    "Abs": lambda x: x * (2 * step(x) - 1),
    "heaviside": lambda x, h: step(x) + h * at_zero(x),
    "rect": lambda x: step(HALF - x) * step(HALF + x) + HALF * (at_zero(HALF - x) + at_zero(HALF + x)),
    "tanh": lambda x: (sp.exp(x) - sp.exp(-x)) / (sp.exp(x) + sp.exp(-x)),
    "sinh": lambda x: (sp.exp(x) - sp.exp(-x)) / 2,
    "cosh": lambda x: (sp.exp(x) + sp.exp(-x)) / 2,
    "coth": lambda x: (sp.exp(x) + sp.exp(-x)) / (sp.exp(x) - sp.exp(-x)),
    "tan": lambda x: sp.sin(x) / sp.cos(x),
    "acos": lambda x: sp.pi / 2 - sp.asin(x),
    "asinh": lambda x: sp.log(x + sp.sqrt(x**2 + 1)),
    "acosh": lambda x: sp.log(x + sp.sqrt(x - 1) * sp.sqrt(x + 1)),
    "atanh": lambda x: (sp.log(1 + x) - sp.log(1 - x)) / 2,
    "erfc": lambda x: 1 - sp.erf(x),
}  # fmt: skip


def in_floats(symbols: Sequence[Any], expression: Any) -> Callable[..., Any]:
    """An expression as a function of floats or NumPy arrays."""
    return sp.lambdify(symbols, opened(expression), modules=[FLOATS, "scipy", "numpy"])


FLOATS = {"step": lambda u: np.where(u > 0, 1.0, 0.0), "at_zero": lambda u: np.where(u == 0, 1.0, 0.0)}


def opened(expression: Any, notes: dict[str, Any] | None = None) -> Any:
    """The expression in elementary functions; the definitions that were used are collected in `notes`."""
    x, y = sp.symbols("x y", real=True)

    def defined(f: Any) -> bool:
        return isinstance(f, sp.Function) and f.func.__name__ in DEFINITIONS

    def definition(f: Any) -> Any:
        name = f.func.__name__
        if notes is not None and name not in notes:
            arguments = (x, y)[: len(f.args)]
            notes[name] = (
                f.func(*arguments, evaluate=False) if name != "Abs" else sp.Abs(x),
                DEFINITIONS[name](*arguments),
            )
        return DEFINITIONS[name](*f.args)

    while expression.has(sp.Function) and any(defined(f) for f in expression.atoms(sp.Function)):
        expression = expression.replace(defined, definition)
    return expression
