"""torch.autograd: derivatives of tensors."""

from ..tensors.autograd import backward as backward
from ..tensors.autograd import grad as grad
from ..tensors.modes import enable_grad as enable_grad
from ..tensors.modes import inference_mode as inference_mode
from ..tensors.modes import no_grad as no_grad
from ..tensors.modes import set_grad_enabled as set_grad_enabled
from ..tensors.namespace import missing_from as _missing_from

__all__ = ["backward", "enable_grad", "grad", "inference_mode", "no_grad", "set_grad_enabled"]

__getattr__ = _missing_from("torch.autograd", __all__)
