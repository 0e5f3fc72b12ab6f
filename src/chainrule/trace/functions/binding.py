"""Calls bound against NumPy's own signatures, so that no option is swallowed.

The version of a function for traced values takes parameters by NumPy's names. Whatever else NumPy's function takes is
refused unless it stands at NumPy's default. A method is its function with the signature that NumPy gives the method.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import ChainruleError, InputError, ShapeError, TraceError
from ...ir.deferred import settled
from ...ir.recording import REJECTED, Handle
from ..handles import dtype_of
from .signatures import CALLED_BEFORE, EQUAL, NO_VALUE, OPTIONS_OF_UFUNCS

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
        self.plans: dict[tuple[int | str, ...], Plan] = {}

    def __call__(self, args: tuple[Any, ...], options: Mapping[str, Any], receiver: tuple[Any, ...] = ()) -> Any:
        """The result of our version, written into `out=` where one is given; `receiver` is the array whose method it is."""
        key = (len(args), *options)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = self._plan(len(args), tuple(options))
        try:
            if plan.direct:
                return self.version(*receiver, *args, **options)
            values = (*args, *options.values())
            self._refuse(plan, values)
            named = {p: values[k] for p, k in plan.named if values[k] is not NO_VALUE}
            result = self.version(*receiver, *[values[k] for k in plan.spread], **named)
        except REJECTED as error:
            raise rejected(self.name, error) from error
        out = values[plan.out] if plan.out >= 0 else None
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        return result if out is None or out is NO_VALUE else put(out, result, self.name)

    def _refuse(self, plan: Plan, values: tuple[Any, ...]) -> None:
        for parameter, k, default in plan.unused:
            if not _stands_at(values[k], default, parameter):
                raise TraceError(
                    f"{self.name} of a traced value does not take {parameter}={values[k]!r:.60}",
                    INSTEAD.get(parameter, "leave it out, or write it in other operations"),
                )

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
        behind = (
            next(iter(taken)) not in self.signature.parameters
        )  # the receiver, which a method's signature leaves out
        ours = list(taken)[behind : behind + count]
        in_order = spread == tuple(range(count)) if spread else [k for k, v in named if v < count] == ours
        left_out = any(self.signature.parameters[p].default is NO_VALUE for p in bound.arguments)
        direct = in_order and not unused and out < 0 and not left_out
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


def put(out: Any, result: Any, name: str, casting: Any = "no") -> Any:
    """Write a result into `out=`, as NumPy does, and return it."""
    if not isinstance(out, Handle):
        if isinstance(result, Handle):
            raise TraceError(
                "writing a traced result into a plain NumPy array (out=, or a += b with a plain a) would lose its derivative",
                "write a = a + b, or create a with np.zeros_like(x) of a traced x or chainrule.numpy.zeros(...)",
            )
        if not isinstance(out, np.ndarray):
            raise TraceError(f"{name}: out must be an array, not {type(out).__name__}", "create one with np.zeros_like")
        np.copyto(out, result, casting=casting)
        return out
    if isinstance(settled(out.node.value), np.generic):
        raise TraceError(f"{name}: out is a scalar, which cannot be written into", "write y = ... instead of out=y")
    if not np.can_cast(dtype_of(result), out.dtype, casting):
        raise TraceError(
            f"{name}: the result is {dtype_of(result)}, and out is {out.dtype}", "make out with the dtype of the result"
        )
    if np.shape(result) != out.shape:
        raise ShapeError(f"{name}: the result has shape {np.shape(result)}, and out {out.shape}")
    if isinstance(result, Handle):
        out.assign(result)  # type: ignore[attr-defined]
    else:
        out[...] = result  # type: ignore[index]
    return out
