"""Which names matter to a compiled function: of libraries, whose state is not looked at, and of what its code may ask objects for."""

from __future__ import annotations

import builtins
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..trace.references import References, references

LIBRARIES = frozenset({"numpy", "scipy", "chainrule", "torch", "jax", "pytest", *sys.stdlib_module_names}) - {
    "__main__"
}
PLAIN = frozenset(  # libraries whose functions ask the objects that they are given for nothing but their methods
    [
        "builtins",
        "numpy",
        "scipy",
        "chainrule",
        "math",
        "cmath",
        "itertools",
        "functools",
        "typing",
        "collections",
        "abc",
        "enum",
        "warnings",
        "numbers",
    ]
)
ASKING = frozenset(["getattr", "setattr", "delattr", "hasattr", "vars", "dir", "__dict__", "__getattribute__"])
HIDDEN = ("eval", "exec", "globals", "__import__")  # read what no look at the code can find


HEAP = 1 << 9  # the flag of types that a class statement has made


def root(module: str | None) -> str:
    """The package in which a module lies."""
    return (module or "").partition(".")[0]


def of_library(x: Any) -> bool:
    """Whether a function, class or module is of the language or a library, whose own state is not looked at."""
    if isinstance(x, FunctionType):  # not by its own word: a decorator may have copied that of what it wraps
        return root(x.__globals__.get("__name__")) in LIBRARIES
    if isinstance(x, ModuleType):
        return root(x.__name__) in LIBRARIES
    if (
        isinstance(x, type) and x.__module__ == "builtins"
    ):  # also said of classes that are made where there is no module
        return not x.__flags__ & HEAP
    return root(getattr(x, "__module__", "builtins")) in LIBRARIES


class Vocabulary:
    """The names in all code that a function reaches; it grows while the function is walked.

    `open` says that the code may ask objects for attributes which it does not name, `identity` that it asks whether two
    values are the same object.
    """

    def __init__(self) -> None:
        self.codes: set[CodeType] = set()
        self.others: set[str] = set()
        self.hidden: tuple[str, str] | None = None  # a function, and what in it reads what cannot be found
        self.open = False
        self.identity = False

    def add(self, f: FunctionType) -> References:
        """Take in the code of a function."""
        found = references(f.__code__)
        if f.__code__ not in self.codes:
            self.codes.add(f.__code__)
            self.others |= found.attributes | found.strings
            self.identity |= found.identity
            if found.matches:
                self.hidden = f.__qualname__, "match with the class of a number or an array"
            for name in found.module:
                self._judge(f, name)
            self.open |= not ASKING.isdisjoint(found.attributes | found.strings)
            self.open |= any(root(m) in LIBRARIES - PLAIN for m in found.imported)
        return found

    def _judge(self, f: FunctionType, name: str) -> None:
        if name in f.__globals__:
            x = f.__globals__[name]
            kind = x if isinstance(x, (FunctionType, ModuleType, type)) else type(x)
            self.open |= of_library(kind) and _package(kind) not in PLAIN
        elif hasattr(builtins, name):
            self.open |= name in ASKING
            if name in HIDDEN:
                self.hidden = f.__qualname__, name


def _package(x: Any) -> str:
    if isinstance(x, FunctionType):
        return root(x.__globals__.get("__name__"))
    return root(x.__name__ if isinstance(x, ModuleType) else getattr(x, "__module__", "builtins"))
