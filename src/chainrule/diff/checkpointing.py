"""Checkpointing: memory traded for time, with the same gradients to the last bit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import comb
from typing import Any

from ..errors import InputError
from ..ir.graph import Bundle, Graph
from ..ir.recording import Handle, record, state
from ..ops.structured import call, picked
from ..trace.bodies import body, owned
from ..trace.memory import own
from ..trace.tree import flatten, unflatten
from .rules import leaf


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Compute `f` without keeping its intermediate values; the reverse pass computes them again.

    The gradients are the same to the last bit; memory is traded for time. Works on any function of trees,
    also on one that closes over traced values.
    """

    @functools.wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = flatten((args, kwargs))
        traced = [k for k, x in enumerate(leaves) if isinstance(x, Handle)]
        if not traced and state.depth == 0:
            new_args, new_kwargs = owned((args, kwargs))
            return owned(f(*new_args, **new_kwargs))
        with body(f):
            fresh = [leaf(own(leaves[k])) for k in traced]
            nodes = [h.node for h in fresh]  # the handles move on where the function writes into them
            marker = leaf(0.0)  # everything after it belongs to this call
            rest = iter(fresh)
            new_args, new_kwargs = unflatten(treedef, [next(rest) if isinstance(x, Handle) else own(x) for x in leaves])
            results, result_tree = flatten(f(*new_args, **new_kwargs))
        graph = Graph(nodes or [marker.node], [r.node if isinstance(r, Handle) else own(r) for r in results])
        outside = graph.outside
        inputs = [leaves[k] for k in traced] if fresh else [marker]
        if not graph.nodes:
            return unflatten(result_tree, results)
        kind = type(inputs[0])
        values = Bundle(r.node.value if isinstance(r, Handle) else r for r in results)
        bundle = record(
            call, (*inputs, *(kind(n) for n in outside), *graph.captured), {"graph": graph.closed()}, values
        )
        parts = picked(bundle, len(results))
        return unflatten(result_tree, [p if isinstance(r, Handle) else r for p, r in zip(parts, results, strict=True)])

    return checkpointed


def checkpoint_sequential(
    functions: Sequence[Callable[[Any], Any]], x: Any, *, every: int | None = None, memory: int | None = None
) -> Any:
    """Apply functions one after another, keeping few of the values between them.

    Args:
        functions: each takes the result of the one before.
        x: what the first one takes, a number, an array or a tree.
        every: keep the value before every k-th function, and compute the others again once.
        memory: keep at most so many values at a time, by the binomial schedule of Griewank and Walther (revolve, 2000):
            no schedule with that memory computes fewer functions again. See `recomputations`.

    Returns:
        The result of the last function. Its gradients are those without checkpoints, to the last bit.

    >>> checkpoint_sequential([lambda x: 2 * x, lambda x: x + 1], 3.0, every=1)
    7.0
    """
    if (every is None) == (memory is None):
        raise InputError("checkpoint_sequential takes either every= or memory=", "give one of the two")
    if (every or memory or 0) < 1:
        raise InputError(f"{'every' if memory is None else 'memory'} must be at least 1")
    functions = list(functions)
    if memory is not None:
        return _binomial(functions, memory)(x)
    assert every is not None
    for start in range(0, len(functions), every):
        x = checkpoint(_composed(functions[start : start + every]))(x)
    return x


def _composed(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for f in functions:
            x = f(x)
        return x

    return run


def recomputations(length: int, memory: int) -> int:
    """How many functions the binomial schedule computes again for a chain, the last recorded pass not counted.

    With r the least number for which comb(memory + r, memory) >= length, it is r * length - comb(memory + r, memory + 1)
    evaluations of functions beside the recorded ones (Griewank and Walther, 2000, proposition 1).

    Args:
        length: how many functions the chain has.
        memory: how many values may be kept at once.

    >>> recomputations(10, 3)
    15
    """
    if length <= 0:
        return 0
    r = 0
    while comb(memory + r, memory) < length:
        r += 1
    return r * length - comb(memory + r, memory + 1)


@functools.lru_cache(maxsize=4096)
def _split(length: int, memory: int) -> int:
    """After how many functions to keep the next value: a split whose two parts need the least together."""
    r = 0
    while comb(memory + r, memory) < length:
        r += 1
    low = comb(memory + r - 2, memory) if r >= 2 else 0
    high = comb(memory + r - 1, memory)
    return max(1, min(length - 1, max(low, length - comb(memory + r - 1, memory - 1)), high))


def _binomial(functions: Sequence[Callable[[Any], Any]], memory: int) -> Callable[[Any], Any]:
    """The chain as a nest of checkpoints: the value before the chain is held by the caller, and counts as one."""
    n = len(functions)
    if n <= 1:
        return _composed(functions)

    def run(x: Any) -> Any:
        if memory == 1:  # only the start is kept: everything but the last function is computed again, each time
            return functions[-1](checkpoint(_binomial(functions[:-1], 1))(x))
        k = _split(n, memory)
        y = checkpoint(_binomial(functions[:k], memory))(x)
        return _binomial(functions[k:], memory - 1)(y)

    return run
