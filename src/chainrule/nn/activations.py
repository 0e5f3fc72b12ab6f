"""Activations as modules: a table of functions, and the few that have something to say."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import caller
from ..ops.piecewise import heaviside, rect
from . import functional as F
from .module import Module


def _activation(name: str, function: Callable[..., Any], doc: str, **defaults: Any) -> type[Module]:
    """A module that applies a function; its settings are arguments with defaults."""

    def __init__(self: Any, *args: Any, inplace: bool = False, **kwargs: Any) -> None:
        Module.__init__(self)
        given = dict(zip(defaults, args, strict=False)) | kwargs
        unknown = [k for k in given if k not in defaults]
        if unknown or len(args) > len(defaults):
            raise TypeError(f"{name}() takes {', '.join(defaults) or 'no arguments'}; got {unknown or args}")
        self.settings = {**defaults, **given}

    def forward(self: Any, x: Any) -> Any:
        return function(x, **self.settings)

    def extra_repr(self: Any) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.settings.items())

    return type(
        name,
        (Module,),
        {"__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": doc, "__module__": __name__},
    )


ReLU = _activation("ReLU", F.relu, "max(x, 0).")
LeakyReLU = _activation(
    "LeakyReLU",
    lambda x, negative_slope: F.leaky_relu(x, slope=negative_slope),
    "x above zero, negative_slope * x below.",
    negative_slope=0.01,
)
Sigmoid = _activation("Sigmoid", F.sigmoid, "1 / (1 + e^-x).")
Tanh = _activation("Tanh", np.tanh, "tanh x.")
Softmax = _activation("Softmax", F.softmax, "exp(x) / sum(exp(x)) along `dim`.", dim=-1)
LogSoftmax = _activation("LogSoftmax", F.log_softmax, "log(softmax(x)) along `dim`.", dim=-1)
GELU = _activation("GELU", F.gelu, "x times the normal distribution function.", approximate="none")
SiLU = _activation("SiLU", F.silu, "x * sigmoid(x).")
ELU = _activation("ELU", F.elu, "x above zero, alpha (e^x - 1) below.", alpha=1.0)
Softplus = _activation("Softplus", lambda x, beta: F.softplus(x * beta) / beta, "log(1 + e^x).", beta=1.0)
LogSigmoid = _activation("LogSigmoid", F.log_sigmoid, "log(sigmoid(x)).")


class _Flat(Module):
    """An activation with derivative zero, which says so."""

    def __init__(self) -> None:
        super().__init__()
        frame = caller()
        warnings.warn_explicit(
            f"the derivative of {type(self).__name__} is zero wherever it exists: no gradient flows through it, and the layers "
            "before it will not learn. Use Sigmoid, ReLU or Softplus to train.",
            UserWarning,
            frame.f_code.co_filename if frame else __file__,
            frame.f_lineno if frame else 0,
        )


class Heaviside(_Flat):
    """0 below zero, 1 above, 1/2 at zero. Warns: nothing flows through it."""

    def forward(self, x: Any) -> Any:
        return heaviside(x, 0.5)


class Rect(_Flat):
    """1 within half a unit of zero, 0 outside. Warns: nothing flows through it."""

    def forward(self, x: Any) -> Any:
        return rect(x)
