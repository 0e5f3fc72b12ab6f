"""Reading and writing parts of arrays.

An index is a tuple of ints, slices, None, Ellipsis, and `HERE` wherever an array stands; the arrays follow as inputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir.deferred import settled
from ..ir.node import Spec
from ..ir.recording import bottom
from . import shapes
from .broadcasting import dtype_of, lifted, reshape, shape_text, spread, sum_to
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


def index_tuple(index: Any, arrays: list[Any]) -> str:
    """An index as the text of a tuple."""
    rest = iter(arrays)
    parts = [str(next(rest)) if k is HERE else "..." if k is Ellipsis else repr(k) for k in index]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _torch_getitem(args: list[Any], node: Any) -> str:
    index = node.params["index"]
    if any(isinstance(k, slice) and (k.step or 1) < 0 for k in index):  # torch has no negative steps
        return f"take({args[0]}, {index_tuple(index, args[1:])})"
    return f"{args[0].atom}[{index_text(index, args[1:])}]"


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


# ---- batches ----------------------------------------------------------------------------------------------------


def _index(template: tuple[Any, ...], arrays: list[Any], each: list[bool], n: int) -> tuple[tuple[Any, ...], list[Any]]:
    """The index of the whole batch, its batch axis in front, for arrays that stand together or are the same for all."""
    if not any(each) and _adjacent(template):
        return (slice(None), *template), arrays
    if any(np.asarray(bottom(a)).dtype == bool and e for a, e in zip(arrays, each, strict=True)):
        raise TraceError(
            "indexing with a mask that differs between examples has no fixed shape under vmap",
            "use np.where(mask, x, 0)",
        )
    expanded: list[Any] = []
    flags: list[bool] = []
    slots: list[Any] = []
    rest = iter(zip(arrays, each, strict=True))
    for part in template:
        if part is not HERE:
            slots.append(part)
            continue
        a, e = next(rest)
        found = np.nonzero(a) if np.asarray(bottom(a)).dtype == bool else (a,)
        slots += [HERE] * len(found)
        expanded += found
        flags += [e] * len(found)
    ndim = max(np.ndim(x) - e for x, e in zip(expanded, flags, strict=True))
    lead = np.arange(n).reshape(n, *(1,) * ndim)
    return (HERE, *slots), [lead, *(lifted(a, e, ndim) for a, e in zip(expanded, flags, strict=True))]


def _adjacent(template: tuple[Any, ...]) -> bool:
    """Whether the arrays of an index stand next to each other, so that their axes stay in their place."""
    kinds = [part is HERE or isinstance(part, (int, np.integer)) for part in template]
    if not any(part is HERE for part in template):
        return True
    first, last = kinds.index(True), len(kinds) - kinds[::-1].index(True)
    return all(kinds[first:last])


def _front(template: tuple[Any, ...]) -> bool:
    """Whether the axes of the arrays come first in what is taken."""
    return not _adjacent(template) or template[0] is HERE


def _getitem_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    x, *arrays = values
    template = params["index"]
    if each[0] and not any(each[1:]) and _adjacent(template):
        return op(x, *arrays, index=(slice(None), *template))
    if not _front(template):
        return None
    index, arrays = _index(template, arrays, each[1:] or [False], n)
    return op(spread(x, each[0], n), *arrays, index=index)


def _scatter_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    v, *arrays = values
    template = params["index"]
    if (any(each[1:]) and not _front(template)) or not _adjacent(template):
        return None
    index, arrays = _index(template, arrays, each[1:], n)
    return op(spread(v, each[0], n), *arrays, index=index, shape=(n, *params["shape"]))


def _write_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    x, v, *arrays = values
    template = params["index"]
    if (any(each[2:]) and not _front(template)) or not _adjacent(template):
        return None
    index, arrays = _index(template, arrays, each[2:], n)
    x = spread(x, each[0], n)
    probe = np.empty(np.shape(x), bool)[filled(index, tuple(bottom(a) for a in arrays))]
    more = np.ndim(v) - each[1] - (probe.ndim - 1)
    if more > 0:  # NumPy drops axes of length one in front of what is written
        shape = np.shape(v)
        v = reshape(v, shape=shape[:1] + shape[1 + more :] if each[1] else shape[more:])
    return op(x, lifted(v, each[1], probe.ndim - 1), *arrays, index=index)


def _taken(op: Any, values: Any, params: Any) -> Spec | None:
    x = Spec.of(values[0])
    arrays = tuple(settled(v) for v in values[1:])
    if any(np.asarray(a).dtype.kind == "b" for a in arrays):
        return None
    empty = np.broadcast_to(np.zeros((), np.int8), x.shape)
    return Spec(empty[filled(params["index"], arrays)].shape, x.dtype)


def _placed(node: Any, k: int) -> tuple[Any, Any]:
    """Where each entry of what is added at an index goes; an entry may be added in several places, and several in one."""
    whole = np.arange(math.prod(node.shape))
    if node.op is index_add and k == 0:
        return whole, whole
    places = whole.reshape(node.shape)[filled(node.params["index"], tuple(node.values[k + 1 :]))]
    given = np.shape(node.values[k])
    entries = np.arange(math.prod(given)).reshape(given[max(0, len(given) - places.ndim) :])
    return places.reshape(-1), np.broadcast_to(entries, places.shape).reshape(-1)


def _getitem_adds(whole: Any, ct: Any, *arrays: Any, index: Any) -> None:
    if arrays:
        np.add.at(whole, filled(index, arrays), ct)
    else:
        whole[index] += ct


getitem = Linear(
    "getitem",
    lambda x, *arrays, index: x[filled(index, arrays)],
    lambda i, ct, x, *arrays, index: scatter(ct, *arrays, index=index, shape=np.shape(x)),
    inputs=1,
    adds=_getitem_adds,
    text=lambda args, node: f"{args[0].atom}[{index_text(node.params['index'], args[1:])}]",
    latex=lambda args, node: f"{args[0].atom}_{{{index_text(node.params['index'], args[1:])}}}",
    moves=True,
    shape=_taken,
    batch=_getitem_batch,
    word="part",
    examples=tuple((((3, 4), *arrays), {"index": index}) for index, arrays, _ in INDICES),
    view=True,
    public=False,
    torch=_torch_getitem,
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
    cost=0,
    pattern=_placed,
    shape=shapes.given,
    batch=_scatter_batch,
    examples=tuple(((taken, *arrays), {"index": index, "shape": (3, 4)}) for index, arrays, taken in INDICES),
    public=False,
    doc="Zeros of a shape, with values added at an index.",
    torch=lambda args, node: (
        f"index_add(torch.zeros({shape_text(node.params['shape'])}, dtype={args[0].atom}.dtype), "
        f"{index_tuple(node.params['index'], args[1:])}, {args[0]})"
    ),
    jax=lambda args, node: (
        f"jnp.zeros({shape_text(node.params['shape'])}, jnp.asarray({args[0]}).dtype).at[{index_tuple(node.params['index'], args[1:])}].add({args[0]})"
    ),
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
    moves=True,
    shape=shapes.like_first,
    batch=_write_batch,
    examples=tuple((((3, 4), taken, *arrays), {"index": index}) for index, arrays, taken in INDICES),
    public=False,
    doc="A copy of an array with the entries at an index replaced.",
    torch=lambda args, node: f"index_set({args[0]}, {index_tuple(node.params['index'], args[2:])}, {args[1]})",
    jax=lambda args, node: f"jnp.asarray({args[0]}).at[{index_tuple(node.params['index'], args[2:])}].set({args[1]})",
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
    pattern=_placed,
    shape=shapes.like_first,
    batch=_write_batch,
    examples=tuple((((3, 4), taken, *arrays), {"index": index}) for index, arrays, taken in INDICES),
    public=False,
    doc="A copy of an array with values added at an index, repeated entries counted each time.",
    torch=lambda args, node: f"index_add({args[0]}, {index_tuple(node.params['index'], args[2:])}, {args[1]})",
    jax=lambda args, node: f"jnp.asarray({args[0]}).at[{index_tuple(node.params['index'], args[2:])}].add({args[1]})",
)
