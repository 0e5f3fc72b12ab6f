"""Holders: whatever holds values and can change, each kind read and written in its own way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from operator import is_
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..trace.references import UNBOUND, contents

MISSING = UNBOUND  # also where there is no such name or item


class Kind(NamedTuple):
    """How a kind of holder is handled.

    Args:
        whole: all that the owner holds, as a list or a dict of our own.
        same: whether it holds the very objects that it was seen with.
        put: write one value.
        restore: give it back what `whole` said.
    """

    whole: Callable[[Any, Any], Any]
    same: Callable[[Holder], bool]
    put: Callable[[Any, Any, Any], None]
    restore: Callable[[Any, Any], None]


class Holder:
    """One that holds values: its owner, which keys are looked at, and the values that were seen.

    `spots` says for every value where inputs of the program stand in it, `argument` whether it is a container among the arguments.
    """

    __slots__ = ("argument", "count", "keys", "kind", "label", "number", "owner", "spots", "values")

    def __init__(
        self, owner: Any, kind: Kind, keys: Any, values: list[Any], label: str, number: int, argument: bool = False
    ) -> None:
        self.owner, self.kind, self.keys, self.values = owner, kind, keys, values
        self.label, self.number, self.argument = label, number, argument
        self.spots: list[Any] = []
        self.count = len(vars(owner)) if kind is FIELDS else 0

    def same(self) -> bool:
        """Whether it holds what it held."""
        return self.kind.same(self)

    def items(self) -> list[tuple[Any, Any, Any]]:
        """Key, value and spot of everything that was seen."""
        keys = range(len(self.values)) if self.keys is None else self.keys
        return list(zip(keys, self.values, self.spots, strict=True))


def _list_same(h: Holder) -> bool:
    return len(h.owner) == len(h.values) and all(map(is_, h.owner, h.values))


def _items_same(h: Holder) -> bool:
    owner = h.owner
    return len(owner) == len(h.keys) and all(map(is_, owner, h.keys)) and all(map(is_, owner.values(), h.values))


def _names_same(h: Holder) -> bool:
    return all(map(is_, map(h.owner.get, h.keys, repeat(MISSING)), h.values))


def _fields_same(h: Holder) -> bool:
    d = vars(h.owner)
    return len(d) == h.count and all(map(is_, map(d.get, h.keys, repeat(MISSING)), h.values))


def _cell(owner: Any, _: Any = None) -> list[Any]:
    return [contents(owner)]


def _put_cell(owner: Any, _: Any, value: Any) -> None:
    if value is MISSING:
        del owner.cell_contents
    else:
        owner.cell_contents = value


def _put_item(owner: Any, key: Any, value: Any) -> None:
    if value is MISSING:
        dict.pop(owner, key, None)
    else:
        dict.__setitem__(owner, key, value)


def _put_field(owner: Any, key: Any, value: Any) -> None:
    if isinstance(owner, type):
        delattr(owner, key) if value is MISSING else type.__setattr__(owner, key, value)
    else:
        _put_item(vars(owner), key, value)


def _put_attribute(owner: Any, key: Any, value: Any) -> None:
    if value is MISSING:
        object.__delattr__(owner, key)
    else:
        object.__setattr__(owner, key, value)


def _restore_list(owner: Any, whole: list[Any]) -> None:
    list.__setitem__(owner, slice(None), whole)


def _restore_items(owner: Any, whole: dict[Any, Any]) -> None:
    dict.clear(owner)
    dict.update(owner, whole)


def _restore_names(owner: Any, whole: dict[str, Any]) -> None:
    for key, value in whole.items():
        _put_item(owner, key, value)


def _restore_fields(owner: Any, whole: dict[str, Any]) -> None:
    for key in [k for k in vars(owner) if k not in whole]:
        _put_field(owner, key, MISSING)
    for key, value in whole.items():
        if vars(owner).get(key, MISSING) is not value:
            _put_field(owner, key, value)


def _restore_set(owner: Any, whole: list[Any]) -> None:
    owner.clear()
    owner.update(whole)


def _attributes(owner: Any, keys: Any) -> dict[str, Any]:
    return {k: getattr(owner, k, MISSING) for k in keys}


def _restore_attributes(owner: Any, whole: dict[str, Any]) -> None:
    for key, value in whole.items():
        if getattr(owner, key, MISSING) is not value:
            (setattr if isinstance(owner, FunctionType) else _put_attribute)(owner, key, value)


LIST = Kind(lambda o, _: list(o), _list_same, list.__setitem__, _restore_list)
ITEMS = Kind(lambda o, _: dict(o), _items_same, _put_item, _restore_items)
SET = Kind(lambda o, _: list(o), lambda h: h.owner == h.values[0], lambda o, k, v: None, _restore_set)
NAMES = Kind(lambda o, keys: {k: o.get(k, MISSING) for k in keys}, _names_same, _put_item, _restore_names)
FIELDS = Kind(lambda o, _: dict(vars(o)), _fields_same, _put_field, _restore_fields)
CELL = Kind(_cell, lambda h: _cell(h.owner)[0] is h.values[0], _put_cell, lambda o, whole: _put_cell(o, None, whole[0]))
ATTRIBUTES = Kind(
    _attributes,
    lambda h: all(getattr(h.owner, k, MISSING) is v for k, v in zip(h.keys, h.values, strict=True)),
    lambda o, k, v: (setattr if isinstance(o, FunctionType) else _put_attribute)(o, k, v),
    _restore_attributes,
)


class Contents:
    """An array that is compared by what is in it: how it was seen."""

    __slots__ = ("array", "data", "form", "label")

    def __init__(self, array: np.ndarray[Any, Any], label: str) -> None:
        self.array, self.label = array, label
        self.form, self.data = (array.shape, array.dtype), array.tobytes()

    def same(self) -> bool:
        """Whether it has the shape, dtype and entries that it had: all three can be set in place."""
        a = self.array
        return (a.shape, a.dtype) == self.form and a.tobytes() == self.data

    def restore(self) -> None:
        """Give it the entries back."""
        if not self.same():
            self.array[...] = np.frombuffer(self.data, self.array.dtype).reshape(self.array.shape)
