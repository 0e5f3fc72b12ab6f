"""Convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from . import functional as F
from .layers import _uniform, empty
from .module import Module


class _Conv(Module):
    dims: int
    function: Callable[..., Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise InputError(f"{groups} groups do not divide {in_channels} and {out_channels} channels")
        if padding == "same" and stride not in (1, (1,) * self.dims):
            raise InputError("padding='same' needs stride 1", "give the padding as a number")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = F._lengths(kernel_size, self.dims)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = empty(out_channels, in_channels // groups, *self.kernel_size)
        self.register_parameter("bias", empty(out_channels) if bias else None)
        _uniform(self, in_channels // groups * math.prod(self.kernel_size))

    def forward(self, x: Any) -> Any:
        return type(self).function(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
            + (f", padding={self.padding}" if self.padding else "")
            + (f", groups={self.groups}" if self.groups > 1 else "")
        )


class Conv1d(_Conv):
    """Cross-correlation of (batch, in_channels, length); `weight` is (out, in / groups, size)."""

    dims, function = 1, staticmethod(F.conv1d)


class Conv2d(_Conv):
    """Cross-correlation of (batch, in_channels, height, width); `weight` is (out, in / groups, height, width)."""

    dims, function = 2, staticmethod(F.conv2d)


class _Pool(Module):
    function: Callable[..., Any]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Any) -> Any:
        return type(self).function(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride or self.kernel_size}, padding={self.padding}"


class MaxPool1d(_Pool):
    """The largest entry of every window of (batch, channels, length)."""

    function = staticmethod(F.max_pool1d)


class MaxPool2d(_Pool):
    """The largest entry of every window of (batch, channels, height, width)."""

    function = staticmethod(F.max_pool2d)


class AvgPool1d(_Pool):
    """The mean of every window of (batch, channels, length)."""

    function = staticmethod(F.avg_pool1d)


class AvgPool2d(_Pool):
    """The mean of every window of (batch, channels, height, width)."""

    function = staticmethod(F.avg_pool2d)


class AdaptiveAvgPool2d(Module):
    """Means over a grid of windows that divide the image evenly."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
