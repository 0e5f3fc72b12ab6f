"""Bits of integers. On booleans NumPy's `&`, `|`, `^` and `~` are the logical operations."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .broadcasting import dtype_of
from .kinds import Elementwise
from .piecewise import logical_and, logical_not, logical_or, logical_xor


def _bits(name: str, value: Any, ufunc: Any, infix: tuple[str, int], logical: Elementwise | None = None) -> Elementwise:
    def variant(values: Sequence[Any]) -> Elementwise:
        return logical if logical is not None and all(dtype_of(v).kind == "b" for v in values) else op

    op = Elementwise(
        name,
        value,
        (None,) * ufunc.nin,
        numpy=(ufunc,),
        infix=infix,
        variant=variant,
        doc=f"The bits of integers: NumPy's {infix[0]}. Nothing flows.",
    )
    return op


bitwise_or = _bits("bitwise_or", operator.or_, np.bitwise_or, ("|", 6), logical_or)
bitwise_xor = _bits("bitwise_xor", operator.xor, np.bitwise_xor, ("^", 7), logical_xor)
bitwise_and = _bits("bitwise_and", operator.and_, np.bitwise_and, ("&", 8), logical_and)
left_shift = _bits("left_shift", operator.lshift, np.left_shift, ("<<", 9))
right_shift = _bits("right_shift", operator.rshift, np.right_shift, (">>", 9))
invert = _bits("invert", operator.invert, np.invert, ("~", 30), logical_not)
