"""Gradient clipping, and parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import DerivativeError, ShapeError
from ..tensors import changing
from ..tensors.creation import tensor
from ..tensors.modes import no_grad
from ..tensors.shapes import cat
from ..tensors.tensor import Tensor
from ..trace.handles import plain


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in given if p.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scale all gradients together, so that their norm is at most `max_norm`; returns the norm before.

    `foreach` chooses between two ways to the same result in torch, and makes no difference here.
    """
    grads = _gradients(parameters)
    norms = np.array([np.linalg.norm(np.ravel(plain(g)), norm_type) for g in grads])
    total = float(np.linalg.norm(norms, norm_type)) if grads else 0.0
    if error_if_nonfinite and not np.isfinite(total):
        raise DerivativeError(
            f"the norm of the gradients is {total}", "find where it comes from with chainrule.debug_nans"
        )
    factor = min(1.0, max_norm / (total + 1e-6))
    with no_grad():
        for g in grads:
            g.mul_(factor)
    return tensor(total)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Keep every entry of the gradients between -clip_value and clip_value; `foreach` makes no difference here."""
    with no_grad():
        for g in _gradients(parameters):
            g.clamp_(-clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Any:
    """All parameters as one vector."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Give parameters the entries of one vector, in order."""
    given, values = list(parameters), np.asarray(plain(vec))
    if values.shape != (sum(p.numel() for p in given),):
        raise ShapeError(
            f"the vector has shape {values.shape}, the parameters have {sum(p.numel() for p in given)} entries"
        )
    start = 0
    for p in given:
        changing.collect_here(p, values[start : start + p.numel()].reshape(p.shape).astype(p.dtype))
        start += p.numel()


__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]
