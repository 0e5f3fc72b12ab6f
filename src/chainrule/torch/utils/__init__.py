"""torch.utils: data sets and loaders."""

from ...tensors.namespace import missing_from as _missing_from
from . import data as data

__all__ = ["data"]
__getattr__ = _missing_from("torch.utils", __all__)
