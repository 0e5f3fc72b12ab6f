"""Convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from . import functional as F
from .functional.shared import lengths
from .layers import _uniform, empty
from .module import Module
from .settings import module_of


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
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise InputError(
                f"there is no padding_mode {padding_mode!r}", "choose zeros, reflect, replicate or circular"
            )
        if in_channels % groups or out_channels % groups:
            raise InputError(f"{groups} groups do not divide {in_channels} and {out_channels} channels")
        if padding == "same" and stride not in (1, (1,) * self.dims):
            raise InputError("padding='same' needs stride 1", "give the padding as a number")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = lengths(kernel_size, self.dims)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = empty(*shape, device=device, dtype=dtype)
        self.register_parameter("bias", empty(out_channels, dtype=dtype) if bias else None)
        _uniform(self, in_channels // groups * math.prod(self.kernel_size))

    def forward(self, input: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._widths(), self.padding_mode), 0
        return type(self).function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _widths(self) -> list[int]:
        """How much is added on each side, the last axis first."""
        if self.padding == "same":
            spans = [(k - 1) * e for k, e in zip(self.kernel_size, lengths(self.dilation, self.dims), strict=True)]
            return [w for s in reversed(spans) for w in (s // 2, s - s // 2)]
        return [w for p in reversed(lengths(0 if self.padding == "valid" else self.padding, self.dims)) for w in (p, p)]

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


def _pool(name: str, function: Callable[..., Any]) -> Any:
    return module_of(name, function, str(function.__doc__), __name__)


MaxPool1d, MaxPool2d = (
    module_of(
        name,
        function,
        str(function.__doc__),
        __name__,
        order=("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"),
    )
    for name, function in (("MaxPool1d", F.max_pool1d), ("MaxPool2d", F.max_pool2d))
)
AvgPool1d, AvgPool2d = _pool("AvgPool1d", F.avg_pool1d), _pool("AvgPool2d", F.avg_pool2d)
AdaptiveAvgPool1d = _pool("AdaptiveAvgPool1d", F.adaptive_avg_pool1d)
AdaptiveAvgPool2d = _pool("AdaptiveAvgPool2d", F.adaptive_avg_pool2d)
