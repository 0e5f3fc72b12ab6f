"""torch's namespace, with torch's meaning: `import chainrule.torch as torch`, `from chainrule.torch import nn, optim`.

A name of torch's is here with its meaning there, or it is not here. Nothing is computed in this package: its names stand
for what `chainrule.tensors`, `chainrule.nn`, `chainrule.optim` and `chainrule.utils` define.

>>> import chainrule.torch as torch
>>> u = torch.tensor(3.0, requires_grad=True)
>>> loss = (u * u).sin()
>>> loss.backward()
>>> u.grad
tensor(-5.4668)
"""

from __future__ import annotations

import importlib
import math as _math
from typing import TYPE_CHECKING, Any

import numpy as _np

from ..tensors import namespace as _namespace
from ..tensors.axes import Size
from ..tensors.creation import (
    Generator,
    arange,
    as_tensor,
    default_generator,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    get_rng_state,
    is_tensor,
    linspace,
    logspace,
    manual_seed,
    ones,
    ones_like,
    set_printoptions,
    set_rng_state,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from ..tensors.devices import device
from ..tensors.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from ..tensors.promotion import get_default_dtype, promote_types, result_type, set_default_dtype
from ..tensors.randomness import (
    bernoulli,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from ..tensors.tensor import Tensor

if TYPE_CHECKING:
    from . import autograd as autograd
    from . import backends as backends
    from . import cuda as cuda
    from . import func as func
    from . import linalg as linalg
    from . import nn as nn
    from . import optim as optim
    from . import utils as utils

finfo, iinfo = _np.finfo, _np.iinfo
pi, e, inf, nan = _math.pi, _math.e, _math.inf, _math.nan
float16, float32, float64 = (_np.dtype(n) for n in ("float16", "float32", "float64"))
half, float, double = float16, float32, float64
uint8, int8, int16, int32, int64 = (_np.dtype(n) for n in ("uint8", "int8", "int16", "int32", "int64"))
short, int, long = int16, int32, int64
complex64, complex128 = _np.dtype("complex64"), _np.dtype("complex128")
cfloat, cdouble = complex64, complex128
bool = _np.dtype("bool")

_SUBMODULES = ("autograd", "backends", "cuda", "func", "linalg", "nn", "optim", "utils")
_MEANT = {
    "save": "write weights with chainrule.save(model, path): safetensors, which torch reads",
    "load": "read weights with chainrule.load(path, model)",
    "compile": "compile the whole training with chainrule.train.fit, a function with chainrule.jit",
    "vmap": "batch a function with chainrule.vmap",
    "bfloat16": "NumPy has no bfloat16: use torch.float32",
}

globals().update(_namespace.FUNCTIONS)
__all__ = [
    "Generator",
    "Size",
    "Tensor",
    "arange",
    "as_tensor",
    "bernoulli",
    "bool",
    "cdouble",
    "cfloat",
    "complex64",
    "complex128",
    "default_generator",
    "device",
    "double",
    "e",
    "empty",
    "empty_like",
    "enable_grad",
    "eye",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "full",
    "full_like",
    "get_default_dtype",
    "get_rng_state",
    "half",
    "iinfo",
    "inf",
    "inference_mode",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "is_tensor",
    "linspace",
    "logspace",
    "long",
    "manual_seed",
    "multinomial",
    "nan",
    "no_grad",
    "normal",
    "ones",
    "ones_like",
    "pi",
    "promote_types",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "result_type",
    "set_default_dtype",
    "set_grad_enabled",
    "set_printoptions",
    "set_rng_state",
    "short",
    "tensor",
    "tril_indices",
    "triu_indices",
    "uint8",
    "zeros",
    "zeros_like",
]  # fmt: skip
__all__ += [*_namespace.FUNCTIONS, *_SUBMODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise _namespace.missing(f"torch.{name} is not here", __all__, name, _MEANT.get(name, ""))


def __dir__() -> list[str]:
    return sorted(__all__)
