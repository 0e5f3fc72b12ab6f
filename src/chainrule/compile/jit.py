"""jit: a function compiled for the shapes and dtypes it is called with, and for the branches it takes."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, caller
from ..ir.recording import Handle, state
from ..trace.calls import name_of, parameters
from ..trace.tree import TreeDef, flatten, unflatten
from .handed import BACKENDS, handed
from .interpreted import interpreted
from .native.entry import Entry, supported
from .native.program import NativeProgram, native
from .native.report import report
from .tracing import Traced, traced

LIMIT = 16  # branches traced for one set of shapes, before a call falls back to plain Python


def jit(
    f: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    donate: int | Sequence[int] = (),
    backend: str = "native",
) -> Any:
    """`f` compiled: traced once for the shapes and dtypes of its arguments, then run without Python between operations.

    The result is that of the uncompiled function, to rounding. Branches on traced values are allowed: the compiled
    program checks them, and another way through the function is traced and kept beside the first. What is not an
    operation on the arguments (`print`, appending to a list, plain random numbers) happens when tracing, not at every call.

    Args:
        f: a function of numbers, arrays or trees of them. Without it, a decorator.
        static_argnums: positions of arguments which are compared by value, and for each value traced anew.
        donate: positions of arguments whose memory may be used for results; they must not be used after the call.
        backend: "native" (LLVM, where the machine allows it; NumPy otherwise), "numpy", or "jax" or "torch", to which the same
            graph is handed.

    >>> import chainrule as cr, numpy as np
    >>> step = cr.jit(cr.value_and_grad(lambda w: np.sum(w**2)))
    >>> value, gradient = step(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    """
    if f is None:
        return functools.partial(jit, static_argnums=static_argnums, donate=donate, backend=backend)
    if backend not in BACKENDS:
        raise InputError(f"jit: there is no backend {backend!r}", f"choose one of {', '.join(BACKENDS)}")
    return Jitted(f, _positions(static_argnums), _positions(donate), backend)


def _positions(given: int | Sequence[int]) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)


class Jitted:
    """A compiled function; see `jit`."""

    def __init__(self, f: Callable[..., Any], static: tuple[int, ...], donate: tuple[int, ...], backend: str) -> None:
        functools.update_wrapper(self, f)
        self.backend = backend
        self.f, self.static, self.donate = f, static, donate
        self.variants: dict[Any, list[tuple[Traced, Callable[..., list[Any]]]]] = {}
        self.fast: list[Callable[..., Any]] = []
        self.lock = threading.Lock()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fast and not kwargs and not state.depth and not state.level:
            for entry in self.fast:
                found = entry(*args)
                if found is not NotImplemented:
                    return found
        fixed = {k: args[k] for k in self._static(args)}
        leaves, tree = flatten(
            ([None if k in fixed else a for k, a in enumerate(args)] if fixed else list(args), kwargs)
        )
        if state.depth or state.level or any(isinstance(x, Handle) for x in leaves):
            return self.f(*args, **kwargs)  # inside another transform: part of its graph
        key = (_structure(tree), tuple(map(_signature, leaves)), self._static_key(fixed))
        variants = self.variants.setdefault(key, [])
        for t, program in variants:
            found = program([*leaves, *(d() for d in t.draws)])
            if t.holds(found[t.outputs + len(t.changed) :]):
                return _delivered(t, found, leaves, self._donated(args))
        if len(variants) >= LIMIT:
            return self._plainly(args, kwargs)
        with self.lock:
            t = self._traced(leaves, tree, fixed)
            program = self._program(t, tree, leaves, args, kwargs)
            variants.append((t, program))
        first, t.drawn = t.drawn, []
        return _delivered(t, program([*leaves, *first]), leaves, self._donated(args))

    def _program(
        self, t: Traced, tree: TreeDef, leaves: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What runs the traced graph."""
        if self.backend in ("jax", "torch"):
            return handed(t.graph, self.backend)
        if self.backend == "native":
            made = native(t.graph, self._entry(t, tree, leaves, kwargs), [] if t.guards else self._donated(args))
            if made is not None:
                if made.entry is not None:
                    self.fast.insert(0, made.entry)
                return made
        return interpreted(t.graph)

    def schedule(self) -> str:
        """What became one loop, the memory that every step moves and its operations, for what was compiled last.

        Raises:
            InputError: nothing has been compiled natively yet.
        """
        programs = [p for v in self.variants.values() for _, p in v if isinstance(p, NativeProgram)]
        if not programs:
            raise InputError("there is no schedule: nothing has been compiled natively", "call the function first")
        return report(programs[-1])

    def _donated(self, args: tuple[Any, ...]) -> list[int]:
        """The leaves whose memory may be used for results."""
        found: list[int] = []
        if not self.donate:
            return found
        start = 0
        for k, a in enumerate(args):
            count = len(flatten(None if k in self._static(args) else a)[0])
            if k in {d % len(args) for d in self.donate}:
                found += range(start, start + count)
            start += count
        return found

    def _entry(self, t: Traced, tree: TreeDef, leaves: list[Any], kwargs: dict[str, Any]) -> Entry | None:
        """A native entry, for calls that need nothing of Python on the way."""
        if kwargs or self.static or t.changed or t.draws or "value" in t.guards or not supported():
            return None
        truths = [(t.outputs + k, bool(e)) for k, e in enumerate(t.expected)]
        return Entry(tree.children[0], leaves, t.tree, t.kinds, truths)

    def _static(self, args: Sequence[Any]) -> list[int]:
        return [k % len(args) for k in self.static if -len(args) <= k < len(args)]

    def _static_key(self, fixed: dict[int, Any]) -> Any:
        try:
            hash(key := tuple(fixed.items()))
        except TypeError:
            k, value = next((k, v) for k, v in fixed.items() if type(v).__hash__ is None)
            name = [*parameters(self.f), *map(str, range(k + 1))][k]
            raise InputError(
                f"jit: the static argument {name} is {type(value).__name__}, which cannot be compared by value",
                "pass something hashable (a number, a string, a tuple), or leave it out of static_argnums",
            ) from None
        return key

    def _traced(self, leaves: list[Any], tree: TreeDef, fixed: dict[int, Any]) -> Traced:
        def call(xs: list[Any]) -> Any:
            args, kwargs = unflatten(tree, xs)
            return self.f(*(fixed.get(k, a) for k, a in enumerate(args)), **kwargs)

        return traced(self.f, call, leaves)

    def _plainly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = caller()
        warnings.warn_explicit(
            f"jit: {name_of(self.f)} took more than {LIMIT} different ways through its branches; it now runs uncompiled. "
            "Use np.where, chainrule.cond or chainrule.while_loop for branches that depend on values.",
            RuntimeWarning,
            frame.f_code.co_filename if frame else __file__,
            frame.f_lineno if frame else 0,
        )
        return self.f(*args, **kwargs)


def _structure(t: TreeDef) -> Any:
    """A tree's structure as a key; what is static in it is compared by value where it can be, otherwise by identity."""
    if t.is_leaf:
        return None
    static = t.static if t.kind == "static" else None
    try:
        hash(static)
    except TypeError:
        static = id(static)
    return t.kind, t.keys, static, tuple(map(_structure, t.children))


def _signature(x: Any) -> Any:
    if type(x) is np.ndarray:
        return x.shape, x.dtype
    return type(x)


def _delivered(t: Traced, found: list[Any], leaves: list[Any], donated: Sequence[int] = ()) -> Any:
    """The outputs in their structure; arguments that the function changes in place are changed."""
    given = [a for k, a in enumerate(leaves) if k not in donated]
    outputs = [_own(x, kind, given) for x, kind in zip(found[: t.outputs], t.kinds, strict=True)]
    for k, new in zip(t.changed, found[t.outputs :], strict=False):  # after the outputs, which may be what they were
        if isinstance(leaves[k], np.ndarray):
            leaves[k][...] = new
    return unflatten(t.tree, outputs)


def _own(x: Any, kind: Any, given: list[Any]) -> Any:
    """A result that shares memory with nothing."""
    if kind is not None:
        return kind(x)
    if isinstance(x, np.ndarray) and (x.base is not None or not x.flags.writeable or any(x is a for a in given)):
        return x.copy()
    return x
