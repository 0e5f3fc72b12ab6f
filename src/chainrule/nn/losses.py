"""Losses as modules: each has the settings of its function in `functional`, in torch's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InputError
from . import functional as F
from .functional.shared import reduction_of
from .settings import module_of

_REDUCTIONS = ("mean", "sum", "none")


def _loss(name: str, function: Callable[..., Any], doc: str, inputs: int = 2, more: tuple[str, ...] = ()) -> Any:
    """A module that applies a loss to so many inputs."""

    def checked(self: Any) -> None:
        if self.reduction not in _REDUCTIONS + more:
            raise InputError(
                f"{name}: there is no reduction {self.reduction!r}", f"choose {', '.join(_REDUCTIONS + more)}"
            )
        if "size_average" in self.settings:  # the two arguments that `reduction` replaced
            self.reduction = reduction_of(self.size_average, self.reduce, self.reduction)
            self.size_average = self.reduce = None

    return module_of(name, function, doc, __name__, inputs, check=checked)


MSELoss = _loss("MSELoss", F.mse_loss, "Squared error.")
L1Loss = _loss("L1Loss", F.l1_loss, "Absolute error.")
HuberLoss = _loss("HuberLoss", F.huber_loss, "Half the squared error up to delta, linear beyond.")
SmoothL1Loss = _loss("SmoothL1Loss", F.smooth_l1_loss, "Huber's loss divided by beta.")
BCELoss = _loss("BCELoss", F.binary_cross_entropy, "Binary cross entropy of probabilities.")
BCEWithLogitsLoss = _loss(
    "BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, "Binary cross entropy of logits, safe for any size."
)
CrossEntropyLoss = _loss(
    "CrossEntropyLoss",
    F.cross_entropy,
    "Cross entropy of logits (batch, classes, ...), safe for any size; the target is integers, or probabilities.",
)
NLLLoss = _loss("NLLLoss", F.nll_loss, "Minus the log-probability of the right class.")
KLDivLoss = _loss(
    "KLDivLoss",
    F.kl_div,
    "The divergence of the target from a distribution given by its logarithms.",
    2,
    ("batchmean",),
)
SoftMarginLoss = _loss("SoftMarginLoss", F.soft_margin_loss, "log(1 + exp(-y x)) for y = 1 or -1.")
HingeEmbeddingLoss = _loss(
    "HingeEmbeddingLoss", F.hinge_embedding_loss, "x where y = 1, max(0, margin - x) where y = -1."
)
MarginRankingLoss = _loss("MarginRankingLoss", F.margin_ranking_loss, "max(0, -y (x1 - x2) + margin).", 3)
CosineEmbeddingLoss = _loss(
    "CosineEmbeddingLoss", F.cosine_embedding_loss, "1 - cos where y = 1, max(0, cos - margin) where y = -1.", 3
)
TripletMarginLoss = _loss(
    "TripletMarginLoss", F.triplet_margin_loss, "max(0, d(anchor, positive) - d(anchor, negative) + margin).", 3
)
PoissonNLLLoss = _loss("PoissonNLLLoss", F.poisson_nll_loss, "exp(x) - y x for logarithms of rates.")
GaussianNLLLoss = _loss(
    "GaussianNLLLoss", F.gaussian_nll_loss, "(log v + (x - y)^2 / v) / 2 for a variance v, the third input.", 3
)
