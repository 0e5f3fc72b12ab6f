"""Convolution, pooling and padding as functions: what looks at windows of an image or a sequence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError
from ...ops.piecewise import logical_or, where
from ...ops.shape import pad as _pad
from ...ops.windows import windows
from ...trace.handles import dtype_of
from .shared import by_channel, lengths, of_floats

# ---- padding -----------------------------------------------------------------------------------------------------

_SOURCE: dict[str, Callable[[Any, int], Any]] = {  # which entry of n stands at a place outside
    "reflect": lambda k, n: (n - 1) - np.abs((n - 1) - np.abs(k)),
    "replicate": lambda k, n: np.clip(k, 0, n - 1),
    "circular": lambda k, n: k % n,
}


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Entries added around: `pad` is (left, right) of the last axis, then of the one before. Negative numbers cut off."""
    if len(pad) % 2 or len(pad) > 2 * np.ndim(input):
        raise ShapeError(f"pad: {tuple(pad)} is not a pair for each of some axes of {tuple(np.shape(input))}")
    pairs = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)][::-1]
    whole = ((0, 0),) * (np.ndim(input) - len(pairs)) + tuple(pairs)
    if mode == "constant":
        return _constant(input, whole, 0.0 if value is None else value)
    if mode not in _SOURCE:
        raise InputError(f"pad: there is no mode {mode!r}", "choose constant, reflect, replicate or circular")
    if value is not None and value != 0:
        raise InputError(f"pad: padding mode {mode!r} doesn't take in value argument")
    if min(pad, default=0) < 0:
        raise InputError(f"pad: negative padding is not supported with mode {mode!r}", "cut the input: x[..., a:b]")
    for axis, (low, high) in enumerate(whole):
        n = np.shape(input)[axis]
        if (low, high) == (0, 0):
            continue
        if (mode == "reflect" and max(low, high) >= n) or (mode == "circular" and max(low, high) > n):
            raise ShapeError(f"pad: the padding {low, high} is too large for an axis of length {n} with mode {mode!r}")
        input = np.take(input, _SOURCE[mode](np.arange(-low, n + high), n), axis=axis)
    return input


def _constant(x: Any, whole: tuple[tuple[int, int], ...], value: float) -> Any:
    if any(w < 0 for pair in whole for w in pair):
        shape = np.shape(x)
        x = x[tuple(slice(max(0, -low), n - max(0, -high)) for (low, high), n in zip(whole, shape, strict=True))]
        whole = tuple((max(0, low), max(0, high)) for low, high in whole)
    y = _pad(x, width=whole)
    if value == 0:
        return y
    return y + np.pad(np.zeros(np.shape(x), dtype_of(x)), whole, constant_values=value)


def _around(padding: Any, d: int) -> list[int]:
    """A padding for each of the last d axes, as `pad` takes it."""
    return [w for p in reversed(lengths(padding, d)) for w in (p, p)]


# ---- convolution -------------------------------------------------------------------------------------------------


def _conv(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, d: int) -> Any:
    if np.ndim(x) == d + 1:
        return _conv(x[None], weight, bias, stride, padding, dilation, groups, d)[0]
    size = np.shape(weight)[2:]
    stride, dilation = lengths(stride, d), lengths(dilation, d)
    if np.ndim(x) != d + 2 or np.shape(x)[1] != np.shape(weight)[1] * groups:
        raise ShapeError(
            f"conv{d}d: the input has shape {tuple(np.shape(x))}, the weight {tuple(np.shape(weight))} with {groups} groups takes "
            f"(batch, {np.shape(weight)[1] * groups}, {', '.join(['length'] if d == 1 else ['height', 'width'])})",
        )
    if np.shape(weight)[0] % groups:
        raise ShapeError(f"conv{d}d: {groups} groups do not divide {np.shape(weight)[0]} channels")
    if padding == "same":
        if stride != (1,) * d:
            raise InputError("padding='same' is not supported for strided convolutions", "give the padding as a number")
        spans = [(k - 1) * e for k, e in zip(size, dilation, strict=True)]
        widths = [w for s in reversed(spans) for w in (s // 2, s - s // 2)]
    else:
        widths = _around(0 if padding == "valid" else padding, d)
    x = pad(x, widths) if any(widths) else x
    spans = [(k - 1) * e + 1 for k, e in zip(size, dilation, strict=True)]
    if any(n < s for n, s in zip(np.shape(x)[2:], spans, strict=True)):
        raise ShapeError(
            f"conv{d}d: the kernel ({tuple(spans)}) can't be greater than the input ({tuple(np.shape(x)[2:])})"
        )
    columns = windows(x, size=tuple(size), stride=stride, dilation=dilation)  # (batch, channels, *size, *positions)
    batch, channels = np.shape(x)[:2]
    out = np.shape(columns)[-d:]
    inner = math.prod(size) * channels // groups
    order = (1, *range(2, 2 + d), 0, *range(2 + d, 2 + 2 * d))
    columns = np.reshape(np.transpose(columns, order), (groups, inner, batch * math.prod(out)))
    kernel = np.reshape(weight, (groups, np.shape(weight)[0] // groups, inner))
    y = kernel[0] @ columns[0] if groups == 1 else kernel @ columns
    y = np.reshape(y, (np.shape(weight)[0], batch, *out))
    y = np.transpose(y, (1, 0, *range(2, 2 + d)))
    return y if bias is None else y + by_channel(bias, y)


@of_floats
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Cross-correlation along one axis. input: (batch, in, length), weight: (out, in / groups, size)."""
    return _conv(input, weight, bias, stride, padding, dilation, groups, 1)


@of_floats
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Cross-correlation along two axes. input: (batch, in, height, width), weight: (out, in / groups, height, width)."""
    return _conv(input, weight, bias, stride, padding, dilation, groups, 2)


# ---- pooling -----------------------------------------------------------------------------------------------------


def _refused(name: str, ceil_mode: bool, return_indices: bool = False) -> None:
    if ceil_mode or return_indices:
        raise InputError(f"{name}: ceil_mode and return_indices are not supported", "pad the input instead")


def _checked(name: str, x: Any, size: Any, stride: Any, padding: Any, dilation: Any, d: int) -> tuple[Any, ...]:
    """The settings of a pooling, one length for each axis."""
    size = lengths(size, d)
    stride = size if stride is None or (isinstance(stride, Sequence) and not stride) else lengths(stride, d)
    padding, dilation = lengths(padding, d), lengths(dilation, d)
    if np.ndim(x) not in (d + 1, d + 2):
        raise ShapeError(f"{name}: expected {d + 1} or {d + 2} axes, got {tuple(np.shape(x))}")
    if any(2 * p > k for p, k in zip(padding, size, strict=True)):
        raise InputError(f"{name}: pad should be at most half of effective kernel size: {padding}, {size}")
    if min(stride) < 1:
        raise InputError(f"{name}: stride should not be zero")
    n = [m + 2 * p - ((k - 1) * e + 1) for m, p, k, e in zip(np.shape(x)[-d:], padding, size, dilation, strict=True)]
    if min(n) < 0:
        raise ShapeError(f"{name}: the output would be empty: windows {size} in {tuple(np.shape(x))}")
    return size, stride, padding, dilation, [m // s + 1 for m, s in zip(n, stride, strict=True)]


def _largest(name: str, x: Any, size: Any, stride: Any, padding: Any, dilation: Any, d: int) -> Any:
    """The largest entry of every window; the derivative goes to the first of those that tie, as in torch."""
    size, stride, padding, dilation, count = _checked(name, x, size, stride, padding, dilation, d)
    if any(padding):
        x = pad(x, _around(padding, d), value=-np.inf)
    found: Any = None
    for at in itertools.product(*map(range, size)):
        cut = tuple(
            slice(a * e, a * e + s * (n - 1) + 1, s) for a, e, s, n in zip(at, dilation, stride, count, strict=True)
        )
        part = x[(Ellipsis, *cut)]
        found = part if found is None else where(logical_or(part > found, part != part), part, found)
    return found


@of_floats
def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest entry of every window of (batch, channels, length); at a tie the first has the derivative."""
    _refused("max_pool1d", ceil_mode, return_indices)
    return _largest("max_pool1d", input, kernel_size, stride, padding, dilation, 1)


@of_floats
def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest entry of every window of (batch, channels, height, width); at a tie the first has the derivative."""
    _refused("max_pool2d", ceil_mode, return_indices)
    return _largest("max_pool2d", input, kernel_size, stride, padding, dilation, 2)


def _mean(name: str, x: Any, size: Any, stride: Any, padding: Any, include: bool, divisor: int | None, d: int) -> Any:
    size, stride, padding, _, _ = _checked(name, x, size, stride, padding, 1, d)
    axes = tuple(range(-2 * d, -d))
    options: dict[str, Any] = {"size": size, "stride": stride, "dilation": (1,) * d}
    if not any(padding):
        found = windows(x, **options)
        return np.mean(found, axis=axes) if divisor is None else np.sum(found, axis=axes) / divisor
    total = np.sum(windows(pad(x, _around(padding, d)), **options), axis=axes)
    if divisor is None and not include:
        ones = np.pad(np.ones(np.shape(x)[-d:], dtype_of(x)), [(p, p) for p in padding])
        return total / np.sum(windows(ones, **options), axis=axes)
    return total / (divisor or math.prod(size))


@of_floats
def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """The mean of every window of (batch, channels, length)."""
    _refused("avg_pool1d", ceil_mode)
    return _mean("avg_pool1d", input, kernel_size, stride, padding, count_include_pad, None, 1)


@of_floats
def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of every window of (batch, channels, height, width)."""
    _refused("avg_pool2d", ceil_mode)
    if divisor_override == 0:
        raise InputError("avg_pool2d: divisor must be not zero")
    return _mean("avg_pool2d", input, kernel_size, stride, padding, count_include_pad, divisor_override, 2)


def _spans(n: int, parts: int) -> list[tuple[int, int]]:
    """The windows that divide n places into so many parts; where they do not divide evenly they overlap by one."""
    return [(k * n // parts, -(-(k + 1) * n // parts)) for k in range(parts)]


@of_floats
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Means over so many windows that divide the axis."""
    return _adaptive("adaptive_avg_pool1d", input, output_size, 1)


@of_floats
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means over a grid of windows that divide the image."""
    return _adaptive("adaptive_avg_pool2d", input, output_size, 2)


def _adaptive(name: str, input: Any, output_size: Any, d: int) -> Any:
    wanted = (
        (output_size,) * d if not isinstance(output_size, Sequence) else tuple(output_size) * (d // len(output_size))
    )
    space = np.shape(input)[-d:]
    out = tuple(n if o is None else o for n, o in zip(space, wanted, strict=True))
    if np.ndim(input) not in (d + 1, d + 2):
        raise ShapeError(f"{name}: expected {d + 1} or {d + 2} axes, got {tuple(np.shape(input))}")
    if all(o and n % o == 0 for n, o in zip(space, out, strict=True)):
        size = tuple(n // o for n, o in zip(space, out, strict=True))
        return _mean(name, input, size, None, 0, True, None, d)
    for axis, (n, o) in enumerate(zip(space, out, strict=True), -d):
        means = np.zeros((n, o), dtype_of(input))
        for k, (a, b) in enumerate(_spans(n, o)):
            means[a:b, k] = 1 / (b - a)
        input = np.swapaxes(np.swapaxes(input, axis, -1) @ means, axis, -1)
    return input
