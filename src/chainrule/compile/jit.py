"""jit: a function compiled for the shapes and dtypes it is called with, and for the branches it takes."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import numpy as np

from ..errors import ChainruleError, InputError, TraceError, caller
from ..ir.graph import Graph
from ..ir.layout import alone
from ..ir.recording import state
from ..programs.listing import listing
from ..trace.calls import called, name_of, parameters
from ..trace.names import leaf_name
from ..trace.tree import TreeDef, flatten, map_leaves
from .handed import BACKENDS, handed
from .holders import Holder
from .interpreted import interpreted
from .known_names import Vocabulary
from .native.entry import Entry
from .native.memory import Unsupported
from .native.objects import supported
from .native.program import NativeProgram, native
from .native.report import report
from .reach import Label, TracedValue, Walk
from .standing import Effect, Untraceable, carried_out, placed, resolved, standing
from .tracing import Traced, traced
from .watching import Seen, reached

LIMIT = 16  # ways traced for one set of shapes, before a call falls back to plain Python
TRACING = threading.RLock()  # while a function is traced, handles stand in what it reaches


def jit(
    f: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    donate: int | Sequence[int] = (),
    backend: str = "native",
    watch: bool = True,
) -> Any:
    """`f` compiled: traced once for the shapes and dtypes of its arguments, then run without Python between operations.

    The result is that of the uncompiled function, to rounding. Branches on traced values are allowed: the compiled
    program checks them, and another way through the function is traced and kept beside the first. What the function reads
    besides its arguments (`self.w`, what it closes over, names of its module) is looked at again at every call, and what
    it changes there is changed at every call. `print` and NumPy's random numbers happen when tracing only.

    Args:
        f: a function of numbers, arrays or trees of them. Without it, a decorator.
        static_argnums: positions of arguments which are compared by value, and for each value traced anew. Strings, booleans,
            None, functions and objects of classes with `__eq__` always are.
        donate: positions of arguments whose memory may be used for results; they must not be used after the call.
        backend: "native" (LLVM, where the machine allows it; NumPy otherwise), "numpy", or "jax" or "torch", to which the same
            graph is handed.
        watch: whether what is read besides the arguments is looked at again; False where the caller sees to that.

    Raises:
        InputError: an argument, or what the function reads, is nothing that can be compared or watched; a position is wrong.

    >>> import chainrule as cr, numpy as np
    >>> step = cr.jit(cr.value_and_grad(lambda w: np.sum(w**2)))
    >>> value, gradient = step(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    """
    if f is None:
        return functools.partial(jit, static_argnums=static_argnums, donate=donate, backend=backend, watch=watch)
    if backend not in BACKENDS:
        raise InputError(f"jit: there is no backend {backend!r}", f"choose one of {', '.join(BACKENDS)}")
    static, donated = _positions(f, static_argnums, "static_argnums"), _positions(f, donate, "donate")
    if set(static) & set(donated):
        raise InputError("jit: an argument is both static and donated", "a static argument has no memory to give")
    return Jitted(f, static, donated, backend, watch)


def _positions(f: Callable[..., Any], given: int | Sequence[int], option: str) -> tuple[int, ...]:
    """Positions of arguments, counted from the front."""
    found: Any = tuple(given) if isinstance(given, (tuple, list, range)) else (given,)
    kinds = [p.kind for p in parameters(f).values()]
    count = sum(k in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD) for k in kinds)
    some = not kinds or Parameter.VAR_POSITIONAL in kinds
    for k in found:
        if type(k) is not int:
            raise InputError(
                f"jit: {option} takes positions of arguments, not {k!r}", f"write {option}=0 for the first"
            )
        if not (k >= 0 if some else -count <= k < count):
            raise InputError(
                f"jit: {option} names argument {k}, and {name_of(f)} has {'at least ' * some}{count}",
                "count from 0",
            )
    placed = [k % count if k < 0 else k for k in found]
    if len(set(placed)) != len(placed):
        raise InputError(f"jit: {option} names an argument twice: {found}", "name each once")
    return tuple(placed)


@dataclass
class Call:
    """One call: its arguments, the walk over all that it can read, and where handles would stand in it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    walk: Walk
    spots: list[Any]
    function: Any

    @property
    def leaves(self) -> list[Any]:
        return self.walk.leaves

    @property
    def signature(self) -> Any:
        """What kinds of arrays and numbers the arguments are."""
        return tuple((type(x), np.shape(x)) for x, own in zip(self.leaves, self.walk.own, strict=True) if own)

    def donated(self, positions: Sequence[int]) -> list[int]:
        """The leaves whose memory may be used for results."""
        return [k for p in positions if p < len(self.walk.ranges) for k in self.walk.ranges[p]]


@dataclass
class Variant:
    """One way through the function, compiled: when it is taken, and what runs it."""

    numbers: dict[str, Any]
    traced: Traced
    result: TreeDef
    effects: list[Effect]
    program: Callable[[list[Any]], list[Any]]
    reason: str = ""  # why no native code runs it

    def overlapping(self, leaves: list[Any]) -> bool:
        """Whether what is changed in place shares memory with another input, or cannot be written."""
        for k in self.traced.changed:
            if not leaves[k].flags.writeable:
                return True
            for other in leaves:
                if isinstance(other, np.ndarray) and other is not leaves[k] and np.may_share_memory(other, leaves[k]):
                    return True
        return False

    def delivered(self, found: list[Any], leaves: list[Any], holders: list[Holder], donated: Sequence[int]) -> Any:
        """The outputs in their structure; what the function changes is changed."""
        t = self.traced
        given = {id(a) for k, a in enumerate(leaves) if k not in donated}
        outputs = [_own(x, kind, given) for x, kind in zip(found[: t.outputs], t.kinds, strict=True)]
        for k, new in zip(
            t.changed, found[t.outputs :], strict=False
        ):  # after the outputs, which may be what they were
            leaves[k][...] = new
        result, values = t.tree.build(iter(outputs), lambda x: resolved(x, leaves, holders))
        carried_out(self.effects, values, holders)
        return result


class Jitted:
    """A compiled function; see `jit`."""

    _reached = ("f",)  # of it, when another function reaches it

    def __init__(
        self,
        f: Callable[..., Any],
        static: tuple[int, ...] = (),
        donate: tuple[int, ...] = (),
        backend: str = "native",
        watch: bool = True,
    ) -> None:
        functools.update_wrapper(self, f)
        self.backend, self.watch = backend, watch
        self.f, self.static, self.donate = f, static, donate
        self.vocabulary = Vocabulary()
        self.moving: set[str] = set()
        self.lift = True
        self.variants: dict[Any, list[Variant]] = {}
        self.fast: list[Callable[..., Any]] = []
        self.warm: list[tuple[Seen, list[Any], Callable[..., Any]]] = []
        self.worlds: dict[Any, dict[Any, None]] = {}  # by the arguments: what has been reached beside them

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.depth or state.level:
            return self._inside(args, kwargs)
        if not kwargs:
            for entry in self.fast:
                found = entry(*args)
                if found is not NotImplemented:
                    return found
            for seen, lifted, entry in self.warm:
                if seen.same() and (found := entry(*args, *lifted)) is not NotImplemented:
                    return found
        return self._called(args, kwargs)

    def _inside(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Inside another transform it is part of its graph; where only somebody watches the values, it is traced again."""
        if state.depth > 0 or state.level > 0:
            return self.f(*args, **kwargs)
        return Jitted(self.f, self.static, (), "numpy", self.watch)._called(args, kwargs)

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            call = self._look(args, kwargs)
        except TracedValue:
            with TRACING:
                try:
                    call = self._look(args, kwargs)
                except TracedValue:
                    return self.f(*args, **kwargs)
        if call is None:
            return self.f(*args, **kwargs)
        key, leaves = tuple(call.walk.key), call.leaves
        donated = call.donated(self.donate)
        variants = self.variants.setdefault(key, [])
        for v in variants:
            if v.numbers == call.walk.numbers:
                if v.overlapping(leaves):
                    return self._plainly(
                        call, "it changes an array in place that overlaps another, or cannot be written"
                    )
                found = v.program([*leaves, *(d() for d in v.traced.draws)])
                if v.traced.holds(found[v.traced.outputs + len(v.traced.changed) :]):
                    return v.delivered(found, leaves, call.walk.holders, donated)
        if self._moved(call, variants):
            return self._called(args, kwargs)
        if len(variants) >= LIMIT:
            return self._plainly(
                call,
                f"it took more than {LIMIT} different ways through its branches (np.where, chainrule.cond and chainrule.while_loop need one)",
            )
        worlds = self.worlds.setdefault(call.signature, {})
        if len(worlds) >= LIMIT and key not in worlds:
            return self._plainly(call, f"{_difference([*worlds][-1], key)} changes from call to call")
        worlds[key] = None
        try:
            with TRACING:
                v = self._variant(call)
                variants.append(v)
        except Untraceable as why:
            return self._plainly(call, str(why))
        except (ChainruleError, TypeError, AttributeError) as error:
            if not self.lift or all(call.walk.own):
                if isinstance(error, ChainruleError) or "'Array'" not in str(error):
                    raise
                raise TraceError(
                    f"jit: {name_of(self.f)} asks of a traced value what only a plain one can do: {error}",
                    "compute with NumPy, or make the argument static",
                ) from error
            self.lift = (
                False  # perhaps an array that it closes over is used as only a plain one can be: it is compared instead
            )
            try:
                return self._called(args, kwargs)
            except Exception:
                self.lift = True
                raise error from None
        if v.overlapping(leaves):
            return self._plainly(call, "it changes an array in place that overlaps another, or cannot be written")
        first, v.traced.drawn = v.traced.drawn, []
        return v.delivered(v.program([*leaves, *first]), leaves, call.walk.holders, donated)

    def _moved(self, call: Call, variants: list[Variant]) -> bool:
        """Whether numbers beside the arguments, that were compared by value, are seen to change: they become inputs."""
        if not self.lift or not variants:
            return False
        before, now = variants[-1].numbers, call.walk.numbers
        moving = {k for k, v in now.items() if before.get(k, v) != v and k not in call.walk.unlike} - self.moving
        self.moving |= moving
        return bool(moving)

    def _look(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """A walk over all that the call can read; None where traced values are among the arguments."""
        names = list(parameters(self.f))
        fixed = {k for k in self.static if k < len(args)}
        labels = [names[k] if k < len(names) else f"argument {k}" for k in range(len(args))]
        for k, name in enumerate(kwargs, len(args)):
            labels.append(name)
            if name in names and names.index(name) in self.static:
                fixed.add(k)
        given = [*args, *kwargs.values()]
        for k in fixed:
            _comparable(given[k], labels[k])
        found: list[Any] = []

        def look() -> Walk:
            walk = Walk(self.vocabulary, self.moving, self.lift)
            walk.key += len(args), tuple(kwargs)
            found[:] = walk.arguments(given, labels, fixed), None
            if self.watch:
                found[1] = walk.visit(self.f, name_of(self.f))
            return walk

        walk = reached(self.vocabulary, look)
        if self.vocabulary.hidden:
            where, what = self.vocabulary.hidden
            raise InputError(
                f"jit: {where} uses {what}, and what that reads cannot be watched",
                "pass what it reads as arguments; ask isinstance instead of match",
            )
        if walk.tensors:
            return None
        return Call(args, kwargs, walk, *found)

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph of a call with these arguments, after optimization; nothing is compiled.

        It prints one line for each value, with your names, dtypes and shapes. Its inputs are the arrays and numbers among
        the arguments, then the arrays that the function reads beside them; its outputs are the results, then what the
        arguments that it changes in place become.

        Raises:
            InputError: the call has no graph, for instance because the function opens a file.

        >>> print(jit(lambda x, w: np.tanh(x @ w)).graph(np.ones((32, 64)), np.ones(64)))
        f(x: f64[32, 64], w: f64[64])
            tanh_: f64[32] = np.tanh(x @ w)
            return tanh_
        """
        with TRACING:
            try:
                call = self._look(args, kwargs)
                found = None if call is None else self._traced(call)[0]
            except Untraceable as why:
                raise InputError(f"jit: {name_of(self.f)} has no graph: {why}", "call it as it is") from why
        if call is None or found is None:
            raise InputError(f"jit: {name_of(self.f)} has no graph of tensors", "give arrays")
        for n, label in zip(found.graph.inputs, call.walk.labels, strict=False):
            n.given_name = leaf_name(label)
        outputs = found.graph.outputs[: found.outputs + len(found.changed)]
        name = name_of(self.f)
        return Graph(found.graph.inputs, outputs, lambda g: listing(g, name if name.isidentifier() else "f"))

    def _traced(self, call: Call) -> tuple[Traced, list[Effect]]:
        """The graph of a call, and what it changes besides."""
        plans: list[list[Effect]] = []

        def run(handles: list[Any]) -> Any:
            given = [
                placed(s, a, handles) for s, a in zip(call.spots, [*call.args, *call.kwargs.values()], strict=True)
            ]
            n = len(call.args)
            with standing(call.walk, handles) as world:
                f = placed(call.function, self.f, handles)
                result = called(f, given[:n], dict(zip(call.kwargs, given[n:], strict=True)))
                plan, values = world.effects()
                plans.append(plan)
                return world.described(result, f"the result of {name_of(self.f)}", result=True), values

        return traced(self.f, run, call.leaves), plans[0]

    def _variant(self, call: Call) -> Variant:
        """Trace the call and compile what was traced."""
        t, effects = self._traced(call)
        made = Variant(call.walk.numbers, t, t.tree.children[0], effects, interpreted(t.graph))
        if self.backend in ("jax", "torch"):
            made.program = handed(t.graph, self.backend)
        if self.backend == "native":
            self._compile(made, call)
        else:
            made.reason = f"its backend is {self.backend}"
        return made

    def _compile(self, v: Variant, call: Call) -> None:
        """Native code for a variant, with an entry for calls that need nothing of Python on the way."""
        t, seen = v.traced, Seen(call.walk)
        lifted = [x for x, own in zip(call.leaves, call.walk.own, strict=True) if not own]
        objects = any(not h.argument for h in call.walk.holders if h.number < call.walk.outside)
        checks = None if lifted or objects else seen.checks()
        entry = self._entry(v, call, checks or [], lifted)
        donated = [k for k in call.donated(self.donate) if not t.guards and k not in t.changed]
        try:
            v.program = made = native(t.graph, entry, donated)
        except Unsupported as why:
            v.reason = str(why)
            return
        if made.entry is None:
            return
        if checks is not None:
            self.fast.insert(0, made.entry)
        else:
            self.warm.insert(0, (seen, lifted, made.entry))

    def _entry(self, v: Variant, call: Call, checks: list[tuple[Any, Any, Any]], lifted: list[Any]) -> Entry | None:
        t, walk = v.traced, call.walk
        special = call.kwargs or self.static or t.changed or t.draws or v.effects or "value" in t.guards
        if special or walk.crossed or self.vocabulary.identity or not supported():
            return None
        leaves, tree = flatten([*call.args, *lifted])
        order = sorted(range(len(call.leaves)), key=lambda k: not walk.own[k])  # of the leaves, in the entry
        inputs = [x for x in leaves if type(x) is not bool]
        if len(inputs) != len(order) or any(a is not call.leaves[k] for a, k in zip(inputs, order, strict=True)):
            return None  # an integer that is compared
        truths = [(t.outputs + k, bool(e)) for k, e in enumerate(t.expected)]
        return Entry(tree, leaves, v.result, t.kinds, truths, checks, order)

    def schedule(self) -> str:
        """What became one loop, what NumPy runs and why, the memory that every step moves and its operations, for what was compiled last."""
        variants = [v for vs in self.variants.values() for v in vs]
        if not variants:
            return f"{name_of(self.f)} is compiled when it is first called, for the shapes and dtypes of that call: call it, then ask again."
        program = variants[-1].program
        if isinstance(program, NativeProgram):
            return report(program)
        return f"{name_of(self.f)} has no native code: {variants[-1].reason}."

    def _plainly(self, call: Call, why: str) -> Any:
        """The function itself; its results share memory with nothing, as those of a program."""
        frame = caller()
        warnings.warn_explicit(
            f"jit: {name_of(self.f)} runs uncompiled: {why}.",
            RuntimeWarning,
            frame.f_code.co_filename if frame else __file__,
            frame.f_lineno if frame else 0,
        )
        result = self.f(*call.args, **call.kwargs)
        return map_leaves(lambda x: x.copy() if isinstance(x, np.ndarray) else x, result)


def _difference(before: tuple[Any, ...], now: tuple[Any, ...]) -> str:
    """What is different between two looks at what a function reaches."""
    k = next((k for k, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), 0)
    named = next((x for x in reversed(now[:k]) if isinstance(x, Label)), None)
    return str(named) if named is not None else "what it reaches"


def _comparable(x: Any, name: str) -> None:
    try:
        hash(x)
    except TypeError:
        raise InputError(
            f"jit: the static argument {name} is {type(x).__name__}, which cannot be compared by value",
            "pass something hashable (a number, a string, a tuple), or leave it out of static_argnums",
        ) from None


def _own(x: Any, kind: Any, given: set[int]) -> Any:
    """A result that shares memory with nothing."""
    if kind is not None:
        return kind(x)
    return x.copy() if isinstance(x, np.ndarray) and not alone(x, given) else x
