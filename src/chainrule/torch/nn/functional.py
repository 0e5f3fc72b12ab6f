"""torch.nn.functional."""

from ...nn import functional as _functional
from ...tensors.namespace import missing_from as _missing_from
from ...tensors.namespace import told as _told

__all__ = [*_functional.__all__]  # pyright: ignore[reportUnsupportedDunderAll]
globals().update({name: _told(name, getattr(_functional, name)) for name in __all__})
__getattr__ = _missing_from("torch.nn.functional", __all__)
