"""The ways to carry out an operation on a whole batch, which declarations call by name.

Axes are counted from the end, so most work as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir.graph import Bundle
from ..ir.recording import Handle, bottom, setting
from ..ops.broadcasting import lifted, spread
from ..ops.shape import stack
from ..ops.structured import picked
from ..trace.array import array_at
from .batching import WAYS, vmap
from .checkpointing import checkpoint


def elementwise(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Broadcasting aligns axes from the end; the batch axis stays in front."""
    ndim = max(np.ndim(v) - e for v, e in zip(values, each, strict=True))
    return op(*map(lifted, values, each, (ndim,) * len(values)), **params)


def along(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Operations whose axes are counted from the end work as they are, once every input has the batch axis."""
    return op(*(spread(v, e, n) for v, e in zip(values, each, strict=True)), **params)


def body(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A composite of the user's: batch what it is made of."""
    return _mapped(lambda *args: op.body(*args, **params), values, each)


def one_by_one(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Any operation: for one example after another."""
    if n == 0:
        raise TraceError(f"{op.name} over a batch of no examples: the shape of its result is not known", "give one")
    results = [op(*(v[k] if e else v for v, e in zip(values, each, strict=True)), **params) for k in range(n)]
    found = bottom(results[0])
    if not isinstance(found, tuple):
        return stack(*results, axis=-1 - np.ndim(found))
    several = [picked(r, len(found)) if isinstance(r, Handle) else r for r in results]
    return Bundle(stack(*r, axis=-1 - np.ndim(r[0])) for r in zip(*several, strict=True))


def _mapped(f: Callable[..., Any], values: list[Any], each: list[bool]) -> Any:
    return vmap(f, in_axes=tuple(0 if e else None for e in each))(*values)


def _call(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A checkpointed call: its body is batched, and stays checkpointed where it is recorded."""

    def run(*args: Any) -> list[Any]:
        return _mapped(lambda *xs: params["graph"].replay(xs), list(args), each)

    level = max(((v.rank + 5) // 10 for v in values if isinstance(v, Handle)), default=0)
    with setting(level=level, array=array_at(level) if level else None, depth=0):  # where the values are recorded
        return Bundle(checkpoint(run)(*values))


def _loop(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A loop of a fixed number of steps: one loop over the whole batch."""
    return Bundle(_mapped(lambda *xs: list(op.value(*xs, **params)), values, each))


WAYS.update(
    {"one by one": one_by_one, "elementwise": elementwise, "along": along, "body": body, "call": _call, "loop": _loop}
)
