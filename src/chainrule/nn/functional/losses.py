"""Losses as functions, with torch's names, arguments and defaults."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError
from ...ir.op import constant
from ...ir.recording import Handle
from ...ops.exponential import log_at_least, log_sigmoid, softplus
from ...ops.network import class_entropy
from ...ops.piecewise import where
from ...trace.handles import dtype_of
from .activations import log_softmax
from .layers import cosine_similarity, pairwise_distance
from .shared import of_floats, reduced, reduction_of, same_shape, shape_of, unweighted, value_of


@of_floats
def mse_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Any = None
) -> Any:
    """Squared error."""
    same_shape("mse_loss", input, target)
    unweighted("mse_loss", weight)
    d = input - target
    return reduced(d * d, reduction_of(size_average, reduce, reduction))


@of_floats
def l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Any = None
) -> Any:
    """Absolute error."""
    same_shape("l1_loss", input, target)
    unweighted("l1_loss", weight)
    return reduced(np.abs(input - target), reduction_of(size_average, reduce, reduction))


def _huber(d: Any, delta: float) -> Any:
    return where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


@of_floats
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """Half the squared error up to delta, linear beyond."""
    same_shape("huber_loss", input, target)
    unweighted("huber_loss", weight)
    if delta <= 0:
        raise InputError(f"huber_loss does not support non-positive values for delta: {delta}", "use l1_loss")
    return reduced(_huber(np.abs(input - target), delta), reduction)


@of_floats
def smooth_l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0
) -> Any:
    """Huber's loss divided by beta; with beta = 0 the absolute error."""
    same_shape("smooth_l1_loss", input, target)
    if beta < 0:
        raise InputError(f"smooth_l1_loss does not support negative values for beta: {beta}")
    d = np.abs(input - target)
    losses = d if beta == 0 else where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)
    return reduced(losses, reduction_of(size_average, reduce, reduction))


@of_floats
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """-(y log p + (1 - y) log(1 - p)) of probabilities; logarithms are at least -100."""
    same_shape("binary_cross_entropy", input, target)
    given = value_of(input)
    if np.size(given) and not (np.min(given) >= 0 and np.max(given) <= 1):
        raise InputError(
            f"binary_cross_entropy: the input runs from {np.min(given):.4g} to {np.max(given):.4g}; it takes probabilities",
            "apply a sigmoid, or use binary_cross_entropy_with_logits",
        )
    loss = -(target * log_at_least(input) + (1 - target) * log_at_least(1 - input))
    return reduced(loss if weight is None else loss * weight, reduction_of(size_average, reduce, reduction))


@of_floats
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:  # fmt: skip
    """-(y log s(x) + (1 - y) log(1 - s(x))), safe for logits of any size."""
    same_shape("binary_cross_entropy_with_logits", input, target)
    hit = target if pos_weight is None else pos_weight * target
    loss = hit * softplus(-input) + (1 - target) * softplus(input)  # no difference of large numbers: exact far out
    return reduced(loss if weight is None else loss * weight, reduction_of(size_average, reduce, reduction))


# ---- classes -----------------------------------------------------------------------------------------------------


@of_floats
def nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Minus the log-probability of the right class. input: (batch, classes, ...) or (classes,), target: integers."""
    how = reduction_of(size_average, reduce, reduction)
    return _nll(input, target, weight, how, ignore_index, "nll_loss")


def _nll(
    log_p: Any, target: Any, weight: Any, reduction: str, ignore_index: int, name: str, smoothing: float = 0.0
) -> Any:
    axis = 0 if np.ndim(log_p) == 1 else 1
    classes = np.shape(log_p)[axis]
    _check_classes(log_p, target, axis, ignore_index, name)
    one = np.ones((), dtype_of(log_p))[()]
    used = np.not_equal(target, ignore_index)
    safe = where(used, target, 0)
    factor = where(used, one if weight is None else np.take(weight, safe), 0 * one)
    taken = np.squeeze(np.take_along_axis(log_p, np.expand_dims(safe, axis), axis), axis)
    losses = where(used, -taken * factor, 0 * one)
    if smoothing:
        each = _each_class(weight, axis, np.ndim(log_p))
        spread = where(used, -np.sum(log_p * each if each is not None else log_p, axis=axis), 0 * one)
        losses = (1 - smoothing) * losses + smoothing / classes * spread
    if reduction == "mean":
        return np.sum(losses) / np.sum(factor)
    return reduced(losses, reduction)


def _check_classes(x: Any, target: Any, axis: int, ignore_index: int, name: str) -> None:
    """Raise unless the target holds one class for each example. x: (batch, classes, ...)."""
    shape = shape_of(x)
    classes, want = shape[axis], shape[:axis] + shape[axis + 1 :]
    if shape_of(target) != want:
        raise ShapeError(
            f"{name}: the input {shape} takes classes of shape {want}; the target has {shape_of(target)}",
            "give one integer for each example, not one-hot rows of integers; reshape it if it is a column",
        )
    if dtype_of(target).kind not in "iu":
        raise InputError(f"{name}: the target has dtype {dtype_of(target)}", "classes are integers: y.long()")
    seen = np.asarray(value_of(target))
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


@of_floats
def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """Cross entropy of logits, safe for logits of any size.

    Args:
        input: logits, (batch, classes, ...) or (classes,).
        target: classes as integers, of the input's shape without the axis of classes; or probabilities of its shape.
        weight: a factor for each class.
        size_average: what `reduction` replaced.
        ignore_index: a class that does not count.
        reduce: what `reduction` replaced.
        reduction: "mean", "sum" or "none".
        label_smoothing: how much of the target is spread over all classes.
    """
    how = reduction_of(size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    shape = shape_of(input)
    axis = 0 if len(shape) == 1 else 1
    dense = dtype_of(target).kind == "f"
    if not dense and len(shape) == 2 and weight is None and not label_smoothing and shape[0]:
        return _class_entropy(input, target, how, ignore_index)
    log_p = log_softmax(input, axis)
    if not dense:
        return _nll(log_p, target, weight, how, ignore_index, "cross_entropy", label_smoothing)
    same_shape("cross_entropy", input, target)
    classes = np.shape(input)[axis]
    target = target * (1 - label_smoothing) + label_smoothing / classes if label_smoothing else target
    each = _each_class(weight, axis, np.ndim(input))
    losses = -np.sum(log_p * target if each is None else log_p * target * each, axis=axis)
    if how == "mean":
        return np.sum(losses) / max(math.prod(np.shape(losses)), 1)
    return reduced(losses, how)


@of_floats
def kl_div(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    log_target: bool = False,
) -> Any:  # fmt: skip
    """target (log target - input), the divergence from a distribution given by its logarithms."""
    same_shape("kl_div", input, target)
    if log_target:
        loss = np.exp(target) * (target - input)
    else:
        loss = target * (np.log(where(np.equal(target, 0), 1.0, target)) - input)
    how = reduction_of(size_average, reduce, reduction)
    if how == "batchmean":
        return np.sum(loss) / (shape_of(input) or (1,))[0]
    return reduced(loss, how)


# ---- margins -----------------------------------------------------------------------------------------------------


def _positive(x: Any) -> Any:
    """max(x, 0), whose derivative at 0 is 1: torch's clamp_min."""
    return where(x < 0, 0.0, x)


@of_floats
def soft_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """log(1 + exp(-y x)) for y = 1 or -1."""
    same_shape("soft_margin_loss", input, target)
    return reduced(-log_sigmoid(input * target), reduction_of(size_average, reduce, reduction))


@of_floats
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, -y (x1 - x2) + margin) for y = 1 or -1."""
    same_shape("margin_ranking_loss", input1, input2)
    same_shape("margin_ranking_loss", input1, target)
    losses = _positive(-target * (input1 - input2) + margin)
    return reduced(losses, reduction_of(size_average, reduce, reduction))


@of_floats
def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """x where y = 1, max(0, margin - x) where y = -1."""
    same_shape("hinge_embedding_loss", input, target)
    losses = where(np.not_equal(target, 1), _positive(margin - input), 0.0) + where(
        np.not_equal(target, -1), input, 0.0
    )
    return reduced(losses, reduction_of(size_average, reduce, reduction))


@of_floats
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1."""
    same_shape("cosine_embedding_loss", input1, input2)
    cosine = cosine_similarity(input1, input2, -1)
    same_shape("cosine_embedding_loss", cosine, target)
    losses = where(np.equal(target, 1), 1 - cosine, where(np.equal(target, -1), _positive(cosine - margin), 0.0))
    return reduced(losses, reduction_of(size_average, reduce, reduction))


@of_floats
def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, d(anchor, positive) - d(anchor, negative) + margin)."""
    same_shape("triplet_margin_loss", anchor, positive)
    same_shape("triplet_margin_loss", anchor, negative)
    if margin <= 0:
        raise InputError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(_positive(margin + near - far), reduction_of(size_average, reduce, reduction))


@of_floats
def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """(log v + (x - y)^2 / v) / 2 for a variance v of at least eps, through which no derivative flows at that bound."""
    from ...diff.transforms import stop_gradient

    same_shape("gaussian_nll_loss", input, target)
    if not isinstance(var, (int, float)) and tuple(np.shape(var)) not in (
        tuple(np.shape(input)), tuple(np.shape(input)[:-1]), (*np.shape(input)[:-1], 1),
    ):  # fmt: skip
        raise ShapeError(f"gaussian_nll_loss: var is of incorrect size: {tuple(np.shape(var))}")
    if np.any(np.less(value_of(var), 0)):
        raise InputError("gaussian_nll_loss: var has negative entry/entries")
    if not isinstance(var, (int, float)) and np.ndim(var) == np.ndim(input) - 1:
        var = np.expand_dims(var, -1)
    if isinstance(var, (int, float)):
        v: Any = max(var, eps)
        logarithm: Any = math.log(v)
    else:
        v = var + stop_gradient(where(var < eps, eps, var) - var)  # torch clamps under no_grad
        logarithm = np.log(v)
    losses = 0.5 * (logarithm + (input - target) ** 2 / v)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


@of_floats
def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: Any = None, eps: float = 1e-8,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """exp(x) - y x for logarithms of rates, x - y log(x + eps) for rates."""
    same_shape("poisson_nll_loss", input, target)
    losses = np.exp(input) - target * input if log_input else input - target * np.log(input + eps)
    if full:
        safe = where(target > 1, target, 1.0)
        stirling = target * np.log(safe) - target + 0.5 * np.log(2 * math.pi * safe)
        losses = losses + where(target > 1, stirling, 0.0)
    return reduced(losses, reduction_of(size_average, reduce, reduction))
