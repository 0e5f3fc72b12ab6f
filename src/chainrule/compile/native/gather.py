"""Indexing with arrays: where entries lie whose places are read from memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.node import Node, Spec
from ...ops.indexing import HERE
from .index import Affine, Index, broadcast, complete, strides_of
from .memory import Unsupported


def moved(index: Index, axis: int, by: int) -> Index:
    """The index further along one axis."""
    return tuple(i + by if k == axis else i for k, i in enumerate(index))


def example(template: tuple[Any, ...], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index with zeros in the place of its arrays, to learn the shape of what it takes."""
    rest = iter(arrays)
    return tuple(
        np.zeros(np.shape(a) if type(a := next(rest)) is not Node else a.shape, int) if k is HERE else k
        for k in template
    )


def taking(template: tuple[Any, ...], arrays: Sequence[Any], given: Sequence[int]) -> tuple[int, ...]:
    """The shape of what an index takes from an array of shape `given`."""
    return np.broadcast_to(np.int8(0), tuple(given))[example(template, arrays)].shape


def gathered(
    template: tuple[Any, ...], arrays: Sequence[Any], index: Index, given: Sequence[int]
) -> tuple[Affine, tuple[Any, ...]]:
    """Where an index with integer arrays points in an array of shape `given`: a start, and (array, its index, length, stride)
    for each axis that an array gives.

    Raises:
        Unsupported: boolean arrays, or arrays apart from each other.
    """
    for a in arrays:
        if Spec.of(a.value if type(a) is Node else a).dtype.kind not in "iu":
            raise Unsupported("native code has no boolean index")
    parts = complete(template, len(given))
    fancy = [k for k, p in enumerate(parts) if p is HERE or isinstance(p, (int, np.integer))]
    if fancy != list(range(fancy[0], fancy[-1] + 1)) or any(p is None for p in parts):
        raise Unsupported("native code has no index arrays apart from each other")
    shapes = [a.shape if type(a) is Node else np.shape(a) for a in arrays]
    common = np.broadcast_shapes(*shapes)
    lead = fancy[0]
    inner = index[lead : lead + len(common)]
    strides = strides_of(given)
    start = Affine()
    at: list[Any] = []
    rest = iter(zip(arrays, shapes, strict=True))
    position = 0
    for axis, p in enumerate(parts):
        if axis == lead:
            position += len(common)
        if p is HERE:
            a, shape = next(rest)
            at.append((a, broadcast(inner, shape), given[axis], strides[axis]))
        elif isinstance(p, slice):
            first, _, step = p.indices(given[axis])
            start = start + (index[position] * step + first) * strides[axis]
            position += 1
        else:
            start = start + (int(p) % given[axis]) * strides[axis]
    return start, tuple(at)
