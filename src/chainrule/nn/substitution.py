"""Modules as functions of their parameters: other values in the places of tensors, for as long as a call lasts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InputError, TraceError
from ..trace.handles import plain
from ..trace.tree import map_leaves
from .module import Module
from .traced import as_traced


@contextmanager
def replaced(roots: Sequence[Module], new: Mapping[int, Any]) -> Generator[Callable[[int], Any]]:
    """Modules with other values in the places of tensors, given by the ids of those.

    Yields a function that tells, while it lasts, what stands in the place of one.
    """
    places: dict[int, list[tuple[dict[str, Any], str]]] = {}
    for root in roots:
        for _, m in root._all_named():
            for registered in (m._parameters, m._buffers):
                for k, value in registered.items():
                    if id(value) in new:
                        places.setdefault(id(value), []).append((registered, k))
    before = [(registered, k, registered[k]) for found in places.values() for registered, k in found]

    def now(key: int) -> Any:
        found = [registered.get(k) for registered, k in places[key]]
        if any(x is not found[0] for x in found):
            raise TraceError("a buffer that two modules share is bound anew in one of them", "change it in place")
        return found[0]

    try:
        for key, found in places.items():
            for registered, k in found:
                registered[k] = new[key]
        yield now
    finally:
        for registered, k, value in before:
            registered[k] = value


def _named_everywhere(module: Module) -> dict[str, Any]:
    """Parameters and buffers under every name that they have."""
    return {
        f"{name}.{k}" if name else k: value
        for name, m in module._all_named()
        for registered in (m._parameters, m._buffers)
        for k, value in registered.items()
        if value is not None
    }


@contextmanager
def _with_values(module: Module, values: Mapping[str, Any]) -> Generator[None]:
    """The module with other values in place of its parameters and buffers."""
    named = _named_everywhere(module)
    unknown = [k for k in values if k not in named]
    if unknown:
        raise InputError(
            f"functional_call: {type(module).__name__} has no parameter {unknown[0]!r}",
            f"its parameters are {', '.join(named) or 'none'}",
        )
    with replaced([module], {id(named[k]): v for k, v in values.items()}):
        yield


def functional_call(
    module: Module, values: Mapping[str, Any], args: Any = (), kwargs: Mapping[str, Any] | None = None
) -> Any:
    """What the module gives with `values` in place of its parameters, so that every transform applies.

    Args:
        module: any module; it is not changed.
        values: parameters and buffers by name; those left out keep their own.
        args: the arguments, a tuple; anything else is the single argument.
        kwargs: those by name.

    Returns:
        What `forward` returns.

    >>> import chainrule as cr, numpy as np
    >>> net = cr.torch.nn.Linear(2, 1)
    >>> weights = {"weight": np.ones((1, 2)), "bias": np.zeros(1)}
    >>> cr.grad(lambda w: cr.functional_call(net, w, np.array([3.0, 4.0])).sum())(weights)
    {'weight': array([[3., 4.]]), 'bias': array([1.])}
    """
    named: Any
    values, args, named = map_leaves(
        as_traced, (dict(values), args if isinstance(args, tuple) else (args,), kwargs or {})
    )
    with _with_values(module, values):
        return module(*args, **named)


def arrays_of(module: Module) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the trained parameters, and of the rest, by name, as plain arrays."""
    trained = {k: np.asarray(p.detach().value) for k, p in module.named_parameters() if p.requires_grad}
    frozen = {k: np.asarray(p.detach().value) for k, p in module.named_parameters() if not p.requires_grad}
    return trained, {**frozen, **{k: np.asarray(plain(b)) for k, b in module.named_buffers()}}
