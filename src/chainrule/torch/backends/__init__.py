"""torch.backends: which accelerators there are. There are none."""

from . import mps as mps

__all__ = ["mps"]
