"""Activations as functions, with torch's names, arguments and subgradients."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import InputError, caller
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import reduction as rd
from ...ops import special as sp
from .shared import axis_in, cast_to, changed, of_floats

where = pw.where


def _activation(name: str, function: Callable[[Any], Any], doc: str) -> Callable[..., Any]:
    """An activation without settings, which can work in place."""

    def activation(input: Any, inplace: bool = False) -> Any:
        return changed(function, input, inplace)

    activation.__name__ = activation.__qualname__ = name
    activation.__doc__ = doc
    return of_floats(activation)


@of_floats
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """x kept between two bounds; at a bound the derivative is 0."""
    if min_val > max_val:
        raise InputError("hardtanh: min_val cannot be greater than max_val")

    def kept(x: Any) -> Any:
        return where(x <= min_val, min_val, where(x >= max_val, max_val, x))

    return changed(kept, input, inplace)


def _selu(x: Any) -> Any:
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * elu(x, alpha)


relu = _activation("relu", pw.relu, "max(x, 0); the derivative at 0 is 0.")
relu6 = _activation("relu6", lambda x: hardtanh(x, 0.0, 6.0), "x kept between 0 and 6.")
selu = _activation("selu", _selu, "The scaled exponential linear unit. Source: Klambauer et al., 2017.")
silu = _activation("silu", ex.silu, "x sigmoid(x).")
mish = _activation("mish", lambda x: x * np.tanh(ex.softplus(x)), "x tanh(softplus(x)). Source: Misra, 2019.")
hardswish = _activation(
    "hardswish", lambda x: where(x <= -3, 0.0, where(x >= 3, x, x * (x + 3) / 6)), "x relu6(x + 3) / 6."
)
hardsigmoid = _activation(
    "hardsigmoid", lambda x: where(x <= -3, 0.0, where(x >= 3, 1.0, x / 6 + 0.5)), "relu6(x + 3) / 6."
)


@of_floats
def sigmoid(input: Any) -> Any:
    """1 / (1 + e^-x)."""
    return ex.sigmoid(input)


@of_floats
def tanh(input: Any) -> Any:
    """tanh x."""
    return np.tanh(input)


@of_floats
def logsigmoid(input: Any) -> Any:
    """log(sigmoid(x)), accurate for any x."""
    return ex.log_sigmoid(input)


@of_floats
def softsign(input: Any) -> Any:
    """x / (1 + |x|)."""
    return input / (np.abs(input) + 1)


@of_floats
def tanhshrink(input: Any) -> Any:
    """x - tanh x."""
    return input - np.tanh(input)


@of_floats
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x above zero, negative_slope x below and at zero."""
    return changed(lambda x: pw.leaky_relu(x, slope=negative_slope), input, inplace)


@of_floats
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x above zero, alpha (e^x - 1) below."""
    return changed(lambda x: where(x > 0, x, alpha * np.expm1(where(x > 0, 0.0, x))), input, inplace)


@of_floats
def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x above zero, alpha (e^(x / alpha) - 1) below. Source: Barron, 2017."""
    if not alpha:
        raise InputError("celu: alpha cannot be 0")
    return changed(lambda x: where(x > 0, x, alpha * np.expm1(where(x > 0, 0.0, x) / alpha)), input, inplace)


@of_floats
def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """x above the threshold, a number below."""
    return changed(lambda x: where(x <= threshold, value, x), input, inplace)


@of_floats
def softplus(input: Any, beta: float = 1, threshold: float = 20) -> Any:
    """log(1 + e^(beta x)) / beta; x itself where beta x is above the threshold."""
    if beta == 1 and threshold >= 20:
        y = ex.softplus(input)
        return y if threshold >= 40 else where(input > threshold, input, y)
    return where(input * beta > threshold, input, ex.softplus(input * beta) / beta)


@of_floats
def gelu(input: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function; `approximate="tanh"` for the usual approximation."""
    if approximate == "tanh":
        return 0.5 * input * (1 + np.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)))
    if approximate != "none":
        raise InputError(f"gelu: there is no approximation {approximate!r}", "choose 'none' or 'tanh'")
    return sp.gelu(input)


@of_floats
def glu(input: Any, dim: int = -1) -> Any:
    """The first half along an axis times the sigmoid of the second. Source: Dauphin et al., 2016."""
    axis = axis_in(input, dim)
    n = np.shape(input)[axis]
    if n % 2:
        raise InputError(f"glu: halving dimension must be even, but dimension {dim} is size {n}")
    first, second = np.split(input, 2, axis)
    return first * ex.sigmoid(second)


@of_floats
def prelu(input: Any, weight: Any) -> Any:
    """x above zero, weight x below and at zero; one weight, or one for each channel."""
    if np.size(weight) > 1:
        if np.ndim(input) < 2 or np.shape(input)[1] != np.size(weight):
            raise InputError(f"prelu: {np.size(weight)} weights for an input of shape {tuple(np.shape(input))}")
        weight = np.reshape(weight, (-1,) + (1,) * (np.ndim(input) - 2))
    elif np.ndim(weight):
        weight = np.reshape(weight, ())
    return where(input > 0, input, weight * input)


def _axis(name: str, input: Any, dim: int | None) -> int:
    """The axis, or the one that torch takes for it where none is named (with a warning, as there)."""
    n = np.ndim(input)
    if dim is None:
        dim = 0 if n in (0, 1, 3) else 1
        frame = caller()
        warnings.warn_explicit(
            f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
            UserWarning,
            frame.f_code.co_filename if frame else __file__,
            frame.f_lineno if frame else 0,
        )
    return axis_in(input, dim)


def _exponential(name: str, op: Any, sign: int, doc: str) -> Callable[..., Any]:
    def exponential(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
        return along(cast_to(input if sign > 0 else -input, dtype), dim)

    def along(x: Any, dim: int | None) -> Any:
        if not np.ndim(x):
            return np.reshape(op(np.reshape(x, (1,)), axis=(-1,)), ())
        axis = _axis(name, x, dim)
        return x if not np.size(x) else op(x, axis=(axis,))

    along.__name__ = exponential.__name__ = exponential.__qualname__ = name
    along = of_floats(along)
    exponential.__doc__ = doc
    return exponential


softmax = _exponential("softmax", rd.softmax, 1, "exp(x) / sum(exp(x)) along `dim`, without overflow.")
log_softmax = _exponential("log_softmax", rd.log_softmax, 1, "log(softmax(x)) along `dim`, accurate for any x.")
softmin = _exponential("softmin", rd.softmax, -1, "softmax of -x along `dim`.")
