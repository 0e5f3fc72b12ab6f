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
import sys
import types
from typing import TYPE_CHECKING, Any

import numpy as _np

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import numpy as numpy
    from . import torch as torch
    from . import train as train
    from .checks.diagnose import debug_nans as debug_nans
    from .checks.diagnose import trace_gradient as trace_gradient
    from .checks.gradients import check_grads as check_grads
    from .checks.handwritten import BackwardReport as BackwardReport
    from .checks.handwritten import check_backward as check_backward
    from .compile.jit import jit as jit
    from .diff.batching import vmap as vmap
    from .diff.checkpointing import checkpoint as checkpoint
    from .diff.checkpointing import checkpoint_sequential as checkpoint_sequential
    from .diff.checkpointing import recomputations as recomputations
    from .diff.control_flow import cond as cond
    from .diff.control_flow import fori_loop as fori_loop
    from .diff.control_flow import scan as scan
    from .diff.control_flow import switch as switch
    from .diff.control_flow import while_loop as while_loop
    from .diff.custom import custom_jvp as custom_jvp
    from .diff.custom import custom_vjp as custom_vjp
    from .diff.custom import elementwise as elementwise
    from .diff.custom import linear as linear
    from .diff.custom import primitive as primitive
    from .diff.jacobians import gnvp as gnvp
    from .diff.jacobians import hessian as hessian
    from .diff.jacobians import hvp as hvp
    from .diff.jacobians import jacobian as jacobian
    from .diff.sparse import sparsity as sparsity
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
    from .nn.reports import collapse as collapse
    from .nn.reports import flow as flow
    from .nn.reports import summary as summary
    from .nn.reports import symmetry as symmetry
    from .nn.saving import load as load
    from .nn.saving import save as save
    from .nn.substitution import functional_call as functional_call
    from .ops.unknown import unknown as unknown
    from .programs.cost import Cost as Cost
    from .programs.cost import cost as cost
    from .showing.explain import Explanation as Explanation
    from .showing.explain import code as code
    from .showing.explain import draw as draw
    from .showing.explain import explain as explain
    from .showing.pattern import plot_sparsity as plot_sparsity
    from .symbolic.answers.claims import check as check
    from .symbolic.answers.find import Found as Found
    from .symbolic.answers.find import find as find
    from .symbolic.answers.known import Check as Check
    from .symbolic.answers.prove import Verdict as Verdict
    from .symbolic.answers.prove import prove as prove
    from .trace.formula import Formula as Formula
    from .trace.formula import parse as parse

_HOME = {
    "diff.checkpointing": "checkpoint checkpoint_sequential recomputations",
    "diff.transforms": "grad jvp linearize stop_gradient value_and_grad vjp",
    "diff.jacobians": "gnvp hessian hvp jacobian",
    "compile.jit": "jit",
    "nn.substitution": "functional_call",
    "nn.reports": "collapse flow summary symmetry",
    "nn.saving": "load save",
    "diff.batching": "vmap",
    "checks.handwritten": "BackwardReport check_backward",
    "checks.gradients": "check_grads",
    "programs.cost": "Cost cost",
    "diff.custom": "custom_jvp custom_vjp elementwise linear primitive",
    "checks.diagnose": "debug_nans trace_gradient",
    "diff.control_flow": "cond fori_loop scan switch while_loop",
    "diff.sparse": "sparsity",
    "trace.array": "Array",
    "trace.formula": "Formula parse",
    "showing.explain": "Explanation code draw explain",
    "symbolic.answers.claims": "check",
    "symbolic.answers.known": "Check",
    "symbolic.answers.find": "Found find",
    "symbolic.answers.prove": "Verdict prove",
    "ops.unknown": "unknown",
    "showing.pattern": "plot_sparsity",
    "errors": "ChainruleError DerivativeError DivergenceError FormulaError InputError ShapeError TraceError",
}
_WHERE = {name: module for module, names in _HOME.items() for name in names.split()}
_MODULES = ("numpy", "ops", "torch", "train")
_MOVED = frozenset(
    [
        "Generator",
        "Tensor",
        "allclose",
        "arange",
        "as_tensor",
        "bernoulli",
        "cat",
        "clamp",
        "empty",
        "eye",
        "from_numpy",
        "full",
        "is_tensor",
        "linspace",
        "manual_seed",
        "nn",
        "no_grad",
        "normal",
        "ones",
        "ones_like",
        "optim",
        "rand",
        "randint",
        "randn",
        "randperm",
        "set_printoptions",
        "stack",
        "tensor",
        "utils",
        "zeros",
        "zeros_like",
        "float32",
        "float64",
        "int64",
        "int32",
        "float",
        "double",
        "long",
        "int",
    ]
)  # what stands for torch's meaning, and is to be found in its namespace alone

__all__ = [*_WHERE, "numpy", "torch", "train"]  # pyright: ignore[reportUnsupportedDunderAll]


class _Package(types.ModuleType):
    """The package: the folders that hold what `chainrule.torch` shows are not attributes of it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _MOVED:
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Public names are imported when first used. Every operation, such as `chainrule.sigmoid`, is one; NumPy's are NumPy's."""
    if name in _WHERE:
        found = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    elif name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    elif name in _MOVED:
        from .errors import MissingError, MovedError

        # Python looks for a folder of ours where an import finds no such attribute: that, too, is refused
        imported = sys._getframe(1).f_code.co_filename.startswith("<frozen importlib")
        raise (MovedError if imported else MissingError)(
            f"chainrule.{name} is in chainrule.torch now",
            f"import chainrule.torch as torch, and write torch.{name}: there every name has torch's meaning",
        )
    else:
        found = (
            None
            if name.startswith("_")
            else importlib.import_module(".trace.vocabulary", __name__).function_named(name)
        )
        if found is None:
            raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
        found = getattr(_np, name, found)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
