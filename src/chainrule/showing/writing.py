"""Explanations as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .explain import Explanation


def as_json(e: Explanation) -> str:
    """Value, gradients, nodes and the program of an explanation."""
    rows = [
        {
            "name": r.name,
            "role": r.role,
            "operation": r.operation,
            "value": _json(r.value),
            "gradient": _json(r.gradient),
        }
        for r in e.table()
    ]
    data = {
        "function": e.staged.name,
        "source": e.source,
        "value": _json(e.value),
        "gradients_of": e.of,
        "gradients": {k: _json(v) for k, v in e.gradients.items()},
        "nodes": rows,
        "code": str(e.code()),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _json(x: Any) -> Any:
    if x is None:
        return None
    if isinstance(x, tuple):  # the results of a loop
        return [_json(v) for v in x]
    values = np.asarray(x)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return json.loads(
            json.dumps(np.vectorize(lambda v: float(v) if np.isfinite(v) else str(v), otypes=[object])(values).tolist())
        )
    return values.tolist()
