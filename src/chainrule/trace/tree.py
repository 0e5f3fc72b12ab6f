"""Argument trees: dicts, lists, tuples, named tuples and dataclasses with numbers and arrays at their leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..ir.recording import Handle

LEAVES = (Handle, np.ndarray, int, float, complex, np.generic)


@dataclasses.dataclass(frozen=True)
class TreeDef:
    """The structure of a tree: what stands around its leaves."""

    kind: Any
    keys: tuple[Any, ...] = ()
    children: tuple[TreeDef, ...] = ()
    static: Any = None

    @property
    def is_leaf(self) -> bool:
        return self.kind is None

    def build(self, leaves: Iterator[Any]) -> Any:
        """The tree with these leaves."""
        if self.is_leaf:
            return next(leaves)
        if self.kind == "static":
            return self.static
        parts = [c.build(leaves) for c in self.children]
        if issubclass(self.kind, dict):
            return self.kind(zip(self.keys, parts, strict=True))
        if dataclasses.is_dataclass(self.kind):
            return dataclasses.replace(self.static, **dict(zip(self.keys, parts, strict=True)))
        return self.kind(*parts) if hasattr(self.kind, "_fields") else self.kind(parts)


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
    example = tree if dataclasses.is_dataclass(tree) else None
    return TreeDef(type(tree), tuple(k for k, _ in parts), tuple(_flatten(v, leaves) for _, v in parts), example)


def children(tree: Any) -> list[tuple[Any, Any]] | None:
    """The named parts of a container, or None."""
    if isinstance(tree, dict):
        return list(tree.items())
    if isinstance(tree, (list, tuple)):
        return list(enumerate(tree))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(f.name, getattr(tree, f.name)) for f in dataclasses.fields(tree) if f.init]
    return None


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
