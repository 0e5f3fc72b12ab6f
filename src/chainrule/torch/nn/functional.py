"""torch.nn.functional."""

from ...nn.functional import *  # noqa: F403
from ...nn.functional import TORCHS as __all__
