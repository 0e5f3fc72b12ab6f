"""What a call can read: its arguments, and whatever the function reaches through its cells, its module and its objects.

One walk, in a fixed order, sorts it into four heaps: arrays and numbers that become inputs of the compiled program
(`leaves`); the structure around them, compared by value (`key`); plain numbers compared by value (`numbers`); and all that
can change (`holders`), so that a change is seen, and what the function itself changes is changed after every call.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import sys
import types
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.op import Op
from ..ir.recording import Handle
from ..trace.references import contents
from .classes import (
    CONSUMED,
    DATA,
    OF_CLASSES,
    OPAQUE,
    UNSEEN,
    is_dunder_function,
    mixed,
    package,
    settled_name,
    slots_of,
)
from .holders import ATTRIBUTES, CELL, FIELDS, ITEMS, LIST, MISSING, NAMES, SET, Contents, Holder, Kind
from .known_names import LIBRARIES, Vocabulary, of_library, root

SMALL = 1024  # bytes of an integer or boolean array up to which its contents are compared instead of being an input
EXACT = 2**48  # integers beyond are compared by value: sums of them might leave 64 bits
MANY = 5000  # things that can change
Spot = Any  # where leaves stand in a value: None (nowhere), the number of a leaf, a Holder, or (how to rebuild it, its parts, their spots)


class TracedValue(Exception):
    """A traced value stands where a plain one is expected: another thread is tracing a function that reaches it."""


class Walk:
    """One look at what a call can read.

    Args:
        vocabulary: the names in the code that is reached; it grows.
        moving: the numbers beside the arguments that have been seen to change, by what they are called: these are inputs.
        lift: whether arrays beside the arguments are inputs; otherwise their contents are compared.
    """

    def __init__(self, vocabulary: Vocabulary, moving: Collection[str] = (), lift: bool = True) -> None:
        self.vocabulary, self.moving, self.lift = vocabulary, moving, lift
        self.key: list[Any] = []
        self.leaves: list[Any] = []
        self.labels: list[str] = []  # what the user's code calls each of them
        self.own: list[bool] = []  # which of them are arguments, or stand in trees of arguments
        self.ranges: list[range] = []  # the leaves of every argument
        self.outside = 0  # the first holder that is reached through the function
        self.crossed = False  # whether an argument is also reached in another way
        self.tensors = False  # whether tensors are among the arguments
        self.unlike: set[str] = set()  # numbers that cannot be inputs
        self.numbers: dict[str, Any] = {}
        self.holders: list[Holder] = []
        self.contents: list[Contents] = []
        self.modules: dict[int, dict[str, Any]] = {}
        self.known: dict[int, Any] = {}
        self.scopes: dict[int, set[str]] = {}  # which names of which module are walked
        self.kept: list[Any] = []
        self.argument = False
        self.fixed = False
        self.inside = 0  # in how many objects

    # ---- the roots ---------------------------------------------------------------------------------------------

    def arguments(self, args: list[Any], names: list[str], fixed: Collection[int]) -> list[Spot]:
        """Walk the arguments; those at `fixed` positions are compared by value."""
        self.argument = True
        spots: list[Spot] = []
        for k, (a, name) in enumerate(zip(args, names, strict=True)):
            self.fixed = k in fixed
            start = len(self.leaves)
            spots.append(self.visit(a, name))
            self.ranges.append(range(start, len(self.leaves)))
        self.argument = self.fixed = False
        self.outside = len(self.holders)
        return spots

    @property
    def direct(self) -> bool:
        """Whether what is looked at is an argument, or stands in a tree of them."""
        return self.argument and not self.inside

    # ---- one value ---------------------------------------------------------------------------------------------

    def visit(self, x: Any, label: str) -> Spot:
        """Walk a value; where leaves stand in it."""
        method: Any = _VISITS.get(type(x)) or next((m for kind, m in _FAMILIES if isinstance(x, kind)), None)
        if method is None:
            method = Walk._tuple if isinstance(x, tuple) and not hasattr(x, "__dict__") else Walk._object
        if method in _TREES or (method is Walk._object and dataclasses.is_dataclass(x)):
            return method(self, x, label)
        self.inside += 1
        spot = method(self, x, label)
        self.inside -= 1
        return spot

    def _atom(self, x: Any, label: str) -> Spot:
        self.key += type(x), x

    def _number(self, x: Any, label: str) -> Spot:
        kind = type(x)
        exact = -EXACT < x < EXACT if kind is int else isinstance(x, (float, complex)) or x.dtype.kind in "biufc"
        if exact and not self.fixed and (self.direct or (self.lift and label in self.moving)):
            return self._leaf(x, label, kind)
        self.key.append(kind)
        value = x.tobytes() if isinstance(x, np.generic) else repr(x)
        if self.direct:
            self.key.append(value)
        else:
            self.numbers[label] = value
            if not exact:
                self.unlike.add(label)
        return None

    def _leaf(self, x: Any, label: str, *key: Any) -> Spot:
        self.key += key
        self.leaves.append(x)
        self.labels.append(label)
        self.own.append(self.direct)
        return len(self.leaves) - 1

    def _array(self, x: np.ndarray[Any, Any], label: str) -> Spot:
        before = self.known.get(id(x))
        if before is not None:
            self.key += "same", before
            if type(before) is not int:
                return None
            if self.direct:
                return self._leaf(x, label)  # an argument has its place, also when it is the same array as another
            self.crossed |= self.own[before]
            return before
        if x.dtype.kind not in "biufc":
            if self.direct:
                raise InputError(
                    f"jit: {label} is an array of dtype {x.dtype}, which is not computed with here",
                    f"pass {label}.astype(float), or another dtype of this machine",
                )
            if x.dtype.hasobject:
                return self._same(x)
        inputs = not self.fixed and (self.direct or (self.lift and (x.dtype.kind in "fc" or x.nbytes > SMALL)))
        if inputs and x.dtype.kind in "biufc":
            self.known[id(x)] = len(self.leaves)
            return self._leaf(
                x, label, x.shape, x.dtype, None if x.flags.c_contiguous else x.strides, x.flags.writeable
            )
        self.known[id(x)] = f"contents {len(self.contents)}"
        seen = Contents(x, label)
        self.contents.append(seen)
        self.key += np.ndarray, *seen.form, x.strides, seen.data
        return None

    def _same(self, x: Any) -> Spot:
        """What is compared by identity."""
        self.key.append(Same(x))

    def _same_(self, x: Any, label: str) -> Spot:
        return self._same(x)

    def _again(self, x: Any) -> Spot:
        """The holder of what has been walked already, or None."""
        found = self.known.get(id(x))
        if found is not None:
            self.key += "again", found.number
            self.crossed |= found.argument and not self.direct
        return found

    def _held(self, x: Any, kind: Kind, keys: Any, values: list[Any], labels: list[str], label: str) -> Holder:
        """Walk what an object holds."""
        if len(self.holders) >= MANY:
            raise InputError(
                f"jit: there are more than {MANY} things in what the function reaches (at {label}) that can change",
                "pass what it needs as arguments",
            )
        made = Holder(x, kind, keys, values, label, len(self.holders), self.direct)
        self.holders.append(made)
        self.key.append(Label(label))
        self.known.setdefault(id(x), made)
        made.spots = [None if v is MISSING else self.visit(v, name) for v, name in zip(values, labels, strict=True)]
        return made

    # ---- containers --------------------------------------------------------------------------------------------

    def _tuple(self, x: tuple[Any, ...], label: str) -> Spot:
        self.key += type(x), len(x)
        fields: Any = getattr(x, "_fields", None)
        names = [f"{label}.{f}" for f in fields] if fields else [f"{label}[{k}]" for k in range(len(x))]
        spots = [self.visit(v, name) for v, name in zip(x, names, strict=True)]
        if not any(s is not None for s in spots):
            return None
        return (getattr(type(x), "_make", type(x)), list(x), spots)

    def _list(self, x: list[Any], label: str) -> Spot:
        if (again := self._again(x)) is not None:
            return again
        self.key += type(x), len(x)
        return self._held(x, LIST, None, list(x), [f"{label}[{k}]" for k in range(len(x))], label)

    def _dict(self, x: dict[Any, Any], label: str) -> Spot:
        if (again := self._again(x)) is not None:
            return again
        keys = list(x)
        self.key += type(x), tuple((type(k), k) for k in keys)
        return self._held(x, ITEMS, keys, list(x.values()), [f"{label}[{k!r}]" for k in keys], label)

    def _set(self, x: Any, label: str) -> Spot:
        self.key += type(x), frozenset((type(v), v) for v in x)
        if type(x) is not frozenset and self._again(x) is None:
            self._held(x, SET, None, [], [], label).values = [frozenset(x)]
        return None

    # ---- functions ---------------------------------------------------------------------------------------------

    def _function(self, f: types.FunctionType, label: str) -> Spot:
        if (again := self._again(f)) is not None:
            return again
        self.key.append(f.__code__)
        name = f.__qualname__.rpartition(".")[2]
        if of_library(f):  # its module is not looked at, but it may stand for a function of the user's
            self.known[id(f)] = made = Holder(f, ATTRIBUTES, (), [], label, len(self.holders))
            self.holders.append(made)
            for cell, free in zip(f.__closure__ or (), f.__code__.co_freevars, strict=True):
                self._cell(cell, free)
            return None
        found = self.vocabulary.add(f)
        fields = ("__code__", "__defaults__", "__kwdefaults__")
        values = [getattr(f, k) for k in fields]
        own = self._held(
            f, ATTRIBUTES, fields, values, [name, f"the defaults of {name}", f"the defaults of {name}"], label
        )
        attributes = f.__dict__
        self._held(
            attributes, ITEMS, list(attributes), list(attributes.values()), [f"{name}.{k}" for k in attributes], name
        )
        for cell, free in zip(f.__closure__ or (), f.__code__.co_freevars, strict=True):
            self._cell(cell, free)
        self._module_names(f, found.module)
        for module in sorted(found.imported):
            if module in sys.modules and root(module) not in LIBRARIES:
                self.visit(sys.modules[module], module)
        return own

    def _cell(self, cell: Any, name: str) -> Spot:
        if (again := self._again(cell)) is not None:
            return again
        value = contents(cell)
        return self._held(cell, CELL, None, [value], [name], name)

    def _module_names(self, f: types.FunctionType, names: Collection[str]) -> None:
        scope = f.__globals__
        self.modules[id(scope)] = scope
        known = self.scopes.setdefault(id(scope), set())
        keys = sorted(n for n in names if n not in known and not settled_name(scope.get(n)))
        known.update(keys)
        if keys:
            self._names(scope, keys, keys, "the module")

    def _names(self, scope: dict[str, Any], keys: list[str], labels: list[str], label: str) -> Holder:
        """Walk names of a module; one that is not there may be there later."""
        values = [scope.get(k, MISSING) for k in keys]
        made = Holder(
            scope, NAMES, keys, values, label, len(self.holders)
        )  # not as the dict itself, of which it is a part
        self.holders.append(made)
        self.key += tuple(keys), tuple(v is MISSING for v in values)
        made.spots = [None if v is MISSING else self.visit(v, k) for v, k in zip(values, labels, strict=True)]
        return made

    def _code(self, x: types.CodeType, label: str) -> Spot:
        return None  # in the key already

    def _method(self, x: types.MethodType, label: str) -> Spot:
        self.key.append(types.MethodType)
        self.visit(x.__func__, label)
        own = self.visit(x.__self__, "self" if label == x.__name__ else label)
        return None if own is None else (lambda parts: types.MethodType(x.__func__, *parts), [x.__self__], [own])

    def _partial(self, x: Any, label: str) -> Spot:
        self.key += functools.partial, len(x.args), tuple(x.keywords)
        inner = self.visit(x.func, label)
        spots = [self.visit(a, f"{label}.args[{k}]") for k, a in enumerate(x.args)]
        named = [self.visit(a, k) for k, a in x.keywords.items()]

        def rebuilt(parts: list[Any]) -> Any:
            n = len(x.args)
            return functools.partial(parts[0], *parts[1 : n + 1], **dict(zip(x.keywords, parts[n + 1 :], strict=True)))

        return (rebuilt, [x.func, *x.args, *x.keywords.values()], [inner, *spots, *named])

    def _built_in(self, x: Any, label: str) -> Spot:
        self.key += type(x), x.__name__
        owner = getattr(x, "__self__", None)
        if owner is None or isinstance(owner, types.ModuleType):
            return self._same(x)
        fixed, self.fixed = self.fixed, True  # what it is bound to cannot be exchanged
        self.visit(owner, label)
        self.fixed = fixed
        return None

    def _descriptor(self, x: Any, label: str) -> Spot:
        self.key.append(type(x))
        for part in ("__func__", "__wrapped__", "fget", "func"):
            f = getattr(x, part, None)
            if f is not None:
                self.visit(f, label)
                return None
        return None

    # ---- objects -----------------------------------------------------------------------------------------------

    def _class(self, x: type, label: str) -> Spot:
        self._same(x)
        if of_library(x) or issubclass(x, enum.Enum) or self._again(x) is not None:
            return None
        scope = vars(x)
        keys = sorted(k for k in scope if (self._named(k) or is_dunder_function(k, scope[k])) and k not in OF_CLASSES)
        self.key.append(tuple(keys))
        self._held(x, FIELDS, keys, [scope[k] for k in keys], [f"{x.__name__}.{k}" for k in keys], x.__name__)
        for base in (*x.__bases__, type(x)):
            if base is not type:
                self._class(base, base.__name__)
        return None

    def _named(self, name: str) -> bool:
        return self.vocabulary.open or name in self.vocabulary.others

    def _module(self, x: types.ModuleType, label: str) -> Spot:
        self._same(x)
        if not of_library(x) and self._again(x) is None:
            scope = vars(x)
            keys = sorted(k for k in self.vocabulary.others if not settled_name(scope.get(k)))
            self.known[id(x)] = self._names(scope, keys, [f"{label}.{k}" for k in keys], label)
        return None

    def _handle(self, x: Handle, label: str) -> Spot:
        if not hasattr(x, "detach"):
            raise TracedValue
        self.tensors |= self.argument
        self._same(x)  # a tensor: one that requires a gradient is refused where it is used, the others are constants
        if not x._node.params.get("owner") and id(x) not in self.known:
            self._held(x, ATTRIBUTES, ("_node",), [x._node], [label], label)
            fixed, self.fixed = self.fixed, True
            self.kept.append(np.asarray(x._node.value))
            self.visit(self.kept[-1], label)
            self.fixed = fixed
        return None

    def _object(self, x: Any, label: str) -> Spot:
        kind = type(x)
        if (again := self._again(x)) is not None:
            return again
        if isinstance(x, np.ndarray):
            raise InputError(
                f"jit: {label} is {kind.__name__}, and what NumPy's subclasses of arrays mean by * and + is not kept",
                f"pass np.asarray({label})",
            )
        if hasattr(kind, "__next__") or isinstance(x, CONSUMED):
            raise InputError(
                f"jit: {label} is {kind.__name__}, which changes while it is read", f"pass list({label}), or an array"
            )
        if isinstance(x, UNSEEN) and not isinstance(x, (*DATA, dict, set)) and of_library(kind):
            raise InputError(
                f"jit: {label} is {kind.__name__}, and what it holds cannot be watched",
                "pass what it holds as an argument",
            )
        wrapped = getattr(x, "__wrapped__", None) if callable(x) else None
        if wrapped is not None:  # of functools, or of NumPy
            self.visit(wrapped, label)
        library = of_library(kind)
        if isinstance(x, (Op, np.ufunc, np.dtype)) or (library and package(kind) in OPAQUE and not isinstance(x, DATA)):
            return self._compared(x, label)
        if kind.__eq__ is not object.__eq__ and kind.__hash__ is not None and not dataclasses.is_dataclass(x):
            return self._compared(x, label)
        slots = [k for c in kind.__mro__ for k in slots_of(c)]
        if not hasattr(x, "__dict__") and not slots:
            return self._compared(x, label)
        self._same(kind)
        self._class(kind, kind.__name__)
        own: Holder | None = None
        every = self.direct and dataclasses.is_dataclass(x)
        if hasattr(x, "__dict__"):
            scope = vars(x)
            reached = getattr(kind, "_reached", None) if library else None
            whole = every or library or mixed(kind)
            keys = [k for k in scope if (k in reached if reached is not None else whole or self._named(k))]
            self.key.append(tuple(keys))
            own = self._held(x, FIELDS, keys, [scope[k] for k in keys], [f"{label}.{k}" for k in keys], label)
        if slots:
            keys = [k for k in slots if every or self._named(k)]
            values = [getattr(x, k, MISSING) for k in keys]
            self.key += tuple(keys), tuple(v is MISSING for v in values)
            own = self._held(x, ATTRIBUTES, keys, values, [f"{label}.{k}" for k in keys], label)
        if isinstance(x, dict):
            self._held(x, ITEMS, list(x), list(x.values()), [f"{label}[{k!r}]" for k in x], label)
            self.key += [(type(k), k) for k in x]
        elif isinstance(x, list):
            self._held(x, LIST, None, list(x), [f"{label}[{k}]" for k in range(len(x))], label)
            self.key.append(len(x))
        return own

    def _compared(self, x: Any, label: str) -> Spot:
        """What is compared as a whole: by its own `__eq__`, or by identity."""
        if type(x).__hash__ is None:
            if self.argument:
                raise InputError(
                    f"jit: {label} is {type(x).__name__}, which cannot be compared by value",
                    "pass something hashable (a number, a string, a tuple), an array, or a tree of them",
                )
            return self._same(x)
        try:
            hash(x)
        except TypeError:
            return self._same(x)
        self.key += type(x), x
        return None


class Label(str):
    """What the user calls what follows in a key."""

    __slots__ = ()


class Same:
    """A key that is equal to itself only, and keeps its object alive."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return type(other) is Same and other.x is self.x

    def __hash__(self) -> int:
        return id(self.x)


_VISITS: dict[type, Callable[[Walk, Any, str], Spot]] = {
    **dict.fromkeys((type(None), bool, str, bytes, range, type(...), type(NotImplemented)), Walk._atom),
    **dict.fromkeys((int, float, complex), Walk._number),
    np.ndarray: Walk._array,
    tuple: Walk._tuple,
    list: Walk._list,
    dict: Walk._dict,
    collections.OrderedDict: Walk._dict,
    collections.defaultdict: Walk._dict,
    collections.Counter: Walk._dict,
    set: Walk._set,
    frozenset: Walk._set,
    types.FunctionType: Walk._function,
    types.MethodType: Walk._method,
    types.CodeType: Walk._code,
    types.BuiltinFunctionType: Walk._built_in,
    types.MethodWrapperType: Walk._built_in,
    functools.partial: Walk._partial,
    type(np.sum): Walk._same_,
}  # fmt: skip

_TREES = {Walk._atom, Walk._number, Walk._array, Walk._tuple, Walk._list, Walk._dict}

_FAMILIES: tuple[tuple[Any, Callable[[Walk, Any, str], Spot]], ...] = (
    (Handle, Walk._handle),
    (types.ModuleType, Walk._module),
    (np.generic, Walk._number),
    (type, Walk._class),
    (enum.Enum, Walk._atom),
    ((staticmethod, classmethod, property, functools.cached_property), Walk._descriptor),
)
