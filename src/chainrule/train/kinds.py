"""What code can hold, kind by kind: what cannot change, what belongs to a library, when two values are the same, how a state is read and set."""

from __future__ import annotations

import builtins
import enum
import functools
import logging
import pathlib
import re
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensors.creation import Generator
from ..trace.references import UNBOUND

MANY = 20_000  # objects that are followed, at most
SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range, slice)
INERT = (
    *SCALARS, np.generic, np.dtype, np.ufunc, enum.Enum, re.Pattern, pathlib.PurePath, types.BuiltinFunctionType, types.CodeType,
    types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.MethodWrapperType, types.ClassMethodDescriptorType, logging.Logger, type(threading.Lock()), type(threading.RLock()),
    types.MappingProxyType, types.GenericAlias, type(np.array_equal),
)  # fmt: skip
LIBRARY = {*sys.stdlib_module_names, "numpy", "scipy", "chainrule"} - {"__main__"}
CLOCKS = {"time", "datetime", "os", "io", "uuid", "secrets", "threading", "socket", "subprocess"}
IMPURE = {getattr(builtins, n) for n in ("open", "input", "print", "eval", "exec", "globals", "__import__")}
COMPILED = "_compiled"  # what a module keeps for the training of itself: not read by its code
OWN = {COMPILED, "_parameters", "_modules", "_buffers", "_transient"}  # looked at for themselves

CALLABLES = (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)
DYNAMIC = {"getattr", "vars", "dir"}  # ways to find a method by a name that the code does not show
MAKERS = ("__init__", "__new__", "__post_init__")  # run where a class is called

MISSING = UNBOUND  # also where nothing is bound to a name


def of_library(x: Any) -> bool:
    """Whether a function or class belongs to a library, whose globals do not change."""
    return (getattr(x, "__module__", None) or "builtins").partition(".")[0] in LIBRARY


def same_value(a: Any, b: Any) -> bool:
    """Whether two scalars are equal in value, type and sign."""
    if a is b:
        return True
    if type(a) is not type(b) or not isinstance(a, (*SCALARS, np.generic, np.dtype)):
        return False
    if isinstance(a, (float, complex, np.inexact)):
        return repr(a) == repr(b)
    if isinstance(a, types.MethodType):
        return a == b
    return bool(a == b)


def same_item(a: Any, b: Any) -> bool:
    """Whether two entries are the same: scalars by value, methods by what they are bound to, all else by identity."""
    if isinstance(a, types.MethodType) and isinstance(b, types.MethodType):  # a new object at each access
        return a.__self__ is b.__self__ and a.__func__ is b.__func__
    return same_value(a, b)


def same_entries(a: Any, b: Any) -> bool:
    """Whether two arrays have the same dtype, shape and bits."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.flags.c_contiguous and b.flags.c_contiguous and a.size:
        return bool(np.array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8)))
    return a.tobytes() == b.tobytes()


class Slots:
    """The slots of an object, read and written as a dict's entries are."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def get(self, name: str, default: Any) -> Any:
        return getattr(self.x, name, default)

    def pop(self, name: str, default: Any) -> Any:
        return delattr(self.x, name) if hasattr(self.x, name) else default

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.x, name, value)


def random_state(x: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """How the state of a source of random numbers is read and set."""
    if isinstance(x, Generator):
        return x.get_state, x.set_state
    if isinstance(x, np.random.Generator):
        return lambda: x.bit_generator.state, lambda s: setattr(x.bit_generator, "state", s)
    if isinstance(x, np.random.RandomState) or x is np.random:
        return x.get_state, x.set_state
    return x.getstate, x.setstate
