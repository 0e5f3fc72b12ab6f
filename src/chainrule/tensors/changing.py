"""Tensors changed in place: a tensor moves to a new node, and what was recorded from the old one has lost its values."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..errors import DerivativeError, InputError, ShapeError
from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant, variable
from ..ir.recording import View, record, setting, state
from ..ops import arithmetic as ar
from ..ops.shape import cast as to_dtype
from ..trace.handles import dtype_of, written
from .operators import collects
from .promotion import CATEGORY
from .storage import Shared, overwrite, tracing
from .views import a_view


def may_change(x: Any) -> Node:
    """The node to be replaced by an in-place operation, where one is allowed."""
    node = x.node
    require_tied(x)
    if state.recording:
        if collects(node):
            raise DerivativeError(
                "a leaf Variable that requires grad is being used in an in-place operation",
                "do it inside `with torch.no_grad():`",
            )
        base: Any = x
        while a_view(base._view):
            base = base._view.base
        if base is not x and collects(base.node):
            raise DerivativeError(
                "a view of a leaf Variable that requires grad is being used in an in-place operation",
                "do it inside `with torch.no_grad():`, or change a copy: x.clone()",
            )
    return node


def become(x: Any, new: Any, old: Node) -> None:
    """Take the value and the history of `new` in place; what was recorded from the node `old` has lost its values."""
    shape, dtype = old.shape, old.dtype
    if new.shape != shape:
        raise ShapeError(
            f"output with shape {list(shape)} doesn't match the broadcast shape {list(new.shape)}",
            "write x = x + y instead of x += y",
        )
    if new.dtype != dtype:
        if CATEGORY[new.dtype.kind] > CATEGORY[dtype.kind]:
            raise InputError(
                f"result type {new.dtype} can't be cast to the desired output type {dtype}",
                "write x = x + y instead of x += y, or convert first",
            )
        new = record(to_dtype, (new,), {"dtype": dtype})
    tie: Any = x._view
    if a_view(tie):
        if getattr(tie, "read_only", False):
            raise InputError(
                f"writing into the result of {tie.op.name} is not supported, though torch writes through it",
                "write into the tensor itself, by an index",
            )
        base = tie.base
        x._node = old
        base.become(written(tie, new), base.node)
        tie.seen = None  # read anew: NumPy may hold the memory
        overwrite(old)
        return
    node = new.node
    if collects(old):
        node = Node(variable, (), old.params, node.value)
    elif not state.recording and old.op is not constant and not tracing():
        node = Node(ar.alias, (old,), NO_PARAMS, node.value)  # the history stays as it was
    elif node is old or node.op is variable:
        node = Node(constant, (), NO_PARAMS, node.value)
    move(x, node, old)


def move(x: Any, node: Node, old: Node) -> None:
    """Let a tensor, and all that share its memory, have the values of another node."""
    x._node = node
    tie: Any = x._view
    if tie is None or tracing():
        overwrite(old)
        return
    if a_view(tie):  # written into the memory that it is a part of
        with setting(recording=False):
            tie.base.become(written(tie, type(x)(Node(constant, (), NO_PARAMS, node.value))), tie.base.node)
        tie.seen = None
        overwrite(old)
        return
    storage = tie.storage
    storage.change(node.value)
    overwrite(old)
    node.value = storage.values
    storage.hold(node)
    tie.seen = storage.version


def take(x: Any, values: Any) -> None:
    """Move to a node with other values and the same history."""
    old = x._node
    if old.op is constant or old.op is variable:
        x._node = Node(old.op, (), old.params, values)
    else:
        x._node = Node(ar.alias, (old,), NO_PARAMS, values)
    tie: Any = x._view
    if tie.__class__ is Shared:
        tie.storage.hold(x._node)


def leaf(x: Any, value: Any) -> Node:
    """A node in which `backward()` collects for a tensor. It knows its tensor without keeping it alive."""
    dtype = dtype_of(value)
    if dtype.kind not in "fc":
        raise InputError(
            f"only Tensors of floating point and complex dtype can require gradients; this one is {dtype}",
            "make it floating point, with dtype=torch.float32",
        )
    return Node(variable, (), {"owner": weakref.ref(x)}, value)


def collect_here(x: Any, value: Any) -> None:
    """Take other values in place, as a leaf that collects a gradient."""
    old = x.node
    if old.op is variable and old.value.dtype is value.dtype:
        move(x, Node(variable, (), old.params, value), old)
        return
    move(x, leaf(x, value), old)


def cast(x: Any, dtype: Any) -> None:
    """Change the dtype of a leaf in place."""
    values = np.asarray(x.value).astype(dtype)[()]
    x._view = None
    x._node = Node(x._node.op, (), x._node.params, values)


def left_behind(x: Any, tie: View) -> bool:
    """Whether the tensor that this is a view of has other memory since (`x.data = y`), and this one the old."""
    base: Any = tie.base
    return not tracing() and hasattr(x, "_root") and base.storage is not x._root


def require_tied(x: Any) -> None:
    """Raise where the memory of a view can no longer be reached."""
    tie: Any = x._view
    if a_view(tie) and left_behind(x, tie):
        raise InputError(
            "the tensor that this is a view of has other memory since (x.data = y)", "take a copy: x.clone()"
        )
