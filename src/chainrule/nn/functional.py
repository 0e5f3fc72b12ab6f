"""Layers and losses as functions, on plain arrays and on traced values alike, under torch's names.

`x: (batch, features)` or `(batch, channels, *space)`; weights have torch's shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensors.creation import Generator, default_generator
from ..errors import InputError, ShapeError
from ..ir.op import constant
from ..ir.recording import Handle
from ..ops.exponential import log_at_least, log_sigmoid, sigmoid, silu, softplus
from ..ops.network import affine, class_entropy
from ..ops.piecewise import heaviside, leaky_relu, rect, relu, where
from ..ops.reduction import log_softmax as _log_softmax
from ..ops.reduction import softmax as _softmax
from ..ops.shape import pad as _pad
from ..ops.special import gelu as _gelu
from ..ops.windows import windows
from ..trace.drawn import draw
from ..trace.handles import dtype_of

__all__ = [
    "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "batch_norm", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "conv1d", "conv2d", "cross_entropy", "dropout", "elu", "embedding", "gelu",
    "heaviside", "huber_loss", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_sigmoid", "log_softmax",
    "max_pool1d", "max_pool2d", "mse_loss", "nll_loss", "normalize", "one_hot", "pad", "rect", "relu",
    "scaled_dot_product_attention", "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus", "tanh",
]  # fmt: skip


def _value(x: Any) -> Any:
    """What is known of a value while tracing, for checks that must not become part of the program."""
    while isinstance(x, Handle):
        x = x.node.value
    return x


# ---- activations -------------------------------------------------------------------------------------------------

tanh = np.tanh


def gelu(x: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function; `approximate="tanh"` for the usual approximation."""
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return _gelu(x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x above zero, alpha (e^x - 1) below."""
    return where(x > 0, x, alpha * np.expm1(where(x > 0, 0.0, x)))


def softmax(x: Any, dim: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along `dim`, without overflow."""
    return _softmax(x, axis=(_axis(x, dim),))


def log_softmax(x: Any, dim: int = -1) -> Any:
    """log(softmax(x)) along `dim`, accurate for any x."""
    return _log_softmax(x, axis=(_axis(x, dim),))


def _axis(x: Any, dim: int) -> int:
    n = np.ndim(x)
    if not -n <= dim < n:
        raise ShapeError(f"there is no axis {dim} in shape {np.shape(x)}")
    return dim % n - n


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """x divided by its p-norm along `dim`."""
    norm = np.sum(np.abs(x) ** p, axis=dim, keepdims=True) ** (1 / p)
    return x / np.maximum(norm, eps)


# ---- layers ------------------------------------------------------------------------------------------------------


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x W^T + b. x: (..., in), weight: (out, in), bias: (out,)."""
    if np.shape(x)[-1:] != np.shape(weight)[-1:]:
        raise ShapeError(
            f"linear: the last axis of the input has length {np.shape(x)[-1] if np.shape(x) else 1}, the weight takes {np.shape(weight)[-1]} "
            f"(input {np.shape(x)}, weight {np.shape(weight)})",
            f"give an input of shape (batch, {np.shape(weight)[-1]}), or build the layer for the input",
        )
    return affine(x, weight) if bias is None else affine(x, weight, bias)


def dropout(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Any:
    """Each entry set to zero with probability p, the others scaled by 1 / (1 - p)."""
    if not training or p == 0:
        return x
    shape, dtype = np.shape(x), dtype_of(x)

    def mask() -> Any:
        kept = (generator or default_generator).numbers.random(shape) >= p
        return kept.astype(dtype) / dtype.type(1 - p if p < 1 else 1)

    return x * draw(mask)


def embedding(index: Any, weight: Any) -> Any:
    """Rows of a table. index: integers of any shape, weight: (count, features)."""
    if dtype_of(index).kind not in "iu":
        raise InputError(f"embedding: the index has dtype {dtype_of(index)}", "give integers, for instance x.long()")
    given = _value(index)
    if np.size(given) and (np.min(given) < 0 or np.max(given) >= np.shape(weight)[0]):
        raise InputError(
            f"embedding: an index is outside 0..{np.shape(weight)[0] - 1}: {np.min(given)} to {np.max(given)} were given"
        )
    table: Any = weight
    return table[index if isinstance(index, Handle) or isinstance(table, Handle) else np.asarray(index)]


def layer_norm(x: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """x less its mean, over its standard deviation, along the last axes of `shape`."""
    n = len(tuple(shape))
    if np.shape(x)[-n:] != tuple(shape):
        raise ShapeError(f"layer_norm: the input {np.shape(x)} does not end in {tuple(shape)}")
    axes = tuple(range(-n, 0))
    centred = x - np.mean(x, axis=axes, keepdims=True)
    y = centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def batch_norm(x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """x normalised with a mean and a variance for each channel. x: (batch, channels, ...)."""
    y = (x - _channel(mean, x)) / np.sqrt(_channel(var, x) + eps)
    y = y if weight is None else y * _channel(weight, x)
    return y if bias is None else y + _channel(bias, x)


def _channel(v: Any, x: Any) -> Any:
    return np.reshape(v, (-1,) + (1,) * (np.ndim(x) - 2))


def pad(x: Any, widths: Sequence[int], value: float = 0.0) -> Any:
    """Entries added around: `widths` is (left, right) of the last axis, then of the one before, as in torch."""
    pairs = [(widths[k], widths[k + 1]) for k in range(0, len(widths), 2)][::-1]
    whole = ((0, 0),) * (np.ndim(x) - len(pairs)) + tuple(pairs)
    y = _pad(x, width=whole)
    return y if value == 0 else y + np.pad(np.zeros(np.shape(x), dtype_of(x)), whole, constant_values=value)


def _lengths(x: Any, d: int) -> tuple[int, ...]:
    return (x,) * d if isinstance(x, int) else tuple(x)


def _conv(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, d: int) -> Any:
    if np.ndim(x) == d + 1:
        return _conv(x[None], weight, bias, stride, padding, dilation, groups, d)[0]
    size = np.shape(weight)[2:]
    stride, dilation = _lengths(stride, d), _lengths(dilation, d)
    if np.ndim(x) != d + 2 or np.shape(x)[1] != np.shape(weight)[1] * groups:
        raise ShapeError(
            f"conv{d}d: the input has shape {np.shape(x)}, the weight {np.shape(weight)} with {groups} groups takes "
            f"(batch, {np.shape(weight)[1] * groups}, {', '.join(['length'] if d == 1 else ['height', 'width'])})",
        )
    if padding == "same":
        spans = [(k - 1) * e for k, e in zip(size, dilation, strict=True)]
        widths = [w for s in reversed(spans) for w in (s // 2, s - s // 2)]
    else:
        widths = [w for p in reversed(_lengths(0 if padding == "valid" else padding, d)) for w in (p, p)]
    x = pad(x, widths) if any(widths) else x
    columns = windows(x, size=size, stride=stride, dilation=dilation)  # (batch, channels, *size, *positions)
    batch, channels = np.shape(x)[:2]
    out = np.shape(columns)[-d:]
    inner = math.prod(size) * channels // groups
    order = (1, *range(2, 2 + d), 0, *range(2 + d, 2 + 2 * d))
    columns = np.reshape(np.transpose(columns, order), (groups, inner, batch * math.prod(out)))
    kernel = np.reshape(weight, (groups, -1, inner))
    y = np.reshape(kernel[0] @ columns[0] if groups == 1 else kernel @ columns, (-1, batch, *out))
    y = np.transpose(y, (1, 0, *range(2, 2 + d)))
    return y if bias is None else y + _channel(bias, y)


def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Cross-correlation along one axis. x: (batch, in, length), weight: (out, in / groups, size)."""
    return _conv(x, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Cross-correlation along two axes. x: (batch, in, height, width), weight: (out, in / groups, height, width)."""
    return _conv(x, weight, bias, stride, padding, dilation, groups, 2)


def _pool(x: Any, reduce: Any, size: Any, stride: Any, padding: Any, d: int, outside: float) -> Any:
    size = _lengths(size, d)
    stride = size if stride is None else _lengths(stride, d)
    widths = [w for p in reversed(_lengths(padding, d)) for w in (p, p)]
    x = pad(x, widths, outside) if any(widths) else x
    return reduce(windows(x, size=size, stride=stride, dilation=(1,) * d), axis=tuple(range(-2 * d, -d)))


def max_pool1d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The largest entry of every window; at a tie the gradient is shared equally (torch gives it to the first)."""
    return _pool(x, np.max, kernel_size, stride, padding, 1, -np.inf)


def max_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The largest entry of every window; at a tie the gradient is shared equally (torch gives it to the first)."""
    return _pool(x, np.max, kernel_size, stride, padding, 2, -np.inf)


def avg_pool1d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean of every window, the padding counted."""
    return _pool(x, np.mean, kernel_size, stride, padding, 1, 0.0)


def avg_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean of every window, the padding counted."""
    return _pool(x, np.mean, kernel_size, stride, padding, 2, 0.0)


def adaptive_avg_pool2d(x: Any, output_size: Any) -> Any:
    """Means over a grid of `output_size` windows that divide the image evenly."""
    out = _lengths(output_size, 2)
    space = np.shape(x)[-2:]
    if any(n % o for n, o in zip(space, out, strict=True)):
        raise ShapeError(f"adaptive_avg_pool2d: {space} is not divisible into {out} windows")
    return avg_pool2d(x, tuple(n // o for n, o in zip(space, out, strict=True)))


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False
) -> Any:
    """softmax(Q K^T / sqrt(d)) V. query: (..., length, d); a mask is boolean (True may be seen) or added."""
    weights = attention_weights(query, key, attn_mask, is_causal)
    return dropout(weights, dropout_p) @ value


def attention_weights(query: Any, key: Any, attn_mask: Any = None, is_causal: bool = False) -> Any:
    """The weights of attention, softmax(Q K^T / sqrt(d)). Source: Vaswani et al., 2017."""
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(np.shape(query)[-1])
    if is_causal:
        n, m = np.shape(scores)[-2:]
        causal = np.tril(np.ones((n, m), bool))
        attn_mask = causal if attn_mask is None else _both(attn_mask, causal)
    if attn_mask is not None:
        scores = where(attn_mask, scores, -np.inf) if dtype_of(attn_mask).kind == "b" else scores + attn_mask
    return softmax(scores, -1)


def _both(mask: Any, causal: Any) -> Any:
    return np.logical_and(mask, causal) if dtype_of(mask).kind == "b" else where(causal, mask, -np.inf)


def one_hot(index: Any, num_classes: int) -> Any:
    """Ones at the index along a new last axis, zeros elsewhere."""
    return np.equal(np.expand_dims(index, -1), np.arange(num_classes)) * 1


# ---- losses ------------------------------------------------------------------------------------------------------


def reduced(values: Any, reduction: str) -> Any:
    """`mean`, `sum` or `none` of the losses."""
    if reduction == "mean":
        return np.mean(values)
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise InputError(f"there is no reduction {reduction!r}", "choose mean, sum or none")


def _same_shape(name: str, x: Any, target: Any) -> None:
    if np.shape(x) != np.shape(target):
        raise ShapeError(
            f"{name}: the input has shape {np.shape(x)}, the target {np.shape(target)}",
            "make them equal: broadcasting here is nearly always a mistake; reshape the target, for instance y[:, None]",
        )


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Squared error."""
    _same_shape("mse_loss", x, target)
    d = x - target
    return reduced(d * d, reduction)


def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Absolute error."""
    _same_shape("l1_loss", x, target)
    return reduced(np.abs(x - target), reduction)


def huber_loss(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Half the squared error up to delta, linear beyond."""
    _same_shape("huber_loss", x, target)
    d = np.abs(x - target)
    return reduced(where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)


def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Huber's loss divided by beta."""
    return huber_loss(x, target, reduction, beta) / beta


def binary_cross_entropy(p: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """-(y log p + (1 - y) log(1 - p)) of probabilities; logarithms are at least -100, as in torch."""
    _same_shape("binary_cross_entropy", p, target)
    given = _value(p)
    if np.size(given) and not (np.min(given) >= 0 and np.max(given) <= 1):
        raise InputError(
            f"binary_cross_entropy: the input runs from {np.min(given):.4g} to {np.max(given):.4g}; it takes probabilities",
            "apply a sigmoid, or use binary_cross_entropy_with_logits",
        )
    loss = -(target * log_at_least(p) + (1 - target) * log_at_least(1 - p))
    return reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """-(y log s(x) + (1 - y) log(1 - s(x))), safe for logits of any size."""
    _same_shape("binary_cross_entropy_with_logits", x, target)
    hit = target if pos_weight is None else pos_weight * target
    loss = hit * softplus(-x) + (1 - target) * softplus(x)  # no difference of large numbers: exact far out as well
    return reduced(loss if weight is None else loss * weight, reduction)


def nll_loss(log_p: Any, target: Any, weight: Any = None, reduction: str = "mean", ignore_index: int = -100) -> Any:
    """Minus the log-probability of the right class. log_p: (batch, classes, ...) or (classes,), target: integers."""
    return _nll(log_p, target, weight, reduction, ignore_index, "nll_loss")


def _nll(
    log_p: Any, target: Any, weight: Any, reduction: str, ignore_index: int, name: str, smoothing: float = 0.0
) -> Any:
    axis = 0 if np.ndim(log_p) == 1 else 1
    classes = np.shape(log_p)[axis]
    _check_classes(log_p, target, axis, ignore_index, name)
    used = np.not_equal(target, ignore_index) * np.ones((), dtype_of(log_p))
    safe = where(np.not_equal(target, ignore_index), target, 0)
    factor = used if weight is None else used * np.take(weight, safe)
    taken = np.squeeze(np.take_along_axis(log_p, np.expand_dims(safe, axis), axis), axis)
    losses = -taken * factor
    if smoothing:
        each = _each_class(weight, axis, np.ndim(log_p))
        spread = -np.sum(log_p * each if each is not None else log_p, axis=axis) * used
        losses = (1 - smoothing) * losses + smoothing / classes * spread
    if reduction == "mean":
        return np.sum(losses) / np.sum(factor)
    return reduced(losses, reduction)


def _check_classes(x: Any, target: Any, axis: int, ignore_index: int, name: str) -> None:
    """Raise unless the target holds one class for each example. x: (batch, classes, ...)."""
    classes = np.shape(x)[axis]
    want = tuple(n for k, n in enumerate(np.shape(x)) if k != axis)
    if np.shape(target) != want:
        raise ShapeError(
            f"{name}: the input {np.shape(x)} takes classes of shape {want}; the target has {np.shape(target)}",
            "give one integer for each example, not one-hot rows of integers; reshape it if it is a column",
        )
    if dtype_of(target).kind not in "iu":
        raise InputError(f"{name}: the target has dtype {dtype_of(target)}", "classes are integers: y.long()")
    seen = np.asarray(_value(target))
    if not seen.size or (seen.min() >= 0 and seen.max() < classes):
        return
    wrong = seen[(seen != ignore_index) & ((seen < 0) | (seen >= classes))]
    if wrong.size:
        raise InputError(f"{name}: class {wrong.reshape(-1)[0]} is not one of 0..{classes - 1}")


def _class_entropy(x: Any, target: Any, reduction: str, ignore_index: int) -> Any:
    """The commonest case: (batch, classes), every class alike."""
    _check_classes(x, target, 1, ignore_index, "cross_entropy")
    if isinstance(target, Handle) and target.node.op is constant:
        target = target.node.value
    if reduction == "mean":
        return class_entropy(x, target, ignored=ignore_index, mean=True)
    return reduced(class_entropy(x, target, ignored=ignore_index), reduction)


def _each_class(weight: Any, axis: int, ndim: int) -> Any:
    return None if weight is None else np.reshape(weight, tuple(-1 if k == axis else 1 for k in range(ndim)))


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    """Cross entropy of logits, safe for logits of any size.

    Args:
        x: logits, (batch, classes, ...) or (classes,).
        target: classes as integers, of x's shape without the axis of classes; or probabilities of x's shape.
        weight: a factor for each class.
        label_smoothing: how much of the target is spread over all classes.
    """
    axis = 0 if np.ndim(x) == 1 else 1
    if dtype_of(target).kind != "f" and np.ndim(x) == 2 and weight is None and not label_smoothing:
        return _class_entropy(x, target, reduction, ignore_index)
    log_p = log_softmax(x, axis)
    if dtype_of(target).kind != "f":
        return _nll(log_p, target, weight, reduction, ignore_index, "cross_entropy", label_smoothing)
    _same_shape("cross_entropy", x, target)
    classes = np.shape(x)[axis]
    target = target * (1 - label_smoothing) + label_smoothing / classes if label_smoothing else target
    each = _each_class(weight, axis, np.ndim(x))
    losses = -np.sum(log_p * target if each is None else log_p * target * each, axis=axis)
    if reduction == "mean":
        return np.sum(losses) / max(math.prod(np.shape(losses)), 1)
    return reduced(losses, reduction)


def kl_div(log_q: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """target (log target - log_q), the divergence from a distribution given by its logarithms."""
    _same_shape("kl_div", log_q, target)
    if log_target:
        loss = np.exp(target) * (target - log_q)
    else:
        loss = target * (np.log(where(target > 0, target, 1.0)) - log_q)
    return np.sum(loss) / np.shape(log_q)[0] if reduction == "batchmean" else reduced(loss, reduction)
