"""torch.optim.lr_scheduler."""

from ...optim.lr_scheduler import *  # noqa: F403
from ...optim.lr_scheduler import __all__ as __all__
from ...tensors.namespace import missing_from as _missing_from

__getattr__ = _missing_from("torch.optim.lr_scheduler", __all__)
