"""Why a training left the finite numbers: the layer, and the first value that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..diff.diagnose import debug_nans
from ..diff.transforms import value_and_grad
from ..errors import ChainruleError, DerivativeError, DivergenceError
from ..nn.watching import innermost, watched
from .step import Step


def divergence(step: Step, state: tuple[Any, Any], batch: Sequence[Any], epoch: int, number: int) -> DivergenceError:
    """The error for a step whose loss, or whose new parameters, are not finite; `state` is what it began with."""
    params, rest = state
    when = f"training diverged in epoch {epoch}, step {number}"
    fix = "lower the learning rate, clip the gradients (clip=1.0), or look at this input; the last good checkpoint is kept"
    for k, v in params.items():
        if not np.all(np.isfinite(v)):
            return DivergenceError(f"{when}: the parameter {k} is no longer finite before this step", fix, where="")
    for k, v in enumerate(batch):
        if v.dtype.kind == "f" and not np.all(np.isfinite(v)):
            row = tuple(int(i) for i in np.argwhere(~np.isfinite(v))[0])
            return DivergenceError(f"{when}: entry {row} of array {k} of the batch is {v[row]}", fix, where="")
    with watched(step.model) as calls:
        try:
            with np.errstate(all="ignore"), debug_nans():
                value_and_grad(lambda p: step.objective(p, rest, batch)[0])(params)
        except DerivativeError as error:
            call = innermost(calls, getattr(error.node, "order", -1))
            layer = f"layer {call.name}" if call is not None else "the loss"
            return DivergenceError(f"{when}, in {layer}: {error.what}", fix, where=error.where)
        except ChainruleError as error:
            return DivergenceError(f"{when}: {error.what}", fix, where=error.where)
    return DivergenceError(f"{when}: the update made a parameter infinite or NaN", fix, where="")
