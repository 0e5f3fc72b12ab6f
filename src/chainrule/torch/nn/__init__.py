"""torch.nn: modules and losses. chainrule's own (`Residual`, `Heaviside`, `Rect`, reports) are in `chainrule.nn`."""

from ...nn import *  # noqa: F403
from ...nn import TORCHS as __all__
from . import functional as functional
from . import init as init
from . import utils as utils

for _name in {*globals()} - {*__all__}:
    if not _name.startswith("_"):
        del globals()[_name]
