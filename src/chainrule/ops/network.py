"""Operations of networks that are kept whole: the affine map, and cross entropy with integer classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir.node import Spec
from ..ir.recording import Handle
from . import shapes
from .broadcasting import dtype_of, reshape, sum, sum_to
from .indexing import HERE, getitem
from .kinds import Composite
from .linalg import matmul
from .piecewise import equal, not_equal, where
from .reduction import log_softmax, softmax
from .shape import transpose

SWAP = (-1, -2)


def _affine_back(i: int, ct: Any, y: Any, x: Any, w: Any, *b: Any) -> Any:
    if type(ct) is np.ndarray and type(x) is np.ndarray and type(w) is np.ndarray and ct.ndim == 2:
        return ct @ w if i == 0 else ct.T @ x if i == 1 else np.add.reduce(ct, axis=0)
    if i == 0:
        return matmul(ct, w)
    if i == 1:
        return matmul(transpose(_flat(ct), axes=SWAP), _flat(x))
    return sum_to(ct, np.shape(b[0]))


def _flat(x: Any) -> Any:
    """(batch, ..., features) as (rows, features)."""
    shape = np.shape(x)
    if len(shape) == 2:
        return x
    count = 1
    for n in shape[:-1]:
        count *= n
    return reshape(x, shape=(count, shape[-1]))


def _affine(x: Any, w: Any, *b: Any) -> Any:
    y = matmul(x, transpose(w, axes=SWAP))
    return y + b[0] if b else y


def _affine_shape(op: Any, values: Any, params: Any) -> Spec | None:
    x, w = (Spec.of(v).shape for v in values[:2])
    return Spec((*x[:-1], w[0]), shapes.common(values)) if x and x[-1] == w[1] else None


affine = Composite(
    "affine",
    _affine,
    value=lambda x, w, *b: x @ w.T + b[0] if b else x @ w.T,
    pullback=_affine_back,
    inputs=3,
    factors=2,
    shape=_affine_shape,
    cost=lambda n: math.prod(n.shape) * (2 * np.shape(n.values[0])[-1] - (len(n.inputs) < 3)),
    text=lambda args, node: f"{args[0].tight} @ {args[1].atom}.T" + (f" + {args[2]}" if len(args) > 2 else ""),
    latex=lambda args, node: rf"{args[0].atom} {args[1].atom}^\top" + (f" + {args[2]}" if len(args) > 2 else ""),
    examples=(
        (((2, 3), (4, 3), (4,)), {}),
        (((2, 3), (4, 3)), {}),
        (((2, 2, 3), (4, 3), (4,)), {}),
        (((3,), (4, 3), (4,)), {}),
    ),
    public=False,
    doc="x W^T + b: a linear layer. x: (..., in), W: (out, in), b: (out,).",
    torch=lambda args, node: f"torch.nn.functional.linear({', '.join(args)})",
    jax=lambda args, node: f"{args[0].tight} @ {args[1].atom}.T" + (f" + {args[2]}" if len(args) > 2 else ""),
)


def _entropy(x: Any, target: Any, ignored: int = -100, mean: bool = False) -> Any:
    """-log softmax(x)[target] for each row, 0 where the target is to be ignored, or their mean. x: (batch, classes)."""
    used = not_equal(target, ignored)
    taken = getitem(log_softmax(x, axis=(-1,)), np.arange(np.shape(x)[-2]), where(used, target, 0), index=(HERE, HERE))
    losses = where(used, -taken, 0)
    return sum(losses, axis=(-1,)) / _count(used, x) if mean else losses


def _count(used: Any, x: Any) -> Any:
    return sum(used * np.ones((), dtype_of(x)), axis=(-1,))


def _entropy_value(x: Any, target: Any, ignored: int = -100, mean: bool = False) -> Any:
    used = target != ignored
    log_p = log_softmax.value(x, axis=(-1,))
    losses = -log_p[np.arange(len(x)), np.where(used, target, 0)]
    losses = losses if used.all() else np.where(used, losses, x.dtype.type(0))
    return np.add.reduce(losses) / x.dtype.type(np.count_nonzero(used)) if mean else losses


def _entropy_plain(ct: Any, x: Any, target: Any, ignored: int, mean: bool) -> Any:
    """The pullback on plain values, in place."""
    back = softmax.value(x, axis=(-1,))
    used = target != ignored
    back[np.arange(len(x)), np.where(used, target, 0)] -= 1
    if mean:
        ct = ct / x.dtype.type(np.count_nonzero(used))
    back *= ct if mean and used.all() else np.where(used, ct, 0).astype(x.dtype)[:, None]
    return back


def _entropy_back(i: int, ct: Any, y: Any, x: Any, target: Any, ignored: int = -100, mean: bool = False) -> Any:
    if not any(isinstance(a, Handle) for a in (ct, x, target)):
        return _entropy_plain(ct, x, target, ignored, mean)
    column = reshape(target, shape=(*np.shape(target), 1))
    hit = equal(column, np.arange(np.shape(x)[-1]))
    used = not_equal(target, ignored)
    scale = where(used, ct / _count(used, x) if mean else ct, 0)
    return reshape(scale, shape=(*np.shape(target), 1)) * (softmax(x, axis=(-1,)) - hit)


class_entropy = Composite(
    "class_entropy",
    _entropy,
    value=_entropy_value,
    pullback=_entropy_back,
    text=lambda args, node: f"class_entropy({args[0]}, {args[1]}, mean={node.params.get('mean', False)})",
    prelude="""\
def class_entropy(x, target, ignored=-100, mean=False):
    used = target != ignored
    x = x - x.max(axis=-1, keepdims=True)
    log_p = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    losses = np.where(used, -log_p[np.arange(len(x)), np.where(used, target, 0)], 0)
    return losses.sum() / used.sum() if mean else losses
""",
    examples=(
        (((3, 4), np.array([1, 0, 3])), {}),
        (((3, 4), np.array([1, -100, 3])), {}),
        (((3, 4), np.array([1, -100, 3])), {"mean": True}),
    ),
    public=False,
    doc="Cross entropy of each row of logits with an integer class, 0 for one to be ignored; or their mean.",
    torch=lambda args, node: (
        f"torch.nn.functional.cross_entropy({args[0]}, {args[1]}, ignore_index={node.params.get('ignored', -100)}, reduction={'mean' if node.params.get('mean') else 'none'!r})"
    ),
    jax=lambda args, node: (
        f"class_entropy({args[0]}, {args[1]}, {node.params.get('ignored', -100)}, {node.params.get('mean', False)})"
    ),
)
