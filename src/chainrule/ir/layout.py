"""Where the entries of an array lie in memory.

Whether NumPy's `reshape` is a view or a copy depends on it, so the values in a graph lie as the user's arrays would.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

Strides = tuple[int, ...]


def placed(x: np.ndarray[Any, Any], strides: Strides) -> np.ndarray[Any, Any]:
    """The same numbers in memory of their own, the last axes with these strides; axes in front lie outside of them."""
    lead = x.ndim - len(strides)
    steps = list(zip(strides, x.shape[lead:], strict=True))
    if any(s == 0 and n > 1 for s, n in steps):  # entries that share memory cannot be written one by one
        return np.array(x)
    low = sum(s * (n - 1) for s, n in steps if s < 0 and n)
    high = sum(s * (n - 1) for s, n in steps if s > 0 and n)
    outer: list[int] = []
    size = high - low + x.itemsize
    for n in reversed(x.shape[:lead]):
        outer.insert(0, size)
        size *= n
    room = np.empty(size, np.uint8)
    made = np.ndarray(x.shape, x.dtype, room, -low, (*outer, *strides))
    made[...] = x
    return made


def copied(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy that lies in memory as the array does, gaps included."""
    y = np.array(x)
    return y if y.strides == x.strides else placed(x, x.strides)


def ordered(x: np.ndarray[Any, Any], order: Any) -> np.ndarray[Any, Any]:
    """What NumPy's copy in an order ("C", "F", "A" or "K") is; the array itself where that lies as it does."""
    if order == "C" and x.flags.c_contiguous:
        return x
    y = x.copy(order=order)
    return x if y.strides == x.strides else y


def overlap(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays have an entry in common; yes where that takes long to find out."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=10_000)  # pyright: ignore[reportArgumentType]
    except (np.exceptions.TooHardError, OverflowError):
        return True


def alone(x: np.ndarray[Any, Any], others: Container[int]) -> bool:
    """Whether an array that was computed has its memory to itself: no view, to be written, and none of the others (by `id`)."""
    return x.base is None and x.flags.writeable and id(x) not in others


def root(x: Any) -> Any:
    """The object that holds the memory of an array: arrays with different ones do not overlap."""
    while isinstance(x, np.ndarray) and x.base is not None:
        x = x.base
    return x
