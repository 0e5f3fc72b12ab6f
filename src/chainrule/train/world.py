"""What code can read besides its arguments: looked at before it is traced, compared before it runs, put back where a trace changed it.

From some roots (a model, a loss, an optimizer) everything is followed that their code can reach: attributes, items, closures,
defaults, the globals that it names, the functions that it calls, and so on. Containers are compared item by item, by identity
first; numbers and strings by value and type; arrays and plain tensors by their entries; sources of random numbers by their state.
What is of no known kind (an iterator, a file, a clock) cannot be compared: code that reaches it must not be compiled.
"""

from __future__ import annotations

import builtins
import functools
import random
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ..nn.module import Module
from ..tensors.creation import Generator, default_generator
from ..tensors.promotion import Default
from ..tensors.tensor import Tensor
from ..trace.references import contents, references
from .kinds import (
    CALLABLES,
    CLOCKS,
    COMPILED,
    DYNAMIC,
    IMPURE,
    INERT,
    LIBRARY,
    MAKERS,
    MANY,
    MISSING,
    OWN,
    Slots,
    of_library,
    random_state,
    same_entries,
    same_item,
)

parts_of = attrgetter("__code__", "__defaults__", "__kwdefaults__")  # what a function is, beside what it closes over


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
        self.functions: list[tuple[types.FunctionType, tuple[Any, Any, Any]]] = []
        self.exact: list[
            int
        ] = []  # the dicts whose changes `Module.changes` does not count: there, equal is not the same
        self.arrays: list[tuple[Any, Any]] = []
        self.tensors: list[tuple[Tensor, Any, Any]] = []
        self.sources: list[tuple[Callable[[], Any], Callable[[Any], Any], Any]] = []
        self.generators: list[tuple[Generator, Any]] = []
        self.dtype = Default.dtype
        self.paths: dict[int, str] = {}
        self.classes: dict[int, type] = {}
        self.keep: list[Any] = []  # so that no id is used anew
        self.seen: set[int] = set()
        self.reached = {"forward"}  # attributes that the code names, and methods that no code has named yet
        self.dynamic, self.spelled = False, set[str]()  # whether code looks for attributes by strings, and for which
        self.waiting: dict[str, list[tuple[str, Any]]] = {}
        self.named: set[tuple[int, str]] = set()
        self.modules: list[tuple[str, dict[str, Any]]] = []  # of the user's, by their namespaces
        for x in (default_generator, random, np.random):
            self._source(x)
        stack = [(path, root) for path, root in roots.items()]
        while stack or (stack := [*self._of_modules()]):
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
        elif isinstance(x, weakref.ref):
            yield path, x()
        elif isinstance(x, types.ModuleType):
            if x.__name__ in CLOCKS:
                self.unknown.append(f"{path} (the module {x.__name__})")
            elif x.__name__.partition(".")[0] not in LIBRARY:
                self.modules.append((path, vars(x)))
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
        yield from self._dict(path, x.__dict__, ".{}", counted=True)
        for registered in ("_parameters", "_modules", "_buffers"):
            yield from self._dict(path, x.__dict__[registered], ".{}", counted=True)
        yield path, type(x)

    def _dict(self, path: str, d: Any, form: str, counted: bool = False) -> Iterator[tuple[str, Any]]:
        if id(d) in self.seen and d is not self.keep[-1]:
            return
        self.seen.add(id(d))
        self.keep.append(d)
        self.paths[id(d)] = path
        if not counted:
            self.exact.append(len(self.dicts))
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
                    self.names.append((Slots(x), s, getattr(x, s, MISSING)))
                    yield f"{path}.{s}", getattr(x, s, None)
        yield path, type(x)

    def _class(self, path: str, c: type) -> Iterator[tuple[str, Any]]:
        forward = vars(c).get("forward")
        if issubclass(c, Module) and forward is not None:
            self.names.append((vars(c), "forward", forward))
            if of_library(c) and isinstance(forward, types.FunctionType):  # what it calls, a subclass may have defined
                yield from self._reach(references(forward.__code__).attributes)
        if of_library(c):
            return
        namespace = vars(c)
        self.exact.append(len(self.dicts))
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
        yield from ((path, b) for b in (*c.__mro__[1:], type(c)))

    def _function(self, path: str, f: types.FunctionType) -> Iterator[tuple[str, Any]]:
        if of_library(f):
            return
        self.functions.append((f, parts_of(f)))
        yield from ((path, part) for part in (f.__defaults__, f.__kwdefaults__, f.__dict__))
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            value = contents(cell)
            self.cells.append((cell, value))
            yield name, value
        found = references(f.__code__)
        globals_, attributes = found.module, found.attributes
        yield from self._reach(attributes | (self.waiting.keys() if globals_ & DYNAMIC else set()))
        self.dynamic = self.dynamic or bool(globals_ & DYNAMIC)
        self.spelled |= found.strings
        for name in globals_:
            value = f.__globals__.get(name, MISSING)
            if value is MISSING and hasattr(builtins, name):
                yield name, getattr(builtins, name)
                continue
            self._name(f.__globals__, name, value)
            yield name, value
            if isinstance(value, type):  # it may be called
                yield from (
                    (f"{name}.{k}", vars(value)[k]) for k in MAKERS if k in vars(value) and not of_library(value)
                )
            if type(value).__module__ in CLOCKS or (isinstance(value, type) and value.__module__ in CLOCKS):
                self.unknown.append(f"{name} (of a module that reads the outside world)")

    def _reach(self, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """The methods that code names for the first time."""
        for name in [*names]:
            if name not in self.reached:
                self.reached.add(name)
                yield from self.waiting.pop(name, ())

    def _of_modules(self) -> Iterator[tuple[str, Any]]:
        """What code that was passed names of modules, whether it is there or not."""
        for path, scope in self.modules:
            asked = self.reached | self.spelled if self.dynamic else self.reached
            for name in [n for n in asked if (id(scope), n) not in self.named]:
                self._name(scope, name, scope.get(name, MISSING))
                if name in scope:
                    yield f"{path}.{name}", scope[name]

    def _name(self, d: Any, name: str, value: Any) -> None:
        if (id(d), name) not in self.named:
            self.named.add((id(d), name))
            self.names.append((d, name, value))

    def _source(self, x: Any) -> None:
        get, put = random_state(x)
        self.sources.append((get, put, get()))
        if isinstance(x, Generator):
            self.generators.append((x, x.numbers))

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
        self.names = [(d, name, d.get(name, MISSING)) for d, name, _ in self.names]
        self.changes = Module.changes[0]
        self.cells = [(cell, contents(cell)) for cell, _ in self.cells]
        self.functions = [(f, parts_of(f)) for f, _ in self.functions]
        self.lists = [(x, list(x)) for x, _ in self.lists]
        self.tensors = [(t, t.node, copy) for t, _, copy in self.tensors]
        self.given |= {id(b) for d in self.dicts for b in d.values() if isinstance(b, Tensor)} - self.watched

    def _others_same(self) -> bool:
        if Default.dtype is not self.dtype:
            return False
        for k in self.exact:
            if not all(map(is_, self.dicts[k].values(), self.copies[k].values())):
                return False
        for f, parts in self.functions:
            if not all(map(is_, parts_of(f), parts)):
                return False
        for d, name, value in self.names:
            if d.get(name, MISSING) is not value:
                return False
        for cell, value in self.cells:
            if cell.cell_contents is not value:
                return False
        for x, items in self.lists:
            if len(x) != len(items) or not all(map(is_, x, items)):
                return False
        for a, copy in self.arrays:
            if not same_entries(a, copy):
                return False
        for t, node, copy in self.tensors:
            if t.node is not node or not same_entries(np.asarray(node.value), copy):
                return False
        return True

    def difference(self) -> str | None:
        """What differs, as the user's code writes it."""
        for d, copy in zip(self.dicts, self.copies, strict=True):
            if d.keys() != copy.keys():
                return f"{self.paths[id(d)]}: {', '.join(map(str, d.keys() ^ copy.keys()))}"
            for k, v in copy.items():
                if k != COMPILED and d[k] is not v and not same_item(d[k], v) and not self._rebound(d[k], v):
                    return f"{self.paths[id(d)]}.{k}"
        for d, name, value in self.names:
            if not same_item(d.get(name, MISSING), value):
                return name
        for cell, value in self.cells:
            if not same_item(contents(cell), value):
                return "a variable of an enclosing function"
        if Default.dtype != self.dtype:
            return "the default dtype"
        for f, parts in self.functions:
            if not all(map(same_item, parts_of(f), parts)):
                return f"the code or the defaults of {f.__name__}"
        for x, items in self.lists:
            if len(x) != len(items) or not all(map(same_item, x, items)):
                return self.paths[id(x)]
        for a, copy in self.arrays:
            if not same_entries(a, copy):
                return self.paths[id(a)]
        for t, node, copy in self.tensors:
            if t.node.op is not node.op or not same_entries(np.asarray(t.node.value), copy):
                return self.paths[id(t)]
        return None

    def _rebound(self, new: Any, old: Any) -> bool:
        """Whether a buffer was bound anew: its value is an argument, whichever tensor holds it."""
        return id(old) in self.given and isinstance(new, Tensor) and not old.is_parameter and not new.is_parameter

    def reseeded(self) -> bool:
        """Whether a generator of ours was put to another place of its sequence."""
        return any(g.numbers is not numbers for g, numbers in self.generators)

    def moved(self) -> list[tuple[Callable[[], Any], Callable[[Any], Any]]]:
        """The sources of random numbers that were drawn from since, as functions that read and set their state."""
        return [(get, put) for get, put, before in self.sources if repr(get()) != repr(before)]

    # ---- putting back ----------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Give every container, array and source of random numbers what it held."""
        for d, copy in zip(self.dicts, self.copies, strict=True):
            if isinstance(d, types.MappingProxyType):
                c = self.classes[id(d)]
                for k in [k for k in d.keys() | copy.keys() if d.get(k, MISSING) is not copy.get(k, MISSING)]:
                    setattr(c, k, copy[k]) if k in copy else delattr(c, k)
                continue
            if len(d) != len(copy) or not all(map(is_, d.values(), copy.values())) or list(d) != list(copy):
                d.clear()
                d.update(copy)
        for d, name, value in self.names:
            if d.get(name, MISSING) is not value and not isinstance(d, types.MappingProxyType):
                d.pop(name, None) if value is MISSING else d.__setitem__(name, value)
        for cell, value in self.cells:
            if contents(cell) is not value:
                cell.cell_contents = value
        for f, parts in self.functions:
            if parts_of(f) != parts:
                f.__code__, f.__defaults__, f.__kwdefaults__ = parts
        Default.dtype = self.dtype
        for x, items in self.lists:
            if not isinstance(x, (tuple, frozenset)) and (len(x) != len(items) or not all(map(is_, x, items))):
                x.clear()
                x.update(items) if isinstance(x, set) else x.extend(items)
        for a, copy in self.arrays:
            if not same_entries(a, copy):
                a[...] = copy
        for t, node, copy in self.tensors:
            t._node = node
            if not same_entries(np.asarray(node.value), copy):
                node.value[...] = copy
        self.rewind()

    def rewind(self) -> None:
        """Give every source of random numbers the state that it had."""
        for _, put, before in self.sources:
            put(before)
