"""A body (of a loop, a branch, a checkpoint, a batch) owns copies of what it is given, and writes into nothing else.

It runs once where Python would run it many times, so a write into something from outside would be made once, or be lost.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir.node import now
from ..ir.recording import setting
from .memory import own
from .references import UNBOUND, contents, references
from .tree import children, map_leaves


def owned(tree: Any) -> Any:
    """The arguments of a body: a tree of arrays that nobody else holds."""
    return map_leaves(own, tree)


@contextmanager
def body(f: Callable[..., Any], **values: Any) -> Generator[list[np.ndarray[Any, Any]]]:
    """A block that runs a body: with `state` set to these values, and arrays from outside (given) read-only.

    Raises:
        TraceError: the body writes into an array that it closes over.
    """
    locked = [a for a in _around(f) if a.flags.writeable]
    for a in locked:
        a.flags.writeable = False
    try:
        with setting(body=now(), **values):
            yield locked
    except ValueError as error:
        if locked and "read-only" in str(error) and not isinstance(error, TraceError):
            raise outside() from error
        raise
    finally:
        for a in sorted(locked, key=lambda a: isinstance(a.base, np.ndarray)):  # a view after what it is a view of
            a.flags.writeable = True


def outside() -> TraceError:
    """The error of a body that writes into what it closes over."""
    return TraceError(
        "the body of a loop, a branch, a checkpoint or a batch writes into an array from outside of it",
        "pass the array as an argument (or in the carry), change it there, and return it",
    )


def _around(f: Any) -> list[np.ndarray[Any, Any]]:
    """The plain arrays that a function closes over, itself or through functions and containers."""
    found: dict[int, np.ndarray[Any, Any]] = {}
    seen: set[int] = set()
    stack = [f]
    while stack:
        x = stack.pop()
        if isinstance(x, np.ndarray):
            found[id(x)] = x
        elif id(x) not in seen and len(seen) < 1000:
            seen.add(id(x))
            stack += _inside(x)
    return list(found.values())


def _inside(x: Any) -> list[Any]:
    if isinstance(x, functools.partial):
        return [x.func, *x.args, *x.keywords.values()]
    if isinstance(x, MethodType):
        return [x.__func__, x.__self__]
    if isinstance(x, FunctionType):
        cells = [v for v in map(contents, x.__closure__ or ()) if v is not UNBOUND]
        if (x.__module__ or "").startswith(("numpy", "chainrule.")):
            return cells  # a wrapper of ours around the user's function
        return [*cells, *(x.__globals__[n] for n in references(x.__code__).module if n in x.__globals__)]
    if isinstance(x, (dict, list, tuple)):
        return [v for _, v in children(x) or ()] if len(x) < 1000 else []
    return list(vars(x).values()) if _plain_object(x) else []


def _plain_object(x: Any) -> bool:
    """An object of a class of the user's."""
    return hasattr(x, "__dict__") and not callable(x) and not isinstance(x, type(functools)) and not hasattr(x, "node")
