"""Functions of which nothing is known but their name, to derive rules that hold for every function."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.op import Op
from .kinds import Elementwise

_made: dict[tuple[str, tuple[int, ...]], Elementwise] = {}
_shown: dict[Op, str] = {}


def unknown(name: str) -> Callable[..., Any]:
    """A function of which nothing is known but its name.

    Call it with numbers or traced values; its derivatives are written g'(x), g''(x), or f_1(y, z) and f_12(y, z) for
    the partial derivatives by the first argument, and by the first and the second. Its values are those of an instance
    without symmetries (two sine waves in directions that the name decides), so that whatever is derived with it can be
    checked in numbers.

    >>> g = unknown("g")
    >>> g.__name__
    'g'
    """
    if not name.isidentifier():
        raise InputError(f"{name!r} is no name of a function", 'write a name, as unknown("f")')

    def function(*args: Any) -> Any:
        if not args:
            raise InputError(f"{name} needs an argument")
        return _operation(name, (0,) * len(args))(*args)

    function.__name__ = name
    return function


def unknown_functions(names: str | Sequence[str]) -> dict[str, Callable[..., Any]]:
    """Unknown functions by name, from "f, g" or a list."""
    if not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        raise InputError(
            f"functions names what stands for any function, and was given {names!r}", 'write functions="f, g"', where=""
        )
    listed = names.replace(",", " ").split() if isinstance(names, str) else list(names)
    return {n: unknown(n) for n in listed}


def shown_as(op: Op) -> str | None:
    """How an unknown function or its derivative is written in mathematics; None for any other operation."""
    return _shown.get(op)


def _written(function: str, orders: tuple[int, ...]) -> str:
    """f, g', f_12."""
    if len(orders) == 1:
        return function + "'" * orders[0]
    positions = "".join(str(k + 1) * n for k, n in enumerate(orders))
    return f"{function}_{positions}" if positions else function


def _operation(function: str, orders: tuple[int, ...]) -> Elementwise:
    """The operation of an unknown function, differentiated so often by each argument."""
    if (function, orders) not in _made:
        shown = _written(function, orders)
        arguments = ", ".join(f"{{{k}}}" for k in range(len(orders)))
        base, _, positions = shown.partition("_")
        head = f"{base}_{{{{{positions}}}}}" if positions else base
        call = f"{shown.replace(chr(39), '_prime')}({arguments})"
        op = Elementwise(
            f"{shown} of {len(orders)}",
            _instance(function, orders),
            [_partial(function, orders, k) for k in range(len(orders))],
            text=call,
            scalar=call,
            rule="chain rule",
            latex=rf"{head}\left({arguments}\right)",
            public=False,
            doc=f"The unknown function {function}, or a derivative of it.",
        )
        _made[function, orders], _shown[op] = op, shown
    return _made[function, orders]


def _instance(function: str, orders: tuple[int, ...]) -> Callable[..., Any]:
    rng = np.random.default_rng(zlib.crc32(f"{function}/{len(orders)}".encode()))
    directions, phases = rng.uniform(0.4, 1.6, (2, len(orders))), rng.uniform(0, 6, 2)

    def value(*args: Any) -> Any:
        total: Any = 0.0
        for direction, phase in zip(directions, phases, strict=True):
            scale = float(np.prod(direction ** np.array(orders)))
            inner = sum(float(c) * x for c, x in zip(direction, args, strict=True)) + phase
            total = total + scale * np.sin(inner + np.pi / 2 * sum(orders))
        return total

    return value


def _partial(function: str, orders: tuple[int, ...], k: int) -> Callable[..., Any]:
    after = tuple(n + (j == k) for j, n in enumerate(orders))
    return lambda *args: _operation(function, after)(*args[:-1])
