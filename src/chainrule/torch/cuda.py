"""torch.cuda: there are no such devices here, and it says so."""

from ..tensors.devices import device_count as device_count
from ..tensors.devices import is_available as is_available
from ..tensors.namespace import missing_from as _missing_from

__all__ = ["device_count", "is_available"]

__getattr__ = _missing_from("torch.cuda", __all__)
