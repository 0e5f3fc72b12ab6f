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
from ..ir import layout
from ..ir.entering import entering
from ..ir.node import Node
from ..ir.op import Op
from ..ir.recording import Handle, bottom, setting, state
from ..ops.broadcasting import spread
from ..trace import functions as fn
from ..trace.array import Array, array_at
from ..trace.bodies import body
from ..trace.calls import called
from ..trace.memory import own
from ..trace.tree import flatten, unflatten

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
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
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
        values = bottom(self.node.value)
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
        way: Any = WAYS.get(op.batch) or op.batch  # pyright: ignore[reportArgumentType]
        if not callable(way):
            raise InputError(
                f"{op.name} is declared to be batched {way!r}, which is no way to batch",
                f"name one of {', '.join(map(repr, WAYS))}, or give a function",
            )
        result = way(op, values, each, params, cls.length)
        return cls.of(WAYS["one by one"](op, values, each, params, cls.length) if result is None else result, True)


# The ways that a declaration calls by name, where it has no rule of its own: in `chainrule.diff.batch_rules`.
WAYS: dict[str, Callable[[Any, list[Any], list[bool], Any, int], Any]] = {}


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
        leaves = list(map(entering, leaves))
        where = [a for arg, axis in zip(args, axes, strict=True) for a in _axes_of(arg, axis)]
        where += [0] * (len(leaves) - len(where))
        length = _length(leaves, where)
        level = state.level + 1
        kind = _batched_at(level, length)
        fronts = [x if a is None else _to_front(x, a) for x, a in zip(leaves, where, strict=True)]
        with body(f, level=level, depth=0, array=array_at(level)) as around:
            given = [own(x) if a is None else own(kind.of(x, True)) for x, a in zip(fronts, where, strict=True)]
            new_args, new_kwargs = unflatten(treedef, given)
            result = called(f, new_args, new_kwargs)
        results, result_tree = flatten(result)
        targets = _axes_of(result, out_axes)
        others = set(map(id, (*fronts, *around)))
        out: list[Any] = []
        with setting(level=level):
            for r, a in zip(results, targets, strict=True):
                out.append(_collected(r, a, kind, others))
                others.add(id(out[-1]))
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


def _collected(r: Any, axis: Any, kind: type[Batched], others: set[int]) -> Any:
    """A result with its examples along an axis; it shares memory with no other array."""
    computed = isinstance(r, Handle)
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
    if computed and type(r) is np.ndarray and r.flags.c_contiguous and layout.alone(r, others):
        return r
    return own(r) if isinstance(r, (Handle, np.ndarray)) else np.array(r)
