"""Powers, roots, exponentials, logarithms, and the activations made from them."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arithmetic import reciprocal
from .broadcasting import dtype_of
from .conversion import wide
from .kinds import Composite, Elementwise
from .piecewise import equal, where

INF = float("inf")
LN2, LN10 = math.log(2), math.log(10)
POSITIVE = ((0.3, 3.0),)


def _power_base(x: Any, n: Any, y: Any) -> Any:
    if isinstance(n, (int, float)):
        return 0.0 * x if n == 0 else n * power(x, n - 1)
    x, n = wide(x, y), wide(n, y)
    return n * power(x, where(equal(n, 0), 1, n - 1))


def _power_exponent(x: Any, n: Any, y: Any) -> Any:
    x = where(equal(x, 0), 1, wide(x, y))
    return y * log(x + 0j if np.iscomplexobj(n) else x)


def _of_booleans(values: Sequence[Any]) -> Elementwise:
    kinds = {dtype_of(v).kind for v in values}
    return boolean_power if "b" in kinds and not kinds & {"f", "c"} else power


def _in_double(values: Sequence[Any]) -> Elementwise:
    """`float_power` is `power` where that is in double precision."""
    plain = [v if type(v) in (int, float, complex) else np.zeros((), dtype_of(v)) for v in values]
    return power if np.result_type(*plain) in (np.dtype(float), np.dtype(complex)) else float_power


def _sigmoid(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise TypeError("the sigmoid of complex numbers is not implemented: write 1 / (1 + exp(-x))")
    e = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), 1, e)[()] / (1 + e)


def _power_scalar(args: list[Any], node: Any) -> str | None:
    """Python's `**` where NumPy agrees; it makes complex numbers of negative ones, where `math.pow` raises an error."""
    n = node.inputs[1]
    return None if isinstance(n, (int, float)) and float(n).is_integer() else f"math.pow({args[0]}, {args[1]})"


power = Elementwise(
    "power",
    operator.pow,
    (_power_base, _power_exponent),
    aliases=("pow",),
    infix=("**", 40),
    scalar=_power_scalar,
    latex="{0.atom}^{{{1}}}",
    domain=((0.3, 2.0), (-2.0, 3.0)),
    neutral={1: 1},
    rule="power rule",
    word="pow",
)
boolean_power = Elementwise(
    "boolean_power",
    np.power,
    (None, None),
    numpy=(np.power,),
    text="np.power({0}, {1})",
    domain=((0.3, 2.0), (-2.0, 3.0)),
    variant=_of_booleans,
    public=False,
    doc="np.power, which of booleans has another dtype than `**`.",
)
float_power = Elementwise(
    "float_power",
    np.float_power,
    (_power_base, _power_exponent),
    numpy=(np.float_power,),
    domain=((0.3, 2.0), (-2.0, 3.0)),
    variant=_in_double,
    public=False,
    doc="np.float_power: a power in double precision.",
)
square = Elementwise(
    "square",
    np.square,
    (lambda x, y: 2 * x,),
    numpy=(np.square,),
    text="{0.atom} ** 2",
    scalar="{0.atom} ** 2",
    latex="{0.atom}^2",
    range=(0, INF),
    zero="= 0",
    rule="power rule",
    torch="{0.atom} ** 2",
)
sqrt = Elementwise(
    "sqrt",
    np.sqrt,
    (lambda x, y: 0.5 / y,),
    numpy=(np.sqrt,),
    latex=r"\sqrt{{{0}}}",
    domain=POSITIVE,
    range=(0, INF),
    rule="power rule",
    torch="torch.sqrt",
)
cbrt = Elementwise(
    "cbrt",
    np.cbrt,
    (lambda x, y: reciprocal(3 * y * y),),
    numpy=(np.cbrt,),
    latex=r"\sqrt[3]{{{0}}}",
    domain=POSITIVE,
    scalar="math.copysign(abs({0}) ** (1 / 3), {0})",
    torch="torch.sign({0}) * torch.abs({0}) ** (1 / 3)",
    jax="jnp.cbrt",
)
exp = Elementwise(
    "exp",
    np.exp,
    (lambda x, y: y,),
    numpy=(np.exp,),
    latex="e^{{{0}}}",
    range=(0, INF),
    limits={0.0: -INF},
    torch="torch.exp",
)
exp2 = Elementwise(
    "exp2",
    np.exp2,
    (lambda x, y: LN2 * y,),
    numpy=(np.exp2,),
    latex="2^{{{0}}}",
    scalar="2.0 ** {0.atom}",
    range=(0, INF),
    limits={0.0: -INF},
    torch="torch.exp2",
)
expm1 = Elementwise(
    "expm1",
    np.expm1,
    (lambda x, y: exp(x),),
    numpy=(np.expm1,),
    latex="(e^{{{0}}} - 1)",
    range=(-1, INF),
    limits={-1.0: -INF},
    torch="torch.expm1",
)
log = Elementwise(
    "log",
    np.log,
    (lambda x, y: reciprocal(x),),
    numpy=(np.log,),
    aliases=("ln",),
    latex=r"\log {0.atom}",
    domain=POSITIVE,
    torch="torch.log",
)
log2 = Elementwise(
    "log2",
    np.log2,
    (lambda x, y: reciprocal(LN2 * x),),
    numpy=(np.log2,),
    latex=r"\log_2 {0.atom}",
    domain=POSITIVE,
    torch="torch.log2",
)
log10 = Elementwise(
    "log10",
    np.log10,
    (lambda x, y: reciprocal(LN10 * x),),
    numpy=(np.log10,),
    latex=r"\log_{{10}} {0.atom}",
    domain=POSITIVE,
    torch="torch.log10",
)
log1p = Elementwise(
    "log1p",
    np.log1p,
    (lambda x, y: reciprocal(1 + x),),
    numpy=(np.log1p,),
    latex=r"\log(1 + {0})",
    domain=((-0.5, 3.0),),
    torch="torch.log1p",
)


def _log_at_least(x: Any, low: float = -100.0) -> Any:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), np.asarray(low, np.result_type(x, np.float32)))[()]


log_at_least = Elementwise(
    "log_at_least",
    _log_at_least,
    (lambda x, y, low=-100.0: reciprocal(where(x > 1e-12, x, 1e-12)),),
    text=lambda args, node: f"np.maximum(np.log({args[0]}), {node.params.get('low', -100.0)!r})",
    domain=POSITIVE,
    public=False,
    doc="log x, no less than a bound, with a finite slope at 0: as torch's binary cross entropy has it.",
    torch=lambda args, node: f"torch.clamp(torch.log({args[0]}), min={node.params.get('low', -100.0)!r})",
)
logaddexp = Elementwise(
    "logaddexp",
    np.logaddexp,
    (lambda a, b, y: sigmoid(a - b), lambda a, b, y: sigmoid(b - a)),
    numpy=(np.logaddexp,),
    latex=r"\log(e^{{{0}}} + e^{{{1}}})",
    torch="torch.logaddexp(torch.as_tensor({0}), torch.as_tensor({1}))",
)

_SIGMOID_NUMPY = """\
def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
"""
_SIGMOID_MATH = """\
def sigmoid(x):
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
"""
sigmoid = Elementwise(
    "sigmoid",
    _sigmoid,
    (lambda x, y: (1 - y) * y,),
    aliases=("sigma", "s", "sig", "σ", "expit", "logistic"),
    text="sigmoid({0})",
    scalar="sigmoid({0})",
    latex=r"\sigma({0})",
    range=(0, 1),
    limits={0.0: -INF, 1.0: INF},
    body=lambda x: reciprocal(1 + exp(-1 * x)),
    prelude=_SIGMOID_NUMPY,
    scalar_prelude=_SIGMOID_MATH,
    doc="1 / (1 + e^-x), without overflow for any x.",
    torch="torch.sigmoid",
    jax="jax.nn.sigmoid",
)
softplus = Elementwise(
    "softplus",
    lambda x: np.logaddexp(0, x),
    (lambda x, y: sigmoid(x),),
    text="np.logaddexp(0, {0})",
    scalar="(max({0}, 0.0) + math.log1p(exp(-abs({0}))))",
    latex=r"\operatorname{{softplus}}({0})",
    range=(0, INF),
    limits={0.0: -INF},
    doc="log(1 + e^x), without overflow for any x.",
    torch="torch.nn.functional.softplus({0}, threshold=1e9)",
)
log_sigmoid = Elementwise(
    "log_sigmoid",
    lambda x: -np.logaddexp(0, -x),
    (lambda x, y: sigmoid(-x),),
    aliases=("logsigmoid", "log_expit"),
    text="-np.logaddexp(0, -{0.atom})",
    scalar="(min({0}, 0.0) - math.log1p(exp(-abs({0}))))",
    latex=r"\log \sigma({0})",
    range=(-INF, 0),
    limits={0.0: INF},
    doc="log(sigmoid(x)), accurate for any x.",
    torch="torch.nn.functional.logsigmoid",
)
silu = Composite(
    "silu",
    lambda x: x * sigmoid(x),
    text="{0.atom} * sigmoid({0})",
    scalar="{0.atom} * sigmoid({0})",
    prelude=_SIGMOID_NUMPY,
    scalar_prelude=_SIGMOID_MATH,
    aliases=("SiLU", "swish"),
    entrywise=True,
    latex=r"\operatorname{{SiLU}}({0})",
    doc="x * sigmoid(x).",
    torch="torch.nn.functional.silu",
    jax="jax.nn.silu",
)
