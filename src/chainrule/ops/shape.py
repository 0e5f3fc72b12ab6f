"""Operations that move entries without changing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.node import Spec
from ..ir.simplify import Simplifier
from . import shapes
from .conversion import cast as cast
from .indexing import getitem
from .kinds import Linear
from .torch_text import as_tuple, torch_joined


def _transpose_text(args: list[Any], node: Any) -> str:
    axes = node.params["axes"]
    if axes == tuple(range(-1, -len(axes) - 1, -1)):
        return f"{args[0].atom}.T"
    return f"np.transpose({args[0]}, {tuple(a + len(axes) for a in axes)})"


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `axes` (both as negative ints)."""
    n = len(axes)
    back = [0] * n
    for k, a in enumerate(axes):
        back[a] = k - n
    return tuple(back)


def _transposed(op: Any, values: Any, params: Any) -> Spec:
    x = Spec.of(values[0])
    return Spec(tuple(x.shape[a] for a in params["axes"]), x.dtype)


def _torch_transposed(args: list[Any], node: Any) -> str:
    axes = node.params["axes"]
    if axes == (-1, -2):
        return f"{args[0].atom}.T"
    return f"torch.permute({args[0]}, {tuple(a + len(axes) for a in axes)})"


def _turned_back(s: Simplifier, x: Any, axes: tuple[int, ...]) -> Any:
    """The transpose of a matrix that is a transpose or a product itself."""
    from .linalg import outer

    if axes != (-1, -2):
        return None
    if s.made_by(x, transpose) and x.params["axes"] == axes:
        return x.inputs[0]
    return s.build(outer, x.inputs[1], x.inputs[0]) if s.made_by(x, outer) else None


transpose = Linear(
    "transpose",
    lambda x, axes: np.transpose(x, axes),
    (lambda ct, x, axes: transpose(ct, axes=inverse(axes)),),
    text=_transpose_text,
    latex=r"{0.atom}^\top",
    view=True,
    moves=True,
    shape=_transposed,
    batch=lambda op, values, each, params, n: transpose(values[0], axes=(-len(params["axes"]) - 1, *params["axes"])),
    rule="transpose",
    simpler=_turned_back,
    word="T",
    doc="Axes permuted; `axes` are negative ints.",
    examples=((((2, 3, 4),), {"axes": (-1, -3, -2)}), (((2, 3),), {"axes": (-1, -2)})),
    torch=_torch_transposed,
)


def _concatenate_back(i: int, ct: Any, *xs: Any, axis: int) -> Any:
    start = sum(np.shape(x)[axis] for x in xs[:i])
    cut = slice(start, start + np.shape(xs[i])[axis])
    return getitem(ct, index=(Ellipsis, cut) + (slice(None),) * (-axis - 1))


def _stack_back(i: int, ct: Any, *xs: Any, axis: int) -> Any:
    return getitem(ct, index=(Ellipsis, i) + (slice(None),) * (-axis - 1))


def _concatenated(op: Any, values: Any, params: Any) -> Spec:
    first = list(Spec.of(values[0]).shape)
    first[params["axis"]] = sum(Spec.of(v).shape[params["axis"]] for v in values)
    return Spec(tuple(first), shapes.common(values))


def _stacked(op: Any, values: Any, params: Any) -> Spec:
    first = Spec.of(values[0]).shape
    at = params["axis"] % (len(first) + 1)
    return Spec((*first[:at], len(values), *first[at:]), shapes.common(values))


def _joined_text(name: str) -> Any:
    def text(args: list[Any], node: Any) -> str:
        axis = node.params["axis"] + np.ndim(node.value)
        return f"np.{name}([{', '.join(args)}]{f', axis={axis}' if axis else ''})"

    return text


concatenate = Linear(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis=axis),
    _concatenate_back,
    joint=True,
    text=_joined_text("concatenate"),
    moves=True,
    shape=_concatenated,
    batch="along",
    examples=((((2, 3), (1, 3)), {"axis": -2}), (((2,), (0,), (3,)), {"axis": -1})),
    torch=torch_joined("cat"),
)
stack = Linear(
    "stack",
    lambda *xs, axis: np.stack(xs, axis=axis),
    _stack_back,
    joint=True,
    text=_joined_text("stack"),
    moves=True,
    shape=_stacked,
    batch="along",
    examples=((((2, 3), (2, 3)), {"axis": -2}), (((), ()), {"axis": -1})),
    torch=torch_joined("stack"),
)
flip = Linear(
    "flip",
    lambda x, axis: np.flip(x, axis),
    (lambda ct, x, axis: flip(ct, axis=axis),),
    text=lambda args, node: f"np.flip({args[0]}, {node.params['axis']})",
    view=True,
    moves=True,
    shape=shapes.like_first,
    batch="along",
    examples=((((2, 3),), {"axis": (-1,)}),),
    torch=lambda args, node: f"torch.flip({args[0]}, {as_tuple(node.params['axis'])})",
)
roll = Linear(
    "roll",
    lambda x, shift, axis: np.roll(x, shift, axis),
    (lambda ct, x, shift, axis: roll(ct, shift=tuple(-s for s in shift), axis=axis),),
    text=lambda args, node: f"np.roll({args[0]}, {node.params['shift']}, {node.params['axis']})",
    moves=True,
    shape=shapes.like_first,
    batch="along",
    examples=((((2, 3),), {"shift": (1, -1), "axis": (-2, -1)}),),
    torch=lambda args, node: (
        f"torch.roll({args[0]}, {as_tuple(node.params['shift'])}, {as_tuple(node.params['axis'])})"
    ),
)


def _unpad(ct: Any, x: Any, width: tuple[tuple[int, int], ...]) -> Any:
    return getitem(ct, index=tuple(slice(low, n - high) for (low, high), n in zip(width, np.shape(ct), strict=True)))


def _torch_padded(args: list[Any], node: Any) -> str:
    flat = [w for pair in reversed(node.params["width"]) for w in pair]
    return f"torch.nn.functional.pad({args[0]}, {flat})"


pad = Linear(
    "pad",
    lambda x, width: np.pad(x, width),
    (_unpad,),
    text=lambda args, node: f"np.pad({args[0]}, {node.params['width']})",
    moves=True,
    batch=lambda op, values, each, params, n: pad(values[0], width=((0, 0), *params["width"])),
    doc="Zeros added around an array; `width` is (before, after) for each axis.",
    examples=((((2, 3),), {"width": ((1, 0), (2, 1))}),),
    torch=_torch_padded,
)


def _triangle(name: str, function: Any) -> Linear:
    op = Linear(
        name,
        lambda x, k=0: function(x, k),
        (lambda ct, x, k=0: op(ct, k=k),),
        text=lambda args, node: f"np.{name}({args[0]}, {node.params.get('k', 0)})",
        torch=lambda args, node: f"torch.{name}({args[0]}, {node.params.get('k', 0)})",
        moves=True,
        shape=shapes.like_first,
        batch="along",
        examples=((((3, 3),), {}), (((2, 3, 4),), {"k": 1})),
    )
    return op


tril = _triangle("tril", np.tril)
triu = _triangle("triu", np.triu)
cumsum = Linear(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis=axis),
    (lambda ct, x, axis: flip(cumsum(flip(ct, axis=axis), axis=axis), axis=axis),),
    text=lambda args, node: f"np.cumsum({args[0]}, axis={node.params['axis']})",
    shape=shapes.like_floats,
    batch="along",
    examples=((((2, 3),), {"axis": -2}),),
    torch=lambda args, node: f"torch.cumsum({args[0]}, dim={node.params['axis']})",
)
