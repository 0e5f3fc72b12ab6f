"""A step as native programs: one for each state of what its code reads, each shape of its arguments, each way through its branches."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

import numpy as np

from ..compile.interpreted import interpreted
from ..compile.native.entry import Entry
from ..compile.native.memory import Unsupported
from ..compile.native.objects import supported
from ..compile.native.program import native
from ..compile.tracing import Traced as Trace
from ..compile.tracing import traced
from ..errors import ChainruleError
from ..ir.recording import setting
from ..nn.traced import Traced
from ..tensors.tensor import Tensor
from ..trace.tree import TreeDef, flatten, unflatten
from .world import World

WORLDS = 16  # states of what the code reads, and ways through its branches, before it is left uncompiled
TRIES = 3  # traces that changed something in Python, before no more is tried


class Uncompilable(Exception):
    """Why the step has to run uncompiled: in words, for a note."""


class Programs:
    """What was compiled in one state of the world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entries: list[Callable[..., Any]] = []
        self.variants: dict[Any, list[tuple[Trace, Callable[[list[Any]], list[Any]], set[int]]]] = {}
        self.refused: dict[Any, str] = {}
        self.drawn: dict[Any, list[Any]] = {}  # the sources of random numbers that a program draws from


class Compiled:
    """A function of trees of arrays, compiled.

    Args:
        f: called with `Traced` tensors where arrays and numbers stand.
        roots: what its code reads, by name; see `World`.
        given: the tensors whose values are among the arguments.
        in_place: which results are written into the memory of which arguments: from the tree of results and that of arguments,
            with numbers at their leaves, the pairs of those.

    Raises (on calls):
        Uncompilable: the caller has to run it uncompiled; nothing has changed.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        roots: Mapping[str, Any],
        given: Callable[[], Iterable[Tensor]],
        in_place: Callable[[Any, Any], dict[int, int]] = lambda results, arguments: {},
    ) -> None:
        self.f, self.roots, self.given, self.in_place = f, roots, given, in_place
        self.known: list[Programs] = []
        self.reason = ""
        self.unlucky = 0

    def __call__(self, *args: Any) -> Any:
        if self.reason:
            raise Uncompilable(self.reason)
        here = self.known[0] if self.known else None
        if here is None or not here.world.same():
            here = self._here()
        for k, entry in enumerate(here.entries):
            found = entry(*args)
            if found is not NotImplemented:
                if k:  # the next call is likely to be of the same kind
                    here.entries.insert(0, here.entries.pop(k))
                return found
        leaves, tree = flatten(list(args))
        key = (_structure(tree), tuple(map(_signature, leaves)))
        if key in here.refused:
            raise Uncompilable(here.refused[key])
        variants = here.variants.setdefault(key, [])
        for t, program, free in variants:
            before = [(put, get()) for get, put in here.drawn[key]] if t.draws and t.guards else []
            found = program([*leaves, *(d() for d in t.draws)])
            if t.holds(found[t.outputs :]):
                return _delivered(t, found, leaves, free)
            for put, state in before:  # what was drawn belongs to a way that is not taken
                put(state)
        if len(variants) >= WORLDS:
            here.refused[key] = f"its branches were taken in more than {WORLDS} ways"
            raise Uncompilable(here.refused[key])
        try:
            t = self._traced(here, key, leaves, tree)
        except Uncompilable as why:
            here.refused[key] = str(why)
            raise
        free = (
            {}
            if t.guards
            else self.in_place(unflatten(t.tree, list(range(t.outputs))), unflatten(tree, list(range(len(leaves)))))
        )
        program = self._program(here, t, tree, leaves, free)
        variants.append((t, program, set(free.values())))
        drawn, t.drawn = t.drawn, []
        return _delivered(t, program([*leaves, *drawn]), leaves, free.values())

    def _here(self) -> Programs:
        """The programs for the world as it is now."""
        for k, known in enumerate(self.known):
            if known.world.same():
                self.known.insert(0, self.known.pop(k))
                return known
        if len(self.known) >= WORLDS:
            changed = self.known[0].world.difference()
            self.reason = f"{changed} changes again and again"
            self.known.clear()
            raise Uncompilable(self.reason)
        world = World(self.roots, self.given())
        if world.unknown:
            self.reason = f"its code reads what cannot be compared, or does what cannot be repeated: {world.unknown[0]}"
            raise Uncompilable(self.reason)
        self.known.insert(0, Programs(world))
        return self.known[0]

    def _traced(self, here: Programs, key: Any, leaves: list[Any], tree: TreeDef) -> Trace:
        """The graph, made without a lasting effect: what tracing changed is put back."""
        world = here.world = World(self.roots, self.given())  # with the random numbers as they are now

        def call(xs: list[Any]) -> Any:
            return self.f(*unflatten(tree, xs))

        try:
            with setting(array=Traced):
                t = traced(self.f, call, _distinct(leaves))
        except ChainruleError as error:
            world.restore()
            raise Uncompilable(error.what) from error
        except Exception as error:
            world.restore()
            raise Uncompilable(f"{type(error).__name__}: {error}") from error
        except BaseException:
            world.restore()
            raise
        changed = world.difference()
        moved = world.moved()
        if changed is None and world.reseeded():  # a program would draw on from where it is
            changed = "the seed of its random numbers"
        if changed is None and moved:  # only draws that the program repeats may have moved them
            after = [repr(get()) for get, _ in moved]
            world.rewind()
            t.drawn = [d() for d in t.draws]
            if [repr(get()) for get, _ in moved] != after:
                changed = "a source of random numbers"
            here.drawn[key] = moved
        if changed is None and t.changed:
            changed = "an argument"
        if changed is not None:
            world.restore()
            self.unlucky += 1
            if self.unlucky >= TRIES:
                self.reason = f"its code changes {changed}"
            raise Uncompilable(f"its code changes {changed}")
        return t

    def _program(
        self, here: Programs, t: Trace, tree: TreeDef, leaves: list[Any], free: dict[int, int]
    ) -> Callable[[list[Any]], list[Any]]:
        entry = None
        if supported() and not t.draws and "value" not in t.guards:
            entry = Entry(tree, leaves, t.tree, t.kinds, [(t.outputs + k, bool(e)) for k, e in enumerate(t.expected)])
        try:
            made = native(t.graph, entry, free)
        except Unsupported:
            return interpreted(t.graph)
        if made.entry is not None:
            here.entries.insert(0, made.entry)
        return made


def _distinct(leaves: list[Any]) -> list[Any]:
    """The leaves, each an object of its own: that two arguments are the same array now says nothing of the next call."""
    seen: set[int] = set()
    return [x.view() if isinstance(x, np.ndarray) and (id(x) in seen or seen.add(id(x))) else x for x in leaves]


def _structure(t: TreeDef) -> Any:
    return None if t.is_leaf else (t.kind, t.keys, t.static, tuple(map(_structure, t.children)))


def _signature(x: Any) -> Any:
    return (x.shape, x.dtype) if type(x) is np.ndarray else type(x)


def _delivered(t: Trace, found: list[Any], leaves: list[Any], donated: Container[int]) -> Any:
    """The outputs in their structure, sharing memory with no argument but the donated ones."""
    given = [a for k, a in enumerate(leaves) if k not in donated and isinstance(a, np.ndarray)]
    outputs = [
        kind(x) if kind is not None else x.copy() if isinstance(x, np.ndarray) and _shared(x, given) else x
        for x, kind in zip(found[: t.outputs], t.kinds, strict=True)
    ]
    return unflatten(t.tree, outputs)


def _shared(x: Any, given: list[Any]) -> bool:
    return x.base is not None or not x.flags.writeable or any(x is a for a in given)
