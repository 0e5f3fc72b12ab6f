"""What layers and losses as functions share: values for checks, reductions, torch's older arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError
from ...ir.recording import Handle
from ...tensors.operators import in_place
from ...tensors.promotion import dtype_named
from ...tensors.tensor import Tensor


def value_of(x: Any) -> Any:
    """What is known of a value while tracing, for checks that must not become part of the program."""
    while isinstance(x, Handle):
        x = x.node.value
    return x


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array or a traced value; quicker than `np.shape` of a tensor."""
    return x.node.shape if x.__class__ is Tensor else np.shape(x)


def changed(function: Callable[[Any], Any], input: Any, inplace: bool) -> Any:
    """A function of the input, put into it where that is asked for."""
    if not inplace:
        return function(input)
    if isinstance(input, Tensor):
        return in_place(function, input, (), {})
    if isinstance(input, Handle):
        input.assign(function(input))  # type: ignore[attr-defined]
        return input
    np.copyto(input, function(input))
    return input


def cast_to(input: Any, dtype: Any) -> Any:
    """The input in another dtype, where one is given."""
    if dtype is None:
        return input
    return input.to(dtype) if isinstance(input, Tensor) else input.astype(dtype_named(dtype))


def axis_in(input: Any, dim: int) -> int:
    """An axis as a negative int."""
    n = np.ndim(input)
    if not -n <= dim < n:
        raise ShapeError(f"there is no axis {dim} in shape {tuple(np.shape(input))}")
    return dim % n - n


def lengths(x: Any, d: int) -> tuple[int, ...]:
    """One length for each of d axes."""
    found = (x,) * d if isinstance(x, int) else tuple(x)
    if len(found) == 1:
        found = found * d
    if len(found) != d:
        raise ShapeError(f"{x!r}: give one number, or {d}")
    return found


def by_channel(v: Any, input: Any) -> Any:
    """A value for each channel, broadcast along (batch, channels, ...)."""
    return np.reshape(v, (-1,) + (1,) * (np.ndim(input) - 2))


_SINGLE, _DOUBLE = np.dtype("float32"), np.dtype("float64")


def of_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose first argument must be float32 or float64, where it is a tensor."""
    name = function.__name__

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        x: Any = args[0] if args else None
        if x.__class__ is Tensor:
            dtype = x.node.dtype
            if dtype is not _SINGLE and dtype not in (_SINGLE, _DOUBLE):
                raise InputError(f"{name} is not implemented for {dtype}", "convert the input: x.float()")
        return function(*args, **kwargs)

    return checked


def reduction_of(size_average: Any, reduce: Any, reduction: str) -> str:
    """The reduction, as it is given today or by the two arguments that it replaced."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def reduced(values: Any, reduction: str) -> Any:
    """`mean`, `sum` or `none` of the losses."""
    if reduction == "mean":
        return np.mean(values)
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise InputError(f"there is no reduction {reduction!r}", "choose mean, sum or none")


def same_shape(name: str, input: Any, target: Any) -> None:
    """Raise unless two have one shape."""
    if shape_of(input) != shape_of(target):
        raise ShapeError(
            f"{name}: the input has shape {shape_of(input)}, the target {shape_of(target)}",
            "make them equal: broadcasting here is nearly always a mistake; reshape the target, for instance y[:, None]",
        )


def unweighted(name: str, weight: Any) -> None:
    """Raise where weights are given that are not supported."""
    if weight is not None:
        raise InputError(f"{name}: weight= is not supported", "multiply the losses: reduction='none'")


def tail_shape(name: str, input: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """The last axes that a normalisation is over, checked."""
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    n = len(wanted)
    if not n or tuple(np.shape(input)[-n:]) != wanted:
        raise ShapeError(f"{name}: the input {tuple(np.shape(input))} does not end in {wanted}")
    return tuple(range(-n, 0))
