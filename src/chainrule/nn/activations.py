"""Activations as modules: a table of functions, and the few that have something to say."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..errors import caller
from ..ops.piecewise import heaviside, rect
from . import functional as F
from .module import Module, Parameter
from .settings import module_of


def _activation(name: str, function: Any) -> type[Module]:
    return module_of(name, function, str(function.__doc__), __name__)


ReLU, ReLU6, SELU, SiLU = (
    _activation("ReLU", F.relu), _activation("ReLU6", F.relu6), _activation("SELU", F.selu), _activation("SiLU", F.silu)
)  # fmt: skip
LeakyReLU, ELU, CELU = _activation("LeakyReLU", F.leaky_relu), _activation("ELU", F.elu), _activation("CELU", F.celu)
Sigmoid, Tanh = _activation("Sigmoid", F.sigmoid), _activation("Tanh", F.tanh)
LogSigmoid, Softsign, Tanhshrink = (
    _activation("LogSigmoid", F.logsigmoid), _activation("Softsign", F.softsign), _activation("Tanhshrink", F.tanhshrink)
)  # fmt: skip
Softmax, LogSoftmax, Softmin = (
    _activation("Softmax", F.softmax), _activation("LogSoftmax", F.log_softmax), _activation("Softmin", F.softmin)
)  # fmt: skip
GELU, GLU, Softplus = _activation("GELU", F.gelu), _activation("GLU", F.glu), _activation("Softplus", F.softplus)
Mish, Hardswish, Hardsigmoid = (
    _activation("Mish", F.mish), _activation("Hardswish", F.hardswish), _activation("Hardsigmoid", F.hardsigmoid)
)  # fmt: skip
Hardtanh, Threshold = _activation("Hardtanh", F.hardtanh), _activation("Threshold", F.threshold)


class PReLU(Module):
    """x above zero, a trained weight times x below. Source: He et al., 2015."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        from .layers import empty

        self.num_parameters, self.init = num_parameters, init
        made = empty(num_parameters, device=device, dtype=dtype)
        self.weight = Parameter(np.full(num_parameters, init, made.dtype))

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


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
