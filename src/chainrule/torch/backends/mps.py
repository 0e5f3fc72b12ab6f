"""torch.backends.mps."""

from ...tensors.devices import is_available as is_available

__all__ = ["is_available"]
