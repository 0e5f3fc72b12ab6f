"""Layers as functions: linear maps, embedding, dropout, normalisation, attention. Weights have torch's shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...diff.transforms import stop_gradient
from ...errors import InputError, ShapeError
from ...ir.op import constant
from ...ir.recording import Handle
from ...ops.network import affine
from ...ops.piecewise import where
from ...ops.reduction import softmax as _softmax
from ...tensors.creation import Generator, default_generator
from ...tensors.modes import no_grad
from ...tensors.reductions import vector_norm
from ...tensors.storage import tracing
from ...tensors.tensor import Tensor
from ...trace.drawn import draw
from ...trace.handles import dtype_of
from .shared import axis_in, by_channel, changed, of_floats, shape_of, tail_shape, value_of


@of_floats
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """x W^T + b. input: (..., in), weight: (out, in), bias: (out,)."""
    have, want = shape_of(input), shape_of(weight)
    if have[-1:] != want[-1:]:
        raise ShapeError(
            f"linear: the last axis of the input has length {have[-1] if have else 1}, the weight takes {want[-1]} "
            f"(input {have}, weight {want})",
            f"give an input of shape (batch, {want[-1]}), or build the layer for the input",
        )
    if len(want) == 1:
        y = input @ weight
        return y if bias is None else y + bias
    return affine(input, weight) if bias is None else affine(input, weight, bias)


@of_floats
def dropout(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Any:
    """Each entry set to zero with probability p, the others scaled by 1 / (1 - p)."""
    return _dropped("dropout", input, p, training, inplace, generator, np.shape(input))


@of_floats
def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (batch, channels, length) set to zero with probability p."""
    return _dropped_channels("dropout1d", input, p, training, inplace, 1)


@of_floats
def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (batch, channels, height, width) set to zero with probability p."""
    return _dropped_channels("dropout2d", input, p, training, inplace, 2)


def _dropped_channels(name: str, input: Any, p: float, training: bool, inplace: bool, d: int) -> Any:
    if np.ndim(input) not in (d + 1, d + 2):
        raise ShapeError(f"{name}: expected {d + 1} or {d + 2} axes, got {tuple(np.shape(input))}")
    shape = (*np.shape(input)[:-d], *(1,) * d)
    return _dropped(name, input, p, training, inplace, None, shape)


def _dropped(name: str, input: Any, p: float, training: bool, inplace: bool, generator: Any, shape: Any) -> Any:
    if not 0 <= p <= 1:
        raise InputError(f"{name}: dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    dtype = dtype_of(input)

    def mask() -> Any:
        kept = (generator or default_generator).numbers.random(shape) >= p
        return kept.astype(dtype) / dtype.type(1 - p if p < 1 else 1)

    return changed(lambda x: x * draw(mask), input, inplace)


def embedding(
    input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Any:  # fmt: skip
    """Rows of a table. input: integers of any shape, weight: (count, features). Nothing flows to the row `padding_idx`."""
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise InputError("embedding: max_norm, scale_grad_by_freq and sparse are not supported", "leave them out")
    if len(shape_of(weight)) != 2:
        raise ShapeError(f"embedding: 'weight' must be 2-D; it has shape {shape_of(weight)}")
    count = shape_of(weight)[0]
    if dtype_of(input).kind not in "iu":
        raise InputError(f"embedding: the index has dtype {dtype_of(input)}", "give integers, for instance x.long()")
    given = value_of(input)
    if np.size(given) and (np.min(given) < 0 or np.max(given) >= count):
        raise InputError(
            f"embedding: an index is outside 0..{count - 1}: {np.min(given)} to {np.max(given)} were given"
        )
    table: Any = weight
    index: Any = input
    if not isinstance(input, Handle) and not isinstance(weight, Handle):
        index = np.asarray(input)
    rows: Any = table[index] if np.ndim(index) else np.reshape(table[np.reshape(index, (1,))], np.shape(table)[1:])
    if padding_idx is None:
        return rows
    if not -count <= padding_idx < count:
        raise InputError(f"embedding: padding_idx {padding_idx} is not one of {count} rows")
    return where(np.expand_dims(np.equal(index, padding_idx % count), -1), stop_gradient(rows), rows)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Ones at the index along a new last axis, zeros elsewhere; as many classes as there are unless said."""
    if dtype_of(tensor).kind not in "iu":
        raise InputError(f"one_hot is only applicable to index tensor of integers; got {dtype_of(tensor)}")
    given = np.asarray(value_of(tensor))
    if given.size and given.min() < 0:
        raise InputError("one_hot: Class values must be non-negative.")
    most = int(given.max()) + 1 if given.size else 0
    if num_classes == -1:
        if not most:
            raise InputError("one_hot: Can not infer total number of classes from empty tensor.", "give num_classes")
        num_classes = most
    if most > num_classes:
        raise InputError(f"one_hot: Class values must be smaller than num_classes {num_classes}; {most - 1} is not")
    return np.equal(np.expand_dims(tensor, -1), np.arange(num_classes)) * 1


# ---- normalisation -----------------------------------------------------------------------------------------------


@of_floats
def layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """x less its mean, over its standard deviation, along the last axes of `normalized_shape`."""
    axes = tail_shape("layer_norm", input, normalized_shape)
    centred = input - np.mean(input, axis=axes, keepdims=True)
    y = centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@of_floats
def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """x over its root mean square along the last axes. Source: Zhang and Sennrich, 2019."""
    axes = tail_shape("rms_norm", input, normalized_shape)
    eps = float(np.finfo(dtype_of(input)).eps) if eps is None else eps
    y = input / np.sqrt(np.mean(input * input, axis=axes, keepdims=True) + eps)
    return y if weight is None else y * weight


@of_floats
def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Mean 0 and variance 1 over each group of channels of an example. Source: Wu and He, 2018."""
    shape = tuple(np.shape(input))
    if len(shape) < 2 or shape[1] % num_groups:
        raise ShapeError(f"group_norm: the channels of {shape} cannot be divided into {num_groups} groups")
    grouped = np.reshape(input, (shape[0], num_groups, -1))
    y = np.reshape(layer_norm(grouped, np.shape(grouped)[-1:], eps=eps), shape)
    y = y if weight is None else y * by_channel(weight, input)
    return y if bias is None else y + by_channel(bias, input)


@of_floats
def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Mean 0 and variance 1 for each channel of (batch, channels, ...): those of the batch in training, otherwise the running
    ones, which training moves in place."""
    if np.ndim(input) < 2:
        raise ShapeError(f"batch_norm: expected (batch, channels, ...); got {tuple(np.shape(input))}")
    if not training:
        if running_mean is None or running_var is None:
            raise InputError("batch_norm: running_mean and running_var must be given in evaluation")
        return normalised(input, running_mean, running_var, weight, bias, eps)
    mean, var, count = batch_moments(input)
    if running_mean is not None or running_var is not None:
        with no_grad():
            for old, new in ((running_mean, mean), (running_var, var * (count / (count - 1)))):
                if old is not None:
                    old *= 1 - momentum
                    old += momentum * stop_gradient(new)
    return normalised(input, mean, var, weight, bias, eps)


def batch_moments(input: Any) -> tuple[Any, Any, int]:
    """The mean and the variance of each channel over a batch, and how many entries each is of."""
    shape = np.shape(input)
    axes = (0, *range(2, len(shape)))
    count = math.prod(shape[a] for a in axes)
    if count < 2:
        raise ShapeError(
            f"batch norm: expected more than 1 value per channel when training: one value for each channel has no variance (input {tuple(shape)})",
            "train with batches of more than one example (drop_last=True), or call eval()",
        )
    mean = np.mean(input, axis=axes)
    return mean, np.mean((input - by_channel(mean, input)) ** 2, axis=axes), count


def normalised(input: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """x less a mean, over a deviation, for each channel; then scaled and shifted."""
    y = (input - by_channel(mean, input)) / np.sqrt(by_channel(var, input) + eps)
    y = y if weight is None else y * by_channel(weight, input)
    return y if bias is None else y + by_channel(bias, input)


def _norm(x: Any, p: float, axis: int) -> Any:
    if isinstance(x, Tensor):
        return vector_norm(x, p, axis, True)
    if p == 2:
        return np.linalg.norm(x, axis=axis, keepdims=True)
    if math.isinf(p):
        return np.max(np.abs(x), axis=axis, keepdims=True)
    return np.sum(np.abs(x) ** p, axis=axis, keepdims=True) ** (1 / p)


def _at_least(x: Any, low: float) -> Any:
    """x or a bound, whichever is larger; at the bound the derivative is 1."""
    return where(x < low, low, x)


@of_floats
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """x divided by its p-norm along `dim`, or by eps where that is larger."""
    if out is not None:
        raise InputError("normalize: out= is not supported", "assign the result")
    return input / _at_least(_norm(input, p, axis_in(input, dim)), eps)


@of_floats
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along `dim`."""
    x1, x2 = np.broadcast_arrays(x1, x2)
    n1, n2 = (_at_least(_norm(x, 2.0, axis_in(x, dim)), eps) for x in (x1, x2))
    return np.sum((x1 / n1) * (x2 / n2), axis=dim)


@of_floats
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm of x1 - x2 + eps along the last axis."""
    found = _norm(x1 - x2 + eps, p, -1)
    return found if keepdim else np.squeeze(found, -1)


# ---- attention ---------------------------------------------------------------------------------------------------


@of_floats
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """softmax(Q K^T / sqrt(d)) V. query: (..., length, d); a mask is boolean (True may be seen) or added.

    A row that may see nothing gives zeros.
    """
    if is_causal and attn_mask is not None:
        raise InputError("scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        n = np.shape(query)[-3] // np.shape(key)[-3]
        key, value = np.repeat(key, n, axis=-3), np.repeat(value, n, axis=-3)
    weights = attention_weights(query, key, attn_mask, is_causal, scale, safe=True)
    return dropout(weights, dropout_p) @ value


def attention_weights(
    query: Any, key: Any, attn_mask: Any = None, is_causal: bool = False, scale: float | None = None, safe: bool = False
) -> Any:
    """The weights of attention, softmax(Q K^T / sqrt(d)). Source: Vaswani et al., 2017.

    A row that may see nothing is zero where `safe`, and NaN otherwise.
    """
    scores = query @ np.swapaxes(key, -1, -2)
    scores = scores / math.sqrt(np.shape(query)[-1]) if scale is None else scores * scale
    if is_causal:
        n, m = np.shape(scores)[-2:]
        attn_mask = np.tril(np.ones((n, m), bool))
    if attn_mask is None:
        return _softmax(scores, axis=(-1,))
    boolean = dtype_of(attn_mask).kind == "b"
    scores = where(attn_mask, scores, -np.inf) if boolean else scores + attn_mask
    if is_causal or _sees_something(attn_mask, boolean):
        return _softmax(scores, axis=(-1,))
    seen = np.max(stop_gradient(scores), axis=-1, keepdims=True) > -np.inf
    return where(seen, _softmax(where(seen, scores, 0.0), axis=(-1,)), 0.0 if safe else np.nan)


def _sees_something(mask: Any, boolean: bool) -> bool:
    """Whether a mask that is known lets every row see something."""
    if isinstance(mask, Handle):
        if mask.node.op is not constant or tracing():
            return False
        mask = mask.node.value
    return bool(np.all(np.any(mask if boolean else np.asarray(mask) > -np.inf, axis=-1)))
