"""Sliding windows over the last axes, and the sum that undoes them: what convolution and pooling are made of."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .kinds import Linear

Lengths = tuple[int, ...]


def _windows(x: Any, size: Lengths, stride: Lengths, dilation: Lengths) -> Any:
    d = len(size)
    spans = tuple((k - 1) * e + 1 for k, e in zip(size, dilation, strict=True))
    if any(n < s for n, s in zip(np.shape(x)[-d:], spans, strict=True)):
        raise ValueError(f"a window of {spans} does not fit into the axes {np.shape(x)[-d:]}")
    view = sliding_window_view(x, spans, axis=tuple(range(-d, 0)))
    picked = view[(Ellipsis, *(slice(None, None, s) for s in stride), *(slice(None, None, e) for e in dilation))]
    n = picked.ndim
    order = (*range(n - 2 * d), *range(n - d, n), *range(n - 2 * d, n - d))
    return np.transpose(picked, order)


def _windows_sum(ct: Any, shape: Lengths, size: Lengths, stride: Lengths, dilation: Lengths) -> Any:
    d = len(size)
    out = np.zeros(np.shape(ct)[: np.ndim(ct) - 2 * d] + shape, np.asarray(ct).dtype)
    count = np.shape(ct)[-d:]
    for at in itertools.product(*map(range, size)):
        where = tuple(slice(a * e, a * e + s * n, s) for a, e, s, n in zip(at, dilation, stride, count, strict=True))
        out[(Ellipsis, *where)] += ct[(Ellipsis, *at, *(slice(None),) * d)]
    return out


EXAMPLES = (
    (((2, 5, 4),), {"size": (2, 3), "stride": (1, 1), "dilation": (1, 1)}),
    (((2, 7),), {"size": (2,), "stride": (2,), "dilation": (3,)}),
    (((5, 6),), {"size": (3, 2), "stride": (2, 2), "dilation": (1, 2)}),
)

windows = Linear(
    "windows",
    _windows,
    (
        lambda ct, x, size, stride, dilation: windows_sum(
            ct, shape=np.shape(x)[-len(size) :], size=size, stride=stride, dilation=dilation
        ),
    ),
    text=lambda args, node: (
        f"windows({args[0]}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})"
    ),
    prelude="""\
def windows(x, size, stride, dilation):
    d = len(size)
    spans = tuple((k - 1) * e + 1 for k, e in zip(size, dilation))
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(-d, 0)))
    view = view[(..., *(slice(None, None, s) for s in stride), *(slice(None, None, e) for e in dilation))]
    n = view.ndim
    return np.transpose(view, (*range(n - 2 * d), *range(n - d, n), *range(n - 2 * d, n - d)))
""",
    moves=True,
    batch="along",
    examples=EXAMPLES,
    public=False,
    doc="Every window of a size over the last d axes: (..., *space) to (..., *size, *positions).",
    torch=lambda args, node: (
        f"windows({args[0]}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})"
    ),
    jax=lambda args, node: (
        f"windows({args[0]}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})"
    ),
)


def _overlaid(node: Any, k: int) -> tuple[Any, Any]:
    """Each entry of a window goes to its place in the whole."""
    p = node.params
    whole = np.arange(math.prod(node.shape)).reshape(node.shape)
    places = _windows(whole, p["size"], p["stride"], p["dilation"]).reshape(-1)
    return places, np.arange(places.size)


windows_sum = Linear(
    "windows_sum",
    _windows_sum,
    (lambda ct, x, shape, size, stride, dilation: windows(ct, size=size, stride=stride, dilation=dilation),),
    text=lambda args, node: (
        f"windows_sum({args[0]}, {node.params['shape']}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})"
    ),
    prelude="""\
def windows_sum(w, shape, size, stride, dilation):
    d = len(size)
    out = np.zeros(w.shape[: w.ndim - 2 * d] + shape, w.dtype)
    for at in np.ndindex(*size):
        where = tuple(slice(a * e, a * e + s * n, s) for a, e, s, n in zip(at, dilation, stride, w.shape[-d:]))
        out[(..., *where)] += w[(..., *at, *(slice(None),) * d)]
    return out
""",
    pattern=_overlaid,
    batch="along",
    examples=tuple(
        ((np.shape(_windows(np.zeros(shapes[0]), **p)),), {"shape": shapes[0][-len(p["size"]) :], **p})
        for shapes, p in EXAMPLES
    ),
    public=False,
    doc="Windows added up where they overlap: the transpose of taking them.",
    torch=lambda args, node: (
        f"windows_sum({args[0]}, {node.params['shape']}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})"
    ),
    jax=lambda args, node: (
        f"windows_sum({args[0]}, {node.params['shape']}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})"
    ),
)
