"""While a function is traced, handles stand where its arrays stood; what it changes is noted, and taken back."""

from __future__ import annotations

import builtins
import enum
import types
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..ir.deferred import settled
from ..ir.op import Op
from ..ir.recording import Handle
from ..trace.handles import seen_plain
from ..trace.memory import owner
from ..trace.references import contents
from ..trace.tree import children, container
from .holders import FIELDS, ITEMS, LIST, MISSING, SET, Holder
from .reach import Spot, Walk

# ---- what Python asks of a type --------------------------------------------------------------------------------------


def _type_of(x: Any) -> Any:
    """The type that a value has where nothing is traced."""
    return builtins.type(settled(x.node.value) if isinstance(x, Handle) and seen_plain(x) else x)


def _isinstance(x: Any, kinds: Any) -> bool:
    if isinstance(x, Handle):
        return builtins.isinstance(x, kinds) or issubclass(_type_of(x), kinds)
    return builtins.isinstance(x, kinds)


class _Types(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return builtins.isinstance(x, builtins.type)


class _Type(type, metaclass=_Types):
    def __new__(cls, *args: Any) -> Any:  # type: ignore[misc]
        return _type_of(args[0]) if len(args) == 1 else builtins.type(*args)


def _print(*xs: Any, **options: Any) -> None:
    """Shows values without asking for them: a compiled function does not print."""
    builtins.print(*(settled(x.node.value) if isinstance(x, Handle) else x for x in xs), **options)


STAND_INS = {"isinstance": _isinstance, "type": _Type, "print": _print}

# ---- handles in the places of arrays ---------------------------------------------------------------------------------


def placed(spot: Spot, value: Any, handles: Sequence[Any]) -> Any:
    """A value with handles in the place of the leaves in it; what can change stays itself."""
    if type(spot) is int:
        return handles[spot]
    if type(spot) is tuple:
        build, parts, spots = spot
        return build([placed(s, v, handles) for s, v in zip(spots, parts, strict=True)])
    return value


class Standing:
    """The holders of a walk while the function is traced."""

    def __init__(self, walk: Walk, handles: Sequence[Any]) -> None:
        self.walk, self.handles = walk, handles
        self.holders = {id(h.owner): h for h in reversed(walk.holders)}
        self.before = [h.kind.whole(h.owner, h.keys) for h in walk.holders]
        self.first: list[Any] = []
        self.kept: set[int] = set()  # the memory, by the handle that owns it, of the arrays that are kept

    def enter(self) -> None:
        """Put the handles in their places."""
        for h in self.walk.holders:
            for key, value, spot in h.items() if h.spots else ():
                if spot is not None and not isinstance(spot, Holder):
                    h.kind.put(h.owner, key, placed(spot, value, self.handles))
        for scope in self.walk.modules.values():
            for name, f in STAND_INS.items():
                scope.setdefault(name, f)
        self.first = [h.kind.whole(h.owner, h.keys) for h in self.walk.holders]

    def leave(self) -> None:
        """Give everything back what it held."""
        for scope in self.walk.modules.values():
            for name, f in STAND_INS.items():
                if scope.get(name) is f:
                    del scope[name]
        for h, whole in zip(self.walk.holders, self.before, strict=True):
            if not _same(h.kind.whole(h.owner, h.keys), whole):
                h.kind.restore(h.owner, whole)
        for c in self.walk.contents:
            c.restore()

    def effects(self) -> tuple[list[Effect], list[list[Any]]]:
        """What the function has changed, and the new values, as a tree whose leaves are results."""
        effects: list[Effect] = []
        values: list[list[Any]] = []
        for h, then in zip(self.walk.holders, self.first, strict=True):
            now = h.kind.whole(h.owner, h.keys)
            if not _same(now, then):
                whole, changed = _changes(h, now, then)
                effects.append(Effect(h.number, whole, list(changed)))
                values.append([self.described(v, f"{h.label} at {k!r}") for k, v in changed.items()])
        for c in self.walk.contents:
            if not c.same():
                raise Untraceable(f"it changes the array {c.label} in place")
        return effects, values

    def described(self, x: Any, label: str, result: bool = False) -> Any:
        """A value as a tree: what it shares with the world is named, and what was made inside is made again."""
        if isinstance(x, Handle):
            k = next((k for k, h in enumerate(self.handles) if h is x), None)
            if not result and k is None:
                self._keep(x, label)
            return x if result or k is None else Kept(k)
        if isinstance(x, (np.ndarray, np.generic, int, float, complex, str, bytes, type(None))):
            return x
        known = self.holders.get(id(x))
        parts = children(x)
        if known is not None and known.owner is x and not (result and parts is not None):
            return Held(known.number)
        if parts is not None:
            return container(
                type(x), [k for k, _ in parts], [self.described(v, f"{label}[{k!r}]", result) for k, v in parts]
            )
        if isinstance(x, (set, bytearray)):
            return Fresh(x)
        if _plain(x):
            return x
        raise InputError(
            f"jit: {label} is {type(x).__name__}, made inside the function of what is traced there",
            "return and assign numbers, arrays, or dicts, lists, tuples and dataclasses of them",
        )

    def _keep(self, x: Any, label: str) -> None:
        """See to it that an array which is kept outside shares its memory with nothing else there: a program gives copies."""
        if not x.shape:
            return
        root = owner(x)
        if any(root is h for h in self.handles):
            raise Untraceable(f"{label} is given a view of an array from outside: keep a copy of it")
        if id(root) in self.kept:
            raise Untraceable(f"{label} is given an array that is kept elsewhere, too: keep a copy of it")
        self.kept.add(id(root))


class Effect(NamedTuple):
    """That a holder (by number) is given values at keys: as all that it holds, or beside what it holds."""

    holder: int
    whole: bool
    keys: list[Any]


def _changes(h: Holder, now: Any, then: Any) -> tuple[bool, dict[Any, Any]]:
    """Whether all that a holder holds is given anew, and what it is given."""
    if not isinstance(now, dict):
        whole = h.kind is SET or (h.kind is LIST and len(now) != len(then))
        return whole, {k: v for k, v in enumerate(now) if whole or v is not then[k]}
    if h.kind in (ITEMS, FIELDS) and [*(k for k in then if k in now), *(k for k in now if k not in then)] != list(now):
        return True, now
    changed = {k: v for k, v in now.items() if then.get(k, MISSING) is not v}
    return False, changed | {k: MISSING for k in then if k not in now}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(is_, a, b)) and all(map(is_, a.values(), b.values()))
    return len(a) == len(b) and all(map(is_, a, b))


def _plain(x: Any) -> bool:
    """Whether it is the same at every call: a function without traced values in its cells, a type, what compares itself."""
    if isinstance(x, types.FunctionType):
        cells = list(map(contents, x.__closure__ or ()))
        return all(not isinstance(c, Handle) and (not isinstance(c, types.FunctionType) or _plain(c)) for c in cells)
    if isinstance(
        x,
        (
            type,
            types.ModuleType,
            types.BuiltinFunctionType,
            type(np.sum),
            enum.Enum,
            Op,
            np.ufunc,
            np.dtype,
            MISSING.__class__,
        ),
    ):
        return True
    return type(x).__eq__ is not object.__eq__ and type(x).__hash__ is not None


class Kept:
    """A value of an effect: what stood at a leaf, the user's own array."""

    def __init__(self, leaf: int) -> None:
        self.leaf = leaf


class Held:
    """A value of an effect or a result: the owner of a holder, the user's own object."""

    def __init__(self, number: int) -> None:
        self.number = number


class Fresh:
    """A value of an effect or a result that is made anew at every call."""

    def __init__(self, x: Any) -> None:
        self.x = set(x) if isinstance(x, (list, set)) else bytearray(x)


class Untraceable(Exception):
    """What was traced cannot be compiled; the function runs as it is."""


def resolved(x: Any, leaves: Sequence[Any], holders: Sequence[Holder]) -> Any:
    """What a static part of a result means in this call."""
    if type(x) is Kept:
        return leaves[x.leaf]
    if type(x) is Held:
        return holders[x.number].owner
    return type(x.x)(x.x) if type(x) is Fresh else x


def carried_out(effects: Sequence[Effect], values: Sequence[Sequence[Any]], holders: Sequence[Holder]) -> None:
    """Change what the function changes."""
    for effect, new in zip(effects, values, strict=True):
        h = holders[effect.holder]
        if effect.whole:
            mapping = h.kind in (ITEMS, FIELDS)
            h.kind.restore(h.owner, dict(zip(effect.keys, new, strict=True)) if mapping else list(new))
        else:
            for key, value in zip(effect.keys, new, strict=True):
                h.kind.put(h.owner, key, value)


@contextmanager
def standing(walk: Walk, handles: Sequence[Any]) -> Generator[Standing]:
    """A block in which handles stand where the leaves of a walk stood."""
    made = Standing(walk, handles)
    try:
        made.enter()
        yield made
    finally:
        made.leave()
