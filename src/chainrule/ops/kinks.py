"""What is said of a subgradient that was used: at a kink, or at a tie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def at_zero(what: str, used: str, range_: str) -> Callable[[Any], str]:
    """At zero, in the words of one operation."""

    def said(n: Any) -> str:
        count = int(np.count_nonzero(np.asarray(n.values[0]) == 0))
        return (
            f"{what} at 0{_often(count)}: the slope used is {used}; every number {range_} is a subgradient"
            if count
            else ""
        )

    return said


def _often(count: int) -> str:
    return "" if count == 1 else f" in {count} entries"


def tie(n: Any) -> str:
    """Where the two inputs are equal."""
    a, b = np.broadcast_arrays(*(np.asarray(v) for v in n.values[:2]))
    count = int(np.count_nonzero(a == b))
    return (
        f"a tie in the {n.op.word}imum{_often(count)}: each side gets half of the gradient; every split is a subgradient"
        if count
        else ""
    )


def ties(n: Any) -> str:
    """Where several entries are the extreme one."""
    x, axis = np.asarray(n.values[0]), n.params["axis"]
    kept = np.asarray(
        n.value
        if n.params.get("keepdims")
        else np.expand_dims(n.value, tuple(a % x.ndim for a in axis))
        if x.ndim
        else n.value
    )
    most = int(np.max(np.sum(x == kept, axis=tuple(axis)), initial=0)) if x.ndim else 1
    return f"a tie of {most} entries in {n.op.word}: they share the gradient equally" if most > 1 else ""
