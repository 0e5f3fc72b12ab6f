"""torch's own samples of every function (its database of operations), run with torch and with chainrule.torch."""

import copy
import math
import sys
import types
import unittest
import warnings
from collections import Counter

import numpy as np

import chainrule.torch as ours
from chainrule import ChainruleError

AGREED = "agreed"
MAKERS = (
    "empty",
    "rand",
    "bernoulli",
    "normal",
    "multinomial",
    "dropout",
    "uniform",
    "exponential",
    "geometric",
    "random",
)


NOT_FUNCTIONS = [
    "bool",
    "byte",
    "cdouble",
    "cfloat",
    "char",
    "double",
    "float",
    "half",
    "int",
    "long",
    "short",
    "to",
]  # here they name dtypes
UNSPECIFIED = [
    "kthvalue",
    "topk",
    "mode",
    "sort",
    "argsort",
    "msort",
    "median",
]  # which index, among equal entries, torch leaves open
ADAPTED = {  # the database calls these with their arguments in another order
    "where": lambda x, condition, other: ours.where(condition, x, other),
    "einsum": lambda operands, equation: ours.einsum(equation, *operands),
}


class Different(AssertionError):
    """Another value, dtype, shape or gradient than torch's."""


def databases():
    """torch's operations and modules with their samples."""
    if "expecttest" not in sys.modules:  # asked for by torch's tests, not by what is used of them here
        stub = types.ModuleType("expecttest")
        stub.TestCase = unittest.TestCase
        sys.modules["expecttest"] = stub
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
        from torch.testing._internal.common_modules import module_db
    return op_db, module_db


def translated(x, requires_grad=True):
    """torch's arguments as ours: tensors with the same values, layouts and flags; dtypes, devices and trees of them."""
    import torch

    if isinstance(x, torch.Tensor):
        if x.dtype == torch.bfloat16 or x.layout != torch.strided or x.is_quantized:
            raise Skip("a dtype or layout that NumPy lacks")
        made = ours.tensor(x.detach().resolve_conj().resolve_neg().numpy().copy())
        if requires_grad and x.requires_grad:
            made.requires_grad = True
        return made
    if isinstance(x, torch.dtype):
        found = getattr(ours, str(x).removeprefix("torch."), None)
        if found is None:
            raise Skip("a dtype that NumPy lacks")
        return found
    if isinstance(x, torch.device):
        return ours.device(str(x))
    if isinstance(x, torch.Size):
        return tuple(x)
    if isinstance(x, dict):
        return {k: translated(v, requires_grad) for k, v in x.items()}
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return type(x)(translated(v, requires_grad) for v in x)
    if isinstance(x, (torch.layout, torch.memory_format, torch.Generator)):
        raise Skip("a layout, or a generator of torch's")
    return x


class Skip(Exception):
    """A sample that says nothing about us."""


def leaves(x):
    """The tensors of a tree."""
    if isinstance(x, dict):
        return [y for v in x.values() for y in leaves(v)]
    if isinstance(x, (list, tuple)):
        return [y for v in x for y in leaves(v)]
    return [x] if hasattr(x, "requires_grad") and hasattr(x, "detach") else []


def compared(a, b, where, rtol, atol):
    """Raise unless our `b` is torch's `a`."""
    import torch

    if isinstance(a, torch.Tensor):
        if not isinstance(b, ours.Tensor):
            raise Different(f"{where}: torch gives a tensor, we give {type(b).__name__}")
        if str(a.dtype).removeprefix("torch.") != str(b.dtype):
            raise Different(f"{where}: dtype {a.dtype} of torch, ours {b.dtype}")
        if tuple(a.shape) != tuple(b.shape):
            raise Different(f"{where}: shape {tuple(a.shape)} of torch, ours {tuple(b.shape)}")
        x, y = a.detach().resolve_conj().numpy(), np.asarray(b.detach().numpy())
        if not np.allclose(x, y, rtol, atol, equal_nan=True):
            raise Different(f"{where}:\n  torch {x.reshape(-1)[:8]}\n  ours  {y.reshape(-1)[:8]}")
        if a.requires_grad != b.requires_grad:
            raise Different(f"{where}: requires_grad {a.requires_grad} of torch, ours {b.requires_grad}")
        return
    if isinstance(a, (list, tuple)):
        if not isinstance(b, (list, tuple)) or len(a) != len(b):
            raise Different(f"{where}: torch gives {len(a)} results, we give {b!r:.80}")
        if getattr(a, "_fields", None) is None and hasattr(type(a), "n_fields"):
            names = [
                n for n in dir(type(a)) if not n.startswith("_") and n not in dir(tuple) and not n.startswith("n_")
            ]
            if set(getattr(b, "_fields", ())) != set(names):
                raise Different(f"{where}: torch's fields are {names}, ours {getattr(b, '_fields', None)}")
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            compared(x, y, f"{where}[{k}]", rtol, atol)
        return
    if isinstance(a, (bool, int, float)) and not (
        a == b or (isinstance(a, float) and math.isclose(a, b, rel_tol=1e-6))
    ):
        raise Different(f"{where}: {a!r} of torch, ours {b!r}")


def tolerances(dtype):
    """How close results of a dtype are to be."""
    return {"float16": (5e-3, 5e-3), "float64": (1e-9, 1e-10), "complex128": (1e-9, 1e-10)}.get(
        str(dtype).removeprefix("torch."), (2e-4, 2e-5)
    )


def judged(theirs, function, args, kwargs, gradients, random=False, unspecified=False):
    """One call: AGREED, or why it was refused; raises Different for everything else.

    args, kwargs: torch's. theirs, function: torch's function and ours, called with the same.
    """
    import torch

    own_args, own_kwargs = translated(args), translated(kwargs)
    given, own_given = leaves([args, kwargs]), leaves([own_args, own_kwargs])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            a = theirs(*args, **kwargs)
    except Exception as error:
        refused = error
    else:
        refused = None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            b = function(*own_args, **own_kwargs)
    except ChainruleError as error:
        return "refused: " + str(error).splitlines()[0][:90]
    except TypeError as error:
        if "argument" in str(error):  # Python's own refusal of an argument
            return "refused: " + str(error)[:90]
        raise Different(f"TypeError: {error}") from error
    except Exception as error:
        raise Different(f"{type(error).__name__}: {error}") from error
    if refused is not None:
        return f"torch refuses ({type(refused).__name__}: {str(refused).splitlines()[0][:80]}), we do not"
    floats = [x for x in given if x.is_floating_point() or x.is_complex()]
    outs, own_outs = leaves([a]), leaves([b])
    dtype = next((x.dtype for x in [*outs, *floats]), torch.float32)
    if random:
        for x, y in zip(outs, own_outs, strict=True):
            compared(x * 0, y * 0, "result", 0, 0)
        return AGREED
    rtol, atol = tolerances(dtype)
    if unspecified and isinstance(a, tuple):
        a, b, gradients = a[0], b[0], False
    elif unspecified and not a.dtype.is_floating_point:
        return AGREED
    compared(a, b, "result", rtol, atol)
    if not gradients:
        return AGREED
    pairs = [(x, y) for x, y in zip(outs, own_outs, strict=True) if x.requires_grad]
    if not pairs:
        return AGREED
    rng = np.random.default_rng(0)
    total, own_total = 0, 0
    for x, y in pairs:
        w = rng.standard_normal(tuple(x.shape))
        if x.is_complex():
            w = w + 1j * rng.standard_normal(tuple(x.shape))
        weight = torch.tensor(w).to(x.dtype)
        s, t = (x * weight).sum(), (y * ours.tensor(weight.numpy().copy())).sum()
        total, own_total = total + (s.real if s.is_complex() else s), own_total + (t.real if y.is_complex() else t)
    total.backward()
    try:
        with np.errstate(all="ignore"):
            own_total.backward()
    except ChainruleError as error:
        return "backward refused: " + str(error).splitlines()[0][:90]
    except Exception as error:
        raise Different(f"backward: {type(error).__name__}: {error}") from error
    for k, (x, y) in enumerate(zip(given, own_given, strict=True)):
        if x.requires_grad and x.is_leaf:
            g = torch.zeros_like(x) if x.grad is None else x.grad
            h = ours.zeros_like(y) if y.grad is None else y.grad
            compared(g, h, f"gradient of tensor {k}", rtol * 10, atol * 10)
    return AGREED


def ours_for(name):
    """Our function of a name in torch's database, or None where it is not here."""
    if name in ADAPTED:
        return ADAPTED[name]
    if name in NOT_FUNCTIONS:
        return None
    place = ours
    for part in name.split("."):
        place = getattr(place, part, None)
        if place is None:
            return None
    return place


def shown(sample):
    """A sample as text."""

    def text(x):
        if hasattr(x, "dtype") and hasattr(x, "shape"):
            return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}"
        if isinstance(x, (list, tuple)):
            return "(" + ", ".join(map(text, x)) + ")"
        return repr(x)

    return f"({', '.join(map(text, sample[0]))}; {', '.join(f'{k}={text(v)}' for k, v in sample[1].items())})"


def fresh(x):
    """A copy of arguments whose tensors are leaves of their own."""
    import torch

    if isinstance(x, torch.Tensor):
        made = x.detach().clone()
        return made.requires_grad_(x.requires_grad)
    if isinstance(x, dict):
        return {k: fresh(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields") and not isinstance(x, torch.Size):
        return type(x)(fresh(v) for v in x)
    return copy.copy(x) if isinstance(x, (torch.Size,)) else x


def tally_of(counter):
    """The outcomes in one line."""
    return ", ".join(f"{n} {k}" for k, n in counter.most_common())


__all__ = ["AGREED", "Counter", "Different", "Skip", "databases", "fresh", "judged", "ours_for", "shown", "tally_of"]
