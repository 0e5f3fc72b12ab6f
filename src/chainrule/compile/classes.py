"""What is known of things by their class: whose they are, what Python may read of them, whether that can be watched."""

from __future__ import annotations

import argparse
import collections
import collections.abc
import contextvars
import queue
import sys
import threading
import types
import weakref
from typing import Any

import numpy as np

from ..ir.op import Op
from .known_names import of_library, root

DATA = (types.SimpleNamespace, argparse.Namespace, collections.UserDict, collections.UserList, collections.ChainMap)
CONSUMED = (collections.deque, bytearray, memoryview)
UNSEEN = (
    threading.local,
    contextvars.ContextVar,
    weakref.ref,
    collections.abc.MutableMapping,
    collections.abc.MutableSet,
    queue.Queue,
)

OF_CLASSES = frozenset(
    ["__dict__", "__weakref__", "__module__", "__doc__", "__qualname__", "__annotations__", "__slots__"]
)
OPAQUE = frozenset(sys.stdlib_module_names) - {"__main__"}


def package(kind: type) -> str:
    """The package that a class comes from."""
    return root(kind.__module__)


def mixed(kind: type) -> bool:
    """Whether a class of the user's has code of a library beside its own, which may read what the user's does not name."""
    return any(c is not object and of_library(c) for c in kind.__mro__)


def slots_of(kind: type) -> list[str]:
    """The attributes that a class itself gives its objects outside of their dict."""
    given = vars(kind).get("__slots__", ())
    names = [given] if isinstance(given, str) else list(given)
    return [k for k in names if k not in ("__dict__", "__weakref__")]


def is_dunder_function(name: str, x: Any) -> bool:
    """Whether Python may call it without its name standing anywhere."""
    return name.startswith("__") and isinstance(x, (types.FunctionType, classmethod, staticmethod, property))


def settled_name(x: Any) -> bool:
    """Whether a name of a module is one that nobody binds anew: a module, class or function of a library."""
    return isinstance(x, (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, np.ufunc, Op)) and (
        isinstance(x, (types.BuiltinFunctionType, np.ufunc, Op)) or of_library(x)
    )
