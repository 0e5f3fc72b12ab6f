"""Whether a program is the same for every length of a batch: it is traced again at other lengths and must read the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..programs.staged import Staged
from ..trace.handles import dtype_of, plain
from ..trace.tree import flatten, unflatten

MOST = 12  # arrays; for more, every length is said and checked
OTHERS = ((1, 1), (2, 3))  # other lengths m n + k to try, as (m, k)


def free_lengths(
    staged: Staged,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    again: Callable[[Sequence[Any], Mapping[str, Any]], Staged],
    write: Callable[[Staged], str],
) -> list[int]:
    """The positions of the inputs (then of the cotangent) whose first axis may have any length, the same for all of them.

    A function that asks for a length itself (`len(x)`, `x.shape`, a loop over rows) might take another way at another length, so
    none of its inputs is free.
    """
    leaves, tree = flatten((tuple(args), dict(kwargs)))
    floats = [k for k, x in enumerate(leaves) if dtype_of(x).kind == "f"]
    arrays = {p: np.asarray(plain(leaves[k])) for p, k in enumerate(floats) if np.ndim(plain(leaves[k]))}
    if staged.sizes or staged.checks or not arrays or len(arrays) > MOST:
        return []
    text = write(staged)

    def same_at(group: Sequence[int], m: int) -> Staged | None:
        new = list(leaves)
        for p in group:
            x = arrays[p]
            new[floats[p]] = np.resize(x, (m, *x.shape[1:])).astype(x.dtype)
        try:
            with np.errstate(all="ignore"):
                found = again(*unflatten(tree, new))
            return found if write(found) == text else None
        except Exception:  # whatever the user's code says of other shapes
            return None

    for group in _groups(arrays):
        n = len(arrays[group[0]])
        found = [same_at(group, m * n + k) for m, k in OTHERS]
        if all(f is not None for f in found):
            output = staged.output.shape
            grows = [f.output.shape != output for f in found if f is not None]
            return [*group, *([len(staged.inputs)] if staged.seed is not None and all(grows) else [])]
    return []


def _groups(arrays: Mapping[int, Any]) -> list[list[int]]:
    """Which arrays may be one batch: all with the same first length, then each alone."""
    by: dict[int, list[int]] = {}
    for p, x in arrays.items():
        if len(x) > 1:
            by.setdefault(len(x), []).append(p)
    together = [g for g in by.values() if len(g) > 1]
    return [*together, *([p] for g in by.values() for p in reversed(g))]
