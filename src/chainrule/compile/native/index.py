"""Where entries lie: affine forms in loop variables, and how each moving operation maps an index of its result to its input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...ir.node import Node
from ...ir.op import Op
from ...ops import broadcasting as bc
from ...ops import shape as sh
from ...ops.indexing import getitem
from ...ops.windows import windows


class Affine(NamedTuple):
    """constant + sum of coefficient * variable; the variables are numbers of loops."""

    constant: int = 0
    terms: tuple[tuple[int, int], ...] = ()

    def __add__(self, other: Any) -> Affine:  # type: ignore[override]
        if isinstance(other, int):
            return Affine(self.constant + other, self.terms)
        merged = dict(self.terms)
        for v, c in other.terms:
            merged[v] = merged.get(v, 0) + c
        return Affine(self.constant + other.constant, tuple(sorted((v, c) for v, c in merged.items() if c)))

    def __mul__(self, factor: Any) -> Affine:  # type: ignore[override]
        if factor == 0:
            return ZERO
        return Affine(self.constant * factor, tuple((v, c * factor) for v, c in self.terms))

    def coefficient(self, v: int) -> int:
        """What variable v is multiplied by."""
        return dict(self.terms).get(v, 0)


ZERO = Affine()
Index = tuple[Affine, ...]


def variable(v: int) -> Affine:
    """Loop variable v itself."""
    return Affine(0, ((v, 1),))


def over(shape: Sequence[int]) -> Index:
    """The index whose entries run over a shape, one variable for each axis longer than one."""
    return tuple(variable(k) if n != 1 else ZERO for k, n in enumerate(shape))


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Entries to step over along each axis of a contiguous array."""
    result: list[int] = []
    step = 1
    for n in reversed(shape):
        result.append(step)
        step *= n
    return tuple(result[::-1])


def offset(index: Index, strides: Sequence[int]) -> Affine:
    """The address of an index, in entries."""
    total = ZERO
    for i, s in zip(index, strides, strict=True):
        total = total + i * s
    return total


def broadcast(index: Index, shape: Sequence[int]) -> Index:
    """The index of an operand of that shape, broadcast to where `index` points."""
    lead = len(index) - len(shape)
    return tuple(ZERO if n == 1 else index[lead + k] for k, n in enumerate(shape))


def _transposed(n: Node, index: Index, given: Sequence[int]) -> Index:
    result: list[Affine] = [ZERO] * len(given)
    for k, a in enumerate(n.params["axes"]):
        result[a] = index[k]
    return tuple(result)


def _flipped(n: Node, index: Index, given: Sequence[int]) -> Index:
    axis = n.params["axis"]
    axes = [a % len(given) for a in ((axis,) if isinstance(axis, int) else axis)]
    return tuple(index[k] * -1 + (m - 1) if k in axes and m != 1 else index[k] for k, m in enumerate(given))


def spaced(index: Index, params: Mapping[str, Any], lead: int) -> Index:
    """Where an entry of a window lies in the array that the windows are on, after `lead` axes without windows."""
    d = len(params["size"])
    inner, outer = index[lead : lead + d], index[lead + d :]
    steps = zip(outer, params["stride"], inner, params["dilation"], strict=True)
    return (*index[:lead], *(o * s + i * e for o, s, i, e in steps))


SOURCES: dict[Op, Callable[[Node, Index, Sequence[int]], Index | None]] = {
    bc.broadcast_to: lambda n, index, given: broadcast(index, given),
    bc.reshape: lambda n, index, given: _reshaped(index, n.shape, given),
    sh.transpose: _transposed,
    sh.flip: _flipped,
    getitem: lambda n, index, given: taken(n.params["index"], index, given),
    windows: lambda n, index, given: spaced(index, n.params, len(given) - len(n.params["size"])),
}
"""The index into the input (of shape `given`) of what only moves entries; None where it is not affine."""


def moves(n: Node) -> bool:
    """Whether a node only says where the entries of its one input are found."""
    return n.op in SOURCES and len(n.inputs) == 1


def source_index(n: Node, index: Index, given: Sequence[int]) -> Index | None:
    """The index into the input (of shape `given`) of a moving node; None where it is not affine."""
    return SOURCES[n.op](n, index, given)


def complete(template: tuple[Any, ...], ndim: int) -> list[Any]:
    """An index into an array of `ndim` axes with a part for each axis: the Ellipsis, or what is left out, written as slices."""
    parts = list(template)
    used = sum(1 for p in parts if p is not None and p is not Ellipsis)
    fill = [slice(None)] * (ndim - used)
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts[at : at + 1] = fill
    return parts


def taken(template: tuple[Any, ...], index: Index, given: Sequence[int]) -> Index:
    """The index into an array of shape `given` that a basic index (ints, slices, None, Ellipsis) points to."""
    result: list[Affine] = []
    rest = iter(index)
    axis = 0
    for p in complete(template, len(given)):
        if p is None:
            next(rest)
            continue
        n = given[axis]
        if isinstance(p, slice):
            start, stop, step = p.indices(n)
            i = next(rest)
            result.append(i * step + start if len(range(start, stop, step)) != 1 else Affine(start))
        else:
            result.append(Affine(int(p) % n))
        axis += 1
    return tuple(result)


def _reshaped(index: Index, shape: Sequence[int], given: Sequence[int]) -> Index | None:
    """Groups of axes with the same number of entries on both sides; within a group, several input axes cannot be told apart."""
    result: list[Affine] = []
    i = j = 0
    while i < len(given) or j < len(shape):
        a, b = i, j
        left = right = 1
        if i < len(given):
            left, i = given[i], i + 1
        if j < len(shape):
            right, j = shape[j], j + 1
        while left != right:
            if left < right and i < len(given):
                left, i = left * given[i], i + 1
            elif j < len(shape):
                right, j = right * shape[j], j + 1
            else:
                return None
        wide = [k for k in range(a, i) if given[k] != 1]
        if len(wide) > 1:
            return None
        flat = offset(index[b:j], strides_of(shape[b:j]))
        result += [flat if k in wide else ZERO for k in range(a, i)]
    return tuple(result)


def flat_index(index: Index, shape: Sequence[int]) -> Affine:
    """The position of an index among all entries in order."""
    return offset(index, strides_of(shape))


def count(shape: Sequence[int]) -> int:
    """The number of entries."""
    return math.prod(shape)
