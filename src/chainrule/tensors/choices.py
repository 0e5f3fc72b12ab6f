"""torch's functions that choose between entries, or mix several tensors: bounds, masks, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.recording import Handle, record
from ..ops import piecewise as pw
from ..trace.handles import constant_like, plain
from .elementwise import add, div, mul, require_numeric, require_real
from .promotion import CATEGORY, converted, number_dtype, result_type, together
from .storage import decided


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """x where the condition holds, y elsewhere; with the condition alone, where it holds."""
    if input is None and other is None:
        from .selection import nonzero

        return nonzero(condition, as_tuple=True)
    if condition.dtype.kind != "b":
        raise InputError(f"where expected condition to be a boolean tensor, but got {condition.dtype}", "compare first")
    a, b = together(input, other)
    if not isinstance(a, Handle) and not isinstance(b, Handle):  # two numbers
        dtype = result_type(a, b)
        a, b = dtype.type(a), dtype.type(b)
    return record(pw.where, (condition, a, b))


def _bounded(x: Any, low: Any, high: Any) -> Any:
    if low is not None:
        x = record(pw.where, (decided(pw.less, (x, low)), low, x))
    if high is not None:
        x = record(pw.where, (decided(pw.greater, (x, high)), high, x))
    return x


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """Kept between two bounds; at a bound the derivative is 1, as inside."""
    bounds = [b for b in (min, max) if b is not None]
    if not bounds:
        raise InputError("clamp: at least one of min or max must not be None")
    require_real("clamp", input)
    require_numeric("clamp", input)
    dtype = result_type(input, *bounds)
    low, high = (None if b is None else _typed(b, dtype) for b in (min, max))
    if any(b is not None and np.any(np.isnan(plain(b))) for b in (min, max)):
        return constant_like(input, np.full(input.shape, np.nan, dtype)[()]) + 0 * converted(input, dtype)
    return _bounded(converted(input, dtype), low, high)


def _typed(x: Any, dtype: Any) -> Any:
    return converted(x, dtype) if isinstance(x, (Handle, np.ndarray)) else dtype.type(x)


def clamp_min(input: Any, min: Any) -> Any:
    """At least `min`."""
    return clamp(input, min)


def clamp_max(input: Any, max: Any) -> Any:
    """At most `max`."""
    return clamp(input, None, max)


def nan_to_num(input: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    """Numbers in the place of NaN and infinities: 0, and the largest of the dtype, unless said."""
    if input.dtype.kind != "f":
        if input.dtype.kind == "c":
            raise InputError("nan_to_num of complex tensors is not supported")
        return input.clone()
    info = np.finfo(input.dtype)
    kind = input.dtype.type
    x = record(pw.where, (decided(pw.isnan, (input,)), kind(nan or 0), input))
    x = record(pw.where, (decided(pw.equal, (x, np.inf)), kind(info.max if posinf is None else posinf), x))
    return record(pw.where, (decided(pw.equal, (x, -np.inf)), kind(info.min if neginf is None else neginf), x))


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`value` where the mask holds."""
    if mask.dtype.kind != "b":
        raise InputError(
            f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype}", "compare first"
        )
    if number_dtype(value) is None and len(value.shape):
        raise InputError("masked_fill only supports a 0-dimensional value tensor", "use torch.where")
    kind = number_dtype(value) or value.dtype
    if CATEGORY[kind.kind] > CATEGORY[input.dtype.kind]:
        raise InputError(f"value of dtype {kind} cannot be put into a tensor of dtype {input.dtype}")
    return record(pw.where, (mask, _typed(value, input.dtype), input))


def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight (end - input)."""
    for x in (end, weight):
        if isinstance(x, Handle) and x.dtype != input.dtype:
            raise InputError(f"lerp: expected dtype {input.dtype} but got {x.dtype}", "convert one: x.to(y.dtype)")
    if input.dtype.kind not in "fc":
        raise InputError(f"lerp is not defined for tensors of dtype {input.dtype}")
    return input + weight * (end - input)


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """input + value tensor1 tensor2."""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """input + value tensor1 / tensor2."""
    if CATEGORY[result_type(tensor1, tensor2).kind] < 2:
        raise InputError("Integer division with addcdiv is no longer supported", "convert: x.float()")
    return add(input, div(tensor1, tensor2), alpha=value)
