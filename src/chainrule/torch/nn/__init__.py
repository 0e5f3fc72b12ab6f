"""torch.nn: modules and losses. chainrule's own (`Residual`, `Heaviside`, `Rect`, reports) are in `chainrule.nn`."""

from typing import Any

import chainrule.nn as _nn  # the package itself does not show it

from ...tensors.namespace import missing as _missing
from . import functional as functional
from . import init as init
from . import utils as utils

__all__ = [*_nn.TORCHS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _nn.TORCHS:
        return getattr(_nn, name)
    raise _missing(f"torch.nn.{name} is not here", __all__, name)


def __dir__() -> list[str]:
    return sorted(__all__)
