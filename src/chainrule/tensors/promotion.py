"""The dtype of a result, as torch has it, and operands brought to it: written once, for operators, functions and methods.

A tensor with axes decides; within a category (bool, integer, float, complex) neither a tensor without axes nor a
number changes its dtype. Integers and floats meet in the dtype of the floats. NumPy's scalars count as numbers.
Source: torch's documentation, "Tensor Attributes"; c10/core/ScalarType.cpp and ATen/native/TypeProperties.cpp.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.recording import Handle, record
from ..ops.shape import cast
from .storage import decided

CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
SUPPORTED = frozenset(
    np.dtype(n)
    for n in ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"]
)  # fmt: skip
_COMPLEX_OF = {"float16": np.dtype("complex64"), "float32": np.dtype("complex64"), "float64": np.dtype("complex128")}


class Default:
    """The dtype that Python floats have, as `set_default_dtype` sets it."""

    dtype = np.dtype("float32")


def set_default_dtype(d: Any) -> None:
    """Make Python floats, and what is created without a dtype, float32 or float64."""
    wanted = dtype_named(d)
    if wanted.kind != "f":
        raise InputError(f"the default dtype must be floating point; got {wanted}", "choose float32 or float64")
    Default.dtype = wanted


def get_default_dtype() -> np.dtype[Any]:
    """The dtype of Python floats."""
    return Default.dtype


def dtype_named(x: Any) -> np.dtype[Any]:
    """A dtype that tensors can have."""
    if isinstance(x, str) or x is None:
        raise InputError(f"{x!r} is not a dtype", "write torch.float32, for instance")
    if x is float:
        return np.dtype("float64")
    try:
        found = np.dtype(x)
    except TypeError:
        raise InputError(f"{x!r} is not a dtype", "write torch.float32, for instance") from None
    if found not in SUPPORTED or not found.isnative:
        raise InputError(
            f"there are no tensors of dtype {found}", f"choose one of {', '.join(sorted(map(str, SUPPORTED)))}"
        )
    return found


def complex_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The complex dtype whose parts have this dtype."""
    return _COMPLEX_OF.get(dtype.name, dtype)


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """The dtype in which entries of two dtypes meet."""
    a, b = dtype_named(type1), dtype_named(type2)
    low, high = sorted((a, b), key=lambda d: CATEGORY[d.kind])
    if CATEGORY[high.kind] < 2 or CATEGORY[low.kind] >= 2:
        return np.promote_types(a, b)
    return high


def number_dtype(x: Any) -> np.dtype[Any] | None:
    """The dtype that a Python number, or NumPy scalar, stands for; None for anything else."""
    if isinstance(x, (bool, np.bool_)):
        return np.dtype(bool)
    if isinstance(x, (int, np.integer)):
        return np.dtype(np.int64)
    if isinstance(x, (float, np.floating)):
        return Default.dtype
    if isinstance(x, (complex, np.complexfloating)):
        return complex_of(Default.dtype)
    return None


def result_type(*operands: Any) -> np.dtype[Any]:
    """The dtype in which tensors and numbers meet."""
    groups: list[Any] = [None, None, None]  # tensors with axes, tensors without, numbers
    for x in operands:
        dtype = number_dtype(x)
        k = 2
        if dtype is None:
            if not isinstance(x, (Handle, np.ndarray)):
                raise InputError(f"a tensor cannot meet {type(x).__name__} {x!r:.60}", "make it a tensor first")
            dtype, k = x.dtype, 0 if len(x.shape) else 1
        groups[k] = dtype if groups[k] is None else promote_types(groups[k], dtype)
    found = groups[0]
    for lower in groups[1:]:
        found = _ranked(found, lower)
    return found


def _ranked(higher: Any, lower: Any) -> Any:
    """The dtype of a group after one of less weight has been met."""
    if higher is None or lower is None:
        return higher if lower is None else lower
    if CATEGORY[lower.kind] <= CATEGORY[higher.kind]:
        return higher
    if lower.kind == "c" and higher.kind == "f":
        return complex_of(higher)
    return promote_types(higher, lower)


def converted(x: Any, dtype: np.dtype[Any]) -> Any:
    """An operand in a dtype; a number stays one where it takes the dtype of what it meets anyway."""
    if isinstance(x, Handle):
        if x.dtype == dtype:
            return x
        return (record if dtype.kind in "fc" else decided)(cast, (x,), {"dtype": dtype})
    if isinstance(x, np.ndarray):
        return x.astype(dtype)
    if isinstance(x, (int, float)) and not isinstance(x, bool) and dtype.kind in "fc":
        return float(x)
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(dtype)[()]


def together(*operands: Any) -> list[Any]:
    """Operands in the dtype of their result."""
    dtype = result_type(*operands)
    return [converted(x, dtype) for x in operands]


def floating(*operands: Any) -> list[Any]:
    """Operands in the dtype of their result, integers in the default dtype: what division, `sin` and `mean` need."""
    dtype = result_type(*operands)
    dtype = Default.dtype if CATEGORY[dtype.kind] < 2 else dtype
    return [converted(x, dtype) for x in operands]


_HALF, _SINGLE = np.dtype("float16"), np.dtype("float32")


def wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that computes in float32 what is given and returned in float16, as torch does."""

    @functools.wraps(function)
    def through(input: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(input, Handle) or input.dtype != _HALF:
            return function(input, *args, **kwargs)
        given = [converted(x, _SINGLE) if isinstance(x, Handle) and x.dtype == _HALF else x for x in args]
        return _narrowed(function(converted(input, _SINGLE), *given, **kwargs))

    return through


def _narrowed(x: Any) -> Any:
    if isinstance(x, tuple):
        parts = [_narrowed(y) for y in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return converted(x, _HALF) if x.dtype == _SINGLE else x
