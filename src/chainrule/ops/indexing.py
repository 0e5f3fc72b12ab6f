"""Reading and writing parts of arrays.

An index is a tuple of ints, slices, None, Ellipsis, and `HERE` wherever an array stands; the arrays follow as inputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .broadcasting import dtype_of, reshape, shape_text, sum_to
from .kinds import Linear
from .piecewise import equal


class _Here:
    def __repr__(self) -> str:
        return "HERE"


HERE: Any = _Here()
Index = tuple[Any, ...]
ROWS, COLUMNS, MASK = np.array([0, 2, 0]), np.array([1, 1, 3]), np.arange(12).reshape(3, 4) % 3 == 0
INDICES = (  # (index, its arrays, the shape of what it takes from an array of shape (3, 4))
    ((1,), (), (4,)),
    ((Ellipsis, 2), (), (3,)),
    ((slice(None), slice(3, 0, -1)), (), (3, 3)),
    ((None, 1, slice(0, 2)), (), (1, 2)),
    ((HERE, HERE), (ROWS, COLUMNS), (3,)),
    ((HERE,), (ROWS,), (3, 4)),
    ((HERE,), (MASK,), (4,)),
    ((slice(None), HERE), (np.array([[0, 1], [3, 2]]),), (3, 2, 2)),
    ((slice(0, 0),), (), (0, 4)),
)


def filled(index: Index, arrays: tuple[Any, ...]) -> Index:
    """The index with its arrays put back."""
    rest = iter(arrays)
    return tuple(next(rest) if k is HERE else k for k in index)


def index_text(index: Index, arrays: list[Any]) -> str:
    """The index as it is written between brackets."""
    rest = iter(arrays)

    def part(k: Any) -> str:
        if k is HERE:
            return str(next(rest))
        if isinstance(k, slice):
            ends = [("" if e is None else str(e)) for e in (k.start, k.stop)]
            return ":".join(ends) + (f":{k.step}" if k.step is not None else "")
        return "..." if k is Ellipsis else str(k)

    return ", ".join(part(k) for k in index) or "()"


def as_written(index: Index, arrays: list[Any]) -> str:
    """The index as the value of an argument."""
    text = index_text(index, arrays)
    return f"np.s_[{text}]"


def _scatter(v: Any, *arrays: Any, index: Index, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.asarray(v).dtype)
    np.add.at(out, filled(index, arrays), v) if arrays else out.__setitem__(index, v)
    return out


def _set(x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    out = np.array(x, copy=True)
    out[filled(index, arrays)] = v
    return out


def _add(x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    out = np.array(x, copy=True)
    np.add.at(out, filled(index, arrays), v)
    return out


def _set_back(i: int, ct: Any, x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    if i == 0:
        return index_set(ct, 0, *arrays, index=index)
    taken = getitem(ct, *arrays, index=index)
    if any(dtype_of(a).kind in "iu" for a in arrays):  # an entry written twice keeps the last write
        number = np.arange(math.prod(np.shape(taken))).reshape(np.shape(taken))
        writer = index_set(np.full(np.shape(x), -1), number, *arrays, index=index)
        taken = taken * equal(getitem(writer, *arrays, index=index), number)
    return _to_written(taken, np.shape(v))


def _to_written(taken: Any, shape: tuple[int, ...]) -> Any:
    """The cotangent of what was written, of that shape; NumPy drops axes of length one in front of it."""
    more = max(0, len(shape) - np.ndim(taken))
    found = sum_to(taken, shape[more:])
    return reshape(found, shape=shape) if more else found


def _add_back(i: int, ct: Any, x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    if i == 0:
        return ct
    return _to_written(getitem(ct, *arrays, index=index), np.shape(v))


getitem = Linear(
    "getitem",
    lambda x, *arrays, index: x[filled(index, arrays)],
    lambda i, ct, x, *arrays, index: scatter(ct, *arrays, index=index, shape=np.shape(x)),
    inputs=1,
    text=lambda args, node: f"{args[0].atom}[{index_text(node.params['index'], args[1:])}]",
    latex=lambda args, node: f"{args[0].atom}_{{{index_text(node.params['index'], args[1:])}}}",
    examples=tuple((((3, 4), *arrays), {"index": index}) for index, arrays, _ in INDICES),
    view=True,
    public=False,
)
scatter = Linear(
    "scatter",
    _scatter,
    lambda i, ct, v, *arrays, index, shape: sum_to(getitem(ct, *arrays, index=index), np.shape(v)),
    inputs=1,
    text=lambda args, node: (
        f"scatter({args[0]}, {as_written(node.params['index'], args[1:])}, {shape_text(node.params['shape'])})"
    ),
    prelude="""\
def scatter(v, index, shape):
    out = np.zeros(shape, np.asarray(v).dtype)
    np.add.at(out, index, v)
    return out
""",
    examples=tuple(((taken, *arrays), {"index": index, "shape": (3, 4)}) for index, arrays, taken in INDICES),
    public=False,
    doc="Zeros of a shape, with values added at an index.",
)
index_set = Linear(
    "index_set",
    _set,
    _set_back,
    joint=True,
    inputs=2,
    text=lambda args, node: f"index_set({args[0]}, {as_written(node.params['index'], args[2:])}, {args[1]})",
    prelude="""\
def index_set(x, index, v):
    x = np.array(x)
    x[index] = v
    return x
""",
    examples=tuple((((3, 4), taken, *arrays), {"index": index}) for index, arrays, taken in INDICES),
    public=False,
    doc="A copy of an array with the entries at an index replaced.",
)
index_add = Linear(
    "index_add",
    _add,
    _add_back,
    joint=True,
    inputs=2,
    text=lambda args, node: f"index_add({args[0]}, {as_written(node.params['index'], args[2:])}, {args[1]})",
    prelude="""\
def index_add(x, index, v):
    x = np.array(x)
    np.add.at(x, index, v)
    return x
""",
    examples=tuple((((3, 4), taken, *arrays), {"index": index}) for index, arrays, taken in INDICES),
    public=False,
    doc="A copy of an array with values added at an index, repeated entries counted each time.",
)
