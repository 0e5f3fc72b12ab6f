"""Batching: one call on many examples at once.

A `Batched` handle stands for one example and holds all of them, along a leading axis. Every operation on it is carried
out by the same operation on the whole; how follows from the kind of the operation, since axes are counted from the end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError, ShapeError, TraceError
from ..ir.graph import Bundle
from ..ir.node import Node
from ..ir.op import Op
from ..ir.recording import Handle, setting, state
from ..ops import Composite, Elementwise
from ..ops import indexing as ix
from ..ops import linalg as la
from ..ops import shape as sh
from ..ops.broadcasting import broadcast_to, reshape
from ..ops.structured import Structured
from ..trace import functions as fn
from ..trace.array import Array, array_at
from ..trace.tree import flatten, unflatten
from .checkpointing import checkpoint

batched = Op("batched", lambda: None, public=False, doc="A value for every example of a batch, or one for all of them.")
EACH, SAME = {"each": True}, {"each": False}


class Batched(Array):
    """One example of a batch, as the function under `vmap` sees it."""

    __slots__ = ()

    records = False
    length = 0

    @classmethod
    def of(cls, value: Any, each: bool) -> Batched:
        """A handle for `value`: with a leading axis for the examples, or the same for all."""
        return cls(Node(batched, (), EACH if each else SAME, value))

    @property
    def each(self) -> bool:
        """Whether the examples have values of their own."""
        return self.node.params is EACH

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.node.shape
        return shape[1:] if self.each else shape

    @property
    def value(self) -> Any:
        if self.each:
            raise self._differs("its value is asked for")
        return self.node.value

    def _differs(self, why: str) -> TraceError:
        return TraceError(
            f"under vmap, {why}, and it can differ between the examples",
            "use np.where, or operations instead of values",
        )

    def _common(self, why: str) -> Any:
        """The value that all examples share."""
        values = _bottom(self.node.value)
        if not self.each:
            return values
        if len(values) and np.all(values == values[:1]):
            return values[0]
        raise self._differs(why)

    def __bool__(self) -> bool:
        return bool(self._common("a branch is taken on a value"))

    def __int__(self) -> int:
        return int(self._common("a value is used as an integer"))

    def __index__(self) -> int:
        return int(self._common("a value is used as an index"))

    def __repr__(self) -> str:
        return f"Batched(shape={self.shape}, examples={self.length})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def item(self) -> NoReturn:
        raise self._differs("item() is asked for")

    @classmethod
    def bind(cls, op: Op, args: Sequence[Any], params: Any) -> Batched:
        """Carry out an operation, at least one of whose inputs is one of these."""
        values: list[Any] = []
        each: list[bool] = []
        for a in args:
            mine = isinstance(a, Handle) and a.rank == cls.rank
            values.append(a.node.value if mine else a)
            each.append(mine and a.node.params is EACH)
        if not any(each):
            return cls.of(op(*values, **params), False)  # type: ignore[operator]
        rule = RULES.get(op.name) or BY_KIND.get(type(op), one_by_one)
        return cls.of(rule(op, values, each, dict(params), cls.length), True)


def _bottom(x: Any) -> Any:
    while isinstance(x, Handle):
        x = x.node.value
    return x


# ---- rules ---------------------------------------------------------------------------------------------------

Rule = Callable[[Any, list[Any], list[bool], dict[str, Any], int], Any]


def _ndim(x: Any, each: bool) -> int:
    return len(np.shape(x)) - each


def lifted(x: Any, each: bool, ndim: int) -> Any:
    """A batched value with axes of length one behind its batch axis, so that its examples have `ndim` axes."""
    missing = ndim - _ndim(x, each)
    if not each or missing <= 0:
        return x
    shape = np.shape(x)
    return reshape(x, shape=(shape[0], *(1,) * missing, *shape[1:]))


def spread(x: Any, each: bool, n: int) -> Any:
    """A value for each of `n` examples."""
    return x if each else broadcast_to(x, shape=(n, *np.shape(x)))


def elementwise(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Broadcasting aligns axes from the end; the batch axis stays in front."""
    ndim = max(map(_ndim, values, each))
    return op(*map(lifted, values, each, (ndim,) * len(values)), **params)


def along(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Operations whose axes are counted from the end work as they are, once every input has the batch axis."""
    return op(*(spread(v, e, n) for v, e in zip(values, each, strict=True)), **params)


def body(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A composite of the user's: batch what it is made of."""
    return _mapped(lambda *args: op.body(*args, **params), values, each)


def one_by_one(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Any operation: for one example after another."""
    results = [op(*(v[k] if e else v for v, e in zip(values, each, strict=True)), **params) for k in range(n)]
    if isinstance(results[0], tuple):
        return Bundle(sh.stack(*r, axis=-1 - np.ndim(r[0])) for r in zip(*results, strict=True))
    return sh.stack(*results, axis=-1 - np.ndim(results[0]))


def _mapped(f: Callable[..., Any], values: list[Any], each: list[bool]) -> Any:
    return vmap(f, in_axes=tuple(0 if e else None for e in each))(*values)


def _reshape(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(values[0], shape=(n, *params["shape"]))


def _transpose(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(values[0], axes=(-len(params["axes"]) - 1, *params["axes"]))


def _broadcast(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(lifted(values[0], True, len(params["shape"])), shape=(n, *params["shape"]))


def _pad(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(values[0], width=((0, 0), *params["width"]))


def _search(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    axis = params.get("axis")
    if axis is None:
        return op(reshape(values[0], shape=(n, int(np.prod(np.shape(values[0])[1:])))), axis=-1)
    return op(values[0], axis=axis if axis < 0 else axis + 1)


def _matmul(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Vectors become matrices with one row or column; then the batch axes broadcast.

    A batch of vectors times one matrix is a product of two matrices.
    """
    (a, b), (na, nb) = values, map(_ndim, values, each)
    if na == 1 and nb == 2 and not each[1]:
        return op(a, b)
    if na == 2 and nb == 1 and not each[0]:
        return op(b, la.matrix_transpose(a))
    if na == 1:
        a = reshape(a, shape=(*np.shape(a)[:-1], 1, np.shape(a)[-1]))
    if nb == 1:
        b = reshape(b, shape=(*np.shape(b), 1))
    ndim = max(na, nb, 2)
    out = op(lifted(a, each[0], ndim), lifted(b, each[1], ndim))
    shape = np.shape(out)
    tail = (() if na == 1 else shape[-2:-1]) + (() if nb == 1 else shape[-1:])
    return out if na > 1 and nb > 1 else reshape(out, shape=(*shape[:-2], *tail))


def _outer(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    left, right = (("z" if e else "") + letter for e, letter in zip(each, "ij", strict=True))
    return la.einsum(*values, subscripts=f"{left},{right}->zij")


def _einsum(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    inputs, output = params["subscripts"].split("->")
    letter = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in params["subscripts"])
    terms = [letter * e + t for t, e in zip(inputs.split(","), each, strict=True)]
    return op(*values, subscripts=f"{','.join(terms)}->{letter}{output}")


# ---- indexing ------------------------------------------------------------------------------------------------


def _index(template: tuple[Any, ...], arrays: list[Any], each: list[bool], n: int) -> tuple[tuple[Any, ...], list[Any]]:
    """The index of the whole batch, its batch axis in front, for arrays that stand together or are the same for all."""
    if not any(each) and _adjacent(template):
        return (slice(None), *template), arrays
    if any(np.asarray(_bottom(a)).dtype == bool and e for a, e in zip(arrays, each, strict=True)):
        raise TraceError(
            "indexing with a mask that differs between examples has no fixed shape under vmap",
            "use np.where(mask, x, 0)",
        )
    expanded: list[Any] = []
    flags: list[bool] = []
    slots: list[Any] = []
    rest = iter(zip(arrays, each, strict=True))
    for part in template:
        if part is not ix.HERE:
            slots.append(part)
            continue
        a, e = next(rest)
        found = np.nonzero(a) if np.asarray(_bottom(a)).dtype == bool else (a,)
        slots += [ix.HERE] * len(found)
        expanded += found
        flags += [e] * len(found)
    ndim = max(map(_ndim, expanded, flags))
    lead = np.arange(n).reshape(n, *(1,) * ndim)
    return (ix.HERE, *slots), [lead, *(lifted(a, e, ndim) for a, e in zip(expanded, flags, strict=True))]


def _adjacent(template: tuple[Any, ...]) -> bool:
    """Whether the arrays of an index stand next to each other, so that their axes stay in their place."""
    kinds = [part is ix.HERE or isinstance(part, (int, np.integer)) for part in template]
    if not any(part is ix.HERE for part in template):
        return True
    first, last = kinds.index(True), len(kinds) - kinds[::-1].index(True)
    return all(kinds[first:last])


def _front(template: tuple[Any, ...]) -> bool:
    """Whether the axes of the arrays come first in what is taken."""
    return not _adjacent(template) or template[0] is ix.HERE


def _getitem(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    x, *arrays = values
    template = params["index"]
    if each[0] and not any(each[1:]) and _adjacent(template):
        return op(x, *arrays, index=(slice(None), *template))
    if not _front(template):
        return one_by_one(op, values, each, params, n)
    index, arrays = _index(template, arrays, each[1:] or [False], n)
    return op(spread(x, each[0], n), *arrays, index=index)


def _scatter(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    v, *arrays = values
    template = params["index"]
    if (any(each[1:]) and not _front(template)) or not _adjacent(template):
        return one_by_one(op, values, each, params, n)
    index, arrays = _index(template, arrays, each[1:], n)
    return op(spread(v, each[0], n), *arrays, index=index, shape=(n, *params["shape"]))


def _write(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    x, v, *arrays = values
    template = params["index"]
    if (any(each[2:]) and not _front(template)) or not _adjacent(template):
        return one_by_one(op, values, each, params, n)
    index, arrays = _index(template, arrays, each[2:], n)
    x = spread(x, each[0], n)
    probe = np.empty(np.shape(x), bool)[ix.filled(index, tuple(_bottom(a) for a in arrays))]
    return op(x, lifted(v, each[1], probe.ndim - 1), *arrays, index=index)


def _call(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A checkpointed call: its body is batched, and stays checkpointed where it is recorded."""

    def run(*args: Any) -> list[Any]:
        return _mapped(lambda *xs: params["graph"].replay(xs), list(args), each)

    return Bundle(checkpoint(run)(*values))


def _pick(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return values[0][params["index"]]


def _loop(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A loop of a fixed number of steps: one loop over the whole batch."""
    return Bundle(_mapped(lambda *xs: list(op.value(*xs, **params)), values, each))


RULES: dict[str, Rule] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast,
    "pad": _pad,
    "argmax": _search,
    "argmin": _search,
    "argsort": _search,
    "matmul": _matmul,
    "outer": _outer,
    "einsum": _einsum,
    "getitem": _getitem,
    "scatter": _scatter,
    "index_set": _write,
    "index_add": _write,
    "cast": elementwise,
    "pick": _pick,
    "scan": _loop,
    **dict.fromkeys(("sum", "concatenate", "stack", "flip", "roll", "tril", "triu", "cumsum"), along),
    **dict.fromkeys(
        ("mean", "prod", "var", "std", "reduce_max", "reduce_min", "logsumexp", "softmax", "log_softmax"), along
    ),
}
BY_KIND: dict[type[Op], Rule] = {Elementwise: elementwise, Composite: body, Structured: _call}


# ---- vmap ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _batched_at(level: int, length: int) -> type[Batched]:
    return type("Batched", (Batched,), {"__slots__": (), "rank": 10 * level - 5, "length": length})


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function of one example, applied to a batch of them at once.

    Args:
        f: a function of numbers, arrays or trees of them.
        in_axes: the axis of the examples in each argument, None for an argument that they share; one for all, or a
            tuple with one for each argument (a tree of them for a tree). Keyword arguments are mapped along axis 0.
        out_axes: where the axis of the examples goes in the result; one for all, or a tree. None for a result that is
            the same for every example.

    Returns:
        A function that takes arguments with the additional axis.

    Raises:
        ShapeError: the arguments have different numbers of examples.
        TraceError: Python code takes a branch on a value that differs between the examples.

    >>> vmap(lambda x, y: x @ y, in_axes=(0, None))(np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise InputError(
                f"vmap: in_axes has {len(axes)} entries for {len(args)} arguments", "give one for each argument"
            )
        leaves, treedef = flatten((args, kwargs))
        where = [a for arg, axis in zip(args, axes, strict=True) for a in _axes_of(arg, axis)]
        where += [0] * (len(leaves) - len(where))
        length = _length(leaves, where)
        level = state.level + 1
        kind = _batched_at(level, length)
        given = [x if a is None else kind.of(_to_front(x, a), True) for x, a in zip(leaves, where, strict=True)]
        new_args, new_kwargs = unflatten(treedef, given)
        with setting(level=level, depth=0, array=array_at(level)):
            result = f(*new_args, **new_kwargs)
        results, result_tree = flatten(result)
        targets = _axes_of(result, out_axes)
        with setting(level=level):
            out = [_collected(r, a, kind) for r, a in zip(results, targets, strict=True)]
        return unflatten(result_tree, out)

    return mapped


def _axes_of(tree: Any, axis: Any) -> list[Any]:
    """An axis for every leaf of a tree, from one for all or from a tree of axes."""
    if axis is None or isinstance(axis, (int, np.integer)):
        return [axis] * len(flatten(tree)[0])
    if isinstance(tree, dict) and isinstance(axis, dict):
        return [a for k, v in tree.items() for a in _axes_of(v, axis.get(k))]
    if isinstance(tree, (tuple, list)) and isinstance(axis, (tuple, list)) and len(tree) == len(axis):
        return [a for v, x in zip(tree, axis, strict=True) for a in _axes_of(v, x)]
    raise InputError(
        f"vmap: the axes {axis!r} do not fit the structure of {type(tree).__name__}",
        "give an int, None, or a tree of the same structure",
    )


def _length(leaves: list[Any], where: list[Any]) -> int:
    found: dict[int, int] = {}
    for k, (x, a) in enumerate(zip(leaves, where, strict=True)):
        if a is None:
            continue
        shape = np.shape(x)
        if not -len(shape) <= a < len(shape):
            raise ShapeError(
                f"vmap: argument leaf {k + 1} of shape {shape} has no axis {a}",
                "give its axis in in_axes, or None if it is shared",
            )
        found[k] = shape[a]
    if not found:
        raise InputError("vmap: no argument is mapped", "give at least one argument an axis")
    if len(set(found.values())) > 1:
        sizes = ", ".join(f"leaf {k + 1}: {n}" for k, n in found.items())
        raise ShapeError(f"vmap: the arguments have different numbers of examples ({sizes})", "check in_axes")
    return next(iter(found.values()))


def _to_front(x: Any, axis: int) -> Any:
    n = len(np.shape(x))
    if not isinstance(x, Handle):
        return np.moveaxis(np.asarray(x), axis, 0)
    return x if axis % n == 0 else fn.moveaxis(x, axis, 0)


def _collected(r: Any, axis: Any, kind: type[Batched]) -> Any:
    """A result with its examples along an axis."""
    while isinstance(r, Handle) and r.rank > kind.rank:
        r = r.node.value
    each = False
    if isinstance(r, Handle) and r.rank == kind.rank:
        r, each = r.node.value, r.node.params is EACH
    if axis is None:
        if each:
            raise InputError("vmap: out_axes is None for a result that differs between the examples", "give its axis")
        return r
    r = spread(r, each, kind.length)
    if axis not in (0, -len(np.shape(r))):
        r = fn.moveaxis(r, 0, axis) if isinstance(r, Handle) else np.moveaxis(r, 0, axis)
    return r if isinstance(r, Handle) or each else np.array(r)
