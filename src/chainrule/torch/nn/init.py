"""torch.nn.init."""

from ...nn.init import *  # noqa: F403
from ...nn.init import __all__ as __all__
