"""What code can read besides its arguments: looked at before it is traced, compared before it runs, put back where a trace changed it.

From some roots (a model, a loss, an optimizer) everything is followed that their code can reach: attributes, items, closures,
defaults, the globals that it names, the functions that it calls, and so on. Containers are compared item by item, by identity
first; numbers and strings by value and type; arrays and plain tensors by their entries; sources of random numbers by their state.
What is of no known kind (an iterator, a file, a clock) cannot be compared: code that reaches it must not be compiled.
"""

from __future__ import annotations

import builtins
import enum
import functools
import logging
import pathlib
import random
import re
import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import is_
from typing import Any

import numpy as np

from ..nn.module import Module
from ..tensors.creation import Generator, default_generator
from ..tensors.tensor import Tensor
from ..trace.references import UNBOUND, contents, references

MANY = 20_000  # objects that are followed, at most
SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range, slice)
INERT = (
    *SCALARS, np.generic, np.dtype, np.ufunc, enum.Enum, re.Pattern, pathlib.PurePath, types.BuiltinFunctionType, types.CodeType,
    types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.MethodWrapperType, types.ClassMethodDescriptorType, logging.Logger, weakref.ref, type(threading.Lock()), type(threading.RLock()),
    types.MappingProxyType, types.GenericAlias, type(np.array_equal),
)  # fmt: skip
LIBRARY = {*sys.stdlib_module_names, "numpy", "scipy", "chainrule"} - {"__main__"}
CLOCKS = {"time", "datetime", "os", "io", "uuid", "secrets", "threading", "socket", "subprocess"}
IMPURE = {getattr(builtins, n) for n in ("open", "input", "eval", "exec", "globals", "__import__")}
COMPILED = "_compiled"  # what a module keeps for the training of itself: not read by its code
OWN = {COMPILED, "_parameters", "_modules", "_buffers", "_transient"}  # looked at for themselves

CALLABLES = (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)
DYNAMIC = {"getattr", "vars", "dir"}  # ways to find a method by a name that the code does not show
MAKERS = ("__init__", "__new__", "__post_init__")  # run where a class is called

_missing = UNBOUND  # also where nothing is bound to a name


def _ours(x: Any) -> bool:
    """Whether a function or class belongs to a library, whose globals do not change."""
    return (getattr(x, "__module__", None) or "builtins").partition(".")[0] in LIBRARY


def _same_value(a: Any, b: Any) -> bool:
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


def _same_item(a: Any, b: Any) -> bool:
    if isinstance(a, types.MethodType) and isinstance(b, types.MethodType):  # a new object at each access
        return a.__self__ is b.__self__ and a.__func__ is b.__func__
    return _same_value(a, b)


def _same_entries(a: Any, b: Any) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.flags.c_contiguous and b.flags.c_contiguous and a.size:
        return bool(np.array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8)))
    return a.tobytes() == b.tobytes()


class World:
    """The reachable state, as it is now.

    Args:
        roots: objects by the names under which messages speak of them.
        given: tensors whose values are arguments, so that only what they are matters here.

    Attributes:
        unknown: what was met that cannot be compared, in words.
    """

    def __init__(self, roots: Mapping[str, Any], given: Iterable[Tensor] = ()) -> None:
        self.unknown: list[str] = []
        self.given = {id(t) for t in given}
        self.watched: set[int] = set()
        self.dicts: list[Any] = []  # namespaces and dicts, and what they held
        self.copies: list[dict[Any, Any]] = []
        self.lists: list[tuple[Any, list[Any]]] = []
        self.names: list[tuple[Any, str, Any]] = []  # single entries: globals, attributes of modules of Python
        self.cells: list[tuple[Any, Any]] = []
        self.arrays: list[tuple[Any, Any]] = []
        self.tensors: list[tuple[Tensor, Any, Any]] = []
        self.sources: list[tuple[Callable[[], Any], Callable[[Any], Any], Any]] = []
        self.paths: dict[int, str] = {}
        self.classes: dict[int, type] = {}
        self.keep: list[Any] = []  # so that no id is used anew
        self.seen: set[int] = set()
        self.reached = {"forward"}  # attributes that the code names, and methods that no code has named yet
        self.dynamic = False
        self.waiting: dict[str, list[tuple[str, Any]]] = {}
        self.named: set[tuple[int, str]] = set()
        for x in (default_generator, random, np.random):
            self._source(x)
        stack = [(path, root) for path, root in roots.items()]
        while stack:
            path, x = stack.pop()
            if id(x) in self.seen or isinstance(x, INERT):
                if isinstance(x, types.BuiltinFunctionType) and (x in IMPURE or x.__module__ in CLOCKS):
                    self.unknown.append(f"{path} ({x.__name__})")
                elif isinstance(x, types.BuiltinMethodType) and not isinstance(x.__self__, (types.ModuleType, type)):
                    stack.append((path, x.__self__))
                elif isinstance(x, np.generic) and x.dtype == object:
                    self.unknown.append(path)
                continue
            self.seen.add(id(x))
            self.keep.append(x)
            if len(self.keep) > MANY:
                self.unknown.append(f"more than {MANY} objects")
                break
            self.paths[id(x)] = path
            stack += self._looked(path, x)
        self.changes = Module.changes[0]

    # ---- looking ---------------------------------------------------------------------------------------------

    def _looked(self, path: str, x: Any) -> Iterator[tuple[str, Any]]:
        """Note what an object holds; what is to be followed from there."""
        if isinstance(x, Tensor):
            if id(x) not in self.given:
                self.tensors.append((x, x.node, np.array(x.node.value)))
                self.watched.add(id(x))
        elif isinstance(x, Module):
            yield from self._module(path, x)
        elif isinstance(x, np.ndarray):
            if type(x) not in (np.ndarray, np.memmap) or x.dtype == object:
                self.unknown.append(f"{path}, a {type(x).__name__} of {x.dtype}")
            else:
                self.arrays.append((x, x.copy()))
        elif isinstance(x, (Generator, np.random.Generator, np.random.RandomState, random.Random)):
            self._source(x)
        elif isinstance(x, dict):
            yield from self._dict(path, x, "[{!r}]")
            yield from self._state(path, x) if type(x).__module__ not in LIBRARY | {"builtins", "collections"} else ()
        elif isinstance(x, (list, tuple, set, frozenset, deque)):
            self.lists.append((x, list(x)))
            yield from ((f"{path}[{k}]", v) for k, v in enumerate(x))
        elif isinstance(x, types.FunctionType):
            yield from self._function(path, x)
        elif isinstance(x, types.MethodType):
            yield from ((path, x.__self__), (path, x.__func__))
        elif isinstance(x, functools.partial):
            yield from ((path, x.func), (path, x.args), (path, x.keywords))
        elif isinstance(x, (staticmethod, classmethod)):
            yield path, x.__func__
        elif isinstance(x, property):
            yield from ((path, f) for f in (x.fget, x.fset) if f is not None)
        elif isinstance(x, type):
            yield from self._class(path, x)
        elif isinstance(x, types.ModuleType):
            if x.__name__ in CLOCKS:
                self.unknown.append(f"{path} (the module {x.__name__})")
        elif hasattr(x, "__wrapped__"):
            yield path, x.__wrapped__
        elif hasattr(x, "__dict__") or hasattr(type(x), "__slots__"):
            if isinstance(x, Iterator):
                self.unknown.append(f"{path}, an iterator")
            else:
                yield from self._state(path, x)
        else:
            self.unknown.append(f"{path}, a {type(x).__name__}")

    def _module(self, path: str, x: Module) -> Iterator[tuple[str, Any]]:
        yield from self._dict(path, x.__dict__, ".{}")
        for registered in ("_parameters", "_modules", "_buffers"):
            yield from self._dict(path, x.__dict__[registered], ".{}")
        yield path, type(x)

    def _dict(self, path: str, d: Any, form: str) -> Iterator[tuple[str, Any]]:
        if id(d) in self.seen and d is not self.keep[-1]:
            return
        self.seen.add(id(d))
        self.keep.append(d)
        self.paths[id(d)] = path
        self.dicts.append(d)
        self.copies.append(dict(d))
        for k, v in d.items():
            if k not in OWN or form[0] == "[":
                yield path + form.format(k), v

    def _state(self, path: str, x: Any) -> Iterator[tuple[str, Any]]:
        """Attributes, in the object's own namespace or in slots."""
        if hasattr(x, "__dict__"):
            yield from self._dict(path, x.__dict__, ".{}")
        for c in type(x).__mro__:
            slots = c.__dict__.get("__slots__", ())
            for s in (slots,) if isinstance(slots, str) else slots:
                if s not in ("__weakref__", "__dict__"):
                    self.names.append((_Slots(x), s, getattr(x, s, _missing)))
                    yield f"{path}.{s}", getattr(x, s, None)
        yield path, type(x)

    def _class(self, path: str, c: type) -> Iterator[tuple[str, Any]]:
        forward = vars(c).get("forward")
        if issubclass(c, Module) and forward is not None:
            self.names.append((vars(c), "forward", forward))
            if _ours(c) and isinstance(forward, types.FunctionType):  # what it calls, a subclass may have defined
                yield from self._reach(references(forward.__code__).attributes)
        if _ours(c):
            return
        namespace = vars(c)
        self.dicts.append(namespace)
        self.copies.append(dict(namespace))
        self.paths[id(namespace)] = c.__name__
        self.classes[id(namespace)] = c
        for k, v in namespace.items():
            if not isinstance(v, CALLABLES):
                if not (k.startswith("__") or k == "_abc_impl"):
                    yield f"{c.__name__}.{k}", v
            elif (
                self.dynamic or k in self.reached or (k.startswith("__") and k not in MAKERS)
            ):  # operators and the like need no name
                yield f"{c.__name__}.{k}", v
            else:
                self.waiting.setdefault(k, []).append((f"{c.__name__}.{k}", v))
        yield from ((path, b) for b in c.__mro__[1:])

    def _function(self, path: str, f: types.FunctionType) -> Iterator[tuple[str, Any]]:
        if _ours(f):
            return
        yield from ((path, part) for part in (f.__defaults__, f.__kwdefaults__, f.__dict__ or None))
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            value = contents(cell)
            self.cells.append((cell, value))
            yield name, value
        found = references(f.__code__)
        globals_, attributes = found.module, found.attributes
        yield from self._reach(attributes | (self.waiting.keys() if globals_ & DYNAMIC else set()))
        self.dynamic = self.dynamic or bool(globals_ & DYNAMIC)
        for name in globals_:
            value = f.__globals__.get(name, _missing)
            if value is _missing and hasattr(builtins, name):
                yield name, getattr(builtins, name)
                continue
            self._name(f.__globals__, name, value)
            yield name, value
            if isinstance(value, type):  # it may be called
                yield from ((f"{name}.{k}", vars(value)[k]) for k in MAKERS if k in vars(value) and not _ours(value))
            if isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] not in LIBRARY:
                for a in attributes & vars(value).keys():
                    self._name(vars(value), a, vars(value)[a])
                    yield f"{name}.{a}", vars(value)[a]
            elif type(value).__module__ in CLOCKS or (isinstance(value, type) and value.__module__ in CLOCKS):
                self.unknown.append(f"{name} (of a module that reads the outside world)")

    def _reach(self, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """The methods that code names for the first time."""
        for name in [*names]:
            if name not in self.reached:
                self.reached.add(name)
                yield from self.waiting.pop(name, ())

    def _name(self, d: Any, name: str, value: Any) -> None:
        if (id(d), name) not in self.named:
            self.named.add((id(d), name))
            self.names.append((d, name, value))

    def _source(self, x: Any) -> None:
        get, put = _random_state(x)
        self.sources.append((get, put, get()))

    # ---- comparing -------------------------------------------------------------------------------------------

    def same(self) -> bool:
        """Whether everything is as it was. Sources of random numbers may have moved on."""
        try:
            if Module.changes[0] == self.changes and self.dicts == self.copies and self._others_same():
                return True
        except Exception:  # what two values make of == is theirs: an array of truths has no truth
            pass
        if self.difference() is not None:
            return False
        self._renew()
        return True

    def _renew(self) -> None:
        """Hold the objects of now, which are equal to those held before: then the quick comparison succeeds again."""
        self.copies = [dict(d) for d in self.dicts]
        self.names = [(d, name, d.get(name, _missing)) for d, name, _ in self.names]
        self.changes = Module.changes[0]
        self.cells = [(cell, contents(cell)) for cell, _ in self.cells]
        self.lists = [(x, list(x)) for x, _ in self.lists]
        self.tensors = [(t, t.node, copy) for t, _, copy in self.tensors]
        self.given |= {id(b) for d in self.dicts for b in d.values() if isinstance(b, Tensor)} - self.watched

    def _others_same(self) -> bool:
        for d, name, value in self.names:
            if d.get(name, _missing) is not value:
                return False
        for cell, value in self.cells:
            if cell.cell_contents is not value:
                return False
        for x, items in self.lists:
            if len(x) != len(items) or not all(map(is_, x, items)):
                return False
        for a, copy in self.arrays:
            if not _same_entries(a, copy):
                return False
        for t, node, copy in self.tensors:
            if t.node is not node or not _same_entries(np.asarray(node.value), copy):
                return False
        return True

    def difference(self) -> str | None:
        """What differs, as the user's code writes it."""
        for d, copy in zip(self.dicts, self.copies, strict=True):
            if d.keys() != copy.keys():
                return f"{self.paths[id(d)]}: {', '.join(map(str, d.keys() ^ copy.keys()))}"
            for k, v in copy.items():
                if k != COMPILED and d[k] is not v and not _same_item(d[k], v) and not self._rebound(d[k], v):
                    return f"{self.paths[id(d)]}.{k}"
        for d, name, value in self.names:
            if not _same_item(d.get(name, _missing), value):
                return name
        for cell, value in self.cells:
            if not _same_item(contents(cell), value):
                return "a variable of an enclosing function"
        for x, items in self.lists:
            if len(x) != len(items) or not all(map(_same_item, x, items)):
                return self.paths[id(x)]
        for a, copy in self.arrays:
            if not _same_entries(a, copy):
                return self.paths[id(a)]
        for t, node, copy in self.tensors:
            if t.node.op is not node.op or not _same_entries(np.asarray(t.node.value), copy):
                return self.paths[id(t)]
        return None

    def _rebound(self, new: Any, old: Any) -> bool:
        """Whether a buffer was bound anew: its value is an argument, whichever tensor holds it."""
        return id(old) in self.given and isinstance(new, Tensor) and not old.is_parameter and not new.is_parameter

    def moved(self) -> list[tuple[Callable[[], Any], Callable[[Any], Any]]]:
        """The sources of random numbers that were drawn from since, as functions that read and set their state."""
        return [(get, put) for get, put, before in self.sources if repr(get()) != repr(before)]

    # ---- putting back ----------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Give every container, array and source of random numbers what it held."""
        for d, copy in zip(self.dicts, self.copies, strict=True):
            if isinstance(d, types.MappingProxyType):
                c = self.classes[id(d)]
                for k in [k for k in d.keys() | copy.keys() if d.get(k, _missing) is not copy.get(k, _missing)]:
                    setattr(c, k, copy[k]) if k in copy else delattr(c, k)
                continue
            if len(d) != len(copy) or not all(map(is_, d.values(), copy.values())) or list(d) != list(copy):
                d.clear()
                d.update(copy)
        for d, name, value in self.names:
            if d.get(name, _missing) is not value and not isinstance(d, types.MappingProxyType):
                d.pop(name, None) if value is _missing else d.__setitem__(name, value)
        for cell, value in self.cells:
            if contents(cell) is not value:
                cell.cell_contents = value
        for x, items in self.lists:
            if not isinstance(x, (tuple, frozenset)) and (len(x) != len(items) or not all(map(is_, x, items))):
                x.clear()
                x.update(items) if isinstance(x, set) else x.extend(items)
        for a, copy in self.arrays:
            if not _same_entries(a, copy):
                a[...] = copy
        for t, node, copy in self.tensors:
            t._node = node
            if not _same_entries(np.asarray(node.value), copy):
                node.value[...] = copy
        self.rewind()

    def rewind(self) -> None:
        """Give every source of random numbers the state that it had."""
        for _, put, before in self.sources:
            put(before)


class _Slots:
    """The slots of an object, read and written as a dict's entries are."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def get(self, name: str, default: Any) -> Any:
        return getattr(self.x, name, default)

    def pop(self, name: str, default: Any) -> Any:
        return delattr(self.x, name) if hasattr(self.x, name) else default

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.x, name, value)


def _random_state(x: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """How the state of a source of random numbers is read and set."""
    if isinstance(x, Generator):
        return x.get_state, x.set_state
    if isinstance(x, np.random.Generator):
        return lambda: x.bit_generator.state, lambda s: setattr(x.bit_generator, "state", s)
    if isinstance(x, np.random.RandomState) or x is np.random:
        return x.get_state, x.set_state
    return x.getstate, x.setstate
