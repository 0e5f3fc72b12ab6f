"""torch.func: modules as functions of their parameters. The transforms are chainrule's own: `chainrule.grad`, `chainrule.vmap`."""

from ..nn.substitution import functional_call as functional_call
from ..tensors.namespace import missing_from as _missing_from

__all__ = ["functional_call"]

__getattr__ = _missing_from("torch.func", __all__)
