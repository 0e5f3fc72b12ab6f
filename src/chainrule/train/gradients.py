"""What the program of a step is made of: gradients, what is moved in its own memory, which labels it can take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..diff.rules import leaf
from ..diff.transforms import _scalar
from ..diff.walk import reverse
from ..errors import TraceError
from ..ir.deferred import settled
from ..ir.recording import Handle, setting, state
from ..trace.calls import select, traced_call
from ..trace.handles import dtype_of


def in_place(results: Any, arguments: Any) -> dict[int, int]:
    """Parameters and what the optimizer keeps of them are moved in their own memory."""
    new, _, after, *_ = results
    params, _, moments, *_ = arguments
    pairs = {new[k]: params[k] for k in new}
    return pairs | {after[k][n]: moments[k][n] for k in after for n in after[k] if n in moments[k]}


def gradients(f: Callable[[Any], Any], params: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """The value of f, what else it returns, and the gradients of the parameters that the value depends on."""
    t = traced_call(f, select(f, (params,), {}, 0), leaf, has_aux=True)
    out = _scalar(f, t, False)
    with setting(depth=state.depth + 1, recording=True):
        found = reverse([out.node], [np.ones((), dtype_of(out))[()]], t.leaves, live=t.live)
    grads = {k: g for k, g in zip(params, found, strict=True) if g is not None}
    if not grads:
        raise TraceError("the loss depends on no parameter")
    return out, t.aux, grads


def labels_known(batch: Sequence[Any]) -> Any:
    """Whether no integer of a batch is negative, but those that were so when this was traced.

    Classes and indices are checked by the losses and layers while tracing, with the values of that batch. What is too large is
    found by the program; what is negative would count from the end.
    """
    good: Any = np.True_
    for x in batch:
        if isinstance(x, Handle) and x.dtype.kind == "i" and x.shape:
            values = np.asarray(settled(x.node.value))
            seen = np.unique(values[values < 0])
            if len(seen) <= 8:
                strange: Any = np.less(x, 0)  # type: ignore[call-overload]
                for v in seen:
                    strange = np.logical_and(strange, x != v)
                good = np.logical_and(good, np.sum(strange) == 0)
    return good
