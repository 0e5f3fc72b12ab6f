"""Numbers and arrays as they are shown: short, and large ones by shape and norm."""

from __future__ import annotations

from typing import Any

import numpy as np

FEW = 4  # entries that are shown one by one


def shown(x: Any, digits: int = 4) -> str:
    """A number in few digits; a small array in full; a large one by its shape and norm."""
    if x is None:
        return ""
    if isinstance(x, tuple):
        return f"{len(x)} values"
    a = np.asarray(x)
    if a.ndim == 0:
        return _number(a[()], digits)
    if a.size <= FEW:
        return np.array2string(a, separator=", ", formatter={"all": lambda v: _number(v, digits)}).replace("\n", "")
    norm = float(np.linalg.norm(a.astype(float).reshape(-1)))
    return f"{'×'.join(map(str, a.shape))}, ‖·‖ = {_number(norm, digits)}"


def _number(v: Any, digits: int) -> str:
    if isinstance(v, (bool, np.bool_)):
        return str(bool(v))
    if np.iscomplexobj(v):
        return f"{complex(v):.{digits}g}"
    text = f"{float(v):.{digits}g}"
    whole = f"{float(v):.0f}" if abs(float(v)) < 1e6 and float(v).is_integer() else text
    return "0" if whole == "-0" else whole
