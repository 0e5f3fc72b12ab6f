"""torch.nn.init."""

from ...nn import init as _init
from ...tensors.namespace import missing_from as _missing_from
from ...tensors.namespace import told as _told

__all__ = [*_init.__all__]  # pyright: ignore[reportUnsupportedDunderAll]
globals().update({name: _told(name, getattr(_init, name)) for name in __all__})
__getattr__ = _missing_from("torch.nn.init", __all__)
