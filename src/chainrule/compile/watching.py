"""Watch: what functions and objects hold beside the arguments of a call, and whether it is still the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from .holders import CELL, FIELDS, ITEMS, LIST, MISSING, NAMES, Holder
from .known_names import Vocabulary
from .reach import Walk

GROWING = (LIST, ITEMS, FIELDS)  # what holds nothing now may hold something later
SHORT = 100  # items of a list that an entry compares


def reached(vocabulary: Vocabulary, look: Any) -> Walk:
    """What `look` (a function that makes a walk) finds, once the names in all code that it passes are known."""
    while True:
        before = len(vocabulary.codes), vocabulary.open
        walk = look()
        if (len(vocabulary.codes), vocabulary.open) == before:
            return walk


class Watch:
    """All that functions and objects reach and that can change: attributes, cells, names of modules, lists, arrays.

    What is not looked at: libraries, objects that compare themselves (`__eq__`), and tensors that require a gradient, which
    are to be passed as arguments.

    Args:
        roots: functions, methods, modules of a network or other objects, as they are now.

    >>> class Scaled:
    ...     def __init__(self):
    ...         self.scale = 2.0
    ...     def __call__(self, x):
    ...         return self.scale * x
    >>> layer = Scaled()
    >>> watch = Watch(layer)
    >>> watch.changed()
    >>> layer.scale = 3.0
    >>> watch.changed()
    'Scaled.scale'
    """

    def __init__(self, *roots: Any) -> None:
        self.roots = roots
        self.vocabulary = Vocabulary()
        self._take(self._look())

    def _look(self) -> Walk:
        def look() -> Walk:
            walk = Walk(self.vocabulary, lift=False)
            for x in self.roots:
                walk.visit(x, getattr(x, "__name__", type(x).__name__))
            return walk

        return reached(self.vocabulary, look)

    def _take(self, walk: Walk) -> None:
        self.key = (tuple(walk.key), walk.numbers)
        self.seen = Seen(walk)

    def changed(self) -> str | None:
        """What has changed since the watch was made, as the user writes it (`net.scale`); None where all is the same."""
        if self.seen.same():
            return None
        before, seen = self.key, self.seen
        self._take(self._look())
        if self.key == before:
            return None
        self.key, self.seen = before, seen
        return self.seen.difference()


class Seen:
    """The very objects that a walk found beside the arguments, for a check that takes no walk."""

    def __init__(self, walk: Walk) -> None:
        self.holders = [h for h in walk.holders if not h.argument and (h.values or h.kind in GROWING)]
        self.contents = walk.contents

    def same(self) -> bool:
        """Whether every holder holds the same objects, and the arrays that are compared have the same contents."""
        return all(h.kind.same(h) for h in self.holders) and all(c.same() for c in self.contents)

    def difference(self) -> str:
        """The first thing that differs."""
        for h in self.holders:
            if not h.kind.same(h):
                return _place(h)
        return next((c.label for c in self.contents if not c.same()), "something that it reaches")

    def checks(self) -> list[tuple[Any, Any, Any]] | None:
        """The same as (owner, key, object), as an entry takes them, where that says it all; None where it does not."""
        found: list[tuple[Any, Any, Any]] = [(c.array, None, c.data) for c in self.contents]
        if not all(type(a) is np.ndarray and a.flags.carray and a.dtype.isnative for a, _, _ in found):
            return None
        for h in self.holders:
            if h.kind is CELL and h.values[0] is not MISSING:
                found.append((h.owner, None, h.values[0]))
            elif h.kind is NAMES:
                found += [(h.owner, k, v) for k, v in zip(h.keys, h.values, strict=True)]
            elif (h.kind is LIST and len(h.values) <= SHORT) or (h.kind is ITEMS and not h.values):
                found.append((h.owner, None, h.values))
            elif not _constant(h):
                return None
        return found


def _constant(h: Holder) -> bool:
    """Whether it holds a function's own parts, with nothing in them that can change: they are set anew by nobody."""
    return h.keys == ("__code__", "__defaults__", "__kwdefaults__") and not any(h.values[1:])


def _place(h: Holder) -> str:
    if h.kind in (LIST, CELL):
        return h.label
    whole = h.kind.whole(h.owner, h.keys)
    for k, v in zip(h.keys, h.values, strict=True):
        if isinstance(whole, dict) and whole.get(k, MISSING) is not v:
            return f"{h.label}[{k!r}]" if h.kind is ITEMS else str(k) if h.kind is NAMES else f"{h.label}.{k}"
    return h.label
