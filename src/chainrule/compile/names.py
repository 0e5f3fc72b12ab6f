"""What code refers to: the names that it looks up in its module, and those that it may ask objects for."""

from __future__ import annotations

import builtins
import dis
import functools
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

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
NUMERIC = frozenset(
    [
        "float",
        "int",
        "complex",
        "bool",
        "ndarray",
        "generic",
        "number",
        "floating",
        "integer",
        "Number",
        "Real",
        "Integral",
    ]
)
HIDDEN = ("eval", "exec", "globals", "__import__")  # read what no look at the code can find


HEAP = 1 << 9  # the flag of types that a class statement has made


class Names(NamedTuple):
    """The names in a piece of code and in the functions that are written inside it."""

    module: frozenset[str]  # looked up in the module, or written there
    others: frozenset[str]  # attributes, and strings that may be names of some
    imported: frozenset[str]  # modules that it imports when it runs
    identity: bool  # whether it asks if two values are the same object


@functools.lru_cache(maxsize=4096)
def names_in(code: CodeType) -> Names:
    """The names that code refers to."""
    module: set[str] = set()
    others: set[str] = set()
    imported: set[str] = set()
    identity, constant = False, False
    before: tuple[Any, ...] = (None, None, None)  # the names in the last instructions
    for step in dis.get_instructions(code):
        identity |= step.opname == "IS_OP" and not constant
        constant = step.opname == "LOAD_CONST"
        if step.opname == "MATCH_CLASS" and not NUMERIC.isdisjoint(x for x in before if isinstance(x, str)):
            module.add("match")
        before = (*before[1:], step.argval)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
            module.add(step.argval)
        elif step.opname == "IMPORT_NAME":
            imported.add(step.argval)
        elif step.arg is not None and step.opcode in dis.hasname:
            others.add(step.argval)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            inner = names_in(part)
            identity |= inner.identity
            module |= inner.module
            others |= inner.others
            imported |= inner.imported
        else:
            others.update(_strings(part))
    return Names(frozenset(module), frozenset(others), frozenset(imported), identity or "id" in module)


def _strings(x: Any) -> Iterator[str]:
    if isinstance(x, str):
        if x.isidentifier():
            yield x
    elif isinstance(x, (tuple, frozenset)):
        for part in x:
            yield from _strings(part)


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

    def add(self, f: FunctionType) -> Names:
        """Take in the code of a function."""
        found = names_in(f.__code__)
        if f.__code__ not in self.codes:
            self.codes.add(f.__code__)
            self.others |= found.others
            self.identity |= found.identity
            for name in found.module:
                self._judge(f, name)
            self.open |= not ASKING.isdisjoint(found.others)
            self.open |= any(root(m) in LIBRARIES - PLAIN for m in found.imported)
        return found

    def _judge(self, f: FunctionType, name: str) -> None:
        if name == "match":
            self.hidden = f.__qualname__, "match with the class of a number or an array"
        elif name in f.__globals__:
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
