"""Argument trees: dicts, lists, tuples, named tuples and dataclasses with numbers and arrays at their leaves."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..ir.recording import Handle

LEAVES = (Handle, np.ndarray, int, float, complex, np.generic)


@dataclasses.dataclass(frozen=True)
class TreeDef:
    """The structure of a tree: what stands around its leaves. `static` is what has no leaves, or the factory of a defaultdict."""

    kind: Any
    keys: tuple[Any, ...] = ()
    children: tuple[TreeDef, ...] = ()
    static: Any = None

    @property
    def is_leaf(self) -> bool:
        return self.kind is None

    def build(self, leaves: Iterator[Any], static: Callable[[Any], Any] | None = None) -> Any:
        """The tree with these leaves; `static` says what becomes of the parts that have none."""
        if self.is_leaf:
            return next(leaves)
        if self.kind == "static":
            return static(self.static) if static else self.static
        return container(self.kind, self.keys, [c.build(leaves, static) for c in self.children], self.static)


LEAF = TreeDef(None)


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """The leaves of a tree, in order, and its structure. Strings, functions and None are part of the structure."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> TreeDef:
    if isinstance(tree, LEAVES):
        leaves.append(tree)
        return LEAF
    parts = children(tree)
    if parts is None:
        return TreeDef("static", static=tree)
    static = tree.default_factory if isinstance(tree, defaultdict) else None
    return TreeDef(type(tree), tuple(k for k, _ in parts), tuple(_flatten(v, leaves) for _, v in parts), static)


def children(tree: Any) -> list[tuple[Any, Any]] | None:
    """The named parts of a container, or None. Those of a dataclass are its fields, and what else it has been given."""
    if isinstance(tree, dict):
        return list(tree.items())
    if isinstance(tree, (list, tuple)):
        return list(enumerate(tree))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [f.name for f in dataclasses.fields(tree) if hasattr(tree, f.name)]
        rest = getattr(tree, "__dict__", {})
        return [(k, getattr(tree, k)) for k in dict.fromkeys([*names, *rest])]
    return None


def container(kind: Any, keys: Sequence[Any], parts: Sequence[Any], static: Any = None) -> Any:
    """A container of a kind with these parts: as it was, without running what a class does when one is made."""
    if issubclass(kind, dict):
        items = zip(keys, parts, strict=True)
        return kind(static, items) if issubclass(kind, defaultdict) else kind(items)
    if dataclasses.is_dataclass(kind):
        made: Any = object.__new__(kind)  # pyright: ignore[reportArgumentType]
        for key, part in zip(keys, parts, strict=True):
            object.__setattr__(made, key, part)
        return made
    return getattr(kind, "_make", kind)(parts)


def matched(tree: Any, like: TreeDef) -> list[Any] | None:
    """The leaves of a tree in the order of a structure, the entries of dicts found by their keys; None if it has another."""
    if like.is_leaf:
        return [tree] if isinstance(tree, LEAVES) else None
    parts = None if isinstance(tree, LEAVES) else children(tree)
    if like.kind == "static":
        return [] if parts is None and not isinstance(tree, LEAVES) else None
    if parts is None or type(tree) is not like.kind or len(parts) != len(like.keys):
        return None
    named = dict(parts)
    found = [matched(named[k], c) if k in named else None for k, c in zip(like.keys, like.children, strict=True)]
    return None if any(f is None for f in found) else [x for f in found if f is not None for x in f]


def unflatten(treedef: TreeDef, leaves: list[Any]) -> Any:
    """The tree with this structure and these leaves."""
    return treedef.build(iter(leaves))


def paths(tree: Any, prefix: str = "") -> list[str]:
    """How the user writes each leaf: `params['w'][0]`."""
    if isinstance(tree, LEAVES):
        return [prefix]
    found: list[str] = []
    fields: Any = getattr(tree, "_fields", None)
    for key, part in children(tree) or ():
        step = f".{key}" if dataclasses.is_dataclass(tree) else f"[{key!r}]" if fields is None else f".{fields[key]}"
        found += paths(part, prefix + step)
    return found


def map_leaves(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The tree of `function` applied to corresponding leaves."""
    leaves, treedef = flatten(tree)
    others = [flatten(r)[0] for r in rest]
    return unflatten(treedef, [function(*xs) for xs in zip(leaves, *others, strict=True)])
