"""Axes as torch's users write them, and what the operations take: negative ints, sorted."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError


class Size(tuple[int, ...]):
    """The lengths of a tensor's axes."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self))

    def __getitem__(self, k: Any) -> Any:
        found = super().__getitem__(k)
        return Size(found) if isinstance(found, tuple) else found

    def __add__(self, other: Any) -> Any:
        return Size(super().__add__(tuple(other)))

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"


def axis_of(input: Any, dim: Any) -> int:
    """One axis, counted from the end; a tensor without axes has one that does not matter."""
    n = max(len(input.shape), 1)
    try:
        k = operator.index(dim)
    except TypeError:
        raise InputError(f"dim must be an integer; got {dim!r}") from None
    if not -n <= k < n:
        raise ShapeError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {k})")
    return k if k < 0 else k - n


def axes_of(input: Any, dim: Any) -> tuple[int, ...]:
    """The axes to reduce: all for None and for ()."""
    n = len(input.shape)
    if dim is None or (isinstance(dim, Sequence) and not dim):
        return tuple(range(-n, 0))
    found = [axis_of(input, d) for d in (dim if isinstance(dim, Sequence) else (dim,))]
    if len(set(found)) < len(found):
        raise ShapeError(f"dim {dim} appears multiple times in the list of dims")
    return tuple(sorted(found)) if n else ()


def sizes_of(sizes: Sequence[Any]) -> tuple[int, ...]:
    """Lengths given one by one or as one sequence."""
    given = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
    try:
        return tuple(operator.index(n) for n in given)
    except TypeError:
        raise InputError(f"lengths must be integers; got {given!r}") from None
