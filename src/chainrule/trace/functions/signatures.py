"""NumPy's own signatures, of functions, methods of arrays, and methods of ufuncs."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

NO_VALUE: Any = np._NoValue  # type: ignore[attr-defined]  # how NumPy's signatures say that an option was left out

# ---- where NumPy gives no signature, or gave another one before ----------------------------------------------


def _read(text: str) -> inspect.Signature:
    return inspect.signature(eval(f"lambda {text}: None", {"_": NO_VALUE}))


_LIKED = "dtype=None, order=None, *, device=None, copy=None, like=None"
WRITTEN_IN_C: dict[str, inspect.Signature] = {
    name: _read(text)
    for name, text in {
        "array": "object, dtype=None, *, copy=True, order='K', subok=False, ndmin=0, ndmax=0, like=None",
        "asarray": f"a, {_LIKED}",
        "asanyarray": f"a, {_LIKED}",
        "ascontiguousarray": "a, dtype=None, *, like=None",
        "concatenate": "arrays, /, axis=0, out=None, *, dtype=None, casting='same_kind'",
        "dot": "a, b, out=None",
        "empty_like": "prototype, /, dtype=None, order='K', subok=True, shape=None, *, device=None",
        "inner": "a, b, /",
        "vdot": "a, b, /",
        "where": "condition, x=None, y=None, /",
    }.items()
}

_ONE_AXIS = "axis=None, dtype=None, out=None"
_EXTREME = "axis=None, out=None, keepdims=False, initial=_, where=True"
_SUM = f"{_ONE_AXIS}, keepdims=False, initial=_, where=True"
_MOMENT = f"{_ONE_AXIS}, ddof=0, keepdims=False, *, where=True, mean=None"
_TRUTH = f"{_ONE_AXIS}, keepdims=False, *, where=True"
_INDEX = "axis=None, out=None, *, keepdims=False"
_SORT = "axis=-1, kind=None, order=None, *, stable=None"

# method: (the function whose twin it is; None where NumPy has no such function, its signature without self)
METHODS: dict[str, tuple[str | None, inspect.Signature]] = {
    name: (twin, _read(text))
    for name, (twin, text) in {
        "all": ("all", _TRUTH),
        "any": ("any", _TRUTH),
        "argmax": ("argmax", _INDEX),
        "argmin": ("argmin", _INDEX),
        "argsort": ("argsort", _SORT),
        "astype": (None, "dtype, order='K', casting='unsafe', subok=True, copy=True"),
        "clip": ("clip", "min=None, max=None, out=None, **kwargs"),
        "compress": (None, "condition, /, axis=None, out=None"),
        "conj": ("conjugate", ""),
        "conjugate": ("conjugate", ""),
        "copy": ("copy", "order='C'"),
        "cumsum": ("cumsum", _ONE_AXIS),
        "diagonal": ("diagonal", "offset=0, axis1=0, axis2=1"),
        "dot": ("dot", "b, /, out=None"),
        "fill": (None, "value, /"),
        "flatten": (None, "order='C'"),
        "item": (None, "*args"),
        "max": ("max", _EXTREME),
        "mean": ("mean", f"{_ONE_AXIS}, keepdims=False, *, where=True"),
        "min": ("min", _EXTREME),
        "nonzero": ("nonzero", ""),
        "prod": ("prod", _SUM),
        "ravel": ("ravel", "order='C'"),
        "repeat": ("repeat", "repeats, /, axis=None"),
        "reshape": (None, "*shape, order='C', copy=None"),
        "round": ("round", "decimals=0, out=None"),
        "searchsorted": ("searchsorted", "v, /, side='left', sorter=None"),
        "sort": (None, _SORT),
        "squeeze": ("squeeze", "axis=None"),
        "std": ("std", _MOMENT),
        "sum": ("sum", _SUM),
        "swapaxes": ("swapaxes", "axis1, axis2, /"),
        "take": ("take", "indices, /, axis=None, out=None, mode='raise'"),
        "tolist": (None, ""),
        "trace": ("trace", "offset=0, axis1=0, axis2=1, dtype=None, out=None"),
        "transpose": (None, "*axes"),
        "var": ("var", _MOMENT),
    }.items()
}

UFUNC_METHODS: dict[str, inspect.Signature] = {
    name: _read(text)
    for name, text in {
        "reduce": "array, /, axis=0, dtype=None, out=None, keepdims=False, initial=_, where=True",
        "accumulate": "array, /, axis=0, dtype=None, out=None",
        "reduceat": "array, /, indices, axis=0, dtype=None, out=None",
        "outer": "A, B, /, out=None, *, where=True, casting='same_kind', order='K', dtype=None, subok=True, signature=None",
        "at": "a, indices, b=None, /",
    }.items()
}

OPTIONS_OF_UFUNCS = {
    "where": True,
    "casting": "same_kind",
    "order": "K",
    "dtype": None,
    "subok": True,
}  # behind **kwargs
EQUAL = {  # values beside the default that mean the same to arrays which have no subclasses and live on the CPU
    "subok": (True, False),
    "device": (None, "cpu"),
    "optimize": (True, False, "greedy", "optimal"),  # in which order einsum multiplies
    "ndmax": (0,),
}
CALLED_BEFORE = {"newshape": "shape"}  # parameters that older versions of NumPy call by another name


@functools.cache
def signature_of(function: Any) -> inspect.Signature:
    """The signature of a function of NumPy's."""
    written = WRITTEN_IN_C.get(function.__name__) if function.__module__ == "numpy" else None
    return written or inspect.signature(function)
