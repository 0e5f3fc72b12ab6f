"""How NumPy's functions, ufuncs and methods reach operations: the tables, `out=`, and axis arguments."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ir.recording import REJECTED, Handle
from ...ops import indexing as ix
from ..handles import constant_like, operand, split_index
from ..memory import lying
from .binding import Callee, rejected
from .signatures import METHODS, signature_of

FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # by NumPy's function
PLAIN: set[Any] = set()  # functions whose answers are plain, and which NumPy itself answers
METHOD_VERSIONS: dict[str, Callable[..., Any]] = {}  # of methods that are no twin of a function
CREATORS = (np.zeros, np.ones, np.empty, np.full, np.eye, np.identity, np.arange)


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the traced version of NumPy functions. It takes parameters by NumPy's names, as many as it handles."""

    def register(version: Callable[..., Any]) -> Callable[..., Any]:
        version = lying(version, functions)
        for f in functions:
            FUNCTIONS[f] = version
        return version

    return register


def implements_method(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the traced version of a method that has no function beside it."""

    def register(version: Callable[..., Any]) -> Callable[..., Any]:
        METHOD_VERSIONS[name] = version
        return version

    return register


@functools.cache
def _callee(function: Any) -> Callee:
    return Callee(name_of(function), signature_of(function), FUNCTIONS[function])


def name_of(function: Any) -> str:
    """The name of a function of NumPy's as users write it: `np.linalg.norm`."""
    return f"{function.__module__.replace('numpy', 'np', 1)}.{function.__name__}"


def call_function(function: Any, args: tuple[Any, ...], options: dict[str, Any], traced: Handle) -> Any:
    """What `__array_function__` does: NumPy's function on arguments some of which are traced."""
    version = FUNCTIONS.get(function)
    if version is None and function in CREATORS:  # np.zeros(3, like=x)
        return constant_like(traced, function(*args, **options))
    if version is None:
        raise TraceError(
            f"{name_of(function)} of a traced value is not supported",
            "write it in other operations; a linear map can be declared with chainrule.linear",
        )
    if function in PLAIN:
        return version(*args, **options)
    if len(args) == 1 and not options:
        try:
            return version(args[0])
        except REJECTED as error:
            raise rejected(name_of(function), error) from error
    return _callee(function)(args, options)


def method(name: str) -> Callable[..., Any]:
    """A method of arrays: the twin of NumPy's function, with the signature of NumPy's method."""
    twin, signature = METHODS[name]
    function = getattr(np, twin or "", None)
    version = METHOD_VERSIONS[name] if name in METHOD_VERSIONS else FUNCTIONS[function]
    callee = Callee(f"x.{name}", signature, version)
    plain = function in PLAIN

    def call(self: Any, *args: Any, **options: Any) -> Any:
        if not args and not options:
            try:
                return version(self)
            except REJECTED as error:
                raise rejected(callee.name, error) from error
        if plain:
            return version(self, *args, **options)
        return callee(args, options, (self,))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = version.__doc__
    return call


def index_into(a: Any, index: Any) -> Any:
    """`a[index]` as an array of its own; either may be traced."""
    template, arrays = split_index(index)
    return ix.getitem(operand(a), *arrays, index=template)


def axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis argument as a sorted tuple of negative ints; all axes for None."""
    if axis is None:
        return tuple(range(-ndim, 0))
    found = tuple(one_axis(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(found)) < len(found):
        raise ShapeError(f"axis {axis} names an axis twice")
    return tuple(sorted(found))


def one_axis(axis: Any, ndim: int) -> int:
    """One axis as a negative int."""
    a = operator.index(axis)
    if not -ndim <= a < ndim:
        raise ShapeError(f"axis {a} is out of bounds for an array with {ndim} axes")
    return a if a < 0 else a - ndim
