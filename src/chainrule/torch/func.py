"""torch.func: modules as functions of their parameters. The transforms are chainrule's own: `chainrule.grad`, `chainrule.vmap`."""

from ..nn.module import functional_call as functional_call

__all__ = ["functional_call"]
