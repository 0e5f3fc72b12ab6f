"""What shares memory with what, and how values lie in it: as the arrays of the same program in plain NumPy.

Two rules make NumPy's answers ours. A value in a graph lies in memory as the user's array would, so that NumPy's
`reshape` of it is a view or a copy as it would be there. And a body gets copies, in C order.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir import layout
from ..ir.deferred import Deferred, settled
from ..ir.node import NO_PARAMS, Node, Spec
from ..ir.op import constant
from ..ir.recording import Alone, Handle, record, state
from ..ops import arithmetic as ar


def as_seen(x: Handle) -> Any:
    """The array or scalar that NumPy would have where the user has `x`: under `vmap`, that of the first example."""
    value: Any = x
    batches = 0
    while isinstance(value, Handle):
        batches += getattr(value, "each", False)
        value = value.node.value
    if not batches:
        return value
    if not all(value.shape[:batches]):
        return np.empty(x.shape, x.dtype)
    first: tuple[Any, ...] = (0,) * batches
    if x._view is not None:  # an array even without axes, as scalars are never views
        first = (*first, Ellipsis)
    return Deferred(Spec.of(x), lambda: value.settle()[first]) if type(value) is Deferred else value[first]


def relaid(value: Any, strides: tuple[int, ...]) -> Any:
    """A node's value, lying in memory with these strides (of one example, under `vmap`)."""
    if isinstance(value, Handle):
        node = value.node
        inner = relaid(node.value, strides)
        if inner is node.value:
            return value
        if node.op is constant or not value.records:
            return type(value)(Node(node.op, (), node.params, inner))
        return type(value)(Node(ar.alias, (node,), NO_PARAMS, inner))
    if type(value) is Deferred:
        return Deferred(Spec.of(value), lambda: relaid(value.settle(), strides))
    x = np.asarray(value)
    if type(value) is np.ndarray and x.strides[x.ndim - len(strides) :] == strides:
        return value
    return layout.placed(x, strides)


def kept_layout(new: Any, old: Any) -> Any:
    """A node's new value, lying in memory as the old one does."""
    if type(old) is Deferred or type(new) is Deferred:
        if type(new) is Deferred and new.lies_as is old:
            return new
        return Deferred(Spec.of(new), lambda: relaid(settled(new), settled(old).strides), old)
    if type(old) is not np.ndarray or (type(new) is np.ndarray and new.strides == old.strides):
        return new
    return relaid(new, old.strides)


def own(x: Any) -> Any:
    """An argument or a result of a body: an array that nobody else holds, in C order; without axes, a scalar."""
    if isinstance(x, Handle):
        if not x.shape and type(x.node.value) is np.ndarray and x.records:
            return _another(x, x.node.value[()])
        return copied(x, "C")
    return np.array(x, order="C")[()] if isinstance(x, np.ndarray) else x


def copied(a: Handle, order: str = "K") -> Any:
    """A handle of its own with the value of `a`, lying in memory as NumPy's copy in that order."""
    value, seen = a.node.value, as_seen(a)
    if type(value) is Deferred:
        return _another(a, Deferred(Spec.of(value), lambda: layout.ordered(np.asarray(seen.settle()), order)))
    seen = settled(seen)
    return _another(a, relaid(value, layout.ordered(seen, order).strides) if type(seen) is np.ndarray else value)


def _another(a: Handle, value: Any) -> Any:
    """Another handle of the same numbers; under a node of its own, where the node belongs to the code around a body."""
    node = a.node
    if value is node.value and node.order >= state.body:
        return type(a)(node)
    if node.op is constant or not a.records:
        return type(a)(Node(node.op, (), node.params, value))
    return record(ar.alias, (a,), NO_PARAMS, value)


def overlapping(leaves: Sequence[Any]) -> list[tuple[int, int]]:
    """The pairs of arrays, plain or traced, that have memory in common: changing one changes the other."""
    groups: dict[int, list[int]] = {}
    for k, x in enumerate(leaves):
        if isinstance(x, np.ndarray):
            groups.setdefault(id(layout.root(x)), []).append(k)
        elif isinstance(x, Handle):
            groups.setdefault(id(owner(x)), []).append(k)
    pairs = [p for g in groups.values() if len(g) > 1 for p in itertools.combinations(g, 2)]
    return [(j, k) for j, k in pairs if _meet(leaves[j], leaves[k])]


def owner(x: Handle) -> Handle:
    """The handle whose memory a view is a part of; of what is no view, itself."""
    while x.tied and not isinstance(x._view, Alone):
        x = x._view.base  # type: ignore[union-attr]
    return x


def _meet(a: Any, b: Any) -> bool:
    a, b = (settled(as_seen(x)) if isinstance(x, Handle) else x for x in (a, b))
    return type(a) is np.ndarray and type(b) is np.ndarray and layout.overlap(a, b)


# ---- results of NumPy's functions --------------------------------------------------------------------------------

# Functions made here of other operations than NumPy makes them of, so that their results could lie otherwise.
IN_C_ORDER = (np.take, np.repeat, np.tensordot, np.inner, np.dot, np.cross, np.array, np.take_along_axis)
AS_ASKED = (np.sort, np.median)  # NumPy itself is asked


def lying(version: Callable[..., Any], functions: Sequence[Any]) -> Callable[..., Any]:
    """A traced version of NumPy's functions whose results lie in memory as NumPy's."""
    if not functions or functions[0] not in (*IN_C_ORDER, *AS_ASKED):
        return version

    @functools.wraps(version)
    def lies(*args: Any, **options: Any) -> Any:
        result = version(*args, **options)
        if isinstance(result, Handle) and len(result.shape) > 1 and result._view is None:
            _lay(result, functions[0], args, options)
        return result

    return lies


def _lay(result: Handle, function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Put a result that nobody else holds yet where NumPy would put it; of arrays in C order, that is C order."""
    asked = function in AS_ASKED
    if _in_order(result) and (not asked or all(map(_in_order, args))):
        return

    def seen(tree: Any) -> Any:
        return map_nested(lambda x: as_seen(x) if isinstance(x, Handle) else x, tree)

    def strides() -> tuple[int, ...]:
        plain = map_nested(settled, given) if asked else ()
        if all(a.flags.c_contiguous for a in plain if isinstance(a, np.ndarray) and a.ndim > 1):
            return layout.ordered(settled(made), "C").strides
        with np.errstate(all="ignore"):
            return function(*plain, **{k: map_nested(settled, seen(v)) for k, v in options.items()}).strides

    given, made, node = seen(args) if asked else (), as_seen(result), result.node
    value = node.value
    if type(value) is Deferred:
        node.value = Deferred(Spec.of(value), lambda: relaid(value.settle(), strides()))
    else:
        node.value = relaid(value, strides())


def _in_order(x: Any) -> bool:
    """Whether an argument is known, at a glance, to lie in C order, or has no order."""
    if isinstance(x, (list, tuple)):
        return all(map(_in_order, x))
    value = x.node.value if isinstance(x, Handle) else x
    return not isinstance(value, (Handle, Deferred)) and (type(value) is not np.ndarray or value.flags.c_contiguous)


def map_nested(f: Callable[[Any], Any], tree: Any) -> Any:
    """Nested lists and tuples with `f` of what stands in them."""
    return type(tree)(map_nested(f, t) for t in tree) if isinstance(tree, (list, tuple)) else f(tree)
