"""Broadcasting and summing, each the transpose of the other, and reshaping.

Every `axis` in these families is a tuple of negative ints (axes counted from the end), so that axes may be added in
front; `chainrule.trace` normalises what users write.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import shapes
from .kinds import Linear
from .torch_text import torch_reduced

Axes = tuple[int, ...]
AXES = (  # examples for a reduction: every axis, one, several, axes kept, nothing to reduce, nothing there
    (((2, 3),), {"axis": (-2, -1)}),
    (((2, 3),), {"axis": (-2,)}),
    (((2, 3, 2),), {"axis": (-3, -1), "keepdims": True}),
    (((),), {"axis": ()}),
    (((4, 0),), {"axis": (-2,)}),
)


def dtype_of(x: Any) -> np.dtype[Any]:
    """The type of the entries of a number, an array or a traced value."""
    dtype = getattr(x, "dtype", None)
    return np.asarray(x).dtype if dtype is None else dtype


def axes_text(axis: Axes | None, ndim: int) -> str:
    """`axis=...` as NumPy code writes it."""
    if axis is None or len(axis) == ndim:
        return ""
    positive = tuple(a + ndim for a in axis)
    return f", axis={positive[0] if len(positive) == 1 else positive}"


def reduction_text(name: str) -> Any:
    """How NumPy writes a reduction called `name`."""

    def text(args: list[Any], node: Any) -> str:
        axis = node.params.get("axis")
        keep = ", keepdims=True" if node.params.get("keepdims") else ""
        return f"np.{name}({args[0]}{axes_text(axis, np.ndim(node.inputs[0].value))}{keep})"

    return text


class ShapeOf(tuple[int, ...]):
    """A shape that is written as that of a value: `x.shape`."""

    text = ""

    @classmethod
    def named(cls, shape: tuple[int, ...], text: str) -> ShapeOf:
        """The shape, and how it is written."""
        made = cls(shape)
        made.text = text
        return made


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as code writes it."""
    return shape.text if isinstance(shape, ShapeOf) else repr(tuple(int(n) for n in shape))


def _broadcast_text(args: list[Any], node: Any) -> str:
    if np.ndim(node.value) and type(node.inputs[0]) is not type(node):
        return f"np.full({shape_text(node.params['shape'])}, {args[0]})"
    return f"np.broadcast_to({args[0]}, {shape_text(node.params['shape'])})"


def expand(y: Any, x: Any, axis: Axes, keepdims: bool = True) -> Any:
    """A reduced value broadcast back to the shape of what it was reduced from."""
    return broadcast_to(kept(y, x, axis, keepdims), shape=np.shape(x))


def kept(y: Any, x: Any, axis: Axes, keepdims: bool = False) -> Any:
    """A reduced value with its reduced axes kept as axes of length one."""
    if keepdims or np.ndim(y) == 0:  # a scalar broadcasts as it is
        return y
    shape = list(np.shape(x))
    for a in axis:
        shape[a] = 1
    return reshape(y, shape=tuple(shape))


def count(x: Any, axis: Axes) -> int:
    """How many entries a reduction over `axis` runs over."""
    n = 1
    for a in axis:
        n *= np.shape(x)[a]
    return n


def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Sum `x` over the axes along which `shape` was broadcast: the transpose of broadcasting."""
    have = np.shape(x)
    if have == shape:
        return x
    lead = len(have) - len(shape)
    axis = [k - len(have) for k in range(lead)]
    axis += [k - len(shape) for k, n in enumerate(shape) if n == 1 and have[k + lead] != 1]
    if lead == len(axis):
        return sum(x, axis=tuple(axis), keepdims=False)
    y = sum(x, axis=tuple(axis), keepdims=True)
    return reshape(y, shape=shape) if lead else y


def lifted(x: Any, each: bool, ndim: int) -> Any:
    """A batched value with axes of length one behind its batch axis, so that its examples have `ndim` axes."""
    missing = ndim - (np.ndim(x) - each)
    if not each or missing <= 0:
        return x
    shape = np.shape(x)
    return reshape(x, shape=(shape[0], *(1,) * missing, *shape[1:]))


def spread(x: Any, each: bool, n: int) -> Any:
    """A value for each of `n` examples."""
    return x if each else broadcast_to(x, shape=(n, *np.shape(x)))


reshape = Linear(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    (lambda ct, x, shape: reshape(ct, shape=np.shape(x)),),
    text=lambda args, node: f"np.reshape({args[0]}, {shape_text(node.params['shape'])})",
    latex="{0}",
    view=True,
    moves=True,
    keeps=True,
    shape=shapes.given,
    batch=lambda op, values, each, params, n: reshape(values[0], shape=(n, *params["shape"])),
    examples=((((2, 3),), {"shape": (3, 2)}), (((),), {"shape": (1, 1)}), (((0, 2),), {"shape": (0,)})),
    torch=lambda args, node: f"torch.reshape({args[0]}, {shape_text(node.params['shape'])})",
)
broadcast_to = Linear(
    "broadcast_to",
    lambda x, shape: np.broadcast_to(x, shape),
    (lambda ct, x, shape: sum_to(ct, np.shape(x)),),
    text=_broadcast_text,
    latex="{0}",
    view=True,
    moves=True,
    keeps=True,
    shape=shapes.given,
    batch=lambda op, values, each, params, n: broadcast_to(
        lifted(values[0], True, len(params["shape"])), shape=(n, *params["shape"])
    ),
    rule="sum over what was broadcast",
    examples=((((3, 1),), {"shape": (2, 3, 4)}), (((),), {"shape": (2,)}), (((1,),), {"shape": (0,)})),
    torch=lambda args, node: f"torch.broadcast_to(torch.as_tensor({args[0]}), {shape_text(node.params['shape'])})",
)


def _summands(node: Any, k: int) -> tuple[Any, Any]:
    """Each entry goes into one sum."""
    x = node.values[0]
    sums = np.sum(np.empty(np.shape(x), bool), axis=node.params["axis"], keepdims=True)
    rows = np.broadcast_to(np.arange(sums.size).reshape(sums.shape), np.shape(x)).reshape(-1)
    return rows, np.arange(rows.size)


sum = Linear(
    "sum",
    lambda x, axis, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    (lambda ct, x, axis, keepdims=False: expand(ct, x, axis, keepdims),),
    text=reduction_text("sum"),
    shape=shapes.reduced,
    batch="along",
    pattern=_summands,
    rule="a sum gives its gradient to every term",
    examples=AXES,
    latex=r"\sum {0}",
    torch=torch_reduced("sum"),
)
