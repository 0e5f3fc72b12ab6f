"""Losses as modules, with reductions `mean`, `sum` and `none`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InputError
from . import functional as F
from .module import Module


def _loss(name: str, function: Callable[..., Any], doc: str, reductions: str = "mean sum none", **defaults: Any) -> Any:
    """A module that applies a loss; its settings are arguments with defaults."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        Module.__init__(self)
        given = dict(zip(defaults, args, strict=False)) | kwargs
        reduction = given.pop("reduction", "mean")
        unknown = [k for k in given if k not in defaults]
        if unknown or len(args) > len(defaults):
            raise TypeError(f"{name}() takes {', '.join([*defaults, 'reduction'])}; got {unknown or args}")
        if reduction not in reductions.split():
            raise InputError(f"{name}: there is no reduction {reduction!r}", f"choose {reductions.replace(' ', ', ')}")
        self.settings = {**defaults, **given, "reduction": reduction}

    def forward(self: Any, x: Any, target: Any) -> Any:
        return function(x, target, **self.settings)

    def extra_repr(self: Any) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self.settings.items() if v is not None)

    return type(
        name,
        (Module,),
        {"__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": doc, "__module__": __name__},
    )


MSELoss = _loss("MSELoss", F.mse_loss, "Squared error.")
L1Loss = _loss("L1Loss", F.l1_loss, "Absolute error.")
HuberLoss = _loss("HuberLoss", F.huber_loss, "Half the squared error up to delta, linear beyond.", delta=1.0)
SmoothL1Loss = _loss("SmoothL1Loss", F.smooth_l1_loss, "Huber's loss divided by beta.", beta=1.0)
BCELoss = _loss("BCELoss", F.binary_cross_entropy, "Binary cross entropy of probabilities.", weight=None)
BCEWithLogitsLoss = _loss(
    "BCEWithLogitsLoss",
    F.binary_cross_entropy_with_logits,
    "Binary cross entropy of logits, safe for any size.",
    weight=None,
    pos_weight=None,
)
CrossEntropyLoss = _loss(
    "CrossEntropyLoss",
    F.cross_entropy,
    "Cross entropy of logits (batch, classes, ...), safe for any size; the target is integers, or probabilities.",
    weight=None,
    ignore_index=-100,
    label_smoothing=0.0,
)
NLLLoss = _loss("NLLLoss", F.nll_loss, "Minus the log-probability of the right class.", weight=None, ignore_index=-100)
KLDivLoss = _loss(
    "KLDivLoss",
    F.kl_div,
    "The divergence of the target from a distribution given by its logarithms.",
    "mean sum none batchmean",
    log_target=False,
)
