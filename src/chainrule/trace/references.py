"""What code refers to, read from its instructions: globals, attributes, modules; and what a closure's cell holds."""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CellType, CodeType
from typing import Any, NamedTuple

NUMERIC = frozenset(
    [
        "float",
        "int",
        "complex",
        "bool",
        "ndarray",
        "generic",
        "number",
        "floating",
        "integer",
        "Number",
        "Real",
        "Integral",
    ]
)


class References(NamedTuple):
    """The names in a piece of code and in the functions that are written inside it."""

    module: frozenset[str]  # looked up in the module, or written there
    attributes: frozenset[str]
    strings: frozenset[str]  # constants that may be names of attributes
    imported: frozenset[str]  # modules that it imports when it runs
    identity: bool  # whether it asks if two values are the same object
    matches: bool  # whether it matches a value with the class of a number or an array


@functools.lru_cache(maxsize=4096)
def references(code: CodeType) -> References:
    """What code refers to."""
    module: set[str] = set()
    attributes: set[str] = set()
    strings: set[str] = set()
    imported: set[str] = set()
    identity, matches, constant = False, False, False
    before: tuple[Any, ...] = (None, None, None)  # the names in the last instructions
    for step in dis.get_instructions(code):
        identity |= step.opname == "IS_OP" and not constant
        constant = step.opname == "LOAD_CONST"
        matches |= step.opname == "MATCH_CLASS" and not NUMERIC.isdisjoint(x for x in before if isinstance(x, str))
        before = (*before[1:], step.argval)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
            module.add(step.argval)
        elif step.opname == "IMPORT_NAME":
            imported.add(step.argval)
        elif step.arg is not None and step.opcode in dis.hasname:
            attributes.add(step.argval)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            inner = references(part)
            identity, matches = identity or inner.identity, matches or inner.matches
            module |= inner.module
            attributes |= inner.attributes
            strings |= inner.strings
            imported |= inner.imported
        else:
            strings.update(_names_in(part))
    named = (frozenset(module), frozenset(attributes), frozenset(strings), frozenset(imported))
    return References(*named, identity or "id" in module, matches)


def _names_in(constant: Any) -> Iterator[str]:
    if isinstance(constant, str):
        if constant.isidentifier():
            yield constant
    elif isinstance(constant, (tuple, frozenset)):
        for part in constant:
            yield from _names_in(part)


class _Unbound:
    def __repr__(self) -> str:
        return "nothing"


UNBOUND: Any = _Unbound()


def contents(cell: CellType) -> Any:
    """What a variable of an enclosing function holds; UNBOUND before it is bound."""
    try:
        return cell.cell_contents
    except ValueError:
        return UNBOUND
