"""Initial values of parameters, in place, under torch's names. Every function returns the tensor it fills."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..tensors.creation import Generator, as_tensor, default_generator
from ..tensors.modes import no_grad
from ..tensors.tensor import Tensor

_GAINS = {
    "linear": 1.0,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 0.75,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the size of what flows through a nonlinearity; for ReLU sqrt(2), since
    E[ReLU(a)^2] = E[a^2] / 2. Source: He et al., 2015.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise InputError(
            f"no gain is known for {nonlinearity!r}", f"choose one of {', '.join([*_GAINS, 'leaky_relu'])}"
        )
    return _GAINS[nonlinearity]


def fans(tensor: Any) -> tuple[int, int]:
    """How many entries feed one unit, and how many units one entry feeds. Weights are (out, in, *window)."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ShapeError(f"the fan of a tensor of shape {shape} is not defined", "use it on weights, not on biases")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _fill(tensor: Tensor, values: Any) -> Tensor:
    with no_grad():
        return tensor.copy_(as_tensor(np.asarray(values).astype(tensor.dtype)))


def _numbers(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).numbers


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every entry the same."""
    return _fill(tensor, np.full(tensor.shape, val))


def zeros_(tensor: Tensor) -> Tensor:
    """Every entry zero."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every entry one."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if len(tensor.shape) != 2:
        raise ShapeError("eye_: Only tensors with 2 dimensions are supported")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform from a to b."""
    return _fill(tensor, _numbers(generator).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with a mean and a standard deviation."""
    return _fill(tensor, _numbers(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal with a mean and a standard deviation, within the bounds a and b."""
    from scipy.stats import truncnorm

    low, high = (a - mean) / std, (b - mean) / std
    return _fill(tensor, truncnorm.rvs(low, high, mean, std, tuple(tensor.shape), random_state=_numbers(generator)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform with standard deviation gain sqrt(2 / (fan_in + fan_out)). Source: Glorot and Bengio, 2010."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)). Source: Glorot and Bengio, 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def _kaiming(fill: Callable[..., Tensor], uniform: bool) -> Callable[..., Tensor]:
    def kaiming(
        tensor: Tensor,
        a: float = 0.0,
        mode: str = "fan_in",
        nonlinearity: str = "leaky_relu",
        generator: Generator | None = None,
    ) -> Tensor:
        if mode not in ("fan_in", "fan_out"):
            raise InputError(f"there is no mode {mode!r}", "choose fan_in or fan_out")
        std = calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])
        if uniform:
            return fill(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator)
        return fill(tensor, 0.0, std, generator)

    kaiming.__name__ = f"kaiming_{'uniform' if uniform else 'normal'}_"
    kaiming.__doc__ = (
        f"{'Uniform' if uniform else 'Normal'} with standard deviation gain / sqrt(fan). Source: He et al., 2015."
    )
    return kaiming


kaiming_uniform_, kaiming_normal_ = _kaiming(uniform_, True), _kaiming(normal_, False)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """A matrix with orthonormal rows or columns, times gain. Source: Saxe et al., 2013."""
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    flat = _numbers(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q = q * np.sign(np.diag(r))
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


__all__ = [
    "calculate_gain", "constant_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "orthogonal_",
    "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip
