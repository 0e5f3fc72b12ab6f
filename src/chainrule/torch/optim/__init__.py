"""torch.optim: optimizers and schedules of their learning rates."""

from ...optim import LBFGS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from ...tensors.namespace import missing_from as _missing_from
from . import lr_scheduler

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
__getattr__ = _missing_from("torch.optim", __all__)
