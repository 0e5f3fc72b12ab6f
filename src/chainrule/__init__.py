"""chainrule: derivatives you can read, trust and run fast.

Write an ordinary NumPy function, or type a formula:

>>> import chainrule as cr
>>> def f(x, y, z):
...     g = x + y
...     h = g * z
...     return h + x
>>> cr.grad(f, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
(-3.0, -4.0, 3.0)
>>> cr.explain("(x + y)*z + x", x=-2, y=5, z=-4).gradients
{'x': -3.0, 'y': -4.0, 'z': 3.0}
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as _np

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import nn as nn
    from . import numpy as numpy
    from . import optim as optim
    from . import train as train
    from . import utils as utils
    from .compile.jit import jit as jit
    from .diff.backward import BackwardReport as BackwardReport
    from .diff.backward import check_backward as check_backward
    from .diff.batching import vmap as vmap
    from .diff.check import check_grads as check_grads
    from .diff.checkpointing import checkpoint as checkpoint
    from .diff.checkpointing import checkpoint_sequential as checkpoint_sequential
    from .diff.checkpointing import recomputations as recomputations
    from .diff.cost import Cost as Cost
    from .diff.cost import cost as cost
    from .diff.creation import Generator as Generator
    from .diff.creation import allclose as allclose
    from .diff.creation import arange as arange
    from .diff.creation import as_tensor as as_tensor
    from .diff.creation import bernoulli as bernoulli
    from .diff.creation import cat as cat
    from .diff.creation import clamp as clamp
    from .diff.creation import empty as empty
    from .diff.creation import eye as eye
    from .diff.creation import from_numpy as from_numpy
    from .diff.creation import full as full
    from .diff.creation import is_tensor as is_tensor
    from .diff.creation import linspace as linspace
    from .diff.creation import manual_seed as manual_seed
    from .diff.creation import normal as normal
    from .diff.creation import ones as ones
    from .diff.creation import ones_like as ones_like
    from .diff.creation import rand as rand
    from .diff.creation import randint as randint
    from .diff.creation import randn as randn
    from .diff.creation import randperm as randperm
    from .diff.creation import set_printoptions as set_printoptions
    from .diff.creation import stack as stack
    from .diff.creation import zeros as zeros
    from .diff.creation import zeros_like as zeros_like
    from .diff.custom import custom_jvp as custom_jvp
    from .diff.custom import custom_vjp as custom_vjp
    from .diff.custom import elementwise as elementwise
    from .diff.custom import linear as linear
    from .diff.diagnose import debug_nans as debug_nans
    from .diff.diagnose import trace_gradient as trace_gradient
    from .diff.jacobians import gnvp as gnvp
    from .diff.jacobians import hessian as hessian
    from .diff.jacobians import hvp as hvp
    from .diff.jacobians import jacobian as jacobian
    from .diff.loops import cond as cond
    from .diff.loops import fori_loop as fori_loop
    from .diff.loops import scan as scan
    from .diff.loops import switch as switch
    from .diff.loops import while_loop as while_loop
    from .diff.sparse import sparsity as sparsity
    from .diff.tensor import Tensor as Tensor
    from .diff.tensor import no_grad as no_grad
    from .diff.tensor import tensor as tensor
    from .diff.transforms import grad as grad
    from .diff.transforms import jvp as jvp
    from .diff.transforms import linearize as linearize
    from .diff.transforms import stop_gradient as stop_gradient
    from .diff.transforms import value_and_grad as value_and_grad
    from .diff.transforms import vjp as vjp
    from .errors import ChainruleError as ChainruleError
    from .errors import DerivativeError as DerivativeError
    from .errors import DivergenceError as DivergenceError
    from .errors import FormulaError as FormulaError
    from .errors import InputError as InputError
    from .errors import ShapeError as ShapeError
    from .errors import TraceError as TraceError
    from .nn.saving import load as load
    from .nn.saving import save as save
    from .ops.unknown import unknown as unknown
    from .showing.explain import Explanation as Explanation
    from .showing.explain import code as code
    from .showing.explain import draw as draw
    from .showing.explain import explain as explain
    from .showing.pattern import plot_sparsity as plot_sparsity
    from .symbolic.claims import check as check
    from .symbolic.find import Found as Found
    from .symbolic.find import find as find
    from .symbolic.known import Check as Check
    from .symbolic.prove import Verdict as Verdict
    from .symbolic.prove import prove as prove
    from .trace.formula import Formula as Formula
    from .trace.formula import parse as parse

_HOME = {
    "diff.checkpointing": "checkpoint checkpoint_sequential recomputations",
    "diff.transforms": "grad jvp linearize stop_gradient value_and_grad vjp",
    "diff.jacobians": "gnvp hessian hvp jacobian",
    "compile.jit": "jit",
    "nn.saving": "load save",
    "diff.batching": "vmap",
    "diff.backward": "BackwardReport check_backward",
    "diff.check": "check_grads",
    "diff.cost": "Cost cost",
    "diff.creation": "Generator allclose arange as_tensor bernoulli cat clamp empty eye from_numpy full is_tensor linspace manual_seed "
    "normal ones ones_like rand randint randn randperm set_printoptions stack zeros zeros_like",
    "diff.custom": "custom_jvp custom_vjp elementwise linear",
    "diff.diagnose": "debug_nans trace_gradient",
    "diff.loops": "cond fori_loop scan switch while_loop",
    "diff.sparse": "sparsity",
    "diff.tensor": "Tensor no_grad tensor",
    "trace.array": "Array",
    "trace.formula": "Formula parse",
    "showing.explain": "Explanation code draw explain",
    "symbolic.claims": "check",
    "symbolic.known": "Check",
    "symbolic.find": "Found find",
    "symbolic.prove": "Verdict prove",
    "ops.unknown": "unknown",
    "showing.pattern": "plot_sparsity",
    "errors": "ChainruleError DerivativeError DivergenceError FormulaError InputError ShapeError TraceError",
}
_WHERE = {name: module for module, names in _HOME.items() for name in names.split()}
_DTYPES = ("float32", "float64", "int64", "int32")
_TORCH_DTYPES = {"float": "float32", "double": "float64", "long": "int64", "int": "int32"}

__all__ = [*_WHERE, *_DTYPES, "nn", "numpy", "optim", "train", "utils"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Public names are imported when first used; every operation, such as `chainrule.sigmoid`, is one."""
    if name in _WHERE:
        found = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    elif name in ("nn", "numpy", "ops", "optim", "train", "utils"):
        return importlib.import_module(f".{name}", __name__)
    elif name in _DTYPES:
        found = _np.dtype(name)
    elif name in _TORCH_DTYPES:
        found = _np.dtype(_TORCH_DTYPES[name])
    else:
        found = (
            None if name.startswith("_") else importlib.import_module(".trace.formula", __name__).function_named(name)
        )
        if found is None:
            raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
