"""torch.nn.functional."""

from typing import Any

from ...nn import functional as _functional
from ...tensors.namespace import missing as _missing

__all__ = [*_functional.__all__]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(_functional, name)
    raise _missing(f"torch.nn.functional.{name} is not here", __all__, name)


def __dir__() -> list[str]:
    return sorted(__all__)
