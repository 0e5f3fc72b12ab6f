"""Why a training left the finite numbers: the layer or parameter, and the first value that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.diagnose import debug_nans
from ..errors import ChainruleError, DerivativeError, DivergenceError
from ..nn.observing import innermost, watched
from ..tensors.creation import tensor

if TYPE_CHECKING:
    from .step import Step


def divergence(step: Step, batch: Sequence[Any], when: str) -> DivergenceError:
    """The error for a step whose loss, or a gradient of which, is not finite; the model is as it was before that step."""
    when = f"training diverged in {when}"
    fix = "lower the learning rate, clip the gradients (clip=1.0), or look at this input; the step was not applied"
    for k, v in step.params.items():
        if not np.all(np.isfinite(v)):
            return DivergenceError(f"{when}: the parameter {k} is no longer finite before this step", fix, where="")
    for k, v in enumerate(map(np.asarray, batch)):
        if v.dtype.kind == "f" and not np.all(np.isfinite(v)):
            row = tuple(int(i) for i in np.argwhere(~np.isfinite(v))[0])
            return DivergenceError(f"{when}: entry {row} of array {k} of the batch is {v[row]}", fix, where="")
    put_back = step.keep_buffers()
    with watched(step.model) as calls:
        try:
            with np.errstate(all="ignore"), debug_nans():
                *inputs, target = map(tensor, batch)
                step.optimizer.zero_grad()
                loss = step.loss(step.model(*inputs), target)
                loss.backward()
        except DerivativeError as error:
            call = innermost(calls, getattr(error.node, "order", -1))
            layer = f"layer {call.name}" if call is not None else "the loss"
            return DivergenceError(f"{when}, in {layer}: {error.what}", fix, where=error.where)
        except ChainruleError as error:
            return DivergenceError(f"{when}: {error.what}", fix, where=error.where)
        finally:
            put_back()
    for k, p in step.trained.items():
        if p.grad is not None and not np.all(np.isfinite(p.grad.node.value)):
            return DivergenceError(f"{when}: the gradient of the parameter {k} is not finite", fix, where="")
    return DivergenceError(f"{when}: the loss or a gradient is not finite", fix, where="")
