"""torch.nn.utils."""

from ...nn import utils as _utils
from ...tensors.namespace import missing_from as _missing_from
from ...tensors.namespace import told as _told

__all__ = [*_utils.__all__]  # pyright: ignore[reportUnsupportedDunderAll]
globals().update({name: _told(name, getattr(_utils, name)) for name in __all__})
__getattr__ = _missing_from("torch.nn.utils", __all__)
