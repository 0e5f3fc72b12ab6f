"""Calls bound against NumPy's own signatures, so that no option is swallowed.

The version of a function for traced values takes parameters by NumPy's names. Whatever else NumPy's function takes is
refused unless it stands at NumPy's default. A method is its function with the signature that NumPy gives the method.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import ChainruleError, InputError, ShapeError, TraceError
from ...ir.recording import REJECTED

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


# ---- binding -------------------------------------------------------------------------------------------------

INSTEAD = {  # what to write, by the name of the option
    "order": "leave it out: traced arrays have the layout that NumPy chooses; transpose before and after instead",
    "dtype": "write .astype(dtype) where the conversion is meant",
    "casting": "write .astype(dtype) where the conversion is meant",
    "copy": "leave it out; write x.copy() where a copy is meant",
    "axes": "move the axes first, with np.moveaxis or np.swapaxes",
    "where": "write np.where(condition, a, b)",
    "out": "write y = ... instead of out=y",
    "mode": "leave it out, and bring the indices into range first",
    "like": "create the array with chainrule.numpy",
}


class Plan(NamedTuple):
    """Which of the values of a call goes where: by position, by name, nowhere (at its default), into `out`."""

    spread: tuple[int, ...]
    named: tuple[tuple[str, int], ...]
    unused: tuple[tuple[str, int, Any], ...]
    out: int
    direct: bool  # whether our version takes the arguments just as they are given


class Callee:
    """A function of NumPy's: its name, its signature, and our version of it, which takes some of its parameters.

    How arguments go to parameters depends on how many there are and on the keywords alone, and is worked out once.
    """

    __slots__ = ("name", "plans", "signature", "version")

    def __init__(self, name: str, signature: inspect.Signature, version: Callable[..., Any]) -> None:
        self.name, self.signature, self.version = name, signature, version
        self.plans: dict[tuple[int, tuple[str, ...]], Plan] = {}

    def __call__(self, args: tuple[Any, ...], options: Mapping[str, Any], receiver: tuple[Any, ...] = ()) -> Any:
        """The result of our version, and what `out=` was given; `receiver` is the array whose method it is."""
        key = len(args), tuple(options)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = self._plan(*key)
        values = (*args, *options.values()) if options else args
        for v in values:
            if v is NO_VALUE:
                break
        else:
            if plan.direct:
                try:
                    return self.version(*receiver, *args, **options), None
                except REJECTED as error:
                    raise rejected(self.name, error) from error
        for parameter, k, default in plan.unused:
            if not _stands_at(values[k], default, parameter):
                raise TraceError(
                    f"{self.name} of a traced value does not take {parameter}={values[k]!r:.60}",
                    INSTEAD.get(parameter, "leave it out, or write it in other operations"),
                )
        named = {p: values[k] for p, k in plan.named if values[k] is not NO_VALUE}
        try:
            result = self.version(*receiver, *[values[k] for k in plan.spread], **named)
        except REJECTED as error:
            raise rejected(self.name, error) from error
        return result, values[plan.out] if plan.out >= 0 else None

    def _plan(self, count: int, keywords: tuple[str, ...]) -> Plan:
        try:
            bound = self.signature.bind(*range(count), **{k: count + i for i, k in enumerate(keywords)})
        except TypeError as error:
            raise InputError(f"{self.name}: {error}", f"its parameters are {self.signature}") from None
        taken = inspect.signature(self.version).parameters
        spread: tuple[int, ...] = ()
        given: list[tuple[str, int, Any]] = []
        for parameter, value in bound.arguments.items():
            p = self.signature.parameters[parameter]
            if p.kind is p.VAR_POSITIONAL:
                spread = value
            elif p.kind is p.VAR_KEYWORD:
                given += [(k, v, OPTIONS_OF_UFUNCS.get(k, NO_VALUE)) for k, v in value.items()]
            else:
                given.append((CALLED_BEFORE.get(parameter, parameter), value, p.default))
        named = tuple((k, v) for k, v, _ in given if k in taken)
        unused = tuple(g for g in given if g[0] not in taken and g[0] != "out")
        out = next((v for k, v, _ in given if k == "out"), -1)
        behind = len(self.signature.parameters) > 0 and next(iter(taken)) not in self.signature.parameters
        ours = list(taken)[behind:][:count]
        direct = not spread and not unused and out < 0 and [k for k, v in named if v < count] == ours
        return Plan(spread, named, unused, out, direct)


def rejected(name: str, error: Exception) -> ChainruleError:
    """What NumPy or Python finds wrong with the arguments of a function, as an error of ours."""
    for known in (error, error.__cause__):
        if isinstance(known, ChainruleError):
            return known
    return ShapeError(f"{name}: {error}", "check the arguments against NumPy's documentation")


def _stands_at(value: Any, default: Any, parameter: str) -> bool:
    if value is default or value is NO_VALUE:
        return True
    same = (*EQUAL.get(parameter, ()), default)
    return isinstance(value, (bool, int, str, type(None))) and any(type(s) is type(value) and s == value for s in same)
